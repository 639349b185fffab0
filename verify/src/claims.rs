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
        let names = ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "typ", "azp", "sid"];
        let (known, rest) = json::parse_members(json, names).ok_or(Rejection::Malformed)?;
        let [iss, sub, aud, exp, iat, nbf, jti, typ, azp, sid] = known;
        Ok(Self {
            iss: required(text(iss)?)?,
            sub: required(text(sub)?)?,
            aud: audience(aud)?,
            exp: required(seconds(exp)?)?,
            iat: required(seconds(iat)?)?,
            nbf: seconds(nbf)?,
            jti: required(text(jti)?)?,
            typ: required(text(typ)?)?,
            azp: text(azp)?,
            sid: text(sid)?,
            rest,
        })
    }
}

fn required<T>(claim: Option<T>) -> Result<T, Rejection> {
    claim.ok_or(Rejection::Claims)
}

fn text(claim: Option<Value>) -> Result<Option<String>, Rejection> {
    match claim {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(Rejection::Claims),
    }
}

/// RFC 7519 allows fractions; Keycloak and Hallpass never write them, and rounding would move the
/// end of a token.
fn seconds(claim: Option<Value>) -> Result<Option<i64>, Rejection> {
    match claim {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(seconds) if (0..=LAST_SECOND).contains(&seconds) => Ok(Some(seconds)),
            _ => Err(Rejection::Claims),
        },
    }
}

fn audience(claim: Option<Value>) -> Result<Vec<String>, Rejection> {
    let one = |value| match value {
        Value::String(text) => Ok(text),
        _ => Err(Rejection::Claims),
    };
    match claim {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) => values.into_iter().map(one).collect(),
        Some(value) => one(value).map(|text| vec![text]),
    }
}
