//! What makes a token good, and the one place that says so.

use jsonwebtoken::Algorithm;

use crate::compact::Parts;
use crate::{Claims, JwksCache, KeyError, UnverifiedHeader, VerificationKey};

/// Clocks differ a little; on `exp` there is none, so that an end is an end.
const LEEWAY_SECONDS: i64 = 30;
const DEFAULT_MAX_BYTES: usize = 16 * 1024;

/// What a token has to be.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(crate) issuer: String,
    pub(crate) typ: &'static str,
    pub(crate) audience: Option<String>,
    pub(crate) algorithms: &'static [Algorithm],
    pub(crate) max_bytes: usize,
}

impl Rules {
    /// Every asymmetric algorithm that a realm can sign with; the key decides which of them fits it.
    pub const ASYMMETRIC: &'static [Algorithm] = &[
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ];

    /// A token of this issuer whose payload says this `typ`: `Bearer` or `PAT`.
    #[must_use]
    pub fn new(issuer: impl Into<String>, typ: &'static str) -> Self {
        Self {
            issuer: issuer.into(),
            typ,
            audience: None,
            algorithms: Self::ASYMMETRIC,
            max_bytes: DEFAULT_MAX_BYTES,
        }
    }

    /// Its `aud` must contain this.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// It must be signed with one of these. Symmetric ones have no effect: no key allows them.
    #[must_use]
    pub fn algorithms(mut self, algorithms: &'static [Algorithm]) -> Self {
        self.algorithms = algorithms;
        self
    }

    /// It must not be longer than this; 16 KiB where nothing is said.
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }
}

/// Why a token is not good. Says nothing of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not three segments of strict base64url with JSON objects in them.
    #[error("the token is malformed")]
    Malformed,
    /// Longer than allowed.
    #[error("the token is too large")]
    TooLarge,
    /// Signed with what is not allowed, or what its key does not allow.
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// Under a key that the realm does not publish.
    #[error("the token's key is unknown")]
    UnknownKey,
    /// The signature does not hold.
    #[error("the token's signature does not hold")]
    Signature,
    /// Of another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// For somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Another kind of token.
    #[error("the token is of another type")]
    Type,
    /// Past its `exp`.
    #[error("the token has expired")]
    Expired,
    /// Before its `nbf`, or issued in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// A claim is missing or of the wrong type.
    #[error("the token's claims are not well-formed")]
    Claims,
}

impl Rejection {
    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Type => "type",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Claims => "claims",
        }
    }
}

/// Why a token could not be found good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// It is not good.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The realm's keys were never seen: nothing can be said.
    #[error("the realm's keys are not available")]
    KeysUnavailable,
}

/// Checks a token with the cached keys of its realm. `now` is in seconds since the Unix epoch.
pub async fn check(
    keys: &JwksCache,
    token: &str,
    rules: &Rules,
    now: i64,
) -> Result<Claims, CheckError> {
    let header = UnverifiedHeader::parse(token, rules)?;
    let key = keys.key(&header.kid).await.map_err(|error| match error {
        KeyError::UnknownKid => CheckError::Rejected(Rejection::UnknownKey),
        KeyError::Unavailable => CheckError::KeysUnavailable,
    })?;
    Ok(verify(token, &key, rules, now)?)
}

/// Checks a token with the key of its `kid`. `now` is in seconds since the Unix epoch.
pub fn verify(
    token: &str,
    key: &VerificationKey,
    rules: &Rules,
    now: i64,
) -> Result<Claims, Rejection> {
    let header = UnverifiedHeader::parse(token, rules)?;
    if !key.allows(header.alg) {
        return Err(Rejection::Algorithm);
    }
    let parts = Parts::split(token, rules.max_bytes)?;
    let holds = jsonwebtoken::crypto::verify(
        parts.signature,
        parts.signing_input.as_bytes(),
        key.decoding_key(),
        header.alg,
    );
    if !matches!(holds, Ok(true)) {
        return Err(Rejection::Signature);
    }
    let claims = Claims::parse(parts.claims()?)?;
    fits(&claims, rules, now)?;
    Ok(claims)
}

fn fits(claims: &Claims, rules: &Rules, now: i64) -> Result<(), Rejection> {
    if claims.iss != rules.issuer {
        return Err(Rejection::Issuer);
    }
    if claims.typ != rules.typ {
        return Err(Rejection::Type);
    }
    if claims.exp <= now {
        return Err(Rejection::Expired);
    }
    let latest = now + LEEWAY_SECONDS;
    if claims.iat > latest || claims.nbf.is_some_and(|nbf| nbf > latest) {
        return Err(Rejection::NotYetValid);
    }
    if rules.audience.as_ref().is_some_and(|audience| !claims.aud.contains(audience)) {
        return Err(Rejection::Audience);
    }
    Ok(())
}
