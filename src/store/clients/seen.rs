//! What Keycloak was seen to have, noted on records that nobody is changing.

use sqlx::{Any, Transaction};

use super::{ClientRecord, Seen};
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::store::{Store, StoreError, within};

impl Store {
    /// Notes what Keycloak has now, unless an operation is under way.
    pub async fn note_client_seen(
        &self,
        record: &ClientRecord,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            if is_unchanged(&mut tx, record).await? {
                update_seen(&mut tx, &record.record_id, seen, now).await?;
                tx.commit().await?;
            }
            Ok(())
        })
        .await
    }

    /// Notes that Keycloak has no such client any more, unless an operation is under way.
    pub async fn note_client_missing(
        &self,
        record: &ClientRecord,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "UPDATE clients SET missing_at = $3 WHERE record_id = $1 AND version = $2 \
                 AND operation IS NULL AND missing_at IS NULL",
            )
            .bind(record.record_id.as_str())
            .bind(record.version)
            .bind(now.millis())
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }

    /// Notes whether the owner can log in: clients of one who cannot are orphaned, and keep working.
    pub async fn note_client_owner(
        &self,
        owner: &UserId,
        enabled: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        within(async {
            let (orphaned, sql) = if enabled {
                (
                    None,
                    "UPDATE clients SET orphaned_at = $2 WHERE owner_id = $1 \
                     AND orphaned_at IS NOT NULL",
                )
            } else {
                let sql = "UPDATE clients SET orphaned_at = $2 WHERE owner_id = $1 \
                    AND orphaned_at IS NULL";
                (Some(now.millis()), sql)
            };
            sqlx::query(sql).bind(owner.as_str()).bind(orphaned).execute(&self.pool).await?;
            Ok(())
        })
        .await
    }

    /// Notes what the owner of this client is called now, unless an operation is under way.
    pub async fn rename_client_owner(
        &self,
        record: &ClientRecord,
        username: &str,
        search_text: &str,
    ) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "UPDATE clients SET owner_username = $3, search_text = $4, version = version + 1 \
                 WHERE record_id = $1 AND version = $2 AND operation IS NULL",
            )
            .bind(record.record_id.as_str())
            .bind(record.version)
            .bind(username)
            .bind(search_text)
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }
}

async fn is_unchanged(
    tx: &mut Transaction<'static, Any>,
    record: &ClientRecord,
) -> Result<bool, sqlx::Error> {
    let found = sqlx::query(
        "UPDATE clients SET version = version + 1 WHERE record_id = $1 AND version = $2 \
         AND operation IS NULL",
    )
    .bind(record.record_id.as_str())
    .bind(record.version)
    .execute(&mut **tx)
    .await?;
    Ok(found.rows_affected() == 1)
}

pub(super) async fn update_seen(
    tx: &mut Transaction<'static, Any>,
    record_id: &str,
    seen: &Seen,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let fields = &seen.drifted_fields;
    // A list of texts always has a JSON form.
    let drifted_fields =
        (!fields.is_empty()).then(|| serde_json::to_string(fields).unwrap_or_default());
    // A name that somebody gave it in Keycloak's console may be taken here: the unique one stays as it was.
    sqlx::query(
        "UPDATE clients SET spec = $2, display_name = $3, search_text = $4, missing_at = NULL, \
         drifted_at = CASE WHEN $5 = 1 THEN COALESCE(drifted_at, $6) END, drifted_fields = $8, \
         secret_created_at = COALESCE($7, secret_created_at) WHERE record_id = $1",
    )
    .bind(record_id)
    .bind(seen.spec.json.as_str())
    .bind(seen.spec.display_name.as_str())
    .bind(seen.spec.search_text.as_str())
    .bind(i64::from(!seen.drifted_fields.is_empty()))
    .bind(now.millis())
    .bind(seen.secret_created_at.map(Timestamp::millis))
    .bind(drifted_fields)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
