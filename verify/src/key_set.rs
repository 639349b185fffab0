//! The keys that a realm publishes: which of them may check a signature, and with which algorithms.
//!
//! 1. [`KeySet::from_json`] reads a JWK set (RFC 7517 §5) and passes over each key that cannot
//!    check signatures here.
//! 2. The algorithms are pinned by the key's type, and by its `alg` where it says one (RFC 8725
//!    §3.1, §3.2).
//! 3. A `kid` that names two different keys names neither.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use crate::compact::{UnverifiedToken, is_kid};
use crate::json;

/// Modulus lengths in bits. Below, RSA is weak (RFC 7518 §3.3); above, one check costs too much.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a document is not a key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// Not a JSON object, or an object in it repeats a member.
    #[error("the key set is not a JSON object")]
    NotAnObject,
    /// There is no array `keys`.
    #[error("the key set has no array `keys`")]
    NoKeys,
}

/// The usable keys of a JWK set, by `kid`.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: BTreeMap<String, VerificationKey>,
}

impl KeySet {
    /// Reads a JWK set. Keys that cannot check a signature here are passed over: for encryption,
    /// symmetric, with a private part, without `kid`, of an unsupported type, RSA outside 2048 to
    /// 8192 bits. A set without any usable key is a valid set: it says that no signature holds.
    pub fn from_json(json: &[u8]) -> Result<Self, KeySetError> {
        let document = json::parse_object(json).ok_or(KeySetError::NotAnObject)?;
        let Some(Value::Array(jwks)) = document.get("keys") else {
            return Err(KeySetError::NoKeys);
        };
        // `None` marks a `kid` that two different keys claim.
        let mut found: BTreeMap<String, Option<PublicKey>> = BTreeMap::new();
        for (kid, key) in jwks.iter().filter_map(|jwk| PublicKey::from_jwk(jwk.as_object()?)) {
            found
                .entry(kid)
                .and_modify(|known| {
                    if known.as_ref() != Some(&key) {
                        *known = None;
                    }
                })
                .or_insert(Some(key));
        }
        let keys = found.into_iter().filter_map(|(kid, key)| {
            let key = VerificationKey::new(&kid, &key?)?;
            Some((kid, key))
        });
        Ok(Self { keys: keys.collect() })
    }

    /// The key that `kid` names, compared octet by octet.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&VerificationKey> {
        self.keys.get(kid)
    }

    /// Whether it has no usable key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The `kid` of each usable key, in order.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }
}

/// A public key and the algorithms that it may be used with. A clone shares the key.
#[derive(Debug, Clone)]
pub struct VerificationKey(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kid: String,
    algorithms: Vec<Algorithm>,
    /// For each algorithm. Parsed once: `jsonwebtoken` would parse the key for each signature, which takes half as long as
    /// the check itself.
    keys: Vec<ParsedPublicKey>,
    /// In octets, whatever the algorithm: a look at it is cheaper than the message's hash.
    signature_length: usize,
}

impl VerificationKey {
    /// `None` for what is no key, such as a point that is not on its curve.
    fn new(kid: &str, key: &PublicKey) -> Option<Self> {
        let algorithms = key.algorithms.clone();
        let keys = algorithms.iter().map(|algorithm| key.material.parse(*algorithm));
        let keys = keys.collect::<Option<_>>()?;
        let signature_length = key.material.signature_length();
        Some(Self(Arc::new(Inner { kid: kid.to_owned(), algorithms, keys, signature_length })))
    }

    /// The name under which the realm publishes the key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// The algorithms that the key's type and its `alg` allow.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.0.algorithms
    }

    /// Whether the token's signature is this key's. False for an algorithm that the key does not
    /// allow.
    pub(crate) fn signed(&self, token: &UnverifiedToken<'_>, signature: &[u8]) -> bool {
        if signature.len() != self.0.signature_length {
            return false;
        }
        let mut keys = self.0.algorithms.iter().zip(&self.0.keys);
        let key = keys.find_map(|(algorithm, key)| (*algorithm == token.header.alg).then_some(key));
        let Some(key) = key else { return false };
        let verified = match &token.digest {
            Some(digest) if is_over_sha256(token.header.alg) => {
                key.verify_digest_sig(digest, signature)
            }
            _ => key.verify_sig(token.signing_input.as_bytes(), signature),
        };
        verified.is_ok()
    }
}

const fn is_over_sha256(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256)
}

#[derive(PartialEq)]
struct PublicKey {
    algorithms: Vec<Algorithm>,
    material: Material,
}

impl PublicKey {
    fn from_jwk(jwk: &Map<String, Value>) -> Option<(String, Self)> {
        let kid = text(jwk, "kid").filter(|kid| is_kid(kid))?;
        // A private part that is published makes signatures that prove nothing.
        if jwk.contains_key("d") || !is_for_signatures(jwk) {
            return None;
        }
        let material = Material::from_jwk(jwk)?;
        let mut algorithms = material.algorithms().to_vec();
        if let Some(named) = jwk.get("alg") {
            let named: Algorithm = named.as_str()?.parse().ok()?;
            algorithms.retain(|algorithm| *algorithm == named);
        }
        (!algorithms.is_empty()).then(|| (kid.to_owned(), Self { algorithms, material }))
    }
}

/// `use` and `key_ops` (RFC 7517 §4.2, §4.3); a key without either serves for anything.
fn is_for_signatures(jwk: &Map<String, Value>) -> bool {
    let by_use = jwk.get("use").is_none_or(|usage| usage == "sig");
    let by_operation = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => false,
    };
    by_use && by_operation
}

#[derive(PartialEq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The uncompressed point.
    P256(Vec<u8>),
    /// The uncompressed point.
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Material {
    fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        match (text(jwk, "kty")?, text(jwk, "crv")) {
            ("RSA", _) => Self::rsa(jwk),
            ("EC", Some("P-256")) => point(jwk, 32).map(Self::P256),
            ("EC", Some("P-384")) => point(jwk, 48).map(Self::P384),
            ("OKP", Some("Ed25519")) => sized(jwk, "x", 32).map(Self::Ed25519),
            _ => None,
        }
    }

    fn rsa(jwk: &Map<String, Value>) -> Option<Self> {
        let n = without_leading_zeros(&octets(jwk, "n")?);
        let e = without_leading_zeros(&octets(jwk, "e")?);
        let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
        // With the exponent 1 every message is its own signature.
        let e_is_sound = e.len() <= 4 && e.last()? % 2 == 1 && e != [1];
        (RSA_BITS.contains(&bits) && e_is_sound).then_some(Self::Rsa { n, e })
    }

    fn algorithms(&self) -> &'static [Algorithm] {
        match self {
            Self::Rsa { .. } => &[
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            Self::P256(_) => &[Algorithm::ES256],
            Self::P384(_) => &[Algorithm::ES384],
            Self::Ed25519(_) => &[Algorithm::EdDSA],
        }
    }

    /// As long as the modulus (RFC 8017 §8), as two numbers of the curve's order (RFC 7518 §3.4), or RFC 8032 §5.1.6.
    fn signature_length(&self) -> usize {
        match self {
            Self::Rsa { n, .. } => n.len(),
            Self::P256(_) | Self::Ed25519(_) => 64,
            Self::P384(_) => 96,
        }
    }

    /// The key, to check signatures by this algorithm, which is one of [`Self::algorithms`].
    fn parse(&self, algorithm: Algorithm) -> Option<ParsedPublicKey> {
        let parsed = match self {
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(rsa_parameters(algorithm)?)
            }
            Self::P256(point) => ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point),
            Self::P384(point) => ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point),
            Self::Ed25519(x) => ParsedPublicKey::new(&signature::ED25519, x),
        };
        parsed.ok()
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    jwk.get(name)?.as_str()
}

fn octets(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text(jwk, name)?).ok()
}

fn sized(jwk: &Map<String, Value>, name: &str, length: usize) -> Option<Vec<u8>> {
    octets(jwk, name).filter(|octets| octets.len() == length)
}

fn point(jwk: &Map<String, Value>, length: usize) -> Option<Vec<u8>> {
    const UNCOMPRESSED: u8 = 4;
    Some([vec![UNCOMPRESSED], sized(jwk, "x", length)?, sized(jwk, "y", length)?].concat())
}

fn without_leading_zeros(octets: &[u8]) -> Vec<u8> {
    octets.iter().copied().skip_while(|octet| *octet == 0).collect()
}
