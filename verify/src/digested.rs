//! The SHA-256 of a token beside the SHA-256 that its signature is made over, in one pass: for those who keep tokens by their
//! digest.

use aws_lc_rs::digest::{Context, Digest, SHA256, SHA256_OUTPUT_LEN};

use crate::Rejection;
use crate::compact::UnverifiedToken;

/// A token, read once for its digests.
pub struct DigestedToken<'a> {
    token: &'a str,
    digest: Digest,
    /// Not finished: most tokens are known by their digest.
    signing_input: Context,
}

impl<'a> DigestedToken<'a> {
    /// Reads the token, whatever it is.
    #[must_use]
    pub fn new(token: &'a str) -> Self {
        let (signing_input, signature) = token.split_at(token.rfind('.').unwrap_or(token.len()));
        let mut whole = Context::new(&SHA256);
        whole.update(signing_input.as_bytes());
        let signing_input = whole.clone();
        whole.update(signature.as_bytes());
        Self { token, digest: whole.finish(), signing_input }
    }

    /// The SHA-256 of the whole token.
    #[must_use]
    pub fn sha256(&self) -> [u8; SHA256_OUTPUT_LEN] {
        let mut octets = [0; SHA256_OUTPUT_LEN];
        octets.copy_from_slice(self.digest.as_ref());
        octets
    }

    /// As [`UnverifiedToken::parse`]. The check of a signature over SHA-256 need not read the token again.
    pub fn parse(self, max_bytes: usize) -> Result<UnverifiedToken<'a>, Rejection> {
        let token = UnverifiedToken::parse(self.token, max_bytes)?;
        Ok(token.with_digest(self.signing_input.finish()))
    }
}
