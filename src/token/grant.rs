//! What a token gets of what its owner has: everything, or what a narrowing leaves. Pure.
//!
//! A narrowed token has what was asked for, and of all other claims only those that say who its owner is. Its roles
//! are written here and not taken from mappers, whatever these are.

use serde_json::{Map, Value, json};

use super::claims;
use super::narrowing::{Names, Narrowing, Networks};
use crate::error::Error;
use crate::fields::Fields;
use crate::owner::Roles;
use crate::store::Restrictions;

/// What an owner has now: what a token of theirs that is not narrowed would carry.
#[derive(Clone, Debug)]
pub(super) struct Offer<'a> {
    pub(super) roles: &'a Roles,
    /// What they have beside, and no token carries.
    pub(super) denied_roles: &'a Roles,
    /// The claims of the designated client's evaluation.
    pub(super) evaluated: Map<String, Value>,
    /// The full `aud`.
    pub(super) audience: Vec<String>,
    /// Where nothing is left of the audience: the designated client.
    pub(super) stand_in: &'a str,
}

/// What a token gets.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    /// What its record says that it was narrowed to.
    pub(super) restrictions: Restrictions,
    /// Its `aud`.
    pub(super) audience: Vec<String>,
    /// All its claims but the protocol's own.
    pub(super) claims: Map<String, Value>,
}

impl Grant {
    /// For a new token: what is asked for and not on offer is refused, all at once.
    pub(super) fn exact(narrowing: &Narrowing, offer: Offer<'_>) -> Result<Self, Error> {
        let (grant, missing) = Self::choose(narrowing, offer);
        missing.finish(())?;
        Ok(grant)
    }

    /// For a successor: what is not on offer any more falls away. Nothing is added.
    pub(super) fn remaining(narrowing: &Narrowing, offer: Offer<'_>) -> Self {
        Self::choose(narrowing, offer).0
    }

    fn choose(narrowing: &Narrowing, offer: Offer<'_>) -> (Self, Fields) {
        if !narrowing.is_any() {
            let claims = claims::without_keycloaks_own(offer.evaluated);
            let claims = claims::without_roles(claims, offer.denied_roles);
            let restrictions = Restrictions::default();
            return (Self { restrictions, audience: offer.audience, claims }, Fields::default());
        }
        let mut choice = Choice::default();
        let offered = claims::scopes(&offer.evaluated);
        let scopes = choice.among("scopes", narrowing.scopes.as_ref(), &offered);
        let audience = choice.among("audience", narrowing.audience.as_ref(), &offer.audience);
        let (roles, granted) = choice.roles(narrowing.roles.as_ref(), &offer);

        let mut claims = claims::identity(&offer.evaluated);
        let kept = |scope: &&String| scopes.as_ref().is_some_and(|all| all.contains(scope));
        let scope: Vec<_> = offered.iter().filter(kept).map(String::as_str).collect();
        if !scope.is_empty() {
            claims.insert("scope".to_owned(), json!(scope.join(" ")));
        }
        claims.extend(granted.to_claims());
        let aud = match &audience {
            None => offer.audience,
            Some(left) if left.is_empty() => vec![offer.stand_in.to_owned()],
            Some(left) => left.clone(),
        };
        let allowed_cidrs = narrowing.allowed_cidrs.as_ref().map(Networks::texts);
        let restrictions = Restrictions { scopes, roles, audience, allowed_cidrs };
        (Self { restrictions, audience: aud, claims }, choice.missing)
    }
}

/// What is chosen of an offer, and what was not there to choose.
#[derive(Default)]
struct Choice {
    missing: Fields,
}

impl Choice {
    fn among(
        &mut self,
        field: &str,
        wanted: Option<&Names>,
        offered: &[String],
    ) -> Option<Vec<String>> {
        let (found, missing): (Vec<_>, Vec<_>) =
            wanted?.0.iter().cloned().partition(|name| offered.contains(name));
        for name in missing {
            let mut all: Vec<_> = offered.iter().map(|one| format!("`{one}`")).collect();
            // Keycloak names them in any order.
            all.sort_unstable();
            self.missing.refuse(
                field,
                format!("{name:?} is not among what your tokens have: {}", all.join(", ")),
            );
        }
        Some(found)
    }

    /// The names that mean exactly one role of the owner's, and these roles.
    fn roles(&mut self, wanted: Option<&Names>, offer: &Offer<'_>) -> (Option<Vec<String>>, Roles) {
        let mut granted = Roles::default();
        let Some(wanted) = wanted else { return (None, granted) };
        let mut found = Vec::new();
        for name in &wanted.0 {
            let meant = offer.roles.named(name);
            match meant.len() {
                0 => self.missing.refuse("roles", why_not(name, offer)),
                1 => {
                    granted.extend(meant);
                    found.push(name.clone());
                }
                _ => self
                    .missing
                    .refuse("roles", format!("{name:?} may mean more than one of your roles")),
            }
        }
        (Some(found), granted)
    }
}

/// Why a token cannot have a role of this name.
fn why_not(name: &str, offer: &Offer<'_>) -> String {
    if !offer.denied_roles.named(name).is_empty() {
        return format!("{name:?} is a role that no token carries here: `tokens.denied_roles`");
    }
    let meant: Vec<_> = offer.roles.meant_by(name).into_iter().take(MAX_SUGGESTIONS).collect();
    let meant: Vec<_> = meant.iter().map(|one| format!("`{one}`")).collect();
    let question = match meant.as_slice() {
        [] => String::new(),
        some => format!("; did you mean {}?", some.join(" or ")),
    };
    format!("{name:?} is no role of yours that a token can have{question}")
}

/// More names than these are not offered to somebody who has written one wrong.
const MAX_SUGGESTIONS: usize = 3;

#[cfg(test)]
#[path = "grant_tests.rs"]
mod tests;
