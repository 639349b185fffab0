//! Errors as RFC 9457 problem documents, and the pages that explain them.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use utoipa::ToSchema;

use super::trace::reason_of;
use crate::app::App;
use crate::decide::Reason;
use crate::error::{Code, Error, Kind};

/// After how long a caller may try again when something is away.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An error on its way out: the outermost layer renders it, where the public URL is known.
pub struct Problem(pub(super) Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = status(self.0.code().kind()).into_response();
        response.extensions_mut().insert(Arc::new(self.0));
        response
    }
}

/// What went wrong, as every endpoint under `/api` says it (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(super) struct ProblemDocument<'a> {
    /// The address of a page that explains the code.
    #[serde(rename = "type")]
    kind: String,
    /// One sentence, the same for each occurrence.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: &'a str,
    /// The stable code.
    code: &'static str,
    /// Each field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem<'a>>,
}

/// One field that is wrong.
#[derive(Serialize, ToSchema)]
struct FieldProblem<'a> {
    /// Its name.
    field: &'a str,
    /// What is wrong with it.
    message: &'a str,
}

pub(super) fn render(error: &Error, public_url: &str) -> Response {
    let code = error.code();
    let status = status(code.kind());
    let errors = error
        .fields()
        .iter()
        .map(|field| FieldProblem { field: &field.field, message: &field.message });
    let document = ProblemDocument {
        kind: [public_url, "/problems/", code.name()].concat(),
        title: code.title(),
        status: status.as_u16(),
        detail: error.detail(),
        code: code.name(),
        errors: errors.collect(),
    };
    let mut response = (status, Json(document)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match code.kind() {
        Kind::Unauthenticated => {
            if error.takes_basic() {
                // The first one: who looks at one of several looks at this one.
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(BASIC));
            }
            headers.append(header::WWW_AUTHENTICATE, challenge(error));
        }
        Kind::TooManyRequests | Kind::Unavailable => {
            headers.insert(header::RETRY_AFTER, retry_after(error));
        }
        _ if error.wait().is_some() => {
            headers.insert(header::RETRY_AFTER, retry_after(error));
        }
        _ => {}
    }
    response
}

/// RFC 7617 §2.
pub(super) const BASIC: &str = "Basic realm=\"hallpass\", charset=\"UTF-8\"";

/// RFC 6750 §3: with an error code where a credential was sent, and never with more than that.
pub(super) fn challenge(error: &Error) -> HeaderValue {
    HeaderValue::from_static(match reason_of(error) {
        None | Some(Reason::NoCredential) => "Bearer realm=\"hallpass\"",
        Some(_) => "Bearer realm=\"hallpass\", error=\"invalid_token\"",
    })
}

/// Whole seconds (RFC 9110 §10.2.3), and not too early.
pub(super) fn retry_after(error: &Error) -> HeaderValue {
    let wait = error.wait().unwrap_or(RETRY_AFTER);
    HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

pub(super) const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The message of a panic stays out of the answer.
#[expect(clippy::needless_pass_by_value, reason = "it is what was thrown")]
pub(super) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Error::internal(format!("panic: {text}"))
}

/// The pages behind `type`.
pub(super) fn pages() -> Router<App> {
    Router::new().route("/problems/{code}", get(page))
}

async fn page(Path(name): Path<String>) -> Result<Html<String>, Problem> {
    let code = Code::ALL.iter().find(|code| code.name() == name);
    let code = code.ok_or_else(|| Error::not_found("problem"))?;
    Ok(Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <h1>{title}</h1><p><code>{name}</code>, HTTP status {status}</p><p>{explanation}</p></html>",
        title = code.title(),
        status = status(code.kind()).as_u16(),
        explanation = code.explanation().trim(),
    )))
}
