//! How far the realm's events were followed: what is resumed after a restart.

use super::{Store, StoreError, within};
use crate::clock::Timestamp;

impl Store {
    /// Up to when the events of this source are dealt with; `None`: none ever were.
    pub async fn find_followed(&self, source: &str) -> Result<Option<Timestamp>, StoreError> {
        within(async {
            let position: Option<i64> =
                sqlx::query_scalar("SELECT position FROM followed_events WHERE source = $1")
                    .bind(source)
                    .fetch_optional(&self.pool)
                    .await?;
            Ok(position.map(Timestamp::from_millis))
        })
        .await
    }

    /// Follows the events of this source from then on, whatever was noted.
    pub async fn begin_to_follow(
        &self,
        source: &str,
        position: Timestamp,
    ) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "INSERT INTO followed_events (source, position) VALUES ($1, $2) \
                 ON CONFLICT (source) DO UPDATE SET position = excluded.position",
            )
            .bind(source)
            .bind(position.millis())
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }

    /// Notes that the events of this source are dealt with up to then. It never goes back: another process may be
    /// ahead.
    pub async fn note_followed(&self, source: &str, position: Timestamp) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "INSERT INTO followed_events (source, position) VALUES ($1, $2) \
                 ON CONFLICT (source) DO UPDATE SET position = excluded.position \
                 WHERE followed_events.position < excluded.position",
            )
            .bind(source)
            .bind(position.millis())
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }
}
