//! The realm's JWK Set as it is published, for people who take it away.

use serde::Deserialize;
use serde_json::{Value, json};

use super::KeycloakError;
use super::answer::{decode, read, send_once};
use crate::config::Realm;
use crate::verify::{Algorithm, KeySet};

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The keys with which the realm's tokens are verified; those for encryption are left out.
pub async fn fetch_jwks(
    http: &reqwest::Client,
    realm: &Realm,
) -> Result<Vec<Value>, KeycloakError> {
    const CALL: &str = "GET certs";
    let answer = send_once(CALL, http.get(realm.jwks_url())).await?;
    if !answer.status().is_success() {
        let status = answer.status();
        let body = read(CALL, answer).await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body);
        return Err(KeycloakError::from_status(CALL.to_owned(), status, &body));
    }
    let document: Document = decode(CALL, answer).await?;
    Ok(document.keys.into_iter().filter(|key| key["use"] != "enc").collect())
}

/// Whether Hallpass can check signatures that are made so: by the key `kid`, or by any of these keys.
#[must_use]
pub fn can_check(keys: &[Value], algorithm: &str, kid: Option<&str>) -> bool {
    let (Ok(algorithm), Ok(keys)) = (
        algorithm.parse::<Algorithm>(),
        KeySet::from_json(json!({"keys": keys}).to_string().as_bytes()),
    ) else {
        return false;
    };
    let allows =
        |kid: &str| keys.find(kid).is_some_and(|key| key.algorithms().contains(&algorithm));
    match kid {
        Some(kid) => allows(kid),
        None => keys.kids().any(allows),
    }
}
