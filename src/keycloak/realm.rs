//! A client of the realm by both of its ids, with what its evaluation can show; and the key provider that holds our key.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::error::REALM_NOT_FOUND;
use super::{Keycloak, KeycloakError};

/// A client of the realm: the id that people know and the one that Keycloak's paths use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Representation")]
pub struct RealmClient {
    uuid: String,
    name: String,
    blindness: Option<Blindness>,
    maps_roles: bool,
}

/// Why a client's tokens do not show the roles of who has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blindness {
    /// It shows only the roles in its own scope.
    #[error("it has no full scope")]
    NoFullScope,
    /// It leaves out what is not meant for such tokens.
    #[error("its access tokens are lightweight")]
    Lightweight,
    /// Nothing writes roles.
    #[error("it lacks its role mappers")]
    NoMappers,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Representation {
    id: String,
    client_id: String,
    #[serde(default)]
    full_scope_allowed: bool,
    #[serde(default)]
    attributes: Map<String, Value>,
    #[serde(default)]
    protocol_mappers: Vec<Value>,
}

/// What writes a user's roles into a token, of the realm and of clients.
const ROLE_MAPPERS: [&str; 2] =
    ["oidc-usermodel-realm-role-mapper", "oidc-usermodel-client-role-mapper"];
/// Most claims are missing in the access tokens of a client that has this attribute.
pub const LIGHTWEIGHT: &str = "client.use.lightweight.access.token.enabled";

impl From<Representation> for RealmClient {
    fn from(found: Representation) -> Self {
        let maps = |kind: &&str| {
            found.protocol_mappers.iter().any(|mapper| {
                mapper["protocolMapper"] == **kind
                    && mapper["config"]["access.token.claim"] == "true"
            })
        };
        let maps_roles = ROLE_MAPPERS.iter().all(maps);
        let blindness = if !found.full_scope_allowed {
            Some(Blindness::NoFullScope)
        } else if found.attributes.get(LIGHTWEIGHT).is_some_and(|value| value == "true") {
            Some(Blindness::Lightweight)
        } else {
            None
        };
        Self { uuid: found.id, name: found.client_id, blindness, maps_roles }
    }
}

impl RealmClient {
    /// Keycloak's internal id.
    #[must_use]
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// The `client_id`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why its tokens do not show the roles of who has some.
    #[must_use]
    pub const fn blindness(&self) -> Option<Blindness> {
        self.blindness
    }

    /// Whether it has mappers of its own for the roles of the realm and of all clients.
    #[must_use]
    pub const fn maps_roles(&self) -> bool {
        self.maps_roles
    }
}

/// A signing key for Keycloak to publish without using it.
pub struct NewKeyProvider {
    /// The component's name, as the console shows it.
    pub name: String,
    /// The PKCS#8 private key in base64, without PEM's armour.
    pub private_key: Zeroizing<String>,
}

impl Keycloak {
    /// The realm's own settings.
    pub(crate) async fn find_realm(&self) -> Result<Option<Value>, KeycloakError> {
        match self.get("", &[]).await {
            Ok(realm) => Ok(Some(realm)),
            Err(KeycloakError::Protocol { reason, .. }) if reason == REALM_NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The client of exactly this `client_id`.
    pub async fn find_client(&self, client_id: &str) -> Result<Option<RealmClient>, KeycloakError> {
        let found: Vec<RealmClient> = self.get("/clients", &[("clientId", client_id)]).await?;
        // Keycloak compares exactly here; the check keeps a change of that from widening anything.
        Ok(found.into_iter().find(|client| client.name == client_id))
    }

    /// Publishes a passive RSA key under this id: it is in the realm's JWKS, and the realm does not sign with it.
    pub async fn create_key_provider(
        &self,
        id: &str,
        key: &NewKeyProvider,
    ) -> Result<(), KeycloakError> {
        let body: Value = json!({
            "id": id,
            "name": key.name,
            "providerId": "rsa",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": {
                // Below the realm's own keys, which have 100: were it ever made active, it is not preferred.
                "priority": ["0"],
                "enabled": ["true"],
                "active": ["false"],
                "algorithm": ["RS256"],
                "privateKey": [key.private_key.as_str()],
            }
        });
        self.change(Method::POST, "/components", Some(&body)).await
    }
}
