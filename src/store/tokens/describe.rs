//! The description of a token: the one thing of its record that its owner changes.

use crate::audit::Event;
use crate::id::PatId;
use crate::store::{Store, StoreError, audit, within};

impl Store {
    /// Changes the description of a token of the event's owner; false: there is none.
    pub async fn describe_token(
        &self,
        pat_id: PatId,
        description: Option<&str>,
        event: &Event,
    ) -> Result<bool, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            let changed = sqlx::query(
                "UPDATE tokens SET description = $1 WHERE pat_id = $2 AND user_id = $3",
            )
            .bind(description)
            .bind(pat_id.to_string())
            .bind(event.owner_id.as_str())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if changed == 0 {
                return Ok(false);
            }
            audit::append(&mut tx, event).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }
}
