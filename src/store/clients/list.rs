//! Finding records. The statements of lists are joined from static fragments, here and nowhere else.

use sqlx::{AssertSqlSafe, Row as _};
use utoipa::ToSchema;

use super::{ClientRecord, client_record, select_clients};
use crate::clock::Timestamp;
use crate::id::{AccountId, ClientId, UserId};
use crate::page::{Direction, Page, PageRequest};
use crate::store::{Store, StoreError, literal, search_pattern, within};

/// Which clients a caller may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    /// All, in every account.
    All,
    /// Those of this account.
    Account(AccountId),
    /// Those of this account that this user owns.
    Owned(AccountId, UserId),
}

impl Visible {
    /// Whether the caller manages everybody's.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether the caller may see this record.
    #[must_use]
    pub fn includes(&self, record: &ClientRecord) -> bool {
        match self {
            Self::All => true,
            Self::Account(account) => record.account_id == *account,
            Self::Owned(account, owner) => {
                record.account_id == *account && record.owner_id == *owner
            }
        }
    }

    /// The condition, over `$1` and `$2`, and what to bind there.
    fn condition(&self) -> (&'static str, &str, &str) {
        match self {
            Self::All => ("$1 = '' AND $2 = ''", "", ""),
            Self::Account(account) => ("account_id = $1 AND $2 = ''", account.as_str(), ""),
            Self::Owned(account, owner) => {
                ("account_id = $1 AND owner_id = $2", account.as_str(), owner.as_str())
            }
        }
    }
}

/// By what a list of clients is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "camelCase")]
pub enum ClientSort {
    /// The `client_id`.
    ClientId,
    /// What people see.
    DisplayName,
    /// The account.
    AccountId,
    /// The owner's name at login.
    Owner,
    /// When it was made.
    CreatedAt,
    /// The status.
    Status,
}

impl ClientSort {
    const fn expression(self) -> &'static str {
        match self {
            Self::ClientId => "client_id",
            Self::DisplayName => "display_name",
            Self::AccountId => "account_id",
            Self::Owner => "owner_username",
            Self::CreatedAt => "created_at",
            Self::Status => STATUS,
        }
    }
}

/// Which clients are wanted, and in which order.
#[derive(Clone, Debug)]
pub struct ClientFilter {
    /// Part of the id, display name, description or owner's name, in any case; empty: all.
    pub search: String,
    /// Only those of this status, as answers write it.
    pub status: Option<&'static str>,
    /// Only those of this owner: an id, or a name at login.
    pub owner: Option<String>,
    /// Only those with this capability, as answers write it.
    pub capability: Option<&'static str>,
    /// Only those with this scope.
    pub scope: Option<String>,
    /// The order; ties by id.
    pub sort: ClientSort,
    /// Upwards or downwards.
    pub direction: Direction,
    /// Which part of it.
    pub page: PageRequest,
}

/// As [`ClientRecord::status`] says it.
const STATUS: &str = "CASE WHEN operation = 'create' THEN 'provisioning' WHEN missing_at IS NOT NULL THEN 'missing' \
     WHEN orphaned_at IS NOT NULL THEN 'orphaned' WHEN drifted_at IS NOT NULL THEN 'drifted' ELSE 'active' END";

/// A pattern of the JSON of fields that have this capability. The members before and after the list are part of it: a text
/// has its quotes escaped, so nothing that somebody wrote reads like them.
fn with_capability(name: &str) -> String {
    format!("%\"capabilities\":[%\"{}\"%],\"scopes\":[%", literal(name))
}

/// The same for a scope.
fn with_scope(name: &str) -> String {
    // A text always has a JSON form.
    let name = serde_json::to_string(name).unwrap_or_default();
    format!("%\"scopes\":[%{}%],\"rootUrl\":%", literal(&name))
}

impl ClientRecord {
    /// The client's status: the first that holds.
    #[must_use]
    pub fn status(&self) -> &'static str {
        if self.operation == Some(super::Operation::Create) {
            "provisioning"
        } else if self.missing_at.is_some() {
            "missing"
        } else if self.orphaned_at.is_some() {
            "orphaned"
        } else if self.drifted_at.is_some() {
            "drifted"
        } else {
            "active"
        }
    }
}

impl Store {
    /// A page of the clients that are visible and wanted.
    pub async fn list_clients(
        &self,
        visible: &Visible,
        filter: &ClientFilter,
    ) -> Result<Page<ClientRecord>, StoreError> {
        within(async {
            let (condition, account, owner) = visible.condition();
            let condition = format!(
                "WHERE {condition} AND ($3 = '' OR search_text LIKE $3 ESCAPE '\\') \
                 AND ($4 = '' OR {STATUS} = $4) \
                 AND ($5 = '' OR owner_id = $5 OR owner_username = $6) \
                 AND ($7 = '' OR spec LIKE $7 ESCAPE '\\') \
                 AND ($8 = '' OR spec LIKE $8 ESCAPE '\\')"
            );
            let search = search_pattern(&filter.search);
            let status = filter.status.unwrap_or_default();
            let owner_id = filter.owner.as_deref().unwrap_or_default();
            let owner_name = owner_id.to_lowercase();
            let capability = filter.capability.map(with_capability).unwrap_or_default();
            let scope = filter.scope.as_deref().map(with_scope).unwrap_or_default();
            let total: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
                "SELECT COUNT(*) FROM clients {condition}"
            )))
            .bind(account)
            .bind(owner)
            .bind(search.as_str())
            .bind(status)
            .bind(owner_id)
            .bind(owner_name.as_str())
            .bind(capability.as_str())
            .bind(scope.as_str())
            .fetch_one(&self.pool)
            .await?;
            let direction = filter.direction.sql();
            let order = filter.sort.expression();
            // Ids are put in order, not whole rows: a record is long.
            let order = format!("ORDER BY {order} {direction}, client_id {direction}");
            let sql = format!(
                "{} WHERE client_id IN (SELECT client_id FROM clients {condition} {order} \
                 LIMIT $9 OFFSET $10) {order}",
                select_clients!("")
            );
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(account)
                .bind(owner)
                .bind(search.as_str())
                .bind(status)
                .bind(owner_id)
                .bind(owner_name.as_str())
                .bind(capability.as_str())
                .bind(scope.as_str())
                .bind(i64::from(filter.page.limit))
                .bind(i64::from(filter.page.offset))
                .fetch_all(&self.pool)
                .await?;
            let items = rows.iter().map(client_record).collect::<Result<_, _>>()?;
            Ok(Page { items, total: total.unsigned_abs() })
        })
        .await
    }

    /// The client of this id.
    pub async fn find_client(&self, id: &ClientId) -> Result<Option<ClientRecord>, StoreError> {
        self.find_client_by(select_clients!("WHERE client_id = $1"), id.as_str()).await
    }

    /// The client of this record.
    pub async fn find_client_record(
        &self,
        record_id: &str,
    ) -> Result<Option<ClientRecord>, StoreError> {
        self.find_client_by(select_clients!("WHERE record_id = $1"), record_id).await
    }

    /// The client behind which this Keycloak client stands.
    pub async fn find_client_of_keycloak(
        &self,
        keycloak_id: &str,
    ) -> Result<Option<ClientRecord>, StoreError> {
        self.find_client_by(select_clients!("WHERE keycloak_id = $1"), keycloak_id).await
    }

    async fn find_client_by(
        &self,
        sql: &'static str,
        value: &str,
    ) -> Result<Option<ClientRecord>, StoreError> {
        within(async {
            let row = sqlx::query(sql).bind(value).fetch_optional(&self.pool).await?;
            row.as_ref().map(client_record).transpose()
        })
        .await
    }

    /// The visible clients whose ids begin so, at most two: enough to see that it is not one.
    pub async fn list_clients_beginning(
        &self,
        visible: &Visible,
        beginning: &str,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        within(async {
            let (condition, account, owner) = visible.condition();
            let sql = format!(
                "{} WHERE {condition} AND client_id LIKE $3 ESCAPE '\\' LIMIT 2",
                select_clients!("")
            );
            let pattern = format!("{}%", literal(beginning));
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(account)
                .bind(owner)
                .bind(pattern)
                .fetch_all(&self.pool)
                .await?;
            let records = rows.iter().map(client_record).collect::<Result<Vec<_>, _>>()?;
            // SQLite's LIKE knows no case.
            Ok(records
                .into_iter()
                .filter(|record| record.client_id.as_str().starts_with(beginning))
                .collect())
        })
        .await
    }

    /// Operations that were interrupted: their lease has ended, or there can be no other process that holds it.
    pub async fn list_interrupted_clients(
        &self,
        now: Timestamp,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        within(async {
            let rows = sqlx::query(select_clients!(
                "WHERE operation IS NOT NULL AND lease_until <= $1 ORDER BY lease_until, \
                 record_id LIMIT 100"
            ))
            .bind(now.millis())
            .fetch_all(&self.pool)
            .await?;
            rows.iter().map(client_record).collect()
        })
        .await
    }

    /// A stretch of all clients, after `record_id` in the order of record ids.
    pub async fn list_clients_after(
        &self,
        record_id: &str,
        limit: u32,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        within(async {
            let rows =
                sqlx::query(select_clients!("WHERE record_id > $1 ORDER BY record_id LIMIT $2"))
                    .bind(record_id)
                    .bind(i64::from(limit))
                    .fetch_all(&self.pool)
                    .await?;
            rows.iter().map(client_record).collect()
        })
        .await
    }

    /// Everybody who owns a client.
    pub async fn list_client_owners(&self) -> Result<Vec<UserId>, StoreError> {
        within(async {
            let rows = sqlx::query("SELECT DISTINCT owner_id FROM clients ORDER BY owner_id")
                .fetch_all(&self.pool)
                .await?;
            rows.iter().map(|row| Ok(UserId::new(row.try_get::<String, _>("owner_id")?))).collect()
        })
        .await
    }

    /// The clients of this user where they are called otherwise.
    pub async fn list_clients_of_owner_called_otherwise(
        &self,
        owner: &UserId,
        username: &str,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        within(async {
            let rows = sqlx::query(select_clients!("WHERE owner_id = $1 AND owner_username <> $2"))
                .bind(owner.as_str())
                .bind(username)
                .fetch_all(&self.pool)
                .await?;
            rows.iter().map(client_record).collect()
        })
        .await
    }

    /// Whether this user owns a client.
    pub async fn owns_clients(&self, owner: &UserId) -> Result<bool, StoreError> {
        within(async {
            let row = sqlx::query("SELECT record_id FROM clients WHERE owner_id = $1 LIMIT 1")
                .bind(owner.as_str())
                .fetch_optional(&self.pool)
                .await?;
            Ok(row.is_some())
        })
        .await
    }
}
