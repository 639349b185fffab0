//! Public keys as PEM (RFC 7468 §13).

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicKeyComponents;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// A `SubjectPublicKeyInfo` as PEM.
pub(super) fn pem_of_der(public_key: &[u8]) -> String {
    let base64 = STANDARD.encode(public_key);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    for line in base64.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    pem
}

/// An RSA key of a JWK Set as PEM; `None` for any other.
#[must_use]
pub fn pem_of_jwk(jwk: &Value) -> Option<String> {
    let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
    if jwk["kty"] != "RSA" {
        return None;
    }
    let components = PublicKeyComponents { n: member("n")?, e: member("e")? };
    let der: PublicKeyX509Der<'_> = components.as_der().ok()?;
    Some(pem_of_der(der.as_ref()))
}
