//! Replacing tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::create::{CreatedToken, within};
use crate::access::Action;
use crate::app::App;
use crate::config::TokenSettings;
use crate::error::Error;
use crate::http::extract::{Check, JsonOrNothing, NO_STORE, NoQuery, NoStore, PatIdInPath};
use crate::http::openapi::{ApiErrors, TAG_PAT};
use crate::http::problem::Problem;
use crate::id::PatId;
use crate::principal::Caller;
use crate::token::{Narrowing, RotateToken, Wanted};

/// The longest that an old token works beside its successor.
const MAX_GRACE: Duration = Duration::from_hours(24);

/// What the successor is to be. Name, description and restrictions are the old token's; it can be narrowed further.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Rotate {
    /// How long it lives, in whole seconds, from 60 to the maximum lifetime; as long as the old one where nothing is
    /// said. A token that rotates itself gets at most its own lifetime.
    #[schema(value_type = Option<u64>, minimum = 60, example = 86400)]
    expires_in: Option<Value>,
    /// How long the old token works beside it, in whole seconds, to 86400. Default: 0, it ends at once.
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 86400, example = 300)]
    grace_seconds: Option<Value>,
    /// Fewer scopes than the old token has.
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    scopes: Option<Value>,
    /// Fewer roles than the old token has.
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    roles: Option<Value>,
    /// Fewer audiences than the old token has.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    audience: Option<Value>,
    /// Networks within those of the old token.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 32)]
    allowed_cidrs: Option<Value>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, Value>,
}

impl Rotate {
    fn check(self, settings: &TokenSettings) -> Result<RotateToken, Error> {
        let mut check = Check::default();
        let lifetime = check.optional("expiresIn", self.expires_in, |value| {
            let seconds = value.as_u64().ok_or("must be a whole number of seconds")?;
            within(Duration::from_secs(seconds), settings.max_lifetime)
        });
        let grace = check.optional("graceSeconds", self.grace_seconds, |value| {
            let seconds = value.as_u64().filter(|seconds| *seconds <= MAX_GRACE.as_secs());
            let seconds =
                seconds.ok_or("must be a whole number of seconds from 0 to 86400 (a day)")?;
            Ok(Duration::from_secs(seconds))
        });
        check.knows(&["scopes", "roles", "audience", "allowedCidrs"]);
        let wanted = Wanted {
            scopes: self.scopes.as_ref(),
            roles: self.roles.as_ref(),
            audience: self.audience.as_ref(),
            allowed_cidrs: self.allowed_cidrs.as_ref(),
        };
        let narrowing = Narrowing::read(&mut check.fields, wanted);
        check.no_others(&self.others);
        let (lifetime, grace, narrowing) = check.finish((lifetime, grace, narrowing))?;
        Ok(RotateToken { lifetime, grace: grace.unwrap_or_default(), narrowing })
    }
}

/// Replaces one of one's own tokens by a successor
///
/// Needs the role `create-tokens`; a personal access token can replace itself. The answer is the only place where the
/// successor is shown. Was it lost, rotate the same token again: a successor that was never used is replaced. A rotated
/// token that is used or rotated after its grace, while its successor is in use, is in two hands: it ends with all that
/// came from it (`family_burned`). Of one chain at most one token in its grace works beside the newest: what was in its grace
/// before ends (`superseded`).
#[utoipa::path(post, path = "/api/pat/v1/tokens/{patId}/rotate", tag = TAG_PAT, operation_id = "rotateToken",
    params(("patId" = String, Path, description = "The token's id")),
    request_body = Option<Rotate>,
    responses((status = 201, description = "The successor, shown this once", body = CreatedToken), ApiErrors))]
pub(in crate::http) async fn rotate(
    State(app): State<App>,
    caller: Caller,
    PatIdInPath(pat_id): PatIdInPath,
    _: NoQuery,
    JsonOrNothing(body): JsonOrNothing<Rotate>,
) -> Result<(StatusCode, NoStore, Json<CreatedToken>), Problem> {
    replace(&app, &caller, pat_id, body).await
}

/// Replaces the personal access token that calls by a successor
///
/// The same as by its id, for whoever knows the token alone.
#[utoipa::path(post, path = "/api/pat/v1/tokens/self/rotate", tag = TAG_PAT, operation_id = "rotateSelf",
    request_body = Option<Rotate>,
    responses((status = 201, description = "The successor, shown this once", body = CreatedToken), ApiErrors))]
pub(in crate::http) async fn rotate_self(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonOrNothing(body): JsonOrNothing<Rotate>,
) -> Result<(StatusCode, NoStore, Json<CreatedToken>), Problem> {
    let pat_id = caller.calling_token()?;
    replace(&app, &caller, pat_id, body).await
}

async fn replace(
    app: &App,
    caller: &Caller,
    pat_id: PatId,
    body: Rotate,
) -> Result<(StatusCode, NoStore, Json<CreatedToken>), Problem> {
    caller.authorize(Action::RotateToken(pat_id))?;
    let request = body.check(&app.settings.tokens)?;
    let issued = app.tokens.rotate(caller, pat_id, request).await?;
    Ok((StatusCode::CREATED, NO_STORE, Json(CreatedToken::at(app.clock.now(), issued))))
}
