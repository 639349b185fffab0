//! The records of API clients: ownership, account, quota and state. Never a secret.

mod create;
mod deleted;
mod list;
mod operation;
mod seen;

use sqlx::Row as _;
use sqlx::any::AnyRow;

pub use create::{ClientReserved, NewClient};
pub use deleted::DeletedClient;
pub use list::{ClientFilter, ClientSort, Visible};
pub use operation::NewOwner;

use super::{StoreError, optional_time};
use crate::clock::Timestamp;
use crate::id::{AccountId, ClientId, UserId};

/// What is being done to a client in Keycloak. A process that dies leaves it for the reconciler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is being made.
    Create,
    /// Its fields are being changed to the plan.
    Change,
    /// It gets a new secret.
    Secret,
    /// It gets a new secret, and then the owner in the plan.
    Transfer,
    /// It is being removed.
    Delete,
}

impl Operation {
    const ALL: [Self; 5] = [Self::Create, Self::Change, Self::Secret, Self::Transfer, Self::Delete];

    const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Secret => "secret",
            Self::Transfer => "transfer",
            Self::Delete => "delete",
        }
    }
}

/// The fields of a client, as JSON that only `client/` reads, and what lists need of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSpec {
    /// All fields.
    pub json: String,
    /// What people see.
    pub display_name: String,
    /// What a search looks at, in lower case.
    pub search_text: String,
    /// Set where display names are unique within the account.
    pub unique_name: Option<String>,
}

/// An API client's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    /// The record's own id, which is also an attribute of the Keycloak client.
    pub record_id: String,
    /// The `client_id`.
    pub client_id: ClientId,
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// Its owner.
    pub owner_id: UserId,
    /// The owner's name at login.
    pub owner_username: String,
    /// Keycloak's internal id, once there is one.
    pub keycloak_id: Option<String>,
    /// The fields as Keycloak was last seen to have them.
    pub spec: String,
    /// The fields as Hallpass last wrote them.
    pub written: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its secret was made.
    pub secret_created_at: Option<Timestamp>,
    /// What is being done to it.
    pub operation: Option<Operation>,
    /// What the operation makes of it.
    pub plan: Option<String>,
    /// Counts changes of the record.
    pub version: i64,
    /// Since when it is gone in Keycloak.
    pub missing_at: Option<Timestamp>,
    /// Since when somebody else changed it in Keycloak.
    pub drifted_at: Option<Timestamp>,
    /// Since when its owner is disabled or gone.
    pub orphaned_at: Option<Timestamp>,
    /// Which fields somebody else changed in Keycloak.
    pub drifted_fields: Vec<String>,
    /// Since when the owner to whom it was handed on may read its secret once.
    pub secret_unread_at: Option<Timestamp>,
}

/// What Keycloak was seen to have.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The fields.
    pub spec: StoredSpec,
    /// When the secret was made.
    pub secret_created_at: Option<Timestamp>,
    /// Which fields somebody else changed.
    pub drifted_fields: Vec<String>,
}

/// A statement over all columns of a record: `sqlx` takes static text only.
macro_rules! select_clients {
    ($rest:literal) => {
        concat!(
            "SELECT record_id, client_id, account_id, owner_id, owner_username, keycloak_id, \
             spec, written, created_at, secret_created_at, operation, plan, version, missing_at, \
             drifted_at, orphaned_at, drifted_fields, secret_unread_at FROM clients ",
            $rest
        )
    };
}
use select_clients;

fn client_record(row: &AnyRow) -> Result<ClientRecord, StoreError> {
    let operation = match row.try_get::<Option<&str>, _>("operation")? {
        None => None,
        Some(name) => Some(
            Operation::ALL
                .into_iter()
                .find(|operation| operation.name() == name)
                .ok_or(StoreError::Corrupt("operation"))?,
        ),
    };
    let drifted_fields = match row.try_get::<Option<&str>, _>("drifted_fields")? {
        None => Vec::new(),
        Some(json) => {
            serde_json::from_str(json).map_err(|_| StoreError::Corrupt("drifted fields"))?
        }
    };
    Ok(ClientRecord {
        record_id: row.try_get("record_id")?,
        client_id: ClientId::stored(row.try_get("client_id")?),
        account_id: AccountId::parse(row.try_get("account_id")?)
            .ok_or(StoreError::Corrupt("account"))?,
        owner_id: UserId::new(row.try_get::<String, _>("owner_id")?),
        owner_username: row.try_get("owner_username")?,
        keycloak_id: row.try_get("keycloak_id")?,
        spec: row.try_get("spec")?,
        written: row.try_get("written")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        secret_created_at: optional_time(row, "secret_created_at")?,
        operation,
        plan: row.try_get("plan")?,
        version: row.try_get("version")?,
        missing_at: optional_time(row, "missing_at")?,
        drifted_at: optional_time(row, "drifted_at")?,
        orphaned_at: optional_time(row, "orphaned_at")?,
        drifted_fields,
        secret_unread_at: optional_time(row, "secret_unread_at")?,
    })
}
