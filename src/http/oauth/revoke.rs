//! `POST /oauth2/revoke` (RFC 7009): whoever holds a token may end it.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{OAuthError, form};
use crate::app::App;
use crate::http::openapi::TAG_VALIDATION;
use crate::http::problem::Problem;
use crate::http::trace::RequestContext;

/// The form of a revocation.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "only described")]
pub(in crate::http) struct Revocation {
    /// The token.
    token: String,
    /// Passed over.
    token_type_hint: Option<String>,
}

/// Revokes a personal access token
///
/// To have it is enough: whoever finds a token that leaked can end it. 200 whatever it was, good or not.
#[utoipa::path(post, path = "/oauth2/revoke", tag = TAG_VALIDATION, operation_id = "revoke",
    security(()),
    request_body(content = Revocation, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "It is not good any more, or never was"),
        (status = "default", description = "An error (RFC 6749 5.2)", body = OAuthError),
    ))]
pub(in crate::http) async fn revoke(
    State(app): State<App>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, body) = request.into_parts();
    let context = RequestContext::of(&parts.extensions)?;
    let body = form::read(&parts.headers, body).await?;
    let [token] = form::parameters(&body, ["token"])?;
    let token = form::required("token", token)?;
    app.tokens.revoke_by_holder(&token, &context.origin).await?;
    Ok(StatusCode::OK)
}
