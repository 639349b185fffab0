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
use crate::config::{MIN_LIFETIME, TokenSettings};
use crate::error::Error;
use crate::http::extract::{Check, JsonObject, NO_STORE, NoQuery, NoStore, moment, spelled, text};
use crate::http::openapi::{ApiErrors, TAG_PAT};
use crate::http::problem::Problem;
use crate::principal::Caller;
use crate::token::{Description, End, IssuedToken, Narrowing, TokenName, TokenRequest, Wanted};

/// A new token.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct CreateToken {
    /// Unique among the owner's tokens. It is trimmed and lower-cased.
    #[schema(value_type = String, pattern = r"^\s*[A-Za-z0-9.-]{1,64}\s*$", example = "ci-deploy")]
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
    /// The scopes that it has, of the default and the optional ones of the designated client. Empty: none. A token that is
    /// narrowed otherwise and does not ask for scopes has none.
    #[schema(value_type = Option<Vec<String>>, max_items = 100, example = json!(["email"]))]
    scopes: Option<Value>,
    /// The roles that it has, of your own: `name` for a role of the realm, `client:name` for one of a client. Empty:
    /// none. Roles of Keycloak's own clients cannot be had. A token that is narrowed otherwise and does not ask for roles
    /// has none.
    #[schema(value_type = Option<Vec<String>>, max_items = 100, example = json!(["analyst", "reports:read"]))]
    roles: Option<Value>,
    /// The audiences that it is for, of those that your tokens have. Default: all of them.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100, example = json!(["reports"]))]
    audience: Option<Value>,
    /// The networks (CIDR) and addresses from which it may be used. Systems that validate it offline do not see them. It
    /// narrows too: without `roles` and `scopes` beside it the token has neither.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 32, example = json!(["192.0.2.0/24"]))]
    allowed_cidrs: Option<Value>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, Value>,
}

impl CreateToken {
    pub(super) fn check(
        self,
        clock: &Clock,
        settings: &TokenSettings,
    ) -> Result<TokenRequest, Error> {
        let mut check = Check::default();
        let name = check.required("name", self.name, |value| TokenName::parse(text(value)?));
        let description = check
            .optional("description", self.description, |value| Description::parse(text(value)?));
        if self.expires_in.is_some() && self.expires_at.is_some() {
            check.fields.refuse("expiresAt", "give either `expiresIn` or `expiresAt`");
        }
        let max = settings.max_lifetime;
        let expires_in = check.optional("expiresIn", self.expires_in, |value| {
            let seconds = value.as_u64().ok_or("must be a whole number of seconds")?;
            within(Duration::from_secs(seconds), max).map(End::After)
        });
        let expires_at = check.optional("expiresAt", self.expires_at, |value| {
            let end = moment(text(value)?)?;
            let left = end.seconds().saturating_sub(clock.now().seconds());
            within(Duration::from_secs(u64::try_from(left).unwrap_or(0)), max)?;
            Ok(End::At(end))
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
        let read = (name, description, expires_in, expires_at, narrowing);
        let (name, description, expires_in, expires_at, narrowing) = check.finish(read)?;
        let end = expires_in.or(expires_at).unwrap_or(End::After(settings.default_lifetime));
        Ok(TokenRequest { name, description, end, narrowing })
    }
}

pub(super) fn within(lifetime: Duration, max: Duration) -> Result<Duration, String> {
    if (MIN_LIFETIME..=max).contains(&lifetime) {
        return Ok(lifetime);
    }
    let (least, most) = (MIN_LIFETIME.as_secs(), max.as_secs());
    let spelled = format!("({} to {})", spelled(MIN_LIFETIME), spelled(max));
    Err(format!("must be from {least} to {most} seconds from now {spelled}"))
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
    pub(super) fn at(now: Timestamp, issued: IssuedToken) -> Self {
        let token = issued.token.expose_secret().to_owned();
        Self { metadata: Token::at(now, issued.record), token }
    }
}

/// Creates a personal access token
///
/// Needs the role `create-tokens`. The answer is the only place where the token is shown.
///
/// With any of `scopes`, `roles`, `audience` and `allowedCidrs` the token is narrowed: it has only what was asked for, and
/// of all other claims only the owner's names and email. So a token that is narrowed by `scopes` alone has no role at all, and
/// one that is narrowed by `allowedCidrs` alone has neither roles nor scopes: ask for all that it needs. At Hallpass a
/// narrowed token reads `/api/pat/v1/tokens/self` and revokes itself.
#[utoipa::path(post, path = "/api/pat/v1/tokens", tag = TAG_PAT, operation_id = "createToken",
    request_body = CreateToken,
    responses((status = 201, description = "The token, shown this once", body = CreatedToken), ApiErrors))]
pub(in crate::http) async fn create(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonObject(body): JsonObject<CreateToken>,
) -> Result<(StatusCode, NoStore, Json<CreatedToken>), Problem> {
    caller.authorize(crate::access::Action::CreateToken)?;
    let request = body.check(&app.clock, &app.settings.tokens)?;
    let issued = app.tokens.issue(&caller, request).await?;
    Ok((StatusCode::CREATED, NO_STORE, Json(CreatedToken::at(app.clock.now(), issued))))
}
