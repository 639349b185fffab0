//! `/api/clients/v1`: quotas of accounts, and what can be granted.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

use crate::app::App;
use crate::client::GrantableScope;
use crate::error::Error;
use crate::http::extract::{Check, JsonObject, NoQuery};
use crate::http::openapi::{ApiErrors, TAG_CLIENTS};
use crate::http::problem::Problem;
use crate::id::AccountId;
use crate::principal::Caller;
use crate::store;

/// What can be granted to an API client.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ScopeList {
    scopes: Vec<Scope>,
}

/// A client scope that can be granted.
#[derive(Serialize, ToSchema)]
struct Scope {
    /// What a client asks for in `scope`.
    name: String,
    /// What it allows.
    description: Option<String>,
}

impl From<GrantableScope> for Scope {
    fn from(scope: GrantableScope) -> Self {
        Self { name: scope.name, description: scope.description }
    }
}

/// How many API clients an account has and may have.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Quota {
    account_id: AccountId,
    /// How many there are, those that are being made included.
    used: u32,
    /// How many there may be.
    limit: u32,
}

impl Quota {
    const fn of(account_id: AccountId, quota: store::Quota) -> Self {
        Self { account_id, used: quota.used, limit: quota.limit }
    }
}

/// A new quota.
#[derive(Deserialize, ToSchema)]
pub(in crate::http) struct SetQuota {
    /// How many API clients the account may have. Fewer than it has: it keeps them, and gets no more.
    #[schema(value_type = u32)]
    limit: Option<Value>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, Value>,
}

impl SetQuota {
    fn check(self) -> Result<u32, Error> {
        let mut check = Check::default();
        let limit = check.required("limit", self.limit.filter(|limit| !limit.is_null()), |value| {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| "must be a whole number from 0 to 4294967295".to_owned())
        });
        check.no_others(&self.others);
        check.finish(limit)
    }
}

/// The account in the path. What cannot be one does not exist.
pub(in crate::http) struct AccountInPath(AccountId);

impl FromRequestParts<App> for AccountInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let account = path.ok().and_then(|Path(text)| AccountId::parse(&text));
        Ok(Self(account.ok_or_else(|| Error::not_found("account"))?))
    }
}

/// What can be granted to API clients
#[utoipa::path(get, path = "/api/clients/v1/scopes", tag = TAG_CLIENTS, operation_id = "listScopes",
    responses((status = 200, description = "The scopes that can be granted", body = ScopeList), ApiErrors))]
pub(in crate::http) async fn list_scopes(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
) -> Result<Json<ScopeList>, Problem> {
    let scopes = app.clients.list_scopes(&caller).await?;
    Ok(Json(ScopeList { scopes: scopes.into_iter().map(Scope::from).collect() }))
}

/// The quota of one's own account
#[utoipa::path(get, path = "/api/clients/v1/quota", tag = TAG_CLIENTS, operation_id = "getQuota",
    responses((status = 200, description = "The quota", body = Quota), ApiErrors))]
pub(in crate::http) async fn get_own_quota(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
) -> Result<Json<Quota>, Problem> {
    let (account, quota) = app.clients.get_own_quota(&caller).await?;
    Ok(Json(Quota::of(account, quota)))
}

/// The quota of an account
///
/// Needs the role `manage-api-clients`.
#[utoipa::path(get, path = "/api/clients/v1/accounts/{accountId}/quota", tag = TAG_CLIENTS,
    operation_id = "getAccountQuota",
    params(("accountId" = String, Path, description = "The account")),
    responses((status = 200, description = "The quota", body = Quota), ApiErrors))]
pub(in crate::http) async fn get_quota(
    State(app): State<App>,
    caller: Caller,
    AccountInPath(account): AccountInPath,
    _: NoQuery,
) -> Result<Json<Quota>, Problem> {
    let quota = app.clients.get_quota(&caller, &account).await?;
    Ok(Json(Quota::of(account, quota)))
}

/// Sets the quota of an account
///
/// Needs the role `manage-api-clients`.
#[utoipa::path(put, path = "/api/clients/v1/accounts/{accountId}/quota", tag = TAG_CLIENTS,
    operation_id = "setAccountQuota",
    params(("accountId" = String, Path, description = "The account")),
    request_body = SetQuota,
    responses((status = 200, description = "The quota", body = Quota), ApiErrors))]
pub(in crate::http) async fn set_quota(
    State(app): State<App>,
    caller: Caller,
    AccountInPath(account): AccountInPath,
    _: NoQuery,
    JsonObject(body): JsonObject<SetQuota>,
) -> Result<Json<Quota>, Problem> {
    caller.authorize(crate::access::Action::SetQuota)?;
    let quota = app.clients.set_quota(&caller, &account, body.check()?).await?;
    Ok(Json(Quota::of(account, quota)))
}

/// Gives an account the default quota again
///
/// Needs the role `manage-api-clients`.
#[utoipa::path(delete, path = "/api/clients/v1/accounts/{accountId}/quota", tag = TAG_CLIENTS,
    operation_id = "resetAccountQuota",
    params(("accountId" = String, Path, description = "The account")),
    responses((status = 204, description = "The account has the quota of the settings"), ApiErrors))]
pub(in crate::http) async fn reset_quota(
    State(app): State<App>,
    caller: Caller,
    AccountInPath(account): AccountInPath,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    app.clients.reset_quota(&caller, &account).await?;
    Ok(StatusCode::NO_CONTENT)
}
