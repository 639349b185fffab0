//! The ids that everything else speaks of.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use crate::clock::Timestamp;

/// A user's id in Keycloak: the `sub` of their tokens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct UserId(String);

impl UserId {
    /// Takes the id as Keycloak says it.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as Keycloak says it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

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
    fn ids_are_ordered_by_time() {
        let early = PatId::new(Timestamp::from_millis(1_700_000_000_001));
        let late = PatId::new(Timestamp::from_millis(1_700_000_000_002));
        assert!(early < late);
    }
}
