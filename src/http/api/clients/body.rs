//! What requests and answers about API clients look like.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::client::{self, CAPABILITIES, Capability, MEMBERS, READ_ONLY};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::fields::Fields;
use crate::http::extract::{Members, Query, unknown};
use crate::http::problem::Problem;
use crate::id::{AccountId, UserId};
use crate::page::Pagination;
use crate::store::{ClientFilter, ClientSort};

/// A new API client. The body is read as a map, where `null` and left out differ; this says its shape.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "the shape of the body, for the document")]
pub(in crate::http) struct CreateClient {
    /// `{accountId}_` and 1 to 64 letters, digits, dots, underscores or hyphens. Generated under the profile `domo`.
    #[schema(example = "acme_reports")]
    client_id: String,
    #[serde(flatten)]
    fields: ClientFields,
}

/// Changes of an API client (JSON merge patch, RFC 7396): what is left out stays, `null` takes away. The answer of a GET may
/// be sent back whole: what can only be read is taken as long as it is as it is.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "the shape of the body, for the document")]
pub(in crate::http) struct UpdateClient {
    #[serde(flatten)]
    fields: ClientFields,
    /// Stops the client, or lets it go on. Needs the role `manage-api-clients`.
    blocked: Option<bool>,
}

/// The fields that people choose.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "the shape of the body, for the document")]
struct ClientFields {
    /// What people see; where it is blank, they see the client id.
    #[schema(max_length = 255)]
    display_name: Option<String>,
    /// What it is for.
    #[schema(max_length = 255)]
    description: Option<String>,
    /// What it can do; at least one.
    capabilities: Vec<Capability>,
    /// The scopes that it may ask for, of those that can be granted.
    scopes: Option<Vec<String>>,
    /// What relative URIs are appended to.
    root_url: Option<String>,
    /// Where Keycloak's pages link to.
    home_url: Option<String>,
    /// Where a browser may be sent after login; `web_app` needs one. A `*` may be the last character, after a slash.
    redirect_uris: Option<Vec<String>>,
    /// Where a browser may be sent after logout.
    post_logout_redirect_uris: Option<Vec<String>>,
    /// Exact origins from which browsers may call, or `+`: those of the redirect URIs.
    web_origins: Option<Vec<String>>,
    /// Where Keycloak pushes revocation policies: a public address.
    admin_url: Option<String>,
    /// Where Keycloak posts logout tokens: a public address. `backchannel` needs it.
    backchannel_logout_url: Option<String>,
    /// Whether it can be used. Default: true.
    enabled: Option<bool>,
}

/// What is wrong with the names of a creation's members.
pub(super) fn refused_in_creation(members: &Members) -> Fields {
    refused(members, |name| match name {
        "clientId" => None,
        "blocked" => Some("is for an API client that there is".to_owned()),
        name if READ_ONLY.contains(&name) => Some("is read-only".to_owned()),
        _ => Some(unknown_field(name, "clientId")),
    })
}

/// What is wrong with the names of a change's members. What can only be read may be there as it is.
pub(super) fn refused_in_change(members: &Members) -> Fields {
    refused(members, |name| match name {
        "blocked" => None,
        name if READ_ONLY.contains(&name) => None,
        _ => Some(unknown_field(name, "blocked")),
    })
}

/// What a name says that is none of a client's fields, nor `also`.
fn unknown_field(name: &str, also: &'static str) -> String {
    let known: Vec<_> = MEMBERS.into_iter().chain([also]).collect();
    unknown("field", name, &known)
}

/// `other`: what is wrong with a name that is not of a client's fields.
fn refused(members: &Members, other: impl Fn(&str) -> Option<String>) -> Fields {
    let message = |name: &str| match name {
        name if members.repeated.contains(name) => Some("is given more than once".to_owned()),
        name if MEMBERS.contains(&name) => None,
        name => other(name),
    };
    let mut fields = Fields::default();
    for name in members.values.keys() {
        if let Some(message) = message(name) {
            fields.refuse(name, message);
        }
    }
    fields
}

/// An API client. Its secret is not part of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct ApiClient {
    /// What it calls itself. Under the profile `domo` lists show its beginning only.
    client_id: String,
    display_name: Option<String>,
    description: Option<String>,
    /// The account that it belongs to.
    account_id: AccountId,
    owner: Owner,
    capabilities: Vec<Capability>,
    scopes: Vec<String>,
    root_url: Option<String>,
    home_url: Option<String>,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    web_origins: Vec<String>,
    admin_url: Option<String>,
    backchannel_logout_url: Option<String>,
    /// Whether its owner wants it to be used.
    enabled: bool,
    /// Whether an administrator stopped it: it cannot be used then, whatever `enabled` says.
    blocked: bool,
    /// `provisioning`, `active`, `orphaned` (its owner is disabled), `drifted` (somebody changed it in Keycloak) or
    /// `missing` (somebody removed it there).
    #[schema(example = "active")]
    status: &'static str,
    /// What somebody changed in Keycloak: names of these fields, or of Keycloak's where there is none here.
    drifted_fields: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its secret was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    secret_created_at: Option<Timestamp>,
    /// Whether its owner, to whom it was handed on, can read its secret, this once. Under the profile `domo` only.
    secret_unread: bool,
}

/// Who owns an API client.
#[derive(Serialize, ToSchema)]
struct Owner {
    /// The id in Keycloak.
    id: UserId,
    /// The name at login, as it is now.
    username: String,
}

impl ApiClient {
    fn shown_as(client_id: String, client: client::Client) -> Self {
        let client::Client { record, spec, blocked, .. } = client;
        Self {
            client_id,
            status: record.status(),
            account_id: record.account_id,
            owner: Owner { id: record.owner_id, username: record.owner_username },
            display_name: spec.display_name,
            description: spec.description,
            capabilities: spec.capabilities.into_iter().collect(),
            scopes: spec.scopes.into_iter().collect(),
            root_url: spec.root_url,
            home_url: spec.home_url,
            redirect_uris: spec.redirect_uris,
            post_logout_redirect_uris: spec.post_logout_redirect_uris,
            web_origins: spec.web_origins,
            admin_url: spec.admin_url,
            backchannel_logout_url: spec.backchannel_logout_url,
            enabled: spec.enabled,
            blocked,
            drifted_fields: record.drifted_fields,
            secret_unread: record.secret_unread_at.is_some(),
            created_at: record.created_at,
            secret_created_at: record.secret_created_at,
        }
    }

    pub(super) fn listed(app: &App, client: client::Client) -> Self {
        let id = app.clients.listed_id(&client.record.client_id, &client.record.account_id);
        Self::shown_as(id, client)
    }
}

impl From<client::Client> for ApiClient {
    fn from(client: client::Client) -> Self {
        Self::shown_as(client.record.client_id.to_string(), client)
    }
}

/// A page of API clients.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ClientList {
    pub(super) clients: Vec<ApiClient>,
    pub(super) pagination: Pagination,
}

/// An API client with its secret, where it is shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct ClientAndSecret {
    #[serde(flatten)]
    client: ApiClient,
    /// The secret. Under the profile `domo` it is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

impl From<client::ClientWithSecret> for ClientAndSecret {
    fn from(made: client::ClientWithSecret) -> Self {
        let client_secret = made.secret.map(|secret| secret.expose_secret().to_owned());
        Self { client: made.client.into(), client_secret }
    }
}

/// The secret of an API client.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct ClientSecret {
    client_secret: String,
}

impl From<SecretString> for ClientSecret {
    fn from(secret: SecretString) -> Self {
        Self { client_secret: secret.expose_secret().to_owned() }
    }
}

/// The client in the path, as the caller wrote it.
pub(in crate::http) struct ClientInPath(pub(super) String);

impl FromRequestParts<App> for ClientInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        Ok(Self(path.map_err(|_| Error::not_found("API client"))?.0))
    }
}

const STATUSES: [(&str, &str); 5] = [
    ("provisioning", "provisioning"),
    ("active", "active"),
    ("orphaned", "orphaned"),
    ("drifted", "drifted"),
    ("missing", "missing"),
];
const SORTS: [(&str, ClientSort); 6] = [
    ("clientId", ClientSort::ClientId),
    ("displayName", ClientSort::DisplayName),
    ("accountId", ClientSort::AccountId),
    ("owner", ClientSort::Owner),
    ("createdAt", ClientSort::CreatedAt),
    ("status", ClientSort::Status),
];

impl FromRequestParts<App> for ClientFilter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut query = Query::parse(parts);
        let (sort, direction) = query.order(&SORTS, ClientSort::CreatedAt);
        let filter = Self {
            search: query.search(),
            status: query.choice("status", &STATUSES),
            owner: query.text("owner"),
            capability: query.choice("capability", &CAPABILITIES.map(|name| (name, name))),
            scope: query.text("scope"),
            sort,
            direction,
            page: query.page(),
        };
        query.finish()?;
        Ok(filter)
    }
}
