//! Whether a token is good, as far as its record says it: small enough to be remembered for a million tokens.

use sqlx::Row as _;

use super::TokenRecord;
use super::status::ROTATED;
use crate::clock::Timestamp;
use crate::id::PatId;
use crate::store::{Store, StoreError, within};

/// What a record says of its token, but for its end in time, which the token itself says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is no such record.
    Unknown,
    /// It is revoked.
    Revoked,
    /// It was rotated and works no more: whoever uses it has it from the wrong hands.
    Spent,
    /// Its owner was disabled, and it was revoked for that.
    OwnerDisabled,
    /// It is refused for now.
    Suspended,
    /// It was rotated, and works until then.
    Grace(Timestamp),
    /// The same, and refused for now.
    SuspendedGrace(Timestamp),
    /// It is good.
    Good,
}

/// Why tokens of owners who were disabled ended, where they were not deleted.
const OWNER_DISABLED: &str = "owner_disabled";

impl Standing {
    /// The same at a moment: a grace that is over is over.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Grace(end) | Self::SuspendedGrace(end) if end <= now => Self::Spent,
            Self::Grace(_) => Self::Good,
            Self::SuspendedGrace(_) => Self::Suspended,
            other => other,
        }
    }

    fn new(
        revoked: Option<&str>,
        grace_until: Option<Timestamp>,
        rotated: bool,
        suspended: bool,
    ) -> Self {
        match (revoked, grace_until) {
            (Some(ROTATED), _) if rotated => Self::Spent,
            (Some(OWNER_DISABLED), _) => Self::OwnerDisabled,
            (Some(_), _) => Self::Revoked,
            (None, Some(end)) if suspended => Self::SuspendedGrace(end),
            (None, Some(end)) => Self::Grace(end),
            (None, None) if suspended => Self::Suspended,
            (None, None) => Self::Good,
        }
    }
}

impl TokenRecord {
    /// What the record says.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let revoked = self.revoked_at.map(|_| self.revoked_reason.as_deref().unwrap_or_default());
        let suspended = self.suspended_at.is_some();
        Standing::new(revoked, self.grace_until, self.rotated_to.is_some(), suspended)
    }
}

impl Store {
    pub(in crate::store) async fn read_standing(&self, id: PatId) -> Result<Standing, StoreError> {
        within(async {
            let row = sqlx::query(
                "SELECT revoked_at, revoked_reason, grace_until, rotated_to, suspended_at FROM tokens \
                 WHERE pat_id = $1",
            )
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?;
            let Some(row) = row else { return Ok(Standing::Unknown) };
            let is_set = |column: &str| -> Result<bool, StoreError> {
                Ok(row.try_get::<Option<i64>, _>(column)?.is_some())
            };
            let reason: Option<&str> = row.try_get("revoked_reason")?;
            let revoked = is_set("revoked_at")?.then(|| reason.unwrap_or_default());
            let grace: Option<i64> = row.try_get("grace_until")?;
            let rotated: Option<&str> = row.try_get("rotated_to")?;
            let grace = grace.map(Timestamp::from_millis);
            Ok(Standing::new(revoked, grace, rotated.is_some(), is_set("suspended_at")?))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_record_says_at_a_moment() {
        let at = Timestamp::from_seconds;
        let now = at(100);
        for (standing, expected) in [
            (Standing::new(None, None, false, false), Standing::Good),
            (Standing::new(None, None, false, true), Standing::Suspended),
            (Standing::new(Some(""), None, false, true), Standing::Revoked),
            (Standing::new(Some("revoked_by_owner"), None, true, false), Standing::Revoked),
            (Standing::new(Some("owner_disabled"), None, false, false), Standing::OwnerDisabled),
            (Standing::new(Some("rotated"), Some(at(1)), true, false), Standing::Spent),
            (Standing::new(None, Some(at(101)), true, false), Standing::Good),
            (Standing::new(None, Some(at(101)), true, true), Standing::Suspended),
            (Standing::new(None, Some(now), true, false), Standing::Spent),
            (Standing::new(None, Some(now), true, true), Standing::Spent),
            (Standing::new(Some("family_burned"), Some(at(101)), true, false), Standing::Revoked),
            (Standing::Unknown, Standing::Unknown),
        ] {
            assert_eq!(standing.at(now), expected, "{standing:?}");
        }
    }
}
