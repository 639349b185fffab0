//! Operations on a client: one at a time, begun before Keycloak is asked, ended with what came of it.
//!
//! A beginning and a claim number the record anew, and an end asks for that number: whoever was too slow, so that
//! another process took the operation over, ends nothing.

use sqlx::{Any, Transaction};

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
    /// Whether they may read its secret once.
    pub may_read_secret: bool,
}

impl Store {
    /// Begins an operation on the record as it was read; answers it as it is then. `None` when it changed meanwhile,
    /// or another operation is under way.
    pub async fn begin_client_operation(
        &self,
        record: &ClientRecord,
        operation: Operation,
        plan: Option<&str>,
        lease_until: Timestamp,
    ) -> Result<Option<ClientRecord>, StoreError> {
        within(async {
            let begun = sqlx::query(
                "UPDATE clients SET operation = $3, plan = $4, lease_until = $5, \
                 version = version + 1 WHERE record_id = $1 AND version = $2 \
                 AND operation IS NULL",
            )
            .bind(record.record_id.as_str())
            .bind(record.version)
            .bind(operation.name())
            .bind(plan)
            .bind(lease_until.millis())
            .execute(&self.pool)
            .await?;
            Ok((begun.rows_affected() == 1).then(|| ClientRecord {
                operation: Some(operation),
                plan: plan.map(str::to_owned),
                version: record.version + 1,
                ..record.clone()
            }))
        })
        .await
    }

    /// Claims an interrupted operation to finish it; answers the record as it is then. `None` when somebody else has,
    /// or it has ended.
    pub async fn claim_client_operation(
        &self,
        record: ClientRecord,
        lease_until: Timestamp,
    ) -> Result<Option<ClientRecord>, StoreError> {
        within(async {
            let claimed = sqlx::query(
                "UPDATE clients SET lease_until = $3, version = version + 1 WHERE record_id = $1 \
                 AND version = $2",
            )
            .bind(record.record_id.as_str())
            .bind(record.version)
            .bind(lease_until.millis())
            .execute(&self.pool)
            .await?;
            let version = record.version + 1;
            Ok((claimed.rows_affected() == 1).then_some(ClientRecord { version, ..record }))
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
    pub async fn release_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            end(&mut tx, record).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Ends a change: `written` is what Hallpass wrote, `seen` what Keycloak has. False when another process has taken
    /// it over.
    pub async fn finish_client_change(
        &self,
        record: &ClientRecord,
        written: &str,
        seen: &Seen,
        now: Timestamp,
        event: &Event,
    ) -> Result<bool, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            if !end(&mut tx, record).await? {
                return Ok(false);
            }
            sqlx::query("UPDATE clients SET written = $2 WHERE record_id = $1")
                .bind(record.record_id.as_str())
                .bind(written)
                .execute(&mut *tx)
                .await?;
            update_seen(&mut tx, &record.record_id, seen, now).await?;
            audit::append(&mut tx, event).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Ends a regeneration or, with `owner`, a transfer. False when another process has taken it over.
    pub async fn finish_client_secret(
        &self,
        record: &ClientRecord,
        secret_created_at: Timestamp,
        owner: Option<&NewOwner>,
        event: &Event,
    ) -> Result<bool, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            if !end(&mut tx, record).await? {
                return Ok(false);
            }
            sqlx::query("UPDATE clients SET secret_created_at = $2 WHERE record_id = $1")
                .bind(record.record_id.as_str())
                .bind(secret_created_at.millis())
                .execute(&mut *tx)
                .await?;
            if let Some(owner) = owner {
                hand_on(&mut tx, record, owner, event.at).await?;
            }
            audit::append(&mut tx, event).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Takes the one reading of the secret that its owner has, with the event that tells of it. False where it was taken
    /// already, or the client is another's by now, or is being changed.
    pub async fn take_unread_secret(
        &self,
        record: &ClientRecord,
        event: &Event,
    ) -> Result<bool, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            let taken = sqlx::query(
                "UPDATE clients SET secret_unread_at = NULL, version = version + 1 \
                 WHERE record_id = $1 AND owner_id = $2 AND secret_unread_at IS NOT NULL \
                 AND operation IS NULL",
            )
            .bind(record.record_id.as_str())
            .bind(record.owner_id.as_str())
            .execute(&mut *tx)
            .await?;
            if taken.rows_affected() != 1 {
                return Ok(false);
            }
            audit::append(&mut tx, event).await?;
            tx.commit().await?;
            Ok(true)
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

/// False when the operation is no longer this process's.
async fn end(
    tx: &mut Transaction<'static, Any>,
    record: &ClientRecord,
) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query(
        "UPDATE clients SET operation = NULL, plan = NULL, lease_until = NULL, \
         version = version + 1 WHERE record_id = $1 AND version = $2",
    )
    .bind(record.record_id.as_str())
    .bind(record.version)
    .execute(&mut **tx)
    .await?;
    Ok(ended.rows_affected() == 1)
}

async fn hand_on(
    tx: &mut Transaction<'static, Any>,
    record: &ClientRecord,
    owner: &NewOwner,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE clients SET owner_id = $2, owner_username = $3, search_text = $4, \
         orphaned_at = NULL, secret_unread_at = $5 WHERE record_id = $1",
    )
    .bind(record.record_id.as_str())
    .bind(owner.id.as_str())
    .bind(owner.username.as_str())
    .bind(owner.search_text.as_str())
    .bind(owner.may_read_secret.then_some(at.millis()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
