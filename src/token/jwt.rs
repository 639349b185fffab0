//! The compact form of a token before and after its signature (RFC 7515 §7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::{Code, Error};
use crate::keys::Signer;

/// Beyond this a token nears the limit that proxies and servers put on a header.
const MAX_BYTES: usize = 6 * 1024;
/// A signature of the largest key that we would use, in base64url, and its dot.
const SIGNATURE_BYTES: usize = 684;

/// What is signed. It is not a token yet: nobody accepts it.
pub(super) struct SigningInput(String);

impl SigningInput {
    pub(super) fn new(kid: &str, claims: &Map<String, Value>) -> Result<Self, Error> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": kid});
        let input = format!("{}.{}", encode(&header)?, encode(claims)?);
        if input.len() + SIGNATURE_BYTES > MAX_BYTES {
            let detail = "The token would be over 6 KiB, which proxies refuse in a header. Narrow it: ask for the \
                          `roles` and `scopes` that it needs. Or have an administrator remove mappers from the \
                          designated client.";
            return Err(Error::new(Code::TokenTooLarge, detail));
        }
        Ok(Self(input))
    }

    /// How long the token is under this key, in bytes.
    pub(super) fn size(&self, signer: &Signer) -> usize {
        self.0.len() + 1 + signer.signature_len()
    }

    pub(super) fn sign(self, signer: &Signer) -> Result<SecretString, Error> {
        let signature = signer.sign(&self.0).map_err(Error::internal)?;
        Ok(SecretString::from(format!("{}.{signature}", self.0)))
    }
}

fn encode(json: &impl Serialize) -> Result<String, Error> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(json).map_err(Error::internal)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_would_be_too_large_is_refused_before_it_is_signed() {
        let of = |length: usize| {
            let claims = json!({"x": "y".repeat(length)});
            SigningInput::new("kid", claims.as_object().unwrap())
        };
        assert!(of(3_000).is_ok());
        let error = of(5_000).err().unwrap();
        assert_eq!(error.code(), Code::TokenTooLarge);
    }
}
