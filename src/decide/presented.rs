//! What is decided about: a token, who takes it, and what for.

use std::net::IpAddr;

use super::Introspector;
use crate::principal::Origin;

/// A token, and for what it is shown.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The token.
    pub token: &'a str,
    /// Which tokens are taken.
    pub accepts: Accepts,
    /// The end caller's address, if known.
    pub from: Option<IpAddr>,
    /// The service that asks about it, where it is not Hallpass's own caller who uses it.
    pub service: Option<&'a Introspector>,
    /// The request.
    pub origin: &'a Origin,
}

impl<'a> Presented<'a> {
    /// Either token, by whom it is of, to Hallpass itself.
    pub(super) const fn by_holder(token: &'a str, origin: &'a Origin) -> Self {
        let from = Some(origin.address);
        Self { token, accepts: Accepts::AccessTokens, from, service: None, origin }
    }
}

/// Which tokens are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// Personal access tokens.
    Pats,
    /// Access tokens of the realm, too.
    AccessTokens,
}

/// A text, and what is wanted of the token that it may be.
#[derive(Clone, Copy)]
pub(super) struct Sought<'a> {
    pub(super) text: &'a str,
    pub(super) accepts: Accepts,
    /// An answer of introspection is likely to be asked for.
    pub(super) introspects: bool,
}
