//! Checks tokens of a Keycloak realm: its access tokens and Hallpass's personal access tokens.
//!
//! This package owns the offline half of validation. It knows the realm's JWK Set and the token, and
//! nothing of Hallpass's database: whether a token was revoked, only Hallpass can say.
//!
//! 1. [`UnverifiedHeader::parse`] refuses what cannot be good before any cryptography (RFC 7515, RFC 8725 §3).
//! 2. [`JwksCache::key`] finds the key of the header's `kid` (RFC 7517), with at most one fetch for each
//!    cool-down, whatever arrives.
//! 3. [`verify`] checks the signature with an algorithm that *we* pin to the type of the key, then the
//!    claims by [`Rules`] (RFC 7519 §4.1): no leeway on `exp`, 30 seconds on `iat` and `nbf`.
//!
//! The clock is the caller's: nothing here reads the time of day.
//!
//! ```
//! use hallpass_verify::{KeySet, Rejection, Rules, UnverifiedHeader, verify};
//!
//! # fn check(jwks: &[u8], token: &str, now: i64) -> Result<String, Box<dyn std::error::Error>> {
//! let keys = KeySet::from_json(jwks)?;
//! let rules = Rules::new("https://sso.example/realms/demo", "PAT").audience("reports");
//! let header = UnverifiedHeader::parse(token, &rules)?;
//! let key = keys.find(&header.kid).ok_or(Rejection::UnknownKey)?;
//! let claims = verify(token, key, &rules, now)?;
//! # Ok(claims.sub)
//! # }
//! ```

mod cache;
mod claims;
mod compact;
mod key_set;
mod rules;


pub use cache::{FetchError, JwksCache, KeyError};
pub use claims::Claims;
pub use compact::UnverifiedHeader;
pub use jsonwebtoken::Algorithm;
pub use key_set::{KeySet, KeySetError, VerificationKey};
pub use rules::{CheckError, Rejection, Rules, check, verify};
