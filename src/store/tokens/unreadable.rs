//! Owners whose tokens are suspended because Keycloak does not answer about them.

use crate::clock::Timestamp;
use crate::id::UserId;
use crate::store::{Store, StoreError, within};

/// More are not remembered by a process either.
const MOST: i64 = 10_000;

impl Store {
    /// The owner cannot be read, and their tokens were suspended for it.
    pub async fn note_unreadable(
        &self,
        owner: &UserId,
        since: Timestamp,
    ) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "INSERT INTO unreadable_owners (user_id, since) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING",
            )
            .bind(owner.as_str())
            .bind(since.millis())
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }

    /// The owner can be read again.
    pub async fn note_readable(&self, owner: &UserId) -> Result<(), StoreError> {
        within(async {
            sqlx::query("DELETE FROM unreadable_owners WHERE user_id = $1")
                .bind(owner.as_str())
                .execute(&self.pool)
                .await?;
            Ok(())
        })
        .await
    }

    /// Those who cannot be read, in the order of their ids.
    pub async fn list_unreadable_owners(&self) -> Result<Vec<UserId>, StoreError> {
        within(async {
            let ids: Vec<String> = sqlx::query_scalar(
                "SELECT user_id FROM unreadable_owners ORDER BY user_id LIMIT $1",
            )
            .bind(MOST)
            .fetch_all(&self.pool)
            .await?;
            Ok(ids.into_iter().map(UserId::new).collect())
        })
        .await
    }

    /// How many there are.
    pub async fn count_unreadable_owners(&self) -> Result<u64, StoreError> {
        within(async {
            let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM unreadable_owners")
                .fetch_one(&self.pool)
                .await?;
            Ok(count.unsigned_abs())
        })
        .await
    }
}
