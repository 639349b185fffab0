//! A signing key as a document, and the two forms in which it is handed on: sealed, and to the realm.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{Signer, SigningKeyError, seal_context};
use crate::keycloak::NewKeyProvider;
use crate::seal::{SealError, Sealer};
use crate::store::SealedKey;

/// A private key before it is parsed: RSA of 2048 bits, since a token is signed once and verified often,
/// and every validator knows RS256.
pub struct SigningKey {
    kid: String,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl SigningKey {
    /// Makes one; takes a moment, since primes have to be found.
    pub fn generate() -> Result<Self, Unspecified> {
        let pair = KeyPair::generate(KeySize::Rsa2048)?;
        let der: Pkcs8V1Der<'_> = pair.as_der()?;
        Self::from_pkcs8(Zeroizing::new(der.as_ref().to_vec())).ok_or(Unspecified)
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Option<Self> {
        let kid = Signer::from_pkcs8(&pkcs8)?.kid().to_owned();
        Some(Self { kid, pkcs8 })
    }

    /// The key in a sealed one: for a run that goes on where another was interrupted.
    pub fn from_sealed(
        sealer: &Sealer,
        issuer: &str,
        key: &SealedKey,
    ) -> Result<Self, SigningKeyError> {
        let pkcs8 = sealer
            .open(&key.sealed_private_key, &seal_context(issuer, &key.kid))
            .map_err(|source| SigningKeyError::Sealed { kid: key.kid.clone(), source })?;
        Self::from_pkcs8(pkcs8)
            .filter(|opened| opened.kid == key.kid)
            .ok_or_else(|| SigningKeyError::Malformed(key.kid.clone()))
    }

    /// The key, parsed to sign with.
    pub fn into_signer(self) -> Result<Signer, SigningKeyError> {
        Signer::from_pkcs8(&self.pkcs8).ok_or(SigningKeyError::Malformed(self.kid))
    }

    /// Its id in the realm's JWKS.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// For the store.
    pub fn seal(&self, sealer: &Sealer, issuer: &str) -> Result<SealedKey, SealError> {
        let context = seal_context(issuer, &self.kid);
        let sealed_private_key = sealer.seal(&self.pkcs8, &context)?;
        Ok(SealedKey { kid: self.kid.clone(), sealed_private_key })
    }

    /// For the realm, which publishes its public part.
    #[must_use]
    pub fn provider(&self) -> NewKeyProvider {
        NewKeyProvider {
            name: provider_name(&self.kid),
            private_key: Zeroizing::new(STANDARD.encode(&*self.pkcs8)),
        }
    }
}

/// All of Hallpass's key providers begin so.
pub const PROVIDER_PREFIX: &str = "hallpass-";

/// The name of a key's provider in the realm: what an administrator sees in the console.
#[must_use]
pub fn provider_name(kid: &str) -> String {
    format!("{PROVIDER_PREFIX}{kid}")
}
