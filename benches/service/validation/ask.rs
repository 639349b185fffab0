//! Requests, and whether what comes back is the right answer.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;

use super::load::Ask;
use crate::support::INACTIVE;

/// With one token after the other.
pub fn bearer(path: &'static str, tokens: Arc<[String]>) -> Ask {
    Arc::new(move |number| {
        let token = &tokens[number % tokens.len()];
        let request = Request::builder().uri(path);
        request.header(AUTHORIZATION, format!("Bearer {token}")).body(Full::default()).unwrap()
    })
}

/// About one token after the other, as the client with this id and secret.
pub fn introspection((id, secret): (&str, &str), path: &str, tokens: Arc<[String]>) -> Ask {
    let credential = STANDARD.encode(format!("{id}:{secret}"));
    let (basic, path) = (format!("Basic {credential}"), path.to_owned());
    Arc::new(move |number| {
        let body = format!("token={}", tokens[number % tokens.len()]);
        let request = Request::builder().method(Method::POST).uri(&path);
        let request = request.header(AUTHORIZATION, &basic);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.body(Full::new(Bytes::from(body))).unwrap()
    })
}

pub fn passes(status: StatusCode, headers: &HeaderMap, _: &[u8]) -> bool {
    status == 200 && headers.get("x-auth-username").is_some_and(|name| !name.is_empty())
}

pub fn is_refused(status: StatusCode, headers: &HeaderMap, _: &[u8]) -> bool {
    status == 401 && headers.contains_key("www-authenticate")
}

pub fn is_active(status: StatusCode, _: &HeaderMap, body: &[u8]) -> bool {
    status == 200
        && body != INACTIVE.as_bytes()
        && body.windows(13).any(|part| part == br#""active":true"#)
}

pub fn is_ok(status: StatusCode, _: &HeaderMap, body: &[u8]) -> bool {
    status == 200 && body.starts_with(b"ok")
}

pub fn is_accepted(status: StatusCode, _: &HeaderMap, _: &[u8]) -> bool {
    status == 202
}

/// What cannot be ours, of each kind in turn: no token, a foreign key, a signature of another length.
pub fn rubbish(good: &[String]) -> Arc<[String]> {
    let foreign = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT","kid":"somebody-elses"}"#);
    let all = good.iter().enumerate().map(|(number, token)| {
        let (header, rest) = token.split_once('.').unwrap();
        match number % 3 {
            0 => format!("rubbish-{number}-{}", &rest[..64]),
            1 => format!("{foreign}.{rest}"),
            _ => format!("{header}.{}", &rest[..rest.len() - 8]),
        }
    });
    all.collect()
}
