//! `/api/pat/v1`: personal access tokens, one's own and for administrators everybody's.

pub(in crate::http) mod create;
pub(in crate::http) mod describe;
pub(in crate::http) mod end;
pub(in crate::http) mod identify;
pub(in crate::http) mod offer;
pub(in crate::http) mod rotate;
pub(in crate::http) mod users;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::Timestamp;
use crate::credential::EndReason;
use crate::http::extract::{NoQuery, PatIdInPath, Query};
use crate::http::openapi::{ApiErrors, TAG_PAT};
use crate::http::problem::Problem;
use crate::id::{PatId, UserId};
use crate::page::{Page, Pagination};
use crate::principal::Caller;
use crate::store::{TokenFilter, TokenRecord, TokenSort, TokenStatus};
use crate::token::Whose;

/// A token's metadata. The token itself is never shown again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Token {
    /// Its id: the `jti` of the JWT.
    pat_id: PatId,
    /// Its owner's id in Keycloak.
    user_id: UserId,
    /// Its owner's name at login, as it is now.
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
    #[schema(value_type = Option<String>)]
    revoked_reason: Option<EndReason>,
    /// What whoever revoked it said of that.
    revoked_note: Option<String>,
    /// Since when it is suspended.
    #[schema(value_type = Option<String>, format = DateTime)]
    suspended_at: Option<Timestamp>,
    /// Why it is suspended: for what it would be revoked or deleted, were that certain or confirmed.
    #[schema(value_type = Option<String>)]
    suspended_reason: Option<EndReason>,
    /// The scopes that it was narrowed to; `null` where none were asked for: then it has the default ones, or, narrowed
    /// otherwise, none.
    scopes: Option<Vec<String>>,
    /// The roles that it was narrowed to; `null` where none were asked for: then it has all, or, narrowed otherwise, none.
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
    pub(super) fn at(now: Timestamp, record: TokenRecord) -> Self {
        let status = record.status(now);
        let (revoked_at, revoked_reason) = record.revocation(now).unzip();
        let suspended_reason = record.suspended_at.and(record.suspended_reason);
        Self {
            pat_id: record.pat_id,
            user_id: record.user_id,
            username: record.names.username,
            name: record.name,
            description: record.description,
            status,
            is_valid: status.is_valid(),
            created_at: record.created_at,
            expires_at: record.expires_at,
            last_used_at: record.last_used_at,
            last_used_ip: record.last_used_ip,
            revoked_at,
            revoked_reason,
            revoked_note: record.revoked_note,
            suspended_at: record.suspended_at,
            suspended_reason,
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

/// A page of tokens.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TokenList {
    tokens: Vec<Token>,
    pagination: Pagination,
}

impl TokenList {
    pub(super) fn at(now: Timestamp, found: Page<TokenRecord>, filter: &TokenFilter) -> Self {
        let tokens = found.items.into_iter().map(|record| Token::at(now, record)).collect();
        Self { tokens, pagination: Pagination::new(filter.page, found.total) }
    }
}

/// The query of a list of tokens, for the document: [`TokenFilter`] reads it.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described")]
pub(in crate::http) struct TokenListQuery {
    /// Part of the token's name, in any case. In the lists for administrators also of its owner's.
    search: Option<String>,
    /// Only tokens of this status.
    status: Option<TokenStatus>,
    /// By what they are ordered; the default is `createdAt`.
    #[param(inline)]
    sort: Option<TokenSort>,
    /// The default is `asc` with `sort`, else `desc`: the newest first.
    direction: Option<String>,
    /// How many to skip. Default: 0.
    offset: Option<u32>,
    /// How many to answer, 1 to 100. Default: 10.
    limit: Option<u32>,
}

impl FromRequestParts<App> for TokenFilter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut query = Query::parse(parts);
        let statuses = TokenStatus::ALL.map(|status| (status.name(), status));
        let (sort, direction) = query.order(&SORTS, TokenSort::CreatedAt);
        let filter = Self {
            search: query.search(),
            search_usernames: true,
            status: query.choice("status", &statuses),
            sort,
            direction,
            page: query.page(),
        };
        query.finish()?;
        Ok(filter)
    }
}

const SORTS: [(&str, TokenSort); 6] = [
    ("name", TokenSort::Name),
    ("username", TokenSort::Username),
    ("createdAt", TokenSort::CreatedAt),
    ("expiresAt", TokenSort::ExpiresAt),
    ("lastUsedAt", TokenSort::LastUsedAt),
    ("status", TokenSort::Status),
];

/// Lists one's own tokens
#[utoipa::path(get, path = "/api/pat/v1/tokens", tag = TAG_PAT, operation_id = "listTokens",
    params(TokenListQuery),
    responses((status = 200, description = "A page of tokens", body = TokenList), ApiErrors))]
pub(in crate::http) async fn list(
    State(app): State<App>,
    caller: Caller,
    filter: TokenFilter,
) -> Result<Json<TokenList>, Problem> {
    let found = app.tokens.list(&caller, &Whose::Own, &filter).await?;
    Ok(Json(TokenList::at(app.clock.now(), found, &filter)))
}

/// The personal access token that calls
#[utoipa::path(get, path = "/api/pat/v1/tokens/self", tag = TAG_PAT, operation_id = "getSelf",
    responses((status = 200, description = "The token's metadata", body = Token), ApiErrors))]
pub(in crate::http) async fn get_self(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
) -> Result<Json<Token>, Problem> {
    let record = app.tokens.get_self(&caller).await?;
    Ok(Json(Token::at(app.clock.now(), record)))
}

/// One of one's own tokens
#[utoipa::path(get, path = "/api/pat/v1/tokens/{patId}", tag = TAG_PAT, operation_id = "getToken",
    params(("patId" = String, Path, description = "The token's id")),
    responses((status = 200, description = "The token's metadata", body = Token), ApiErrors))]
pub(in crate::http) async fn get(
    State(app): State<App>,
    caller: Caller,
    PatIdInPath(pat_id): PatIdInPath,
    _: NoQuery,
) -> Result<Json<Token>, Problem> {
    let record = app.tokens.get(&caller, pat_id).await?;
    Ok(Json(Token::at(app.clock.now(), record)))
}
