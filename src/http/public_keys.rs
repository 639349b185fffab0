//! `GET /public-keys`: the key that signs personal access tokens, for validators that take PEM.

use axum::extract::State;
use axum::http::{HeaderName, header};

use super::openapi::{ApiErrors, TAG_VALIDATION};
use super::problem::Problem;
use crate::app::App;
use crate::error::{Code, Error};

/// The public key of personal access tokens, as PEM
///
/// The realm's own page shows only the key that the realm itself signs with. The realm's JWKS has both.
#[utoipa::path(get, path = "/public-keys", tag = TAG_VALIDATION, operation_id = "getPublicKeys",
    security(()),
    responses(
        (status = 200, description = "The key", body = String, content_type = "application/x-pem-file"),
        ApiErrors,
    ))]
pub(super) async fn get(
    State(app): State<App>,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let signer = app.keys.active().ok_or_else(|| {
        Error::new(Code::KeyNotPublished, "There is no signing key at the moment.")
    })?;
    Ok(([(header::CONTENT_TYPE, "application/x-pem-file")], signer.public_key_pem()))
}
