//! The claims of a token whose signature holds.

use std::fmt;

use serde_json::{Map, Value};

use crate::Rejection;

/// The end of the year 9999: what RFC 3339 can still say.
const LAST_SECOND: i64 = 253_402_300_799;

/// A token's claims: the protocol's own by type, all others as they came.
#[derive(Clone, PartialEq)]
pub struct Claims {
    /// Who issued it: the realm.
    pub iss: String,
    /// Whom it is about: the user's id in Keycloak.
    pub sub: String,
    /// Whom it is for; one string or a list in the token.
    pub aud: Vec<String>,
    /// When it ends, in seconds since the Unix epoch.
    pub exp: i64,
    /// When it was issued, likewise.
    pub iat: i64,
    /// When it begins, likewise.
    pub nbf: Option<i64>,
    /// Its id.
    pub jti: String,
    /// What kind of token it is: `Bearer` or `PAT`.
    pub typ: String,
    /// The client that it was issued to.
    pub azp: Option<String>,
    /// The session that it belongs to.
    pub sid: Option<String>,
    /// All other claims.
    pub rest: Map<String, Value>,
}

impl Claims {
    pub(crate) fn parse(mut claims: Map<String, Value>) -> Result<Self, Rejection> {
        Ok(Self {
            iss: text(&mut claims, "iss")?.ok_or(Rejection::Claims)?,
            sub: text(&mut claims, "sub")?.ok_or(Rejection::Claims)?,
            aud: audiences(&mut claims)?,
            exp: seconds(&mut claims, "exp")?.ok_or(Rejection::Claims)?,
            iat: seconds(&mut claims, "iat")?.ok_or(Rejection::Claims)?,
            nbf: seconds(&mut claims, "nbf")?,
            jti: text(&mut claims, "jti")?.ok_or(Rejection::Claims)?,
            typ: text(&mut claims, "typ")?.ok_or(Rejection::Claims)?,
            azp: text(&mut claims, "azp")?,
            sid: text(&mut claims, "sid")?,
            rest: claims,
        })
    }
}

/// Names and ids only: what a person's claims say stays out of logs.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest: Vec<_> = self.rest.keys().collect();
        f.debug_struct("Claims")
            .field("sub", &self.sub)
            .field("jti", &self.jti)
            .field("typ", &self.typ)
            .field("exp", &self.exp)
            .field("rest", &rest)
            .finish_non_exhaustive()
    }
}

fn text(claims: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Rejection> {
    match claims.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(Rejection::Claims),
    }
}

/// RFC 7519 allows fractions; no issuer of ours writes them, so they are refused.
fn seconds(claims: &mut Map<String, Value>, name: &str) -> Result<Option<i64>, Rejection> {
    match claims.remove(name) {
        None => Ok(None),
        Some(value) => value
            .as_i64()
            .filter(|seconds| (0..=LAST_SECOND).contains(seconds))
            .map(Some)
            .ok_or(Rejection::Claims),
    }
}

fn audiences(claims: &mut Map<String, Value>) -> Result<Vec<String>, Rejection> {
    match claims.remove("aud") {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(many)) => many
            .into_iter()
            .map(|one| match one {
                Value::String(one) => Ok(one),
                _ => Err(Rejection::Claims),
            })
            .collect(),
        Some(_) => Err(Rejection::Claims),
    }
}
