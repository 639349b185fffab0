//! A realm's verification keys, each with the algorithms that its type allows.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// RFC 8725 §3.2 asks for strong keys; NIST allows no RSA under 2048 bits.
const MIN_RSA_BYTES: usize = 256;

/// The keys of a JWK Set (RFC 7517 §5) that can verify a signature, by `kid`. It does not change.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: HashMap<String, VerificationKey>,
}

/// A public key and the algorithms that may be used with it. Cheap to clone.
#[derive(Clone)]
pub struct VerificationKey {
    inner: Arc<Inner>,
}

struct Inner {
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
    jwk: Value,
}

/// The text is no JWK Set.
#[derive(Debug, thiserror::Error)]
#[error("not a JWK Set")]
pub struct KeySetError(#[source] serde_json::Error);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Reads a JWK Set. Keys that cannot verify our tokens are left out: symmetric ones, those for
    /// encryption, without a `kid`, of an unknown type or too weak. A `kid` that two different keys
    /// claim names neither.
    pub fn from_json(json: &[u8]) -> Result<Self, KeySetError> {
        let document: Document = serde_json::from_slice(json).map_err(KeySetError)?;
        let mut keys: HashMap<String, Option<VerificationKey>> = HashMap::new();
        for value in document.keys {
            let Some((kid, key)) = verification_key(value) else { continue };
            keys.entry(kid)
                .and_modify(|known| {
                    if known.as_ref().is_some_and(|known| known.inner.jwk != key.inner.jwk) {
                        *known = None;
                    }
                })
                .or_insert(Some(key));
        }
        let keys = keys.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect();
        Ok(Self { keys })
    }

    /// The key of this `kid`.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&VerificationKey> {
        self.keys.get(kid)
    }

    /// The ids of all keys, in no order.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// Whether there is no usable key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl VerificationKey {
    /// Whether `algorithm` may be used with this key.
    #[must_use]
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.inner.algorithms.contains(&algorithm)
    }

    pub(crate) fn decoding_key(&self) -> &DecodingKey {
        &self.inner.key
    }

    /// The key as it stood in the set: its public members only.
    #[must_use]
    pub fn jwk(&self) -> &Value {
        &self.inner.jwk
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey").field("algorithms", &self.inner.algorithms).finish()
    }
}

fn verification_key(value: Value) -> Option<(String, VerificationKey)> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let kid = jwk.common.key_id.clone()?;
    let mut algorithms = algorithms_of(&jwk)?.to_vec();
    if let Some(named) = jwk.common.key_algorithm {
        algorithms.retain(|algorithm| named.to_string() == format!("{algorithm:?}"));
    }
    if algorithms.is_empty() {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some((kid, VerificationKey { inner: Arc::new(Inner { key, algorithms, jwk: value }) }))
}

/// What a key of this type may be used with: never decided by the token.
fn algorithms_of(jwk: &Jwk) -> Option<&'static [Algorithm]> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = crate::compact::decode_base64url(rsa.n.as_bytes())?;
            let length = modulus.iter().skip_while(|byte| **byte == 0).count();
            (length >= MIN_RSA_BYTES).then_some(&[RS256, RS384, RS512, PS256, PS384, PS512])
        }
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => Some(&[ES256]),
            EllipticCurve::P384 => Some(&[ES384]),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(okp) => match okp.curve {
            EllipticCurve::Ed25519 => Some(&[EdDSA]),
            _ => None,
        },
        _ => None,
    }
}
