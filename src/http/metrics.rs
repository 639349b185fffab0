//! `/metrics`: what Prometheus reads. It asks for no credential, and holds neither a secret nor a name.

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;

use super::openapi::TAG_OPERATION;
use crate::app::App;

/// Prometheus's text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics, as Prometheus reads them
///
/// Who may reach it is the operator's to say, at the proxy.
#[utoipa::path(get, path = "/metrics", tag = TAG_OPERATION, operation_id = "metrics", security(()),
    responses((status = 200, description = "The metrics", body = String, content_type = TEXT)))]
pub(super) async fn metrics(State(app): State<App>) -> ([(HeaderName, &'static str); 1], String) {
    tokio::join!(app.census.refresh(), app.following.refresh(), app.rights.refused());
    ([(CONTENT_TYPE, TEXT)], app.metrics.render())
}
