//! The ids that everything else speaks of.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use uuid::Uuid;

use crate::clock::Timestamp;

/// An id for a new object in Keycloak: a random UUID that nobody can guess (RFC 9562 §5.4).
pub fn new_keycloak_id() -> Result<String, Unspecified> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// A user's id in Keycloak: the `sub` of their tokens.
// Shared, since it goes along with each request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Takes the id as Keycloak says it.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id as Keycloak says it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether Keycloak could have a user of this id: one that is in a request may be anything.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        // Also percent-encoded, dots alone are another path.
        let is_path = self.0.chars().all(|c| c == '.');
        !is_path && self.0.chars().count() <= MAX_USER_ID && !self.0.contains(char::is_control)
    }
}

/// The length of Keycloak's column of users' ids, in characters.
const MAX_USER_ID: usize = 255;

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a personal access token: the `jti` of its JWT, a hyphenated lower-case `UUIDv7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct PatId(Uuid);

impl PatId {
    /// A new id, ordered by time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(uuid_at(now))
    }

    /// Reads the one form that [`fmt::Display`] writes; everything else is no id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(text).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl PatId {
    /// The id as a number: what a table of many of them is keyed by.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0.as_u128()
    }
}

impl From<Uuid> for PatId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for PatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An account: the people who share API clients. 1 to 64 characters of `A-Za-z0-9._-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct AccountId(String);

impl AccountId {
    /// Reads an account; `None` for what cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_word(text).then(|| Self(text.to_owned()))
    }

    /// The account as it stands in claims.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An API client's `client_id`: its account, an underscore, and 1 to 64 characters of `A-Za-z0-9._-`.
///
/// The prefix is for people. Who owns a client is in its record: `acme_eu_x` may belong to `acme` or `acme_eu`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// The id of this account that ends so; `None` where the end is not well-formed.
    #[must_use]
    pub fn of(account: &AccountId, end: &str) -> Option<Self> {
        is_word(end).then(|| Self(format!("{account}_{end}")))
    }

    /// Reads an id that a caller of this account chose.
    #[must_use]
    pub fn parse(account: &AccountId, text: &str) -> Option<Self> {
        let end = text.strip_prefix(account.as_str())?.strip_prefix('_')?;
        Self::of(account, end)
    }

    /// A new id of this account that nobody can guess. Fails only where the system has no randomness.
    pub fn generate(account: &AccountId) -> Result<Self, Unspecified> {
        let mut end = [0; 16];
        SystemRandom::new().fill(&mut end)?;
        Ok(Self(format!("{account}_{}", URL_SAFE_NO_PAD.encode(end))))
    }

    /// Takes an id that was parsed before it was stored.
    #[must_use]
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The `client_id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_word(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&text.len()) && text.chars().all(allowed)
}

/// The id of a request: what its answer, its log line and the audit log say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(Uuid);

impl RequestId {
    /// A new id, ordered by time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(uuid_at(now))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl From<RequestId> for HeaderValue {
    fn from(id: RequestId) -> Self {
        let text = &mut Uuid::encode_buffer();
        // Visible ASCII.
        Self::from_str(id.0.hyphenated().encode_lower(text)).unwrap_or(Self::from_static(""))
    }
}

/// A `UUIDv7` that says this moment.
#[must_use]
pub fn uuid_at(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    let nanos = u32::try_from(millis % 1000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, millis / 1000, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_form() {
        let id = PatId::new(Timestamp::from_seconds(1_700_000_000));
        let text = id.to_string();
        assert_eq!(PatId::parse(&text), Some(id));
        for other in
            [text.to_uppercase(), text.replace('-', ""), format!("{{{text}}}"), String::new()]
        {
            assert_eq!(PatId::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn a_client_id_has_its_callers_account_as_prefix() {
        let acme = AccountId::parse("acme").unwrap();
        let longest = format!("acme_{}", "x".repeat(64));
        for good in ["acme_a", "acme_eu_b", "acme__", "acme_A.b-c", &longest] {
            assert_eq!(ClientId::parse(&acme, good).unwrap().as_str(), good);
        }
        let too_long = format!("{longest}x");
        for bad in
            ["", "acme", "acme_", "acmex_a", "Acme_a", "other_a", "acme_ä", "acme_a b", &too_long]
        {
            assert_eq!(ClientId::parse(&acme, bad), None, "{bad}");
        }
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert_eq!(AccountId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_are_ordered_by_time() {
        let early = PatId::new(Timestamp::from_millis(1_700_000_000_001));
        let late = PatId::new(Timestamp::from_millis(1_700_000_000_002));
        assert!(early < late);
    }
}
