//! Whether a token has what a protected resource asks for beyond being good.

use std::fmt::Write as _;

use super::token::Token;
use crate::config::Policy;
use crate::error::{Code, Error};

impl Token {
    /// Refuses where something is missing, and names it.
    pub fn require(&self, policy: &Policy) -> Result<(), Error> {
        let mut missing = String::new();
        for (what, wanted, had) in [
            ("role", &policy.roles, &self.roles),
            ("scope", &policy.scopes, &self.scopes),
            ("audience", &policy.audience, &self.audience),
        ] {
            for name in wanted.iter().filter(|name| !had.contains(name)) {
                let comma = if missing.is_empty() { "" } else { ", " };
                // Writing to a text cannot fail.
                let _ = write!(missing, "{comma}the {what} `{name}`");
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::new(Code::RequirementMissing, format!("The token lacks {missing}.")))
    }
}
