//! `/oauth2/*`: introspection, its callers, revocation, and the document that names them.

mod callers;
mod introspect;
mod metadata;
mod revoke;
mod service_accounts;

use crate::support::{Answer, CHALLENGES};

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
    if status == 401 {
        assert_eq!(schemes[0], "Basic realm=\"hallpass\", charset=\"UTF-8\"", "{answer:?}");
        assert!(CHALLENGES.contains(&schemes[1].to_str().unwrap()), "{answer:?}");
    }
    assert_eq!(schemes.len(), if status == 401 { 2 } else { 0 }, "{answer:?}");
    let waits = answer.headers.contains_key("retry-after");
    assert_eq!(matches!(status, 429 | 503), waits, "{answer:?}");
}
