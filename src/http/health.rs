//! `/livez` and `/readyz`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::TAG_OPERATION;
use crate::app::App;
use crate::keys::Publication;

/// How the process is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Health {
    /// `ok`, `degraded` (Keycloak is away: validation goes on, nothing is minted) or `unavailable`.
    status: &'static str,
    /// The store answers.
    store: Part,
    /// A signing key is held.
    signing_key: Part,
    /// The realm's JWKS, as last seen, has that key.
    jwks: Part,
    /// Keycloak answers.
    keycloak: Part,
}

/// Whether one part can do its work.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// It can.
    Ok,
    /// It cannot.
    Failed,
}

impl From<bool> for Part {
    fn from(good: bool) -> Self {
        if good { Self::Ok } else { Self::Failed }
    }
}

/// Whether the process runs
#[utoipa::path(get, path = "/livez", tag = TAG_OPERATION, operation_id = "livez", security(()),
    responses((status = 200, description = "It does", body = String)))]
pub(super) async fn livez() -> &'static str {
    "ok"
}

/// Whether the service can do its work
#[utoipa::path(get, path = "/readyz", tag = TAG_OPERATION, operation_id = "readyz", security(()),
    responses(
        (status = 200, description = "It can; perhaps without Keycloak for now", body = Health),
        (status = 503, description = "It cannot", body = Health),
    ))]
pub(super) async fn readyz(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let store = app.store.ping().await.is_ok();
    let signer = app.keys.active();
    let publication = match &signer {
        Some(signer) => app.published.look_for(signer.kid()).await,
        None => Publication::Missing,
    };
    let (status, text) = match (store, publication) {
        (true, Publication::Shown) => (StatusCode::OK, "ok"),
        (true, Publication::Away { .. }) => (StatusCode::OK, "degraded"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let health = Health {
        status: text,
        store: store.into(),
        signing_key: signer.is_some().into(),
        jwks: matches!(publication, Publication::Shown | Publication::Away { shown_before: true })
            .into(),
        keycloak: (!matches!(publication, Publication::Away { .. })).into(),
    };
    (status, Json(health))
}
