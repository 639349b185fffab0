//! Checks tokens of a Keycloak realm, Hallpass's personal access tokens among them.
//!
//! # Before a service
//!
//! [`TokenLayer`] is a tower layer for axum and whatever else is made of tower services. A request passes
//! with a good token, whose claims the handler finds as [`Verified`]; everything else is answered as RFC 6750
//! §3 says.
//!
//! ```no_run
//! use axum::{Extension, Router, routing::get};
//! use hallpass_verify::{Introspection, JwksCache, TokenLayer, Verified};
//!
//! # fn service() -> Result<Router, Box<dyn std::error::Error>> {
//! let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
//! let realm = "https://sso.example.org/realms/demo";
//! let certs = format!("{realm}/protocol/openid-connect/certs").parse()?;
//! let keys = JwksCache::new(http.clone(), certs);
//! // Only tokens that name this service in `aud`, of owners who are `reader` in the realm.
//! let tokens = TokenLayer::for_audience(keys, realm, "datahub").with_realm_role("reader");
//!
//! // Offline a revocation cannot be seen. Ask Hallpass too, and it is seen within a second.
//! let url = "https://hallpass.example.org/oauth2/introspect".parse()?;
//! let secret = std::fs::read_to_string("/run/secrets/datahub")?;
//! let tokens = tokens.with_introspection(Introspection::new(http, url, "datahub", secret.trim()));
//!
//! async fn whoami(Extension(token): Extension<Verified>) -> String {
//!     format!("You are {}.", token.sub)
//! }
//! let service = Router::new().route("/whoami", get(whoami)).layer(tokens);
//! # Ok(service)
//! # }
//! ```
//!
//! `examples/axum_service.rs` is a whole one.
//!
//! # By itself
//!
//! This package owns the offline part of a check: the realm's published keys, kept fresh, and the
//! rules that a token must satisfy. It knows no database, and but for the layer it never reads the wall
//! clock: the caller passes `now`. Alone it cannot see a revocation; that needs Hallpass itself.
//!
//! 1. [`UnverifiedToken::parse`] looks at the size and the header, before any
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
//! practice); the layer RFC 6750 (bearer tokens) and RFC 7662 (introspection).
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
mod digested;
mod introspection;
mod json;
mod key_set;
mod layer;

pub use cache::{FetchError, JwksCache, KeyError};
pub use check::{CheckError, Rejection, Rules, check, check_parsed, verify, verify_parsed};
pub use claims::Claims;
pub use compact::{DEFAULT_MAX_BYTES, UnverifiedHeader, UnverifiedToken};
pub use digested::DigestedToken;
pub use introspection::Introspection;
pub use jsonwebtoken::Algorithm;
pub use key_set::{KeySet, KeySetError, VerificationKey};
pub use layer::{TokenLayer, TokenService, Verified};
