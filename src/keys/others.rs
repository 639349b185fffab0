//! Signing keys that another Hallpass store put into the realm, as far as the run-time permissions show them.

use serde_json::Value;

use crate::config::Realm;
use crate::keycloak::{Keycloak, KeycloakError, SIGNING_KEYS, fetch_jwks};
use crate::store::KnownKey;

/// The keys that bootstrap noted on Hallpass's client, that the realm still shows, and that are none of `own`: what they
/// sign is good everywhere, and this store knows nothing of it.
pub async fn find_other_keys(
    keycloak: &Keycloak,
    realm: &Realm,
    client_id: &str,
    own: &[KnownKey],
) -> Result<Vec<String>, KeycloakError> {
    let Some(client) = keycloak.find_client_document(client_id).await? else {
        return Ok(Vec::new());
    };
    let noted = client.attribute(SIGNING_KEYS).and_then(Value::as_str).unwrap_or_default();
    let mut others: Vec<String> = noted.split_whitespace().map(str::to_owned).collect();
    others.retain(|kid| !own.iter().any(|known| known.kid == *kid));
    if !others.is_empty() {
        let shown = fetch_jwks(keycloak.http(), realm).await?;
        others.retain(|kid| shown.iter().any(|key| key["kid"] == kid.as_str()));
    }
    Ok(others)
}
