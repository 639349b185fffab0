//! Records that come and go: reserved before Keycloak makes the client, removed after it is gone.

use sqlx::{Any, Transaction};

use super::{ClientRecord, Seen, StoredSpec, deleted};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::id::{AccountId, ClientId, UserId};
use crate::store::{Store, StoreError, accounts, audit, within};

/// What is recorded before a client is made in Keycloak.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// The record's own id.
    pub record_id: String,
    /// The `client_id`.
    pub client_id: ClientId,
    /// Whose quota it counts against.
    pub account_id: AccountId,
    /// Who made it.
    pub owner_id: UserId,
    /// Their name at login.
    pub owner_username: String,
    /// Its fields.
    pub spec: StoredSpec,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Until when the reconciler leaves it alone.
    pub lease_until: Timestamp,
}

/// What became of a new record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientReserved {
    /// It is committed, and counts.
    Reserved,
    /// The account has as many clients as it may have.
    QuotaReached {
        /// How many that are.
        limit: u32,
    },
    /// There is a record of this id.
    IdTaken,
    /// Another client of the account has the display name.
    NameTaken,
}

impl Store {
    /// Records a client that is to be made, within the account's quota (`default_quota` where none was set).
    pub async fn reserve_client(
        &self,
        client: &NewClient,
        default_quota: u32,
    ) -> Result<ClientReserved, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            if !accounts::count_one_more(&mut tx, &client.account_id, default_quota).await? {
                drop(tx);
                let limit = self.get_quota(&client.account_id, default_quota).await?.limit;
                return Ok(ClientReserved::QuotaReached { limit });
            }
            if !insert(&mut tx, client).await? {
                drop(tx);
                let taken = self.find_client(&client.client_id).await?.is_some();
                return Ok(if taken { ClientReserved::IdTaken } else { ClientReserved::NameTaken });
            }
            tx.commit().await?;
            Ok(ClientReserved::Reserved)
        })
        .await
    }

    /// The client was made: from now on it is there. False when another process has taken the operation over.
    pub async fn complete_client(
        &self,
        record: &ClientRecord,
        keycloak_id: &str,
        seen: &Seen,
        event: &Event,
    ) -> Result<bool, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            let completed = sqlx::query(
                "UPDATE clients SET keycloak_id = $2, spec = $3, secret_created_at = $4, \
                 operation = NULL, lease_until = NULL, version = version + 1 \
                 WHERE record_id = $1 AND version = $5 AND operation = 'create'",
            )
            .bind(record.record_id.as_str())
            .bind(keycloak_id)
            .bind(seen.spec.json.as_str())
            .bind(seen.secret_created_at.map(Timestamp::millis))
            .bind(record.version)
            .execute(&mut *tx)
            .await?
            .rows_affected()
                == 1;
            if completed {
                audit::append(&mut tx, event).await?;
                tx.commit().await?;
            }
            Ok(completed)
        })
        .await
    }

    /// Takes back a record whose client was not made, and what it counted. No event: nothing was there.
    pub async fn abandon_client(&self, record: &ClientRecord) -> Result<(), StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            remove(&mut tx, record).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// The client is gone in Keycloak: its record goes too, and no longer counts; where owners of
    /// tokens had roles of it, that is noted. False when it was gone already, or another process has taken the operation
    /// over.
    pub async fn finish_client_deletion(
        &self,
        record: &ClientRecord,
        event: &Event,
    ) -> Result<bool, StoreError> {
        let client_id = record.client_id.as_str();
        let holders = self.list_token_owners_after(None, Some(client_id), event.at, 1).await?;
        within(async {
            let mut tx = self.begin().await?;
            let removed = remove(&mut tx, record).await?;
            if removed {
                if !holders.is_empty() {
                    deleted::note(&mut tx, client_id, event.at).await?;
                }
                audit::append(&mut tx, event).await?;
            }
            tx.commit().await?;
            Ok(removed)
        })
        .await
    }
}

/// False when the id or the name is taken.
async fn insert(
    tx: &mut Transaction<'static, Any>,
    client: &NewClient,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(
        "INSERT INTO clients (record_id, client_id, account_id, owner_id, owner_username, spec, \
         written, display_name, search_text, unique_name, created_at, operation, lease_until, \
         version) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, 'create', $11, 1) \
         ON CONFLICT DO NOTHING",
    )
    .bind(client.record_id.as_str())
    .bind(client.client_id.as_str())
    .bind(client.account_id.as_str())
    .bind(client.owner_id.as_str())
    .bind(client.owner_username.as_str())
    .bind(client.spec.json.as_str())
    .bind(client.spec.display_name.as_str())
    .bind(client.spec.search_text.as_str())
    .bind(client.spec.unique_name.as_deref())
    .bind(client.created_at.millis())
    .bind(client.lease_until.millis())
    .execute(&mut **tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

async fn remove(
    tx: &mut Transaction<'static, Any>,
    record: &ClientRecord,
) -> Result<bool, sqlx::Error> {
    let account = record.account_id.as_str();
    accounts::lock(tx, account).await?;
    let removed = sqlx::query("DELETE FROM clients WHERE record_id = $1 AND version = $2")
        .bind(record.record_id.as_str())
        .bind(record.version)
        .execute(&mut **tx)
        .await?
        .rows_affected()
        == 1;
    if removed {
        accounts::count_one_less(tx, account).await?;
    }
    Ok(removed)
}
