//! Everybody's tokens, for administrators. Metadata only; nobody creates a token for somebody else.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::end::{
    DeletedCount, PatIds, Results, Revocation, RevokePatIds, RevokedCount, delete_several,
    revoke_several,
};
use super::{Token, TokenList, TokenListQuery, end};
use crate::access::Action;
use crate::app::App;
use crate::http::extract::{JsonObject, JsonOrNothing, NoQuery, UserInPath, UserTokenInPath};
use crate::http::openapi::{ApiErrors, TAG_PAT_USERS};
use crate::http::problem::Problem;
use crate::principal::Caller;
use crate::store::TokenFilter;
use crate::token::Whose;

/// Lists everybody's tokens
///
/// Needs the role `manage-tokens`, as everything here.
#[utoipa::path(get, path = "/api/pat/v1/users/tokens", tag = TAG_PAT_USERS, operation_id = "listEverybodysTokens",
    params(TokenListQuery),
    responses((status = 200, description = "A page of tokens", body = TokenList), ApiErrors))]
pub(in crate::http) async fn list(
    State(app): State<App>,
    caller: Caller,
    filter: TokenFilter,
) -> Result<Json<TokenList>, Problem> {
    let found = app.tokens.list(&caller, &Whose::Everybody, &filter).await?;
    Ok(Json(TokenList::at(app.clock.now(), found, &filter)))
}

/// Lists a user's tokens
#[utoipa::path(get, path = "/api/pat/v1/users/{userId}/tokens", tag = TAG_PAT_USERS,
    operation_id = "listUsersTokens",
    params(("userId" = String, Path, description = "The user's id in Keycloak"), TokenListQuery),
    responses((status = 200, description = "A page of tokens", body = TokenList), ApiErrors))]
pub(in crate::http) async fn list_of_user(
    State(app): State<App>,
    caller: Caller,
    UserInPath(user): UserInPath,
    filter: TokenFilter,
) -> Result<Json<TokenList>, Problem> {
    let found = app.tokens.list(&caller, &Whose::User(user), &filter).await?;
    Ok(Json(TokenList::at(app.clock.now(), found, &filter)))
}

/// Revokes a user's token
///
/// It stays listed. Again: nothing changes.
#[utoipa::path(post, path = "/api/pat/v1/users/{userId}/tokens/{patId}/invalidate", tag = TAG_PAT_USERS,
    operation_id = "invalidateUsersToken",
    params(("userId" = String, Path, description = "The user's id in Keycloak"),
        ("patId" = String, Path, description = "The token's id")),
    request_body = Option<Revocation>,
    responses((status = 200, description = "The token's metadata", body = Token), ApiErrors))]
pub(in crate::http) async fn invalidate(
    State(app): State<App>,
    caller: Caller,
    UserTokenInPath(user, pat_id): UserTokenInPath,
    _: NoQuery,
    JsonOrNothing(body): JsonOrNothing<Revocation>,
) -> Result<Json<Token>, Problem> {
    end::revoke(&app, &caller, &Whose::User(user), pat_id, body).await
}

/// Revokes all of a user's tokens
#[utoipa::path(post, path = "/api/pat/v1/users/{userId}/tokens/invalidate", tag = TAG_PAT_USERS,
    operation_id = "invalidateUsersTokens",
    params(("userId" = String, Path, description = "The user's id in Keycloak")),
    request_body = Option<Revocation>,
    responses((status = 200, description = "How many were revoked", body = RevokedCount), ApiErrors))]
pub(in crate::http) async fn invalidate_all(
    State(app): State<App>,
    caller: Caller,
    UserInPath(user): UserInPath,
    _: NoQuery,
    JsonOrNothing(body): JsonOrNothing<Revocation>,
) -> Result<Json<RevokedCount>, Problem> {
    end::revoke_all(&app, &caller, &Whose::User(user), body).await
}

/// Revokes several tokens, whoever owns them
///
/// All of them, or none where something fails.
#[utoipa::path(post, path = "/api/pat/v1/users/tokens/invalidate/bulk", tag = TAG_PAT_USERS,
    operation_id = "invalidateUsersTokensBulk", request_body = RevokePatIds,
    responses((status = 200, description = "What became of each", body = Results), ApiErrors))]
pub(in crate::http) async fn invalidate_bulk(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonObject(body): JsonObject<RevokePatIds>,
) -> Result<Json<Results>, Problem> {
    revoke_several(&app, &caller, &Whose::Everybody, Action::EndEverybodysTokens, body).await
}

/// Deletes a user's token with its metadata
#[utoipa::path(delete, path = "/api/pat/v1/users/{userId}/tokens/{patId}", tag = TAG_PAT_USERS,
    operation_id = "deleteUsersToken",
    params(("userId" = String, Path, description = "The user's id in Keycloak"),
        ("patId" = String, Path, description = "The token's id")),
    responses((status = 204, description = "It is gone"), ApiErrors))]
pub(in crate::http) async fn delete(
    State(app): State<App>,
    caller: Caller,
    UserTokenInPath(user, pat_id): UserTokenInPath,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    app.tokens.delete(&caller, &Whose::User(user), pat_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes all of a user's tokens with their metadata
#[utoipa::path(delete, path = "/api/pat/v1/users/{userId}/tokens", tag = TAG_PAT_USERS,
    operation_id = "deleteUsersTokens",
    params(("userId" = String, Path, description = "The user's id in Keycloak")),
    responses((status = 200, description = "How many were deleted", body = DeletedCount), ApiErrors))]
pub(in crate::http) async fn delete_all(
    State(app): State<App>,
    caller: Caller,
    UserInPath(user): UserInPath,
    _: NoQuery,
) -> Result<Json<DeletedCount>, Problem> {
    let deleted = app.tokens.delete_all(&caller, &Whose::User(user)).await?;
    Ok(Json(DeletedCount { deleted }))
}

/// Deletes several tokens, whoever owns them
///
/// All of them, or none where something fails.
#[utoipa::path(post, path = "/api/pat/v1/users/tokens/delete/bulk", tag = TAG_PAT_USERS,
    operation_id = "deleteUsersTokensBulk", request_body = PatIds,
    responses((status = 200, description = "What became of each", body = Results), ApiErrors))]
pub(in crate::http) async fn delete_bulk(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonObject(body): JsonObject<PatIds>,
) -> Result<Json<Results>, Problem> {
    delete_several(&app, &caller, &Whose::Everybody, Action::EndEverybodysTokens, body).await
}
