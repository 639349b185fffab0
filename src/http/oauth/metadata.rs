//! `GET /.well-known/oauth-authorization-server` (RFC 8414).
//!
//! No token is made by a flow of OAuth here, so there is neither a grant nor a response type. RFC 8414 §3.2 has a member
//! without a value left out.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::openapi::TAG_VALIDATION;

/// What is found where.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Metadata {
    /// Hallpass itself: `server.public_url`. The `iss` of tokens is the realm.
    issuer: String,
    /// The realm's keys, those of personal access tokens among them.
    jwks_uri: String,
    /// Introspection (RFC 7662).
    introspection_endpoint: String,
    /// How its callers authenticate.
    introspection_endpoint_auth_methods_supported: [&'static str; 3],
    /// Revocation (RFC 7009).
    revocation_endpoint: String,
    /// To hold the token is enough.
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    /// The documentation of the API.
    service_documentation: String,
}

/// What OAuth finds here
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = TAG_VALIDATION,
    operation_id = "getAuthorizationServerMetadata", security(()),
    responses((status = 200, description = "The document", body = Metadata)))]
pub(in crate::http) async fn get(State(app): State<App>) -> Json<Metadata> {
    let base = app.settings.server.public_url.as_str();
    Json(Metadata {
        issuer: base.to_owned(),
        jwks_uri: app.settings.keycloak.realm.public_jwks_url(),
        introspection_endpoint: format!("{base}/oauth2/introspect"),
        introspection_endpoint_auth_methods_supported: [
            "client_secret_basic",
            "client_secret_post",
            "Bearer",
        ],
        revocation_endpoint: format!("{base}/oauth2/revoke"),
        revocation_endpoint_auth_methods_supported: ["none"],
        service_documentation: format!("{base}/docs"),
    })
}
