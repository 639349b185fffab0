//! Sealing of secrets at rest: AES-256-GCM, bound to the place where the secret belongs.
//!
//! A sealed text is `1.` and base64url(nonce ‖ ciphertext ‖ tag). The context (for a signing key its
//! issuer and `kid`) is authenticated, not stored: a sealed text moved to another row does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

const VERSION: &str = "1.";

/// Seals with the current key, opens with the current or the previous one.
pub struct Sealer {
    current: RandomizedNonceKey,
    previous: Option<RandomizedNonceKey>,
}

/// Why a sealed text did not open.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Not a sealed text of a version that this program knows.
    #[error("the sealed text is malformed")]
    Malformed,
    /// Neither key opens it in this context.
    #[error(
        "the sealed text does not open: is `store.encryption_key` the one that it was made with?"
    )]
    Closed,
    /// The cryptographic library refused; it does so only without randomness.
    #[error("sealing failed")]
    Failed,
}

impl Sealer {
    /// From 32-byte keys.
    pub fn new(current: &[u8; 32], previous: Option<&[u8; 32]>) -> Result<Self, SealError> {
        let key = |bytes: &[u8; 32]| {
            RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| SealError::Failed)
        };
        Ok(Self { current: key(current)?, previous: previous.map(key).transpose()? })
    }

    /// Seals `plain` for the place that `context` names.
    pub fn seal(&self, plain: &[u8], context: &str) -> Result<String, SealError> {
        let mut text = Zeroizing::new(plain.to_vec());
        let nonce = self
            .current
            .seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut *text)
            .map_err(|_| SealError::Failed)?;
        let sealed = [nonce.as_ref().as_slice(), &text].concat();
        Ok(format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens what was sealed for `context`.
    pub fn open(&self, sealed: &str, context: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let bytes = sealed
            .strip_prefix(VERSION)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .filter(|bytes| bytes.len() > NONCE_LEN)
            .ok_or(SealError::Malformed)?;
        let (nonce, text) = bytes.split_at(NONCE_LEN);
        [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|key| open_with(key, nonce, text, context))
            .ok_or(SealError::Closed)
    }
}

fn open_with(
    key: &RandomizedNonceKey,
    nonce: &[u8],
    text: &[u8],
    context: &str,
) -> Option<Zeroizing<Vec<u8>>> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = Zeroizing::new(text.to_vec());
    let length = key.open_in_place(nonce, Aad::from(context.as_bytes()), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];

    #[test]
    fn what_is_sealed_opens_in_its_own_context_only() {
        let sealer = Sealer::new(&OLD, None).unwrap();
        let text = sealer.seal(b"secret", "key a").unwrap();
        assert_eq!(&**sealer.open(&text, "key a").unwrap(), b"secret");
        assert!(matches!(sealer.open(&text, "key b"), Err(SealError::Closed)));
    }

    #[test]
    fn the_previous_key_opens_and_a_third_does_not() {
        let text = Sealer::new(&OLD, None).unwrap().seal(b"secret", "").unwrap();
        assert!(Sealer::new(&NEW, Some(&OLD)).unwrap().open(&text, "").is_ok());
        assert!(Sealer::new(&NEW, None).unwrap().open(&text, "").is_err());
    }

    #[test]
    fn altered_and_malformed_texts_do_not_open() {
        let sealer = Sealer::new(&OLD, None).unwrap();
        let text = sealer.seal(b"secret", "").unwrap();
        let mut altered = text.into_bytes();
        altered[10] = if altered[10] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(matches!(sealer.open(&altered, ""), Err(SealError::Closed)));
        for text in ["", "1.", "2.AAAA", "1.****", "1.AAAA"] {
            assert!(matches!(sealer.open(text, ""), Err(SealError::Malformed)), "{text}");
        }
    }

    #[test]
    fn the_same_secret_seals_differently_each_time() {
        let sealer = Sealer::new(&OLD, None).unwrap();
        assert_ne!(sealer.seal(b"secret", "").unwrap(), sealer.seal(b"secret", "").unwrap());
    }
}
