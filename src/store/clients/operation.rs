//! Operations on a client: one at a time, begun before Keycloak is asked, ended with what came of it.

use super::seen::update_seen;
use super::{ClientRecord, Operation, Seen};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::store::{Dialect, Store, StoreError, audit, within};

/// To whom a client is handed on.
#[derive(Clone, Debug)]
pub struct NewOwner {
    /// Their id.
    pub id: UserId,
    /// Their name at login.
    pub username: String,
    /// What a search looks at from then on: the owner's name is part of it.
    pub search_text: String,
}

impl Store {
    /// Begins an operation on the record as it was read. False when it changed meanwhile, or another operation is
    /// under way.
    pub async fn begin_client_operation(
        &self,
        record: &ClientRecord,
        operation: Operation,
        plan: Option<&str>,
        lease_until: Timestamp,
    ) -> Result<bool, StoreError> {
        within(async {
            let begun = sqlx::query(
            "UPDATE clients SET operation = $3, plan = $4, lease_until = $5, version = version + 1 \
             WHERE record_id = $1 AND version = $2 AND operation IS NULL",
        )
        .bind(record.record_id.as_str())
        .bind(record.version)
        .bind(operation.name())
        .bind(plan)
        .bind(lease_until.millis())
        .execute(&self.pool)
        .await?;
            Ok(begun.rows_affected() == 1)
        })
        .await
    }

    /// Claims an interrupted operation to finish it. False when somebody else has, or it has ended.
    pub async fn claim_client_operation(
        &self,
        record: &ClientRecord,
        lease_until: Timestamp,
    ) -> Result<bool, StoreError> {
        within(async {
        let claimed = sqlx::query(
            "UPDATE clients SET lease_until = $3, version = version + 1 WHERE record_id = $1 AND version = $2",
        )
        .bind(record.record_id.as_str())
        .bind(record.version)
        .bind(lease_until.millis())
        .execute(&self.pool)
        .await?;
        Ok(claimed.rows_affected() == 1)
        })
        .await
    }

    /// After a start: where no other process can be at work on this store, whatever is under way was interrupted.
    pub async fn expire_client_leases(&self) -> Result<(), StoreError> {
        within(async {
            if self.dialect == Dialect::Sqlite {
                sqlx::query("UPDATE clients SET lease_until = 0 WHERE operation IS NOT NULL")
                    .execute(&self.pool)
                    .await?;
            }
            Ok(())
        })
        .await
    }

    /// Ends an operation that changed nothing.
    pub async fn release_client(&self, record_id: &str) -> Result<(), StoreError> {
        within(async {
        sqlx::query(
            "UPDATE clients SET operation = NULL, plan = NULL, lease_until = NULL, version = version + 1 \
             WHERE record_id = $1",
        )
        .bind(record_id)
        .execute(&self.pool)
        .await?;
        Ok(())
        })
        .await
    }

    /// Ends a change: `written` is what Hallpass wrote, `seen` what Keycloak has. `None`: the name is taken.
    pub async fn finish_client_change(
        &self,
        record_id: &str,
        written: &str,
        seen: &Seen,
        now: Timestamp,
        event: &Event,
    ) -> Result<(), StoreError> {
        within(async {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE clients SET operation = NULL, plan = NULL, lease_until = NULL, version = version + 1, \
             written = $2 WHERE record_id = $1",
        )
        .bind(record_id)
        .bind(written)
        .execute(&mut *tx)
        .await?;
        update_seen(&mut tx, record_id, seen, now).await?;
        audit::append(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
        })
        .await
    }

    /// Ends a regeneration or, with `owner`, a transfer.
    pub async fn finish_client_secret(
        &self,
        record_id: &str,
        secret_created_at: Timestamp,
        owner: Option<&NewOwner>,
        event: &Event,
    ) -> Result<(), StoreError> {
        within(async {
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE clients SET operation = NULL, plan = NULL, lease_until = NULL, version = version + 1, \
             secret_created_at = $2 WHERE record_id = $1",
        )
        .bind(record_id)
        .bind(secret_created_at.millis())
        .execute(&mut *tx)
        .await?;
        if let Some(owner) = owner {
            sqlx::query(
                "UPDATE clients SET owner_id = $2, owner_username = $3, search_text = $4, orphaned_at = NULL \
                 WHERE record_id = $1",
            )
            .bind(record_id)
            .bind(owner.id.as_str())
            .bind(owner.username.as_str())
            .bind(owner.search_text.as_str())
            .execute(&mut *tx)
            .await?;
        }
        audit::append(&mut tx, event).await?;
        tx.commit().await?;
        Ok(())
        })
        .await
    }

    /// Appends an event that changes no record: somebody read a secret.
    pub async fn append_event(&self, event: &Event) -> Result<(), StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            audit::append(&mut tx, event).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}
