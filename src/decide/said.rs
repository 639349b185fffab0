//! What a token says of its owner's names.

use serde_json::Value;

use crate::claim::{EMAIL, EMAIL_VERIFIED, USERNAME};
use crate::names::{Email, Names};
use crate::verify::Claims;

/// The claims that say them.
pub(super) const NAMES: [&str; 3] = [USERNAME, EMAIL, EMAIL_VERIFIED];

/// A claim that is a text.
pub(super) fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.rest.get(name).and_then(Value::as_str)
}

/// Whether the token says that the address is the owner's.
pub(super) fn is_verified(claims: &Claims) -> bool {
    claims.rest.get(EMAIL_VERIFIED) == Some(&Value::Bool(true))
}

/// Whether the token says anything of an address: the realm may have tokens without.
pub(super) fn tells_email(claims: &Claims) -> bool {
    [EMAIL, EMAIL_VERIFIED].iter().any(|name| claims.rest.contains_key(*name))
}

/// What the token said of its owner, which may be untrue by now.
pub(super) fn names(claims: &Claims) -> Names<&str> {
    let text = |name| text(claims, name).unwrap_or_default();
    let email = Email { address: text(EMAIL), verified: is_verified(claims) };
    Names { username: text(USERNAME), email: Some(email) }
}
