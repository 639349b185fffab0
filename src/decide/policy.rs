//! Whether a token has what a protected resource asks for beyond being good.

use std::fmt::Write as _;

use super::token::Token;
use crate::config::Policy;
use crate::error::{Code, Error};

impl Token {
    /// Refuses where something is missing, and names it.
    pub fn require(&self, policy: &Policy) -> Result<(), Error> {
        let mut missing = String::new();
        let mut look = |what, wanted: &[String], has: &dyn Fn(&str) -> bool| {
            for name in wanted.iter().filter(|name| !has(name)) {
                let comma = if missing.is_empty() { "" } else { ", " };
                // Writing to a text cannot fail.
                let _ = write!(missing, "{comma}the {what} `{name}`");
            }
        };
        look("role", &policy.roles, &|name| self.identity.has_role(name));
        let has_scope = |name: &str| self.scope.split_ascii_whitespace().any(|one| one == name);
        look("scope", &policy.scopes, &has_scope);
        look("audience", &policy.audience, &|name| self.audience.iter().any(|one| one == name));
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::RequirementMissing, format!("The token lacks {missing}.")))
    }
}
