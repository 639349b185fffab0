//! What a browser may do with an answer: nothing, but for the pages that say otherwise.
//!
//! Every answer that comes through the router has these headers, errors too: anybody can open its address in a browser. The
//! answers of `/forward-auth` and introspection that let something pass are empty, or answer a POST, and have none of them.

use axum::http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};

use crate::config::PublicUrl;

/// For everything without a policy of its own.
const NOTHING: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A year, as the preload lists ask for; subdomains are not ours to speak for.
const A_YEAR: &str = "max-age=31536000";

/// Adds the headers to an answer.
pub(super) fn protect(headers: &mut HeaderMap, public_url: &PublicUrl) {
    let value = HeaderValue::from_static;
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(value(NOTHING));
    headers.insert(X_CONTENT_TYPE_OPTIONS, value("nosniff"));
    headers.insert(REFERRER_POLICY, value("no-referrer"));
    if public_url.is_https() {
        headers.insert(STRICT_TRANSPORT_SECURITY, value(A_YEAR));
    }
}
