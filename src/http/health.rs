//! `/livez` and `/readyz`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::TAG_OPERATION;
use super::trace::Cause;
use crate::app::App;
use crate::keys::Publication;
use crate::lifecycle::Right;

/// How the process is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Health {
    /// `ok`, `degraded` (nothing is minted, validation goes on: Keycloak is away, refuses Hallpass's work, or signs its own
    /// tokens with Hallpass's key) or `unavailable`.
    status: &'static str,
    /// The store answers.
    store: Part,
    /// A signing key is held.
    signing_key: Part,
    /// The realm's JWKS, as last seen, has that key.
    jwks: Part,
    /// Keycloak answers, and lets Hallpass do its work.
    keycloak: Part,
    /// Why it is not `ok`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
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
pub(super) async fn readyz(State(app): State<App>) -> Response {
    let store = app.store.ping().await.is_ok();
    let signer = app.keys.active();
    let publication = match &signer {
        Some(signer) => app.published.look_for(signer.kid()).await,
        None => Publication::Missing,
    };
    let refused = match publication {
        Publication::Shown => app.rights.refused().await,
        Publication::Missing | Publication::Away { .. } => Vec::new(),
    };
    let is_misused = app.keys.misuse().is_seen();
    let mut reasons = reasons(&app, store, publication, &refused);
    if is_misused {
        reasons.push(KEY_MISUSED.to_owned());
    }
    let (status, text) = match (store, publication) {
        (true, Publication::Shown) if refused.is_empty() && !is_misused => (StatusCode::OK, "ok"),
        (true, Publication::Shown | Publication::Away { .. }) => (StatusCode::OK, "degraded"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let is_away = matches!(publication, Publication::Away { .. });
    let reason = (!reasons.is_empty()).then(|| reasons.join(" "));
    let health = Health {
        status: text,
        store: store.into(),
        signing_key: signer.is_some().into(),
        jwks: matches!(publication, Publication::Shown | Publication::Away { shown_before: true })
            .into(),
        keycloak: (!is_away && refused.is_empty()).into(),
        reason: reason.clone(),
    };
    let mut response = (status, Json(health)).into_response();
    if let Some(reason) = reason {
        response.extensions_mut().insert(Cause(reason));
    }
    response
}

const KEY_MISUSED: &str = "The realm signs its own tokens with Hallpass's key, so no token is minted: the key's provider must be \
    passive; run `hallpass bootstrap`.";

/// What is not well with the store and with Keycloak, in one sentence each.
fn reasons(app: &App, store: bool, publication: Publication, refused: &[Right]) -> Vec<String> {
    let mut reasons = Vec::new();
    if !store {
        reasons.push("The store does not answer.".to_owned());
    }
    match publication {
        Publication::Shown => {}
        Publication::Missing => reasons.push(
            "The realm does not publish the signing key; run `hallpass bootstrap`.".to_owned(),
        ),
        Publication::Away { .. } => reasons.push("Keycloak does not answer.".to_owned()),
    }
    let client_id = &app.settings.keycloak.client_id;
    for right in refused {
        reasons.push(match right {
            Right::Login => format!(
                "Keycloak refuses the login of the client `{client_id}`: its secret is wrong, or the client or its \
                 service account is disabled; `hallpass doctor` says more."
            ),
            Right::ManageClients | Right::ViewUsers | Right::ViewEvents => format!(
                "Keycloak does not grant the permission `{}` to the client `{client_id}`; run `hallpass bootstrap`.",
                right.name()
            ),
        });
    }
    reasons
}
