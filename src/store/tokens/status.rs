//! What a record says of its token at one moment: a pure rule, the same wherever it is asked.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::TokenRecord;
use crate::clock::Timestamp;
use crate::credential::EndReason;

/// A token this close to its end is said to expire soon.
pub(super) const SOON: Duration = Duration::from_hours(7 * 24);

/// The status of a personal access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenStatus {
    /// Valid, with more than seven days left.
    Active,
    /// Valid, with at most seven days left.
    ExpiringSoon,
    /// Past its end.
    Expired,
    /// Revoked, expired or not.
    Revoked,
    /// Refused for now: whether its owner is gone is not certain yet.
    Suspended,
}

impl TokenStatus {
    /// All of them, in the order of their words.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Expired, Self::ExpiringSoon, Self::Revoked, Self::Suspended];

    /// The word in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ExpiringSoon => "expiring_soon",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
        }
    }

    /// Whether the token is good.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Active | Self::ExpiringSoon)
    }
}

/// What [`TokenRecord::status`] says, in SQL: `:now` is the moment, `:soon` the end of what is soon.
pub(super) const fn condition(status: TokenStatus) -> &'static str {
    macro_rules! not_revoked {
        ($rest:literal) => {
            concat!(
                "revoked_at IS NULL AND (grace_until IS NULL OR grace_until > :now) AND ",
                $rest
            )
        };
    }
    match status {
        TokenStatus::Revoked => "(revoked_at IS NOT NULL OR grace_until <= :now)",
        TokenStatus::Expired => not_revoked!("expires_at <= :now"),
        TokenStatus::Suspended => {
            not_revoked!("expires_at > :now AND suspended_at IS NOT NULL")
        }
        TokenStatus::ExpiringSoon => {
            not_revoked!("expires_at > :now AND suspended_at IS NULL AND expires_at <= :soon")
        }
        TokenStatus::Active => {
            not_revoked!("expires_at > :now AND suspended_at IS NULL AND expires_at > :soon")
        }
    }
}

impl TokenRecord {
    /// Since when and why the token is revoked at `now`; one that was rotated is when its grace is over.
    #[must_use]
    pub fn revocation(&self, now: Timestamp) -> Option<(Timestamp, EndReason)> {
        match (self.revoked_at, self.grace_until) {
            (Some(at), _) => Some((at, self.revoked_reason.unwrap_or(EndReason::Unknown))),
            (None, Some(end)) if end <= now => Some((end, EndReason::Rotated)),
            (None, _) => None,
        }
    }

    /// Whether its rotation ended it by `now`. One that somebody revoked in its grace is known to be in wrong hands.
    #[must_use]
    pub fn is_spent(&self, now: Timestamp) -> bool {
        self.rotated_to.is_some()
            && self.revocation(now).is_some_and(|(_, reason)| reason == EndReason::Rotated)
    }

    /// The token's status at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> TokenStatus {
        if self.revocation(now).is_some() {
            TokenStatus::Revoked
        } else if self.expires_at <= now {
            TokenStatus::Expired
        } else if self.suspended_at.is_some() {
            TokenStatus::Suspended
        } else if self.expires_at <= now.plus(SOON) {
            TokenStatus::ExpiringSoon
        } else {
            TokenStatus::Active
        }
    }

    /// Whether the token was restricted below its owner's rights.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        [&self.scopes, &self.roles, &self.audience, &self.allowed_cidrs]
            .iter()
            .any(|list| list.is_some())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::Chain;
    use super::*;
    use crate::id::{PatId, UserId};
    use crate::names::Names;

    const DAY: i64 = 24 * 3600;

    fn record(expires_at: i64) -> TokenRecord {
        TokenRecord {
            pat_id: PatId::from(Uuid::from_u128(1)),
            user_id: UserId::new("u"),
            names: Names { username: "u".to_owned(), email: None },
            name: "n".to_owned(),
            description: None,
            created_at: Timestamp::from_seconds(0),
            expires_at: Timestamp::from_seconds(expires_at),
            revoked_at: None,
            revoked_reason: None,
            revoked_note: None,
            suspended_at: None,
            suspended_reason: None,
            last_used_at: None,
            last_used_ip: None,
            scopes: None,
            roles: None,
            audience: None,
            allowed_cidrs: None,
            rotated_from: None,
            rotated_to: None,
            grace_until: None,
            rotated_by_person: false,
            chain: Chain {
                family_id: PatId::from(Uuid::from_u128(1)),
                began_at: Timestamp::from_seconds(0),
            },
        }
    }

    #[test]
    fn statuses() {
        use TokenStatus::{Active, Expired, ExpiringSoon, Revoked, Suspended};
        let now = Timestamp::from_seconds(100 * DAY);
        let some = Some(Timestamp::from_seconds(1));
        let table = [
            (record(107 * DAY + 1), Active),
            (record(107 * DAY), ExpiringSoon),
            (record(100 * DAY + 1), ExpiringSoon),
            (record(100 * DAY), Expired),
            (TokenRecord { revoked_at: some, ..record(108 * DAY) }, Revoked),
            (TokenRecord { revoked_at: some, ..record(99 * DAY) }, Revoked),
            (TokenRecord { suspended_at: some, ..record(108 * DAY) }, Suspended),
            (TokenRecord { suspended_at: some, ..record(99 * DAY) }, Expired),
            (TokenRecord { grace_until: Some(now), ..record(108 * DAY) }, Revoked),
        ];
        for (record, status) in table {
            assert_eq!(record.status(now), status, "{record:?}");
            assert_eq!(status.is_valid(), matches!(status, Active | ExpiringSoon));
        }
    }
}
