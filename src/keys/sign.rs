//! Signing with RS256 (RFC 7518 §3.3): the parsed key is held, since parsing costs more than signing.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::pem::pem_of_der;

/// A private key that signs.
pub struct Signer {
    kid: String,
    public_key: Vec<u8>,
    key: KeyPair,
}

impl Signer {
    /// From a PKCS#8 document; `None` where it is no RSA key.
    #[must_use]
    pub fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        let key = KeyPair::from_pkcs8(pkcs8).ok()?;
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().ok()?;
        let public_key = public.as_ref().to_vec();
        Some(Self { kid: kid_of(&public_key), public_key, key })
    }

    /// The key's id in the realm's JWKS.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key as PEM (RFC 7468 §13).
    #[must_use]
    pub fn public_key_pem(&self) -> String {
        pem_of_der(&self.public_key)
    }

    /// How long each signature is, in base64url.
    #[must_use]
    pub fn signature_len(&self) -> usize {
        (self.key.public_modulus_len() * 4).div_ceil(3)
    }

    /// The signature over `signing_input`, in base64url.
    pub fn sign(&self, signing_input: &str) -> Result<String, aws_lc_rs::error::Unspecified> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            signing_input.as_bytes(),
            &mut signature,
        )?;
        Ok(URL_SAFE_NO_PAD.encode(signature))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Keycloak's own rule for the `kid` of an RSA key, which it cannot be told otherwise: unpadded base64url
/// of the SHA-256 of the `SubjectPublicKeyInfo`.
pub(crate) fn kid_of(public_key: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, public_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_no_key() {
        assert!(Signer::from_pkcs8(b"garbage").is_none());
    }
}
