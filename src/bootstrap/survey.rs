//! What the realm is, read before anything is changed: what it calls itself, its client scopes, and how it signs.

use serde_json::{Value, json};

use super::run::{Run, text};
use super::{BootstrapError, ScopeRequest, desired};
use crate::keycloak::{can_check, fetch_jwks};

/// What every realm has from the start; trimmed and older exports lack some of it.
pub(crate) const STOCK_SCOPES: [&str; 7] =
    ["basic", "profile", "email", "roles", "acr", "web-origins", "service_account"];
const OPENID_CONNECT: &str = "openid-connect";
/// Keycloak's own default, where the realm names none.
const DEFAULT_ALGORITHM: &str = "RS256";

/// What was found.
pub(super) struct Survey {
    scopes: Vec<Value>,
    /// What a client made in the console gets.
    default_scopes: Vec<String>,
    algorithm: String,
    algorithm_is_good: bool,
}

/// Looks at the realm. Refuses one that calls itself by another address: keys would be sealed for an issuer that does
/// not exist.
pub(super) async fn survey(run: &Run<'_>) -> Result<Survey, BootstrapError> {
    let wanted = run.settings.realm.issuer();
    let discovery = run.keycloak().find_discovery().await?.ok_or(BootstrapError::NoDiscovery)?;
    if discovery.issuer != wanted {
        return Err(BootstrapError::Issuer { found: discovery.issuer, wanted });
    }
    let scopes = run.list("/client-scopes").await?;
    let defaults = run.list("/default-default-client-scopes").await?;
    let algorithm = match text(&run.realm, "defaultSignatureAlgorithm") {
        "" => DEFAULT_ALGORITHM,
        named => named,
    };
    let algorithm_is_good = algorithm == DEFAULT_ALGORITHM || {
        let keys = fetch_jwks(run.keycloak().http(), &run.settings.realm).await?;
        can_check(&keys, algorithm, None)
    };
    Ok(Survey {
        scopes,
        default_scopes: names(&defaults),
        algorithm: algorithm.to_owned(),
        algorithm_is_good,
    })
}

impl Survey {
    /// All client scopes, of every protocol.
    pub(super) fn scopes(&self) -> &[Value] {
        &self.scopes
    }

    /// Whether the realm has this client scope, for OpenID Connect.
    pub(super) fn has_scope(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope["name"] == name && is_openid_connect(scope))
    }

    /// Those of these client scopes that the realm has.
    pub(super) fn among<'s>(&self, names: &[&'s str]) -> Vec<&'s str> {
        names.iter().copied().filter(|name| self.has_scope(name)).collect()
    }

    /// The default client scopes of the designated client: the realm's own, and what tokens need of the stock ones.
    pub(super) fn designated_scopes(&self) -> Vec<&str> {
        let mut scopes: Vec<&str> = self.default_scopes.iter().map(String::as_str).collect();
        for name in self.among(&desired::CLAIM_SCOPES) {
            if !scopes.contains(&name) {
                scopes.push(name);
            }
        }
        scopes
    }

    /// `client`, its access tokens signed in a way that Hallpass can check.
    pub(super) fn checkable(&self, client: Value) -> Value {
        if self.algorithm_is_good { client } else { desired::signed_by_rsa(&client) }
    }

    /// Refuses scopes that cannot be granted, since another protocol has their names.
    pub(super) fn refuse_foreign_scopes(
        &self,
        wanted: &[ScopeRequest],
    ) -> Result<(), BootstrapError> {
        let foreign = |scope: &&Value| {
            !is_openid_connect(scope) && wanted.iter().any(|one| scope["name"] == one.name())
        };
        match self.scopes.iter().find(foreign) {
            None => Ok(()),
            Some(scope) => Err(BootstrapError::ForeignScope {
                name: text(scope, "name").to_owned(),
                protocol: text(scope, "protocol").to_owned(),
            }),
        }
    }

    /// What an operator should know, although bootstrap goes on.
    pub(super) fn notes(&self) -> Vec<String> {
        let missing: Vec<_> =
            STOCK_SCOPES.into_iter().filter(|name| !self.has_scope(name)).collect();
        let mut notes = Vec::new();
        if !missing.is_empty() {
            notes.push(format!(
                "the realm lacks client scopes that Keycloak makes in every realm: {}; Hallpass's own clients get the \
                 mappers that they need, API clients only the scopes that the realm has",
                missing.join(", ")
            ));
        }
        if !self.algorithm_is_good {
            notes.push(format!(
                "the realm signs with {}, which Hallpass cannot check: access tokens of its own clients are signed \
                 with RS256; those of other clients in `server.allowed_clients` need the same setting",
                self.algorithm
            ));
        }
        notes
    }
}

fn is_openid_connect(scope: &Value) -> bool {
    scope["protocol"] == json!(OPENID_CONNECT)
}

fn names(scopes: &[Value]) -> Vec<String> {
    let ours = scopes.iter().filter(|scope| is_openid_connect(scope));
    ours.map(|scope| text(scope, "name").to_owned()).collect()
}
