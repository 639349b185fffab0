//! What a token of an owner could have: the ground of every mint, and what people are shown before one.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::grant::Offer;
use super::issue::{PREPARE, Plan, TokenRequest, in_time};
use super::{Description, Tokens, claims};
use crate::access::Action;
use crate::error::Error;
use crate::id::UserId;
use crate::owner::{Owner, is_keycloaks_own_client};
use crate::principal::Caller;

/// Keycloak reads a request line of 4 KiB at most, in which each character of a scope may take three.
const MAX_SCOPES: usize = 1_200;

/// What a caller may ask for, each entry by itself.
#[derive(Clone, Debug)]
pub struct Offered {
    /// `name`, or `client:name`.
    pub roles: Vec<String>,
    /// The default scopes of the designated client and its optional ones.
    pub scopes: Vec<String>,
    /// Those of the scopes that a token has which does not ask for any.
    pub default_scopes: Vec<String>,
    /// The full `aud`.
    pub audience: Vec<String>,
}

/// What a token would say. There is none of it: nothing was recorded, nothing signed.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Its claims, but for those that name this one token.
    pub claims: Map<String, Value>,
    /// Its length in bytes.
    pub size: usize,
    /// Its roles: `name`, or `client:name`.
    pub roles: Vec<String>,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// Its `aud`.
    pub audience: Vec<String>,
}

/// Claims that name one token. A preview is none.
const OF_ONE_TOKEN: [&str; 2] = ["jti", "sid"];

impl Tokens {
    /// What the caller may ask for now.
    pub async fn see_offer(&self, caller: &Caller) -> Result<Offered, Error> {
        caller.authorize(Action::PreviewToken)?;
        self.throttle.creation(&caller.user_id)?;
        let id = &caller.user_id;
        in_time(Instant::now() + PREPARE, async {
            let owner = self.owners.get_enabled(id).await?;
            let offer = self.offer(id, &owner, &[]).await?;
            let default_scopes = claims::scopes(&offer.evaluated);
            let optional = self.owners.list_optional_scopes(&self.settings.client_id).await?;
            let scopes = claims::scopes(&self.evaluate(id, &optional).await?);
            let is_one = |name: &String| owner.roles.named(name).len() == 1;
            let roles = owner.roles.names().filter(is_one).collect();
            Ok(Offered { roles, scopes, default_scopes, audience: offer.audience })
        })
        .await
    }

    /// What a token would say that is asked for so. It is refused as the token itself would be.
    pub async fn preview(&self, caller: &Caller, request: &TokenRequest) -> Result<Preview, Error> {
        let begun = Instant::now();
        caller.authorize(Action::PreviewToken)?;
        self.throttle.creation(&caller.user_id)?;
        let plan = Plan::new(&caller.user_id, request);
        let prepared = self.prepare(begun, &plan).await?;
        let mut claims = prepared.claims;
        claims.retain(|name, _| !OF_ONE_TOKEN.contains(&name.as_str()));
        let roles = match prepared.record.restrictions.roles {
            Some(roles) => roles,
            None if request.narrowing.is_any() => Vec::new(),
            None => prepared.owner.roles.names().collect(),
        };
        Ok(Preview {
            size: prepared.signing_input.size(&prepared.signer),
            roles,
            scopes: claims::scopes(&claims),
            audience: claims::evaluated_audience(&claims),
            claims,
        })
    }

    /// What a token of this owner can have, where these scopes are asked for beside the default ones.
    pub(super) async fn offer<'a>(
        &'a self,
        id: &UserId,
        owner: &'a Owner,
        scopes: &[String],
    ) -> Result<Offer<'a>, Error> {
        let designated = self.settings.client_id.as_str();
        let evaluated = self.evaluate(id, scopes).await?;
        let mapped = claims::evaluated_audience(&evaluated);
        let clients = self.clients_among(&mapped).await?;
        let audience = claims::audience(&self.settings.audiences, &mapped, &clients, designated);
        let Owner { roles, denied_roles, .. } = owner;
        Ok(Offer { roles, denied_roles, evaluated, audience, stand_in: designated })
    }

    /// The claims of the designated client's evaluation. What is asked for and cannot be had is not in its `scope`.
    async fn evaluate(&self, id: &UserId, scopes: &[String]) -> Result<Map<String, Value>, Error> {
        let designated = self.settings.client_id.as_str();
        let mut asked: Vec<String> =
            scopes.iter().filter(|name| is_scope_token(name)).cloned().collect();
        if length(&asked) > MAX_SCOPES {
            // Whoever asks for what nobody has costs Keycloak no more than the realm has scopes.
            let optional = self.owners.list_optional_scopes(designated).await?;
            asked.retain(|name| optional.contains(name));
        }
        let mut parts = parts(asked).into_iter();
        let first = parts.next().unwrap_or_default();
        let mut evaluated = self.owners.get_claims(designated, id, &first).await?;
        for part in parts {
            let more = self.owners.get_claims(designated, id, &part).await?;
            claims::add_scopes(&mut evaluated, &more);
        }
        Ok(evaluated)
    }

    /// Which of these audiences are ids of the realm's clients, but for the configured ones.
    async fn clients_among(&self, audiences: &[String]) -> Result<BTreeSet<String>, Error> {
        let mut clients = BTreeSet::new();
        for audience in audiences {
            if !self.settings.audiences.contains(audience)
                && self.clients.find(audience).await?.is_some()
            {
                clients.insert(audience.clone());
            }
        }
        // Whoever has a role of Hallpass has its client in the evaluation: that says nothing of the operator's mappers.
        let own = self.owners.own_client_id();
        let dropped: Vec<_> =
            clients.iter().filter(|id| *id != own && !is_keycloaks_own_client(id)).collect();
        if !dropped.is_empty() {
            tracing::info!(?dropped, "clients' ids are left out of the token's audience");
        }
        Ok(clients)
    }
}

impl<'a> Plan<'a> {
    /// Of a token that goes on from no other.
    pub(super) fn new(owner: &'a UserId, request: &'a TokenRequest) -> Self {
        Self {
            owner,
            name: request.name.as_str(),
            description: request.description.as_ref().map(Description::as_str),
            end: request.end,
            narrowing: &request.narrowing,
            scopes: request.narrowing.scopes(),
            succession: None,
        }
    }
}

/// Whether this is one scope (RFC 6749 §3.3): it must not ask for two, nor for something else.
fn is_scope_token(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'))
}

/// With a space before each.
fn length(names: &[String]) -> usize {
    names.iter().map(|name| name.len() + 1).sum()
}

/// The names in parts, each of which fits into one request.
fn parts(names: Vec<String>) -> Vec<Vec<String>> {
    let mut parts: Vec<Vec<String>> = Vec::new();
    for name in names {
        match parts.last_mut() {
            Some(part) if length(part) + name.len() < MAX_SCOPES => part.push(name),
            _ => parts.push(vec![name]),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_one_word() {
        for good in ["push-data", "a:b/c", "email"] {
            assert!(is_scope_token(good), "{good}");
        }
        for bad in ["", "a b", "a\tb", "ä", "a\"b", "a\\b", "a\u{a0}b"] {
            assert!(!is_scope_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn parts_have_every_name_once_and_fit() {
        for count in [0, 1, 10, 100, 500] {
            let names: Vec<_> = (0..count).map(|number| format!("scope-{number:0>20}")).collect();
            let parts = parts(names.clone());
            assert!(parts.iter().all(|part| (1..=MAX_SCOPES).contains(&length(part))));
            assert_eq!(parts.concat(), names);
        }
        let long = vec!["x".repeat(255); 30];
        assert!(parts(long).iter().all(|part| length(part) <= MAX_SCOPES));
    }
}
