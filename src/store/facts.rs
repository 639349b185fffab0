//! What a store says of itself: the realm that it belongs to, and whether it may be used.

use super::{Store, StoreError, within};

impl Store {
    /// What the store says under this name.
    pub(super) async fn find_fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        within(async {
            let query = sqlx::query_scalar("SELECT value FROM facts WHERE name = $1");
            Ok(query.bind(name).fetch_optional(&self.pool).await?)
        })
        .await
    }

    /// Says it, whatever was said before.
    pub(super) async fn put_fact(&self, name: &str, value: &str) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "INSERT INTO facts (name, value) VALUES ($1, $2) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(name)
            .bind(value)
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }

    /// Says it no more.
    pub(super) async fn remove_fact(&self, name: &str) -> Result<(), StoreError> {
        within(async {
            let query = sqlx::query("DELETE FROM facts WHERE name = $1");
            query.bind(name).execute(&self.pool).await?;
            Ok(())
        })
        .await
    }
}
