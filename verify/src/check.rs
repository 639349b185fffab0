//! The decision on one token.
//!
//! 1. Form and header, see [`UnverifiedToken`].
//! 2. Algorithm: named by the header, allowed by the rules and by the key (RFC 8725 §3.1).
//! 3. Signature.
//! 4. Claims: issuer, type, audience, times (RFC 7519 §4.1). A token that is bound to its sender (RFC 7800 §3) is no
//!    bearer token, and nobody here looks at the sender's proof: it is refused.

use jsonwebtoken::Algorithm;

use crate::cache::{JwksCache, KeyError};
use crate::claims::Claims;
use crate::compact::{DEFAULT_MAX_BYTES, PERMITTED, Segments, UnverifiedToken};
use crate::key_set::VerificationKey;

/// How far, in seconds, the clock of the issuer may be ahead of ours. `exp` has no such allowance.
const LEEWAY: i64 = 30;
/// The claim that binds a token to a key of its sender, whatever it says.
const CONFIRMATION: &str = "cnf";

/// What a token must satisfy beyond its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The claim `iss`, octet by octet.
    pub issuer: String,
    /// The claim `typ`: `Bearer` for access tokens of the realm, `PAT` for personal access tokens.
    pub typ: &'static str,
    /// Must be among `aud`; `None`: anybody's token is taken.
    pub audience: Option<String>,
    /// The algorithms to take, out of those that the key allows.
    pub algorithms: &'static [Algorithm],
    /// Longest token, in bytes.
    pub max_bytes: usize,
    /// Whether `exp`, `nbf` and `iat` must fit the time of the check.
    timely: bool,
}

impl Rules {
    /// Rules for tokens of kind `typ` from `issuer`: any audience, any algorithm of public-key
    /// type, at most [`DEFAULT_MAX_BYTES`].
    pub fn new(issuer: impl Into<String>, typ: &'static str) -> Self {
        Self {
            issuer: issuer.into(),
            typ,
            audience: None,
            algorithms: PERMITTED,
            max_bytes: DEFAULT_MAX_BYTES,
            timely: true,
        }
    }

    /// Requires `audience` among the token's `aud`.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Takes only these algorithms. One that the key does not allow stays refused.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: &'static [Algorithm]) -> Self {
        self.algorithms = algorithms;
        self
    }

    /// Takes tokens that have ended, or have not begun: to say what they were, never to let anybody in.
    #[must_use]
    pub fn at_any_time(mut self) -> Self {
        self.timely = false;
        self
    }

    /// Takes tokens of at most `max_bytes` bytes.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }
}

/// Why a token is refused. Nothing of the token is in it, so that it may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Not a token of the compact form, or a segment, the header or the JSON in it is not well
    /// formed.
    #[error("the token is malformed")]
    Malformed,
    /// Longer than the rules allow.
    #[error("the token is too large")]
    TooLarge,
    /// An algorithm that is not of public-key type, or that the rules or the key do not allow.
    #[error("the signature algorithm is not allowed")]
    Algorithm,
    /// The header names a key that the realm does not publish.
    #[error("the key is unknown")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the signature does not hold")]
    Signature,
    /// From another issuer.
    #[error("the issuer is another")]
    Issuer,
    /// For somebody else.
    #[error("the audience is another")]
    Audience,
    /// Another kind of token.
    #[error("the token is of another type")]
    Type,
    /// Bound to its sender (`cnf`, RFC 7800): a bearer of it proves nothing.
    #[error("the token is bound to its sender")]
    SenderConstrained,
    /// `exp` has come.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A claim is missing, or of the wrong form.
    #[error("a claim is missing or malformed")]
    Claims,
}

impl Rejection {
    /// A stable word for logs, metrics and answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Type => "type",
            Self::SenderConstrained => "sender_constrained",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Claims => "claims",
        }
    }
}

/// Why a check against the realm's keys gave no claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The token is refused.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The token's key is not at hand and the realm does not answer: nobody can tell now.
    #[error("the realm's keys are unavailable")]
    KeysUnavailable,
}

/// Checks `token` with a key that is at hand. `now` is in Unix seconds.
pub fn verify(
    token: &str,
    key: &VerificationKey,
    rules: &Rules,
    now: i64,
) -> Result<Claims, Rejection> {
    verify_parsed(&UnverifiedToken::parse(token, rules.max_bytes)?, key, rules, now)
}

/// The same for a token that was taken apart already, whatever its length.
pub fn verify_parsed(
    token: &UnverifiedToken<'_>,
    key: &VerificationKey,
    rules: &Rules,
    now: i64,
) -> Result<Claims, Rejection> {
    decide(token, &permit(token, rules)?, key, rules, now)
}

/// Checks `token` with the key of the realm that it names. `now` is in Unix seconds.
pub async fn check(
    keys: &JwksCache,
    token: &str,
    rules: &Rules,
    now: i64,
) -> Result<Claims, CheckError> {
    check_parsed(keys, &UnverifiedToken::parse(token, rules.max_bytes)?, rules, now).await
}

/// The same for a token that was taken apart already, whatever its length.
pub async fn check_parsed(
    keys: &JwksCache,
    token: &UnverifiedToken<'_>,
    rules: &Rules,
    now: i64,
) -> Result<Claims, CheckError> {
    // Before the key: a hopeless token causes no fetch.
    let segments = permit(token, rules)?;
    let key = keys.key(&token.header.kid).await.map_err(|error| match error {
        KeyError::UnknownKid => Rejection::UnknownKey.into(),
        KeyError::Unavailable => CheckError::KeysUnavailable,
    })?;
    Ok(decide(token, &segments, &key, rules, now)?)
}

/// Applies the rules for which no key is needed.
fn permit(token: &UnverifiedToken<'_>, rules: &Rules) -> Result<Segments, Rejection> {
    if !rules.algorithms.contains(&token.header.alg) {
        return Err(Rejection::Algorithm);
    }
    token.segments()
}

fn decide(
    token: &UnverifiedToken<'_>,
    segments: &Segments,
    key: &VerificationKey,
    rules: &Rules,
    now: i64,
) -> Result<Claims, Rejection> {
    if token.header.kid != key.kid() {
        return Err(Rejection::UnknownKey);
    }
    if !key.algorithms().contains(&token.header.alg) {
        return Err(Rejection::Algorithm);
    }
    if !key.signed(token, &segments.signature) {
        return Err(Rejection::Signature);
    }
    let claims = Claims::from_json(&segments.payload)?;
    apply(&claims, rules, now)?;
    Ok(claims)
}

fn apply(claims: &Claims, rules: &Rules, now: i64) -> Result<(), Rejection> {
    let latest_start = now.saturating_add(LEEWAY);
    if claims.iss != rules.issuer {
        Err(Rejection::Issuer)
    } else if claims.typ != rules.typ {
        Err(Rejection::Type)
    } else if claims.rest.contains_key(CONFIRMATION) {
        Err(Rejection::SenderConstrained)
    } else if rules.audience.as_ref().is_some_and(|audience| !claims.aud.contains(audience)) {
        Err(Rejection::Audience)
    } else if !rules.timely {
        Ok(())
    } else if claims.exp <= now {
        Err(Rejection::Expired)
    } else if claims.iat > latest_start || claims.nbf.is_some_and(|nbf| nbf > latest_start) {
        Err(Rejection::NotYetValid)
    } else {
        Ok(())
    }
}
