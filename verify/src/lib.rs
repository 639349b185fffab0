//! Checks tokens of a Keycloak realm, Hallpass's personal access tokens among them.
//!
//! This package owns the offline part of a check: the realm's published keys, kept fresh, and the
//! rules that a token must satisfy. It knows no database and never reads the wall clock: the caller
//! passes `now`. It cannot see a revocation; that needs Hallpass itself.
//!
//! 1. [`UnverifiedHeader::parse`] looks at the size, the three segments and the header, before any
//!    costly work.
//! 2. [`JwksCache::key`] finds the key that the header names, fetching the realm's keys when they
//!    may have changed.
//! 3. [`verify()`] checks the signature with an algorithm that the key's type, its `alg` and the
//!    [`Rules`] all allow.
//! 4. Only then are the claims read ([`Claims`]) and compared with the [`Rules`].
//!
//! [`check`] does all four.
//!
//! Follows RFC 7515 (the compact form), RFC 7517 (key sets), RFC 7519 (claims) and RFC 8725 (best
//! practice).
//!
//! ```no_run
//! use hallpass_verify::{CheckError, Claims, JwksCache, Rules, check};
//!
//! # fn setup() -> Result<(JwksCache, Rules), Box<dyn std::error::Error>> {
//! let realm = "https://sso.example.org/realms/demo";
//! let jwks = format!("{realm}/protocol/openid-connect/certs").parse()?;
//! let keys = JwksCache::new(reqwest::Client::new(), jwks);
//! let rules = Rules::new(realm, "PAT").with_audience("datahub");
//! # Ok((keys, rules))
//! # }
//!
//! type Answer = Result<String, CheckError>;
//!
//! async fn who(keys: &JwksCache, rules: &Rules, token: &str, now: i64) -> Answer {
//!     let claims: Claims = check(keys, token, rules, now).await?;
//!     Ok(claims.sub)
//! }
//! ```

mod cache;
mod check;
mod claims;
mod compact;
mod json;
mod key_set;

pub use cache::{FetchError, JwksCache, KeyError};
pub use check::{CheckError, Rejection, Rules, check, verify};
pub use claims::Claims;
pub use compact::{DEFAULT_MAX_BYTES, UnverifiedHeader};
pub use jsonwebtoken::Algorithm;
pub use key_set::{KeySet, KeySetError, VerificationKey};
