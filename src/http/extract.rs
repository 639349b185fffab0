//! Finding the caller, and checking what was sent: every wrong field is named at once.

use std::collections::BTreeMap;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::MAX_BODY;
use super::problem::Problem;
use super::trace::RequestContext;
use crate::app::App;
use crate::error::{Code, Error, FieldError};
use crate::id::PatId;
use crate::page::PageRequest;
use crate::principal::{Origin, Principal};

/// Who calls, and from where.
pub(super) struct Caller {
    pub(super) principal: Principal,
    pub(super) origin: Origin,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let principal = app.decider.principal(bearer_token(&parts.headers)?).await?;
        let context = parts.extensions.get::<RequestContext>();
        let context = context.ok_or_else(|| Error::internal("a request without its context"))?;
        let _ = context.caller.set(principal.user_id.clone());
        Ok(Self { principal, origin: context.origin.clone() })
    }
}

/// The one bearer token of a request (RFC 6750 §2.1). Two are ambiguous: somebody else may read the other.
fn bearer_token(headers: &HeaderMap) -> Result<&str, Error> {
    let missing = || {
        let detail = "Send one header `Authorization: Bearer` with an access token of the realm.";
        Error::new(Code::Unauthenticated, detail)
    };
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(missing()) };
    let (scheme, token) =
        value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(missing());
    }
    Ok(token.trim())
}

/// A JSON object as the body.
pub(super) struct JsonObject<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonObject<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        if !is_json(request.headers().get(CONTENT_TYPE)) {
            let detail = "Send the body with `Content-Type: application/json`.";
            return Err(Error::new(Code::UnsupportedMediaType, detail).into());
        }
        let body = to_bytes(request.into_body(), MAX_BODY).await.map_err(|error| {
            Error::new(Code::BodyTooLarge, "The body is over 64 KiB, or was cut off.")
                .because(error)
        })?;
        serde_json::from_slice(&body).map(Self).map_err(|error| malformed(&error).into())
    }
}

/// The position, not the text: a body may hold what somebody pasted by mistake.
fn malformed(error: &serde_json::Error) -> Error {
    let detail = format!(
        "The body is not a well-formed JSON object (line {}, column {}).",
        error.line(),
        error.column()
    );
    Error::new(Code::MalformedJson, detail)
}

fn is_json(content_type: Option<&HeaderValue>) -> bool {
    let essence = content_type.and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Collects what is wrong with each field.
#[derive(Default)]
pub(super) struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    pub(super) fn required<T>(
        &mut self,
        field: &str,
        value: Option<Value>,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if value.is_none() {
            self.error(field, "is required");
        }
        self.optional(field, value, parse)
    }

    /// `null` counts as left out.
    pub(super) fn optional<T>(
        &mut self,
        field: &str,
        value: Option<Value>,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        parse(&value?).map_err(|message| self.error(field, message)).ok()
    }

    pub(super) fn error(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
    }

    pub(super) fn no_others(&mut self, others: &BTreeMap<String, Value>) {
        for name in others.keys() {
            self.error(name, "is not a field of this request");
        }
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        if self.errors.is_empty() { Ok(()) } else { Err(Error::invalid(self.errors)) }
    }
}

/// The text of a JSON string.
pub(super) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "must be text".to_owned())
}

/// The id in the path. What is no id belongs to nobody.
pub(super) struct PatIdInPath(pub(super) PatId);

impl FromRequestParts<App> for PatIdInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let pat_id = path.ok().and_then(|Path(text)| PatId::parse(&text));
        Ok(Self(pat_id.ok_or_else(|| Error::not_found("token"))?))
    }
}

/// No query parameters at all.
pub(super) struct NoQuery;

impl FromRequestParts<App> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut query = Query::parse(parts);
        query.finish()?;
        Ok(Self)
    }
}

impl FromRequestParts<App> for PageRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let mut query = Query::parse(parts);
        let offset = query.number("offset", 0..=u32::MAX).unwrap_or(0);
        let limit = query.number("limit", 1..=Self::MAX_LIMIT).unwrap_or(Self::DEFAULT_LIMIT);
        query.finish()?;
        Ok(Self { offset, limit })
    }
}

/// Query parameters: each at most once, none unknown.
struct Query {
    parameters: Vec<(String, String)>,
    check: Check,
}

impl Query {
    fn parse(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let parameters = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { parameters, check: Check::default() }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let mut found = Vec::new();
        self.parameters.retain(|(parameter, value)| {
            let matches = parameter == name;
            if matches {
                found.push(value.clone());
            }
            !matches
        });
        if found.len() > 1 {
            self.check.error(name, "is given more than once");
        }
        found.pop()
    }

    fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let text = self.take(name)?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let message =
                format!("must be a whole number from {} to {}", range.start(), range.end());
            self.check.error(name, message);
        }
        number
    }

    fn finish(&mut self) -> Result<(), Error> {
        for (name, _) in std::mem::take(&mut self.parameters) {
            self.check.error(&name, "is not a parameter of this request");
        }
        std::mem::take(&mut self.check).finish()
    }
}
