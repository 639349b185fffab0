//! Which process follows the realm, and how far it is: one row for all of them.

use sqlx::Row as _;

use super::{Store, StoreError, optional_time, within};
use crate::clock::Timestamp;

/// Who follows the realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follower {
    /// The process, by a name that it chose for its life; `None`: nobody.
    pub process: Option<String>,
    /// Grows with each sign of life.
    pub beat: i64,
}

/// How far the realm is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// When the newest reading of events began after which nothing was left to do.
    pub polled_at: Option<Timestamp>,
    /// When the newest sweep began that looked at every owner.
    pub swept_at: Option<Timestamp>,
    /// Owners whose tokens the brake holds.
    pub held_owners: u64,
}

impl Store {
    /// Whether other processes may serve from the same database.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.dialect, super::Dialect::Postgres)
    }

    /// Who follows the realm now.
    pub async fn find_follower(&self) -> Result<Follower, StoreError> {
        within(async {
            let row = sqlx::query("SELECT process, beat FROM follower WHERE id = 1")
                .fetch_one(&self.pool)
                .await?;
            Ok(Follower { process: row.try_get("process")?, beat: row.try_get("beat")? })
        })
        .await
    }

    /// Follows the realm from now on, or goes on to, unless somebody gave a sign of life after `seen`. Answers the new
    /// beat; `None`: it is another's turn.
    pub async fn follow_realm(
        &self,
        process: &str,
        seen: i64,
        polled_at: Option<Timestamp>,
    ) -> Result<Option<i64>, StoreError> {
        within(async {
            Ok(sqlx::query_scalar(
                "UPDATE follower SET process = $1, beat = beat + 1, polled_at = COALESCE($2, polled_at) \
                 WHERE id = 1 AND beat = $3 RETURNING beat",
            )
            .bind(process)
            .bind(polled_at.map(Timestamp::millis))
            .bind(seen)
            .fetch_optional(&self.pool)
            .await?)
        })
        .await
    }

    /// Lets another process follow the realm at once.
    pub async fn leave_realm(&self, process: &str) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "UPDATE follower SET process = NULL, beat = beat + 1 WHERE id = 1 AND process = $1",
            )
            .bind(process)
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }

    /// Notes a sweep that looked at every owner.
    pub async fn note_sweep(&self, began_at: Timestamp) -> Result<(), StoreError> {
        within(async {
            sqlx::query("UPDATE follower SET swept_at = $1 WHERE id = 1")
                .bind(began_at.millis())
                .execute(&self.pool)
                .await?;
            Ok(())
        })
        .await
    }

    /// How far the realm is followed, whoever does it.
    pub async fn find_progress(&self) -> Result<Progress, StoreError> {
        within(async {
            let row = sqlx::query(
                "SELECT polled_at, swept_at, (SELECT COUNT(*) FROM owners WHERE held_at IS NOT NULL) AS held \
                 FROM follower WHERE id = 1",
            )
            .fetch_one(&self.pool)
            .await?;
            Ok(Progress {
                polled_at: optional_time(&row, "polled_at")?,
                swept_at: optional_time(&row, "swept_at")?,
                held_owners: row.try_get::<i64, _>("held")?.unsigned_abs(),
            })
        })
        .await
    }
}
