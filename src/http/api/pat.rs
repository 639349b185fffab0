//! `/api/pat/v1`: one's own personal access tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::{Clock, Timestamp};
use crate::config::{MIN_LIFETIME, Tokens};
use crate::error::Error;
use crate::http::extract::{
    Caller, Check, JsonObject, NO_STORE, NoQuery, NoStore, PatIdInPath, text,
};
use crate::http::openapi::{ApiErrors, TAG_PAT};
use crate::http::problem::Problem;
use crate::id::{PatId, UserId};
use crate::page::{PageRequest, Pagination};
use crate::store::{TokenRecord, TokenStatus};
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

/// A token's metadata. The token itself is never shown again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Token {
    /// Its id: the `jti` of the JWT.
    pat_id: PatId,
    /// Its owner's id in Keycloak.
    user_id: UserId,
    /// Its owner's name at login.
    username: String,
    /// Its name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// What it is now.
    status: TokenStatus,
    /// Whether it is good: active, or expiring soon.
    is_valid: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// When Hallpass last saw it used. Systems that validate it offline cannot be seen.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// From which address it was last used.
    last_used_ip: Option<String>,
    /// Since when it is revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// Why it is revoked.
    revoked_reason: Option<String>,
    /// The scopes that it was narrowed to; `null` where it was not.
    scopes: Option<Vec<String>>,
    /// The roles that it was narrowed to; `null` where it was not.
    roles: Option<Vec<String>>,
    /// The audiences that it was narrowed to; `null` where it was not.
    audience: Option<Vec<String>>,
    /// The networks from which it may be used; `null`: from anywhere.
    allowed_cidrs: Option<Vec<String>>,
    /// The token that it replaces.
    rotated_from: Option<PatId>,
    /// The token that replaces it.
    rotated_to: Option<PatId>,
    /// Until when it works beside its successor.
    #[schema(value_type = Option<String>, format = DateTime)]
    grace_until: Option<Timestamp>,
}

impl Token {
    fn at(now: Timestamp, record: TokenRecord) -> Self {
        let status = record.status(now);
        Self {
            pat_id: record.pat_id,
            user_id: record.user_id,
            username: record.username,
            name: record.name,
            description: record.description,
            status,
            is_valid: status.is_valid(),
            created_at: record.created_at,
            expires_at: record.expires_at,
            last_used_at: record.last_used_at,
            last_used_ip: record.last_used_ip,
            revoked_at: record.revoked_at,
            revoked_reason: record.revoked_reason,
            scopes: record.scopes,
            roles: record.roles,
            audience: record.audience,
            allowed_cidrs: record.allowed_cidrs,
            rotated_from: record.rotated_from,
            rotated_to: record.rotated_to,
            grace_until: record.grace_until,
        }
    }
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

/// A page of tokens.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TokenList {
    /// Newest first.
    tokens: Vec<Token>,
    pagination: Pagination,
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

/// Lists one's own tokens
#[utoipa::path(get, path = "/api/pat/v1/tokens", tag = TAG_PAT, operation_id = "listTokens",
    params(
        ("offset" = Option<u32>, Query, description = "How many to skip; 0 where nothing is said"),
        ("limit" = Option<u32>, Query, description = "How many to answer, 1 to 100; 10 where nothing is said"),
    ),
    responses((status = 200, description = "A page of tokens", body = TokenList), ApiErrors))]
pub(in crate::http) async fn list(
    State(app): State<App>,
    Caller { principal, .. }: Caller,
    page: PageRequest,
) -> Result<Json<TokenList>, Problem> {
    let found = app.tokens.list(&principal, page).await?;
    let now = app.clock.now();
    let tokens = found.items.into_iter().map(|record| Token::at(now, record)).collect();
    Ok(Json(TokenList { tokens, pagination: Pagination::new(page, found.total) }))
}

/// The personal access token that calls
#[utoipa::path(get, path = "/api/pat/v1/tokens/self", tag = TAG_PAT, operation_id = "getSelf",
    responses((status = 200, description = "The token's metadata", body = Token), ApiErrors))]
pub(in crate::http) async fn get_self(
    State(app): State<App>,
    Caller { principal, .. }: Caller,
    _: NoQuery,
) -> Result<Json<Token>, Problem> {
    let record = app.tokens.get_self(&principal).await?;
    Ok(Json(Token::at(app.clock.now(), record)))
}

/// One of one's own tokens
#[utoipa::path(get, path = "/api/pat/v1/tokens/{patId}", tag = TAG_PAT, operation_id = "getToken",
    params(("patId" = String, Path, description = "The token's id")),
    responses((status = 200, description = "The token's metadata", body = Token), ApiErrors))]
pub(in crate::http) async fn get(
    State(app): State<App>,
    Caller { principal, .. }: Caller,
    PatIdInPath(pat_id): PatIdInPath,
    _: NoQuery,
) -> Result<Json<Token>, Problem> {
    let record = app.tokens.get(&principal, pat_id).await?;
    Ok(Json(Token::at(app.clock.now(), record)))
}

/// Revokes one of one's own tokens
///
/// It stays listed. Again: nothing changes.
#[utoipa::path(post, path = "/api/pat/v1/tokens/{patId}/invalidate", tag = TAG_PAT,
    operation_id = "invalidateToken",
    params(("patId" = String, Path, description = "The token's id")),
    responses((status = 200, description = "The token's metadata", body = Token), ApiErrors))]
pub(in crate::http) async fn invalidate(
    State(app): State<App>,
    Caller { principal, origin }: Caller,
    PatIdInPath(pat_id): PatIdInPath,
    _: NoQuery,
) -> Result<Json<Token>, Problem> {
    let record = app.tokens.revoke(&principal, &origin, pat_id).await?;
    Ok(Json(Token::at(app.clock.now(), record)))
}

/// Deletes one of one's own tokens with its metadata
#[utoipa::path(delete, path = "/api/pat/v1/tokens/{patId}", tag = TAG_PAT, operation_id = "deleteToken",
    params(("patId" = String, Path, description = "The token's id")),
    responses((status = 204, description = "It is gone"), ApiErrors))]
pub(in crate::http) async fn delete(
    State(app): State<App>,
    Caller { principal, origin }: Caller,
    PatIdInPath(pat_id): PatIdInPath,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    app.tokens.delete(&principal, &origin, pat_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
