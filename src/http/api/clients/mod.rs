//! `/api/clients/v1/clients`: API clients.

mod body;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::Action;
use crate::app::App;
use crate::client::{Asked, Receiver, Removed};
use crate::error::{Code, Error};
use crate::http::extract::{
    Check, JsonObject, Members, MergePatch, NO_STORE, NoQuery, NoStore, text,
};
use crate::http::openapi::{ApiErrors, TAG_CLIENTS};
use crate::http::problem::Problem;
use crate::id::UserId;
use crate::page::Pagination;
use crate::principal::Caller;
use crate::store::{ClientFilter, ClientSort};
use body::{
    ApiClient, ClientAndSecret, ClientInPath, ClientList, ClientSecret, CreateClient, UpdateClient,
};

/// Lists the API clients that the caller may see
///
/// Those of their account; under the profile `domo` their own; with `manage-api-clients` all. Served from Hallpass's
/// record: what somebody changes in Keycloak shows within seconds.
#[utoipa::path(get, path = "/api/clients/v1/clients", tag = TAG_CLIENTS, operation_id = "listClients",
    params(
        ("search" = Option<String>, Query, description = "Part of the client id, display name, description or owner's name, in any case"),
        ("status" = Option<String>, Query, description = "`provisioning`, `active`, `orphaned`, `drifted` or `missing`"),
        ("owner" = Option<String>, Query, description = "Only those of this owner: an id in Keycloak, or a user name"),
        ("capability" = Option<String>, Query, description = "Only those with this capability: `web_app`, `backchannel` or `script`"),
        ("scope" = Option<String>, Query, description = "Only those with this scope"),
        ("sort" = inline(Option<ClientSort>), Query, description = "The default is `createdAt`"),
        ("direction" = Option<String>, Query, description = "The default is `asc` with `sort`, else `desc`: the newest first"),
        ("offset" = Option<u32>, Query, description = "How many to skip. Default: 0"),
        ("limit" = Option<u32>, Query, description = "How many to answer, 1 to 100. Default: 10"),
    ),
    responses((status = 200, description = "A page of API clients", body = ClientList), ApiErrors))]
pub(in crate::http) async fn list(
    State(app): State<App>,
    caller: Caller,
    filter: ClientFilter,
) -> Result<Json<ClientList>, Problem> {
    let found = app.clients.list(&caller, &filter).await?;
    let clients = found.items.into_iter().map(|client| ApiClient::listed(&app, client)).collect();
    Ok(Json(ClientList { clients, pagination: Pagination::new(filter.page, found.total) }))
}

/// Creates an API client
///
/// Needs the role `create-api-clients`. It counts against the quota of the caller's account.
#[utoipa::path(post, path = "/api/clients/v1/clients", tag = TAG_CLIENTS, operation_id = "createClient",
    request_body = CreateClient,
    responses((status = 201, description = "The API client with its secret", body = ClientAndSecret), ApiErrors))]
pub(in crate::http) async fn create(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonObject(members): JsonObject<Members>,
) -> Result<(StatusCode, NoStore, Json<ClientAndSecret>), Problem> {
    let fields = body::refused_in_creation(&members);
    let made = app.clients.create(&caller, members.values, fields).await?;
    Ok((StatusCode::CREATED, NO_STORE, Json(made.into())))
}

/// One API client
#[utoipa::path(get, path = "/api/clients/v1/clients/{clientId}", tag = TAG_CLIENTS, operation_id = "getClient",
    params(("clientId" = String, Path, description = "The client's id")),
    responses((status = 200, description = "The API client", body = ApiClient), ApiErrors))]
pub(in crate::http) async fn get(
    State(app): State<App>,
    caller: Caller,
    ClientInPath(id): ClientInPath,
    _: NoQuery,
) -> Result<Json<ApiClient>, Problem> {
    Ok(Json(app.clients.get(&caller, &id).await?.into()))
}

/// Changes an API client
///
/// What is left out stays, `null` takes away. Id, owner and account cannot be changed. Under the profile `domo` nothing can
/// be changed but `blocked`, by an administrator.
#[utoipa::path(patch, path = "/api/clients/v1/clients/{clientId}", tag = TAG_CLIENTS, operation_id = "updateClient",
    params(("clientId" = String, Path, description = "The client's id")),
    request_body(content = UpdateClient, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The API client", body = ApiClient), ApiErrors))]
pub(in crate::http) async fn update(
    State(app): State<App>,
    caller: Caller,
    ClientInPath(id): ClientInPath,
    _: NoQuery,
    MergePatch(members): MergePatch,
) -> Result<Json<ApiClient>, Problem> {
    let fields = body::refused_in_change(&members);
    let asked = Asked { members: members.values, fields };
    Ok(Json(app.clients.update(&caller, &id, asked).await?.into()))
}

/// Deletes an API client, in Keycloak and here
#[utoipa::path(delete, path = "/api/clients/v1/clients/{clientId}", tag = TAG_CLIENTS, operation_id = "deleteClient",
    params(("clientId" = String, Path, description = "The client's id")),
    responses((status = 204, description = "It is gone"), ApiErrors))]
pub(in crate::http) async fn delete(
    State(app): State<App>,
    caller: Caller,
    ClientInPath(id): ClientInPath,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    app.clients.delete(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which API clients to delete.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct DeleteClients {
    /// 1 to 100 client ids.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 100)]
    client_ids: Option<Value>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, Value>,
}

impl DeleteClients {
    fn check(self) -> Result<Vec<String>, Error> {
        let mut check = Check::default();
        let ids = check.required("clientIds", self.client_ids, |value| {
            let ids: Vec<String> =
                serde_json::from_value(value.clone()).map_err(|_| "must be a list of texts")?;
            if (1..=100).contains(&ids.len()) {
                Ok(ids)
            } else {
                Err("must have 1 to 100 entries".to_owned())
            }
        });
        check.no_others(&self.others);
        check.finish(ids)
    }
}

/// What became of each.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct DeleteResults {
    results: Vec<DeleteResult>,
}

/// What became of one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeleteResult {
    client_id: String,
    /// `deleted` or `not_found`.
    #[schema(example = "deleted")]
    outcome: &'static str,
}

impl From<(String, Removed)> for DeleteResult {
    fn from((client_id, removed): (String, Removed)) -> Self {
        let outcome = match removed {
            Removed::Deleted => "deleted",
            Removed::NotFound => "not_found",
        };
        Self { client_id, outcome }
    }
}

/// Deletes several API clients
#[utoipa::path(post, path = "/api/clients/v1/clients/delete/bulk", tag = TAG_CLIENTS, operation_id = "deleteClients",
    request_body = DeleteClients,
    responses((status = 200, description = "What became of each", body = DeleteResults), ApiErrors))]
pub(in crate::http) async fn delete_bulk(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
    JsonObject(body): JsonObject<DeleteClients>,
) -> Result<Json<DeleteResults>, Problem> {
    caller.authorize(Action::ChangeClients)?;
    let results = app.clients.delete_all(&caller, body.check()?).await?;
    Ok(Json(DeleteResults { results: results.into_iter().map(DeleteResult::from).collect() }))
}

/// The secret of an API client
///
/// Each reading is in the audit log. Under the profile `domo` only the owner to whom the client was handed on reads it, once.
#[utoipa::path(get, path = "/api/clients/v1/clients/{clientId}/secret", tag = TAG_CLIENTS,
    operation_id = "getClientSecret",
    params(("clientId" = String, Path, description = "The client's id")),
    responses((status = 200, description = "The secret", body = ClientSecret), ApiErrors))]
pub(in crate::http) async fn get_secret(
    State(app): State<App>,
    caller: Caller,
    ClientInPath(id): ClientInPath,
    _: NoQuery,
    method: Method,
) -> Result<(NoStore, Json<ClientSecret>), Problem> {
    if method == Method::HEAD {
        // Nobody would see what is shown once.
        let detail = "A secret is read with GET.";
        return Err(Error::new(Code::MethodNotAllowed, detail).into());
    }
    let secret = app.clients.get_secret(&caller, &id).await?;
    Ok((NO_STORE, Json(secret.into())))
}

/// Gives an API client a new secret
///
/// The old one is invalid at once. Not under the profile `domo`.
#[utoipa::path(post, path = "/api/clients/v1/clients/{clientId}/secret", tag = TAG_CLIENTS,
    operation_id = "regenerateClientSecret",
    params(("clientId" = String, Path, description = "The client's id")),
    responses((status = 201, description = "The new secret", body = ClientSecret), ApiErrors))]
pub(in crate::http) async fn regenerate_secret(
    State(app): State<App>,
    caller: Caller,
    ClientInPath(id): ClientInPath,
    _: NoQuery,
) -> Result<(StatusCode, NoStore, Json<ClientSecret>), Problem> {
    let secret = app.clients.regenerate_secret(&caller, &id).await?;
    Ok((StatusCode::CREATED, NO_STORE, Json(secret.into())))
}

/// Who is to own it: one of both.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct TransferClient {
    /// The id in Keycloak of another member of the account.
    #[schema(value_type = Option<String>)]
    owner_id: Option<Value>,
    /// Their user name.
    #[schema(value_type = Option<String>)]
    owner_username: Option<Value>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, Value>,
}

impl TransferClient {
    fn check(self) -> Result<Receiver, Error> {
        let mut check = Check::default();
        check.knows(&["ownerId", "ownerUsername"]);
        if self.owner_username.is_some() && self.owner_id.is_some() {
            check.fields.refuse("ownerUsername", "cannot be given beside `ownerId`");
        }
        let receiver = if self.owner_username.is_some() {
            let name = check.required("ownerUsername", self.owner_username, |value| {
                let name = text(value)?;
                let fits = (1..=255).contains(&name.chars().count()) && !name.contains('\0');
                if fits { Ok(name) } else { Err("must have 1 to 255 characters") }?;
                Ok(name.to_owned())
            });
            name.map(Receiver::Username)
        } else {
            let id = |value: &Value| Ok(UserId::new(text(value)?));
            check.required("ownerId", self.owner_id, id).map(Receiver::Id)
        };
        check.no_others(&self.others);
        check.finish(receiver)
    }
}

/// Hands an API client to another member of its account
///
/// Its secret is made anew, and nobody is shown it here: the new owner reads it. Under the profile `domo` they do so once.
#[utoipa::path(post, path = "/api/clients/v1/clients/{clientId}/transfer", tag = TAG_CLIENTS,
    operation_id = "transferClient",
    params(("clientId" = String, Path, description = "The client's id")),
    request_body = TransferClient,
    responses((status = 200, description = "The API client", body = ApiClient), ApiErrors))]
pub(in crate::http) async fn transfer(
    State(app): State<App>,
    caller: Caller,
    ClientInPath(id): ClientInPath,
    _: NoQuery,
    JsonObject(body): JsonObject<TransferClient>,
) -> Result<(NoStore, Json<ApiClient>), Problem> {
    caller.authorize(Action::ChangeClients)?;
    let receiver = body.check()?;
    let handed_on = app.clients.transfer(&caller, &id, &receiver).await?;
    Ok((NO_STORE, Json(handed_on.into())))
}
