//! `/oauth2/*`: introspection (RFC 7662), revocation (RFC 7009), and the document that names them (RFC 8414).
//!
//! Requests are forms; parameters that are not known are passed over, and none that is known may come twice. Errors are in
//! the form of RFC 6749 §5.2.

mod caller;
mod error;
mod form;
pub(super) mod introspect;
pub(super) mod metadata;
pub(super) mod revoke;

pub(super) use error::{OAuthError, render};

/// Below this path errors have the form of OAuth.
pub(super) const BASE: &str = "/oauth2/";
