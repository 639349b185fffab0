//! `/forward-auth`: whether a proxy may let a request pass, and in whose name.

mod credentials;
mod identity;
mod requirements;
mod roles;

use reqwest::Method;
use serde_json::Value;

use crate::support::{Answer, Api, IDENTITY_HEADERS as HEADERS};

const PATH: &str = "/forward-auth";
const TOKENS: &str = "/api/pat/v1/tokens";

fn jwt(minted: &Value) -> &str {
    minted["token"].as_str().unwrap()
}

async fn ask(api: &Api, path: &str, token: &str) -> Answer {
    api.send(api.request(Method::GET, path).bearer_auth(token)).await
}

/// The seven headers, if they are there and no others like them.
fn identity(answer: &Answer) -> [String; 7] {
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, ""), "{answer:?}");
    let like = answer.headers.keys().filter(|name| name.as_str().starts_with("x-auth"));
    assert_eq!(like.count(), HEADERS.len(), "{answer:?}");
    HEADERS.map(|name| {
        let mut values = answer.headers.get_all(name).iter();
        let value = values.next().unwrap_or_else(|| panic!("no {name}: {answer:?}"));
        assert!(values.next().is_none(), "{name} twice: {answer:?}");
        assert!(value.as_bytes().iter().all(u8::is_ascii_graphic), "{answer:?}");
        value.to_str().unwrap().to_owned()
    })
}

/// Nobody may pass: no word of who it could be, no page, no cookie, no redirect.
fn refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{answer:?}");
    assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{answer:?}");
    for name in ["location", "set-cookie", "refresh"] {
        assert!(!answer.headers.contains_key(name), "{answer:?}");
    }
    let like = answer.headers.keys().any(|name| name.as_str().starts_with("x-auth"));
    assert!(!like, "{answer:?}");
}
