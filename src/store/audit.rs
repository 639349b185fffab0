//! The audit log's table: append only.

use sqlx::{Any, Transaction};

use crate::audit::Event;

/// Appends an event in the transaction of the act that it tells of.
pub(super) async fn append(
    tx: &mut Transaction<'static, Any>,
    event: &Event,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit_events (event_id, occurred_at, action, credential_id, credential_name, \
         owner_id, actor_id, actor_name, actor_credential, address, request_id, reason) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(event.id.to_string())
    .bind(event.at.millis())
    .bind(event.action.name())
    .bind(event.credential_id.as_str())
    .bind(event.credential_name.as_str())
    .bind(event.owner_id.as_str())
    .bind(event.actor_id.as_str())
    .bind(event.actor_name.as_str())
    .bind(event.actor_credential.as_str())
    .bind(event.address.as_str())
    .bind(event.request_id.as_str())
    .bind(event.reason.as_deref())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
