//! `/oauth2/*`: introspection, its callers, revocation, and the document that names them.

mod callers;
mod introspect;
mod metadata;
mod revoke;

use crate::support::Answer;

/// An error in the form of RFC 6749 §5.2, well-formed in every respect.
pub fn expect_error(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json", "{answer:?}");
    assert_eq!(answer.headers["cache-control"], "no-store", "{answer:?}");
    let found = answer.json();
    assert_eq!(found["error"], error, "{found}");
    let members: Vec<_> = found.as_object().unwrap().keys().collect();
    assert_eq!(members, ["error", "error_description"]);
    let schemes: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
    let expected: &[&str] =
        if status == 401 { &["Basic realm=\"hallpass\"", "Bearer"] } else { &[] };
    assert_eq!(schemes, expected, "{answer:?}");
    let waits = answer.headers.contains_key("retry-after");
    assert_eq!(matches!(status, 429 | 503), waits, "{answer:?}");
}
