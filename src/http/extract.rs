//! Finding the caller, and checking what was sent: every wrong field is named at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use axum::body::{HttpBody as _, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::MAX_BODY;
use super::authorization::Authorization;
use super::problem::Problem;
use super::trace::RequestContext;
use crate::app::App;
use crate::clock::Timestamp;
use crate::decide::Reason;
use crate::error::{Code, Error, FieldError};
use crate::id::{PatId, UserId};
use crate::page::{Direction, PageRequest};
use crate::principal::{Origin, Principal};

/// Who calls, and from where.
pub(super) struct Caller {
    pub(super) principal: Principal,
    pub(super) origin: Origin,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let context = RequestContext::of(&parts.extensions)?;
        let found = principal(app, &parts.headers, &context.origin).await;
        let principal = found.map_err(|error| count_failure(app, context, error))?;
        let _ = context.caller.set(principal.user_id.clone());
        Ok(Self { principal, origin: context.origin })
    }
}

async fn principal(app: &App, headers: &HeaderMap, origin: &Origin) -> Result<Principal, Error> {
    app.decider.principal(bearer_token(headers)?, origin).await
}

/// Beyond what one address may fail, it is told so instead. A good credential passes from there all the same.
pub(super) fn count_failure(app: &App, context: &RequestContext, error: Error) -> Error {
    if error.code() != Code::Unauthenticated {
        return error;
    }
    match app.throttle.failed_authentication(context.origin.address) {
        Ok(()) => error,
        Err(limited) => limited.because(error),
    }
}

/// The one bearer token of a request (RFC 6750 §2.1).
fn bearer_token(headers: &HeaderMap) -> Result<&str, Error> {
    let missing = || {
        let detail = "Send one header `Authorization: Bearer` with an access token of the realm.";
        Error::new(Code::Unauthenticated, detail)
    };
    match Authorization::read(headers) {
        Ok(Authorization::Bearer(token)) => Ok(token),
        Ok(Authorization::Basic(_)) => Err(missing().because(Reason::NoCredential)),
        Err(reason) => Err(missing().because(reason)),
    }
}

/// A JSON object as the body.
pub(super) struct JsonObject<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonObject<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        Ok(Self(read_json(request, &["application/json"]).await?))
    }
}

/// A JSON object as the body, where nothing is as good as an empty one.
pub(super) struct JsonOrNothing<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<App> for JsonOrNothing<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        if request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        Ok(Self(read_json(request, &["application/json"]).await?))
    }
}

/// A JSON merge patch (RFC 7396) as the body; also as plain JSON, which is what most clients say.
pub(super) struct MergePatch(pub(super) Members);

impl FromRequest<App> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        Ok(Self(read_json(request, &["application/merge-patch+json", "application/json"]).await?))
    }
}

/// The members of a JSON object whose names are looked at one by one.
pub(super) struct Members {
    pub(super) values: Map<String, Value>,
    /// The names that it has more than once: RFC 8259 §4 does not say which value counts, so none does.
    pub(super) repeated: BTreeSet<String>,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members, A::Error> {
        let (mut values, mut repeated) = (Map::new(), BTreeSet::new());
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            if values.insert(name.clone(), value).is_some() {
                repeated.insert(name);
            }
        }
        Ok(Members { values, repeated })
    }
}

async fn read_json<T: DeserializeOwned>(request: Request, types: &[&str]) -> Result<T, Error> {
    if !is_any_of(request.headers().get(CONTENT_TYPE), types) {
        let detail = format!("Send the body with `Content-Type: {}`.", types[0]);
        return Err(Error::new(Code::UnsupportedMediaType, detail));
    }
    let body = to_bytes(request.into_body(), MAX_BODY).await.map_err(|error| {
        Error::new(Code::BodyTooLarge, "The body is over 64 KiB, or was cut off.").because(error)
    })?;
    serde_json::from_slice(&body).map_err(|error| malformed(&error))
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

pub(super) fn is_any_of(content_type: Option<&HeaderValue>, types: &[&str]) -> bool {
    let essence = content_type.and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| types.iter().any(|one| essence.trim().eq_ignore_ascii_case(one)))
}

/// The header of an answer with a secret.
pub(super) type NoStore = [(HeaderName, &'static str); 1];
pub(super) const NO_STORE: NoStore = [(CACHE_CONTROL, "no-store")];

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

    /// What was read of several fields at once.
    pub(super) fn several<T>(&mut self, read: Result<T, Vec<FieldError>>) -> Option<T> {
        read.map_err(|errors| self.errors.extend(errors)).ok()
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

/// The user in the path.
pub(super) struct UserInPath(pub(super) UserId);

impl FromRequestParts<App> for UserInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let user = path.ok().and_then(|Path(text)| user_id(&text));
        Ok(Self(user.ok_or_else(|| Error::not_found("user"))?))
    }
}

/// The user and the token in the path.
pub(super) struct UserTokenInPath(pub(super) UserId, pub(super) PatId);

impl FromRequestParts<App> for UserTokenInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, app).await;
        let found = path
            .ok()
            .and_then(|Path((user, token))| Some(Self(user_id(&user)?, PatId::parse(&token)?)));
        Ok(found.ok_or_else(|| Error::not_found("token"))?)
    }
}

/// A NUL is in no id, and cannot be asked for on PostgreSQL.
fn user_id(text: &str) -> Option<UserId> {
    (!text.contains('\0')).then(|| UserId::new(text))
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

const MAX_TEXT: usize = 255;

/// Query parameters: each at most once, none unknown.
pub(super) struct Query {
    parameters: Vec<(String, String)>,
    check: Check,
}

impl Query {
    pub(super) fn parse(parts: &Parts) -> Self {
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

    /// Which page of a list.
    pub(super) fn page(&mut self) -> PageRequest {
        let offset = self.number("offset", 0..=u32::MAX).unwrap_or(0);
        let limit = self.number("limit", 1..=PageRequest::MAX_LIMIT);
        PageRequest { offset, limit: limit.unwrap_or(PageRequest::DEFAULT_LIMIT) }
    }

    /// What a list is searched for.
    pub(super) fn search(&mut self) -> String {
        self.text("search").unwrap_or_default()
    }

    /// Text to look for; a NUL is in no text, and cannot be asked for on PostgreSQL.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let text = self.take(name)?;
        if text.contains('\0') || text.chars().count() > MAX_TEXT {
            self.check.error(name, "must have at most 255 characters, and no NUL");
        }
        Some(text)
    }

    /// A moment.
    pub(super) fn time(&mut self, name: &str) -> Option<Timestamp> {
        let moment = Timestamp::parse(&self.take(name)?).ok();
        if moment.is_none() {
            self.check.error(name, "must be an RFC 3339 time");
        }
        moment
    }

    /// Upwards or downwards.
    pub(super) fn direction(&mut self) -> Option<Direction> {
        self.choice("direction", &[("asc", Direction::Ascending), ("desc", Direction::Descending)])
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.take(name)?;
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.check.error(name, format!("must be one of {}", words.join(", ")));
        }
        found
    }

    pub(super) fn finish(&mut self) -> Result<(), Error> {
        for (name, _) in std::mem::take(&mut self.parameters) {
            self.check.error(&name, "is not a parameter of this request");
        }
        std::mem::take(&mut self.check).finish()
    }
}
