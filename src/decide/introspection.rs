//! What introspection answers of a good token (RFC 7662 §2.2): prepared once.

use bytes::Bytes;
use serde::Serializer as _;
use serde::ser::SerializeMap as _;
use serde_json::{Map, Value};

use super::said;
use crate::claim;
use crate::error::Error;
use crate::names::{Email, Names};
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
/// Room for most; what is over is given back.
const TYPICAL: usize = 2048;

/// These members, then the token's other claims: none of those takes the place of one of them. `roles` are the claims of
/// roles where the token does not say them as Keycloak's own mappers do; `names` what the owner is called where the token
/// says something else.
pub(super) fn answer(
    claims: &Claims,
    username: &str,
    roles: Option<&Map<String, Value>>,
    names: Option<&Names>,
) -> Result<Bytes, Error> {
    let mut text = Vec::with_capacity(TYPICAL);
    let names = names.map(|names| claims_of(names, &claims.rest));
    write(&mut text, claims, username, [roles, names.as_ref()]).map_err(Error::internal)?;
    text.shrink_to_fit();
    Ok(text.into())
}

/// The claims that say these names, as far as the token says any.
fn claims_of(names: &Names, said: &Map<String, Value>) -> Map<String, Value> {
    let mut claims = Map::new();
    if said.contains_key(claim::USERNAME) {
        claims.insert(claim::USERNAME.to_owned(), names.username.as_str().into());
    }
    if let Some(Email { address, verified }) = &names.email {
        if !address.is_empty() {
            claims.insert(claim::EMAIL.to_owned(), address.as_str().into());
        }
        if said.contains_key(claim::EMAIL_VERIFIED) {
            claims.insert(claim::EMAIL_VERIFIED.to_owned(), (*verified).into());
        }
    }
    claims
}

/// `others`: claims of roles and of names that take the place of all claims of their kind.
fn write(
    text: &mut Vec<u8>,
    claims: &Claims,
    username: &str,
    others: [Option<&Map<String, Value>>; 2],
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
    let [roles, names] = others;
    for (name, value) in &claims.rest {
        let is_replaced = (roles.is_some() && claim::ROLES.contains(&name.as_str()))
            || (names.is_some() && said::NAMES.contains(&name.as_str()));
        if !is_replaced && !OWN_MEMBERS.contains(&name.as_str()) {
            answer.serialize_entry(name, value)?;
        }
    }
    for (name, value) in others.into_iter().flatten().flatten() {
        answer.serialize_entry(name, value)?;
    }
    answer.end()
}
