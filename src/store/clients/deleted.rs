//! API clients that Hallpass deleted, and whose roles owners of tokens had: until these owners are looked at.

use sqlx::{Any, Row as _, Transaction};

use crate::clock::Timestamp;
use crate::store::{Store, StoreError, within};

/// A client that is gone, with its roles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeletedClient {
    /// The `client_id` that it had; another may have it by now.
    pub client_id: String,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

impl Store {
    /// All of them.
    pub async fn list_deleted_clients(&self) -> Result<Vec<DeletedClient>, StoreError> {
        within(async {
            let rows = sqlx::query("SELECT client_id, deleted_at FROM deleted_clients")
                .fetch_all(&self.pool)
                .await?;
            let read = |row: &sqlx::any::AnyRow| -> Result<DeletedClient, StoreError> {
                Ok(DeletedClient {
                    client_id: row.try_get("client_id")?,
                    deleted_at: Timestamp::from_millis(row.try_get("deleted_at")?),
                })
            };
            rows.iter().map(read).collect()
        })
        .await
    }

    /// The owners who had roles of it were looked at. One of the same name that was deleted since stays noted.
    pub async fn forget_deleted_client(&self, client: &DeletedClient) -> Result<(), StoreError> {
        within(async {
            sqlx::query("DELETE FROM deleted_clients WHERE client_id = $1 AND deleted_at = $2")
                .bind(client.client_id.as_str())
                .bind(client.deleted_at.millis())
                .execute(&self.pool)
                .await?;
            Ok(())
        })
        .await
    }
}

pub(super) async fn note(
    tx: &mut Transaction<'static, Any>,
    client_id: &str,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO deleted_clients (client_id, deleted_at) VALUES ($1, $2) \
         ON CONFLICT (client_id) DO UPDATE SET deleted_at = excluded.deleted_at",
    )
    .bind(client_id)
    .bind(at.millis())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
