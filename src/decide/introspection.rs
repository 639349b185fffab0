//! What introspection answers of a good token (RFC 7662 §2.2): prepared once.

use bytes::Bytes;
use serde::Serializer as _;
use serde::ser::SerializeMap as _;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::verify::Claims;

/// The members that are the answer's own, and those that Keycloak says beside.
const OWN_MEMBERS: [&str; 13] = [
    "active",
    "scope",
    "client_id",
    "username",
    "token_type",
    "exp",
    "iat",
    "sub",
    "aud",
    "iss",
    "jti",
    "typ",
    "azp",
];
/// The claims of roles, as Keycloak's own mappers name them.
const ROLES: [&str; 2] = ["realm_access", "resource_access"];
/// Room for most; what is over is given back.
const TYPICAL: usize = 2048;

/// These members, then the token's other claims: none of those takes the place of one of them. `roles` are the claims of
/// roles where the token does not say them as Keycloak's own mappers do.
pub(super) fn answer(
    claims: &Claims,
    username: &str,
    roles: Option<&Map<String, Value>>,
) -> Result<Bytes, Error> {
    let mut text = Vec::with_capacity(TYPICAL);
    write(&mut text, claims, username, roles).map_err(Error::internal)?;
    text.shrink_to_fit();
    Ok(text.into())
}

fn write(
    text: &mut Vec<u8>,
    claims: &Claims,
    username: &str,
    roles: Option<&Map<String, Value>>,
) -> Result<(), serde_json::Error> {
    let scope = claims.rest.get("scope").and_then(Value::as_str).unwrap_or_default();
    let mut serializer = serde_json::Serializer::new(text);
    let mut answer = serializer.serialize_map(None)?;
    answer.serialize_entry("active", &true)?;
    answer.serialize_entry("scope", scope)?;
    answer.serialize_entry("client_id", &claims.azp)?;
    answer.serialize_entry("username", username)?;
    answer.serialize_entry("token_type", "Bearer")?;
    answer.serialize_entry("exp", &claims.exp)?;
    answer.serialize_entry("iat", &claims.iat)?;
    answer.serialize_entry("sub", &claims.sub)?;
    answer.serialize_entry("aud", &claims.aud)?;
    answer.serialize_entry("iss", &claims.iss)?;
    answer.serialize_entry("jti", &claims.jti)?;
    answer.serialize_entry("typ", &claims.typ)?;
    answer.serialize_entry("azp", &claims.azp)?;
    for (name, value) in &claims.rest {
        let replaced = roles.is_some() && ROLES.contains(&name.as_str());
        if !replaced && !OWN_MEMBERS.contains(&name.as_str()) {
            answer.serialize_entry(name, value)?;
        }
    }
    for (name, value) in roles.into_iter().flatten() {
        answer.serialize_entry(name, value)?;
    }
    answer.end()
}
