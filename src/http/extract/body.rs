//! Bodies of requests.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::{fmt, io};

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::app::App;
use crate::error::{Code, Error};
use crate::http::MAX_BODY;
use crate::http::problem::Problem;

/// A JSON object as the body.
pub(in crate::http) struct JsonObject<T>(pub(in crate::http) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonObject<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        Ok(Self(read_json(request, &["application/json"]).await?))
    }
}

/// A JSON object as the body, where nothing is as good as an empty one.
pub(in crate::http) struct JsonOrNothing<T>(pub(in crate::http) T);

impl<T: DeserializeOwned + Default> FromRequest<App> for JsonOrNothing<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read(body, MAX_BODY).await?;
        // However it was announced: no bytes are no body.
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        check_type(&parts.headers, &["application/json"])?;
        Ok(Self(parse(&body)?))
    }
}

/// A JSON merge patch (RFC 7396) as the body; also as plain JSON, which is what most clients say.
pub(in crate::http) struct MergePatch(pub(in crate::http) Members);

impl FromRequest<App> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        Ok(Self(read_json(request, &["application/merge-patch+json", "application/json"]).await?))
    }
}

/// The members of a JSON object whose names are looked at one by one.
pub(in crate::http) struct Members {
    pub(in crate::http) values: Map<String, Value>,
    /// The names that it has more than once: RFC 8259 §4 does not say which value counts, so none does.
    pub(in crate::http) repeated: BTreeSet<String>,
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
    check_type(request.headers(), types)?;
    parse(&read(request.into_body(), MAX_BODY).await?)
}

fn check_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Error> {
    if !is_any_of(headers.get(CONTENT_TYPE), types) {
        let detail = format!("Send the body with `Content-Type: {}`.", types[0]);
        return Err(Error::new(Code::UnsupportedMediaType, detail));
    }
    refuse_encoded(headers)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| malformed(&error))
}

/// A body that is compressed, or encoded otherwise (RFC 9110 §15.5.16).
pub(in crate::http) fn refuse_encoded(headers: &HeaderMap) -> Result<(), Error> {
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return Ok(());
    }
    let detail = "Send the body as it is, without `Content-Encoding`.";
    Err(Error::new(Code::UnsupportedMediaType, detail))
}

/// All of a body.
pub(in crate::http) async fn read(body: Body, max: usize) -> Result<Bytes, Error> {
    to_bytes(body, max).await.map_err(|error| {
        let (late, cut_off) = causes(&error).fold((false, false), |(late, cut_off), cause| {
            let is_late = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
            (
                late || cause.downcast_ref().is_some_and(is_late),
                cut_off || cause.is::<hyper::Error>(),
            )
        });
        let (code, detail) = if late {
            (Code::RequestTimeout, "The body did not come within 10 seconds.")
        } else if cut_off {
            (Code::Invalid, "The body was cut off, or is not well-formed.")
        } else {
            (Code::BodyTooLarge, "The body is over 64 KiB.")
        };
        Error::new(code, detail).because(error)
    })
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

/// The position, not the text: a body may hold what somebody pasted by mistake.
fn malformed(error: &serde_json::Error) -> Error {
    let place = format!("(line {}, column {})", error.line(), error.column());
    let detail = match error.classify() {
        Category::Data => {
            format!("The body must be a JSON object, each field in it at most once {place}.")
        }
        _ => format!("The body is not well-formed JSON {place}."),
    };
    Error::new(Code::MalformedJson, detail)
}

pub(in crate::http) fn is_any_of(content_type: Option<&HeaderValue>, types: &[&str]) -> bool {
    let essence = content_type.and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| types.iter().any(|one| essence.trim().eq_ignore_ascii_case(one)))
}
