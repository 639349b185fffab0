//! What answers have beside the fields that people choose. A change may say it back as it is.

use serde_json::{Map, Value, json};

use super::Client;
use crate::fields::Fields;

/// The members of an answer that nobody writes.
pub const READ_ONLY: [&str; 8] = [
    "accountId",
    "clientId",
    "createdAt",
    "driftedFields",
    "owner",
    "secretCreatedAt",
    "secretUnread",
    "status",
];

/// Takes out of `members` what can only be read; whatever of it is not as it is now is wrong.
pub(super) fn take(members: &mut Map<String, Value>, client: &Client, fields: &mut Fields) {
    let record = &client.record;
    let now = json!({
        "accountId": record.account_id,
        "clientId": record.client_id,
        "createdAt": record.created_at,
        "driftedFields": record.drifted_fields,
        "owner": {"id": record.owner_id, "username": record.owner_username},
        "secretCreatedAt": record.secret_created_at,
        "secretUnread": record.secret_unread_at.is_some(),
        "status": record.status(),
    });
    for name in READ_ONLY {
        let Some(said) = members.remove(name) else { continue };
        if said != now[name] {
            fields.refuse(name, "is read-only, and is not what you sent");
        }
    }
}
