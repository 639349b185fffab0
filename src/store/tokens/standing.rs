//! Whether a token is good, as far as its record says it: small enough to be remembered for a million tokens.

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::lifecycle::owners_after;
use super::names::names;
use super::{TokenRecord, end_reason, pat_id};
use crate::clock::Timestamp;
use crate::credential::EndReason;
use crate::id::PatId;
use crate::store::statuses::{OwnerSaid, Plain, Status};
use crate::store::{Dialect, Store, StoreError, optional_time, within};

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
    Grace(Until),
    /// The same, and refused for now.
    SuspendedGrace(Until),
    /// It is good.
    Good,
}

/// The end of a grace; unaligned, so that a standing is nine bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed)]
pub struct Until(Timestamp);

impl Until {
    fn is_over(self, now: Timestamp) -> bool {
        let Self(end) = self;
        end <= now
    }
}

impl Standing {
    /// The same at a moment: a grace that is over is over.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Grace(end) | Self::SuspendedGrace(end) if end.is_over(now) => Self::Spent,
            Self::Grace(_) => Self::Good,
            Self::SuspendedGrace(_) => Self::Suspended,
            other => other,
        }
    }

    fn new(
        revoked: Option<EndReason>,
        grace_until: Option<Timestamp>,
        rotated: bool,
        suspended: bool,
    ) -> Self {
        match (revoked, grace_until) {
            (Some(EndReason::Rotated), _) if rotated => Self::Spent,
            (Some(EndReason::OwnerDisabled), _) => Self::OwnerDisabled,
            (Some(_), _) => Self::Revoked,
            (None, Some(end)) if suspended => Self::SuspendedGrace(Until(end)),
            (None, Some(end)) => Self::Grace(Until(end)),
            (None, None) if suspended => Self::Suspended,
            (None, None) => Self::Good,
        }
    }
}

impl TokenRecord {
    /// What the record says.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let revoked = self.revoked_at.map(|_| self.revoked_reason.unwrap_or(EndReason::Unknown));
        let suspended = self.suspended_at.is_some();
        Standing::new(revoked, self.grace_until, self.rotated_to.is_some(), suspended)
    }

    pub(in crate::store) fn to_remember(&self, owner_roles: &str) -> Status {
        let said = OwnerSaid::by_record(self.user_id.as_str(), owner_roles, &self.names);
        let said = said.filter(|_| !self.is_narrowed());
        Status::new(self.standing(), said.and_then(|said| Plain::new(said, self.expires_at)))
    }
}

/// What a status is read from.
const STATUS: &str = "pat_id, user_id, username, email, email_verified, owner_roles, expires_at, revoked_at, revoked_reason, grace_until, rotated_to, suspended_at, \
     CAST(CASE WHEN scopes IS NULL AND roles IS NULL AND audience IS NULL AND allowed_cidrs IS NULL \
     THEN 1 ELSE 0 END AS BIGINT) AS plain";

/// The plus is for SQLite, as in [`owners_after`].
fn live_before() -> String {
    format!(
        "SELECT {STATUS} FROM tokens WHERE pat_id < $1 AND +revoked_at IS NULL AND expires_at > $2 \
         ORDER BY pat_id DESC LIMIT $3"
    )
}

impl Store {
    pub(in crate::store) async fn read_status(&self, id: PatId) -> Result<Status, StoreError> {
        within(async {
            let sql = format!("SELECT {STATUS} FROM tokens WHERE pat_id = $1");
            let row = sqlx::query(AssertSqlSafe(sql))
                .bind(id.to_string())
                .fetch_optional(&self.pool)
                .await?;
            let unknown = Status::Other(Standing::Unknown);
            row.as_ref().map_or(Ok(unknown), status)
        })
        .await
    }

    /// Tokens that are live or suspended, from the newest to the oldest, those before this one.
    pub(in crate::store) async fn list_statuses_before(
        &self,
        before: Option<PatId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(PatId, Status)>, StoreError> {
        within(async {
            let rows = sqlx::query(AssertSqlSafe(live_before()))
                // No id begins with a letter behind f.
                .bind(before.map_or_else(|| "g".to_owned(), |id| id.to_string()))
                .bind(now.millis())
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
                .await?;
            rows.iter().map(|row| Ok((pat_id(row.try_get("pat_id")?)?, status(row)?))).collect()
        })
        .await
    }

    /// How SQLite would walk over all live tokens and over all their owners: the plans of its statements, a line each.
    pub async fn explain_walks(&self) -> Result<Vec<String>, StoreError> {
        let owners = [false, true].map(|with_role| owners_after(with_role, Dialect::Sqlite));
        let mut lines = Vec::new();
        for statement in owners.into_iter().chain([live_before()]) {
            let sql = format!("EXPLAIN QUERY PLAN {statement}");
            for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await? {
                lines.push(row.try_get(3)?);
            }
        }
        Ok(lines)
    }
}

fn status(row: &AnyRow) -> Result<Status, StoreError> {
    let reason = end_reason(row, "revoked_reason")?.unwrap_or(EndReason::Unknown);
    let revoked = optional_time(row, "revoked_at")?.map(|_| reason);
    let rotated: Option<&str> = row.try_get("rotated_to")?;
    let suspended = optional_time(row, "suspended_at")?.is_some();
    let is_plain = row.try_get::<i64, _>("plain")? == 1;
    let expires_at = Timestamp::from_millis(row.try_get("expires_at")?);
    let names = names(row)?;
    let said = OwnerSaid::by_record(row.try_get("user_id")?, row.try_get("owner_roles")?, &names);
    let said = said.filter(|_| is_plain);
    let grace_until = optional_time(row, "grace_until")?;
    let standing = Standing::new(revoked, grace_until, rotated.is_some(), suspended);
    Ok(Status::new(standing, said.and_then(|said| Plain::new(said, expires_at))))
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
            (Standing::new(Some(EndReason::Unknown), None, false, true), Standing::Revoked),
            (Standing::new(Some(EndReason::ByOwner), None, true, false), Standing::Revoked),
            (
                Standing::new(Some(EndReason::OwnerDisabled), None, false, false),
                Standing::OwnerDisabled,
            ),
            (Standing::new(Some(EndReason::Rotated), Some(at(1)), true, false), Standing::Spent),
            (Standing::new(None, Some(at(101)), true, false), Standing::Good),
            (Standing::new(None, Some(at(101)), true, true), Standing::Suspended),
            (Standing::new(None, Some(now), true, false), Standing::Spent),
            (Standing::new(None, Some(now), true, true), Standing::Spent),
            (
                Standing::new(Some(EndReason::FamilyBurned), Some(at(101)), true, false),
                Standing::Revoked,
            ),
            (Standing::Unknown, Standing::Unknown),
        ] {
            assert_eq!(standing.at(now), expected, "{standing:?}");
        }
    }
}
