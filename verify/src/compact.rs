//! The compact form (RFC 7515 §3.1), read strictly: what has two spellings is refused.

use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::de::{DeserializeSeed, Deserializer as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::{Rejection, Rules};

/// Longer than any thumbprint; a `kid` is a look-up key, not a document.
const MAX_KID: usize = 200;

/// What a token says of itself before anything is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedHeader {
    /// The algorithm that it claims: asymmetric, and one that the rules allow.
    pub alg: Algorithm,
    /// The key that it claims.
    pub kid: String,
}

impl UnverifiedHeader {
    /// Reads the header and checks the form of the whole token: cheap, and before any cryptography.
    /// `jwk`, `jku`, `x5u` and `x5c` are not looked at; `crit` is refused, since we understand none.
    pub fn parse(token: &str, rules: &Rules) -> Result<Self, Rejection> {
        let parts = Parts::split(token, rules.max_bytes)?;
        let header = json_object(parts.header)?;
        if header.contains_key("crit") {
            return Err(Rejection::Malformed);
        }
        if let Some(typ) = header.get("typ") {
            let typ = typ.as_str().ok_or(Rejection::Malformed)?;
            if !["JWT", "at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(typ)) {
                return Err(Rejection::Malformed);
            }
        }
        let alg = header.get("alg").and_then(Value::as_str).ok_or(Rejection::Algorithm)?;
        let alg = *rules
            .algorithms
            .iter()
            .find(|known| format!("{known:?}") == alg)
            .ok_or(Rejection::Algorithm)?;
        let kid = header.get("kid").and_then(Value::as_str).ok_or(Rejection::UnknownKey)?;
        let visible = kid.bytes().all(|byte| byte.is_ascii_graphic());
        if kid.is_empty() || kid.len() > MAX_KID || !visible {
            return Err(Rejection::UnknownKey);
        }
        Ok(Self { alg, kid: kid.to_owned() })
    }
}

/// The three segments.
pub(crate) struct Parts<'a> {
    pub(crate) signing_input: &'a str,
    pub(crate) signature: &'a str,
    header: &'a str,
    payload: &'a str,
}

impl<'a> Parts<'a> {
    pub(crate) fn split(token: &'a str, max_bytes: usize) -> Result<Self, Rejection> {
        if token.len() > max_bytes {
            return Err(Rejection::TooLarge);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Rejection::Malformed)?;
        if header.is_empty() || payload.is_empty() || signature.is_empty() || payload.contains('.') {
            return Err(Rejection::Malformed);
        }
        // Another spelling of the same signature would be another token to a cache.
        decode_base64url(signature.as_bytes()).ok_or(Rejection::Malformed)?;
        Ok(Self { signing_input, signature, header, payload })
    }

    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Rejection> {
        json_object(self.payload)
    }
}

/// Strict: no padding, no stray bits after the last byte.
pub(crate) fn decode_base64url(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// A JSON object whose members all have different names (RFC 7515 §4, RFC 7519 §4: no duplicates).
fn json_object(segment: &str) -> Result<Map<String, Value>, Rejection> {
    let bytes = decode_base64url(segment.as_bytes()).ok_or(Rejection::Malformed)?;
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    let object = json.deserialize_map(UniqueMembers).map_err(|_| Rejection::Malformed)?;
    json.end().map_err(|_| Rejection::Malformed)?;
    Ok(object)
}

struct UniqueMembers;

impl<'de> Visitor<'de> for UniqueMembers {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object without duplicate members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = Map::new();
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(serde::de::Error::custom("duplicate member"));
            }
            object.insert(name, members.next_value_seed(UniqueValue)?);
        }
        Ok(object)
    }
}

/// A value in which no object, however deep, has duplicate members.
struct UniqueValue;

impl<'de> DeserializeSeed<'de> for UniqueValue {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Value, A::Error> {
        UniqueMembers.visit_map(members).map(Value::Object)
    }
}
