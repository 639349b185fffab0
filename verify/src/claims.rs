//! What a token says once its signature holds (RFC 7519 §4).

use serde_json::{Map, Value};

use crate::Rejection;
use crate::json;

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST_SECOND: i64 = 253_402_300_799;

/// The claims of a token whose signature holds. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// The realm that the token is from.
    pub iss: String,
    /// Id of the user or the service account.
    pub sub: String,
    /// Whom the token is for; empty when the token does not say.
    pub aud: Vec<String>,
    /// The first second in which the token is no longer good.
    pub exp: i64,
    /// When the token was made.
    pub iat: i64,
    /// When the token begins to be good.
    pub nbf: Option<i64>,
    /// Id of the token.
    pub jti: String,
    /// `Bearer`, `PAT`, …: Keycloak tells kinds of tokens apart here, not in the header.
    pub typ: String,
    /// The client that the token was issued to.
    pub azp: Option<String>,
    /// The session that the token belongs to.
    pub sid: Option<String>,
    /// All other claims, as they stand in the token.
    pub rest: Map<String, Value>,
}

impl Claims {
    /// Reads the payload of a token. The values are well formed, but not yet compared with any
    /// rule.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, Rejection> {
        let mut rest = json::parse_object(json).ok_or(Rejection::Malformed)?;
        Ok(Self {
            iss: required(text(&mut rest, "iss")?)?,
            sub: required(text(&mut rest, "sub")?)?,
            aud: audience(&mut rest)?,
            exp: required(seconds(&mut rest, "exp")?)?,
            iat: required(seconds(&mut rest, "iat")?)?,
            nbf: seconds(&mut rest, "nbf")?,
            jti: required(text(&mut rest, "jti")?)?,
            typ: required(text(&mut rest, "typ")?)?,
            azp: text(&mut rest, "azp")?,
            sid: text(&mut rest, "sid")?,
            rest,
        })
    }
}

fn required<T>(claim: Option<T>) -> Result<T, Rejection> {
    claim.ok_or(Rejection::Claims)
}

fn text(claims: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Rejection> {
    match claims.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(Rejection::Claims),
    }
}

/// RFC 7519 allows fractions; Keycloak and Hallpass never write them, and rounding would move the
/// end of a token.
fn seconds(claims: &mut Map<String, Value>, name: &str) -> Result<Option<i64>, Rejection> {
    match claims.remove(name) {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(seconds) if (0..=LAST_SECOND).contains(&seconds) => Ok(Some(seconds)),
            _ => Err(Rejection::Claims),
        },
    }
}

fn audience(claims: &mut Map<String, Value>) -> Result<Vec<String>, Rejection> {
    let one = |value| match value {
        Value::String(text) => Ok(text),
        _ => Err(Rejection::Claims),
    };
    match claims.remove("aud") {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => values.into_iter().map(one).collect(),
        Some(value) => one(value).map(|text| vec![text]),
    }
}
