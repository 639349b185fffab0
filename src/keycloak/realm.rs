//! The realm's clients, client scopes and keys, as far as more than one use case needs them.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::error::REALM_NOT_FOUND;
use super::{Keycloak, KeycloakError};

/// A client of the realm: the id that people know and the one that Keycloak's paths use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ClientId {
    #[serde(rename = "id")]
    uuid: String,
    #[serde(rename = "clientId")]
    name: String,
}

impl ClientId {
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
    pub async fn find_client(&self, client_id: &str) -> Result<Option<ClientId>, KeycloakError> {
        let found: Vec<ClientId> = self.get("/clients", &[("clientId", client_id)]).await?;
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
