//! Creating personal access tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Token;
use crate::app::App;
use crate::clock::{Clock, Timestamp};
use crate::config::{MIN_LIFETIME, Tokens};
use crate::error::Error;
use crate::http::extract::{Caller, Check, JsonObject, NO_STORE, NoQuery, NoStore, text};
use crate::http::openapi::{ApiErrors, TAG_PAT};
use crate::http::problem::Problem;
use crate::token::{Description, End, IssuedToken, NewToken, TokenName};

/// A new token.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct CreateToken {
    /// Unique among the owner's tokens. It is trimmed and lower-cased.
    #[schema(value_type = String, pattern = "^[a-z0-9.-]{1,64}$", example = "ci-deploy")]
    name: Option<Value>,
    /// What it is for.
    #[schema(value_type = Option<String>, max_length = 255)]
    description: Option<Value>,
    /// How long it lives, in whole seconds, from 60 to the maximum lifetime. The configured default where
    /// neither this nor `expiresAt` is given.
    #[schema(value_type = Option<u64>, minimum = 60, example = 86400)]
    expires_in: Option<Value>,
    /// When it ends; instead of `expiresIn`.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Value>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, Value>,
}

impl CreateToken {
    fn check(self, clock: &Clock, settings: &Tokens) -> Result<NewToken, Error> {
        let mut check = Check::default();
        let name = check.required("name", self.name, |value| TokenName::parse(text(value)?));
        let description = check
            .optional("description", self.description, |value| Description::parse(text(value)?));
        if self.expires_in.is_some() && self.expires_at.is_some() {
            check.error("expiresAt", "give either `expiresIn` or `expiresAt`");
        }
        let max = settings.max_lifetime;
        let expires_in = check.optional("expiresIn", self.expires_in, |value| {
            let seconds = value.as_u64().ok_or("must be a whole number of seconds")?;
            within(Duration::from_secs(seconds), max).map(End::After)
        });
        let expires_at = check.optional("expiresAt", self.expires_at, |value| {
            let end = Timestamp::parse(text(value)?).map_err(|_| "must be an RFC 3339 time")?;
            let left = end.seconds().saturating_sub(clock.now().seconds());
            within(Duration::from_secs(u64::try_from(left).unwrap_or(0)), max)?;
            Ok(End::At(end))
        });
        check.no_others(&self.others);
        check.finish()?;
        let end = expires_in.or(expires_at).unwrap_or(End::After(settings.default_lifetime));
        // A missing name is among the errors.
        let name = name.ok_or_else(|| Error::invalid_field("name", "is required"))?;
        Ok(NewToken { name, description, end })
    }
}

fn within(lifetime: Duration, max: Duration) -> Result<Duration, String> {
    if (MIN_LIFETIME..=max).contains(&lifetime) {
        return Ok(lifetime);
    }
    Err(format!("must be from {} to {} seconds from now", MIN_LIFETIME.as_secs(), max.as_secs()))
}

/// A new token with the JWT: shown this once.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct CreatedToken {
    #[serde(flatten)]
    metadata: Token,
    /// The JWT. Keep it: it is not stored and cannot be shown again.
    token: String,
}

impl CreatedToken {
    fn at(now: Timestamp, issued: IssuedToken) -> Self {
        let token = issued.token.expose_secret().to_owned();
        Self { metadata: Token::at(now, issued.record), token }
    }
}

/// Creates a personal access token
///
/// Needs the role `create-tokens`. The answer is the only place where the token is shown.
#[utoipa::path(post, path = "/api/pat/v1/tokens", tag = TAG_PAT, operation_id = "createToken",
    request_body = CreateToken,
    responses((status = 201, description = "The token, shown this once", body = CreatedToken), ApiErrors))]
pub(in crate::http) async fn create(
    State(app): State<App>,
    Caller { principal, origin }: Caller,
    _: NoQuery,
    JsonObject(body): JsonObject<CreateToken>,
) -> Result<(StatusCode, NoStore, Json<CreatedToken>), Problem> {
    principal.authorize(crate::principal::Action::CreateToken)?;
    let request = body.check(&app.clock, &app.settings.tokens)?;
    let issued = app.tokens.issue(&principal, &origin, request).await?;
    Ok((StatusCode::CREATED, NO_STORE, Json(CreatedToken::at(app.clock.now(), issued))))
}
