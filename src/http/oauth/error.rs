//! Errors in the form of RFC 6749 §5.2.

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, Kind};
use crate::http::problem::{BASIC, challenge, retry_after, status};

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OAuthError {
    /// The code.
    error: &'static str,
    /// What happened, for people.
    error_description: String,
}

pub(in crate::http) fn render(error: &Error) -> Response {
    let kind = error.code().kind();
    let document = OAuthError { error: code(kind), error_description: description(error) };
    let mut response = (status(kind), Json(document)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match kind {
        Kind::Unauthenticated => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(BASIC));
            headers.append(header::WWW_AUTHENTICATE, challenge(error));
        }
        Kind::TooManyRequests | Kind::Unavailable => {
            headers.insert(header::RETRY_AFTER, retry_after(error));
        }
        _ => {}
    }
    response
}

const fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid
        | Kind::NotFound
        | Kind::MethodNotAllowed
        | Kind::Conflict
        | Kind::TooSlow
        | Kind::TooLarge
        | Kind::UnsupportedMediaType => "invalid_request",
        Kind::Unauthenticated => "invalid_client",
        Kind::Forbidden => "unauthorized_client",
        Kind::TooManyRequests | Kind::Unavailable => "temporarily_unavailable",
        Kind::Internal => "server_error",
    }
}

/// RFC 6749 §5.2 allows printable ASCII without quotes and backslashes.
fn description(error: &Error) -> String {
    let allowed = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
    error.to_string().chars().map(|c| if allowed(c) { c } else { '?' }).collect()
}
