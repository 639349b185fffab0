//! The audit log's table: append only. No statement changes or removes a row.
//!
//! The statements of its list are joined from static fragments, here and nowhere else: only those of the filters that
//! are asked for, so that the index of each can serve it.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use super::{Store, StoreError, rows_of_placeholders, search_pattern, within};
use crate::audit::{Act, Event};
use crate::clock::Timestamp;
use crate::page::{Direction, Page, PageRequest};

/// How many events one statement writes.
const PART: usize = 250;

/// Appends an event in the transaction of the act that it tells of.
pub(super) async fn append(
    tx: &mut Transaction<'static, Any>,
    event: &Event,
) -> Result<(), sqlx::Error> {
    append_all(tx, &[event]).await
}

/// Appends several events in the transaction of the act that they tell of.
pub(super) async fn append_all(
    tx: &mut Transaction<'static, Any>,
    events: &[&Event],
) -> Result<(), sqlx::Error> {
    for part in events.chunks(PART) {
        let rows = rows_of_placeholders(part.len(), 13);
        let sql = format!(
            "INSERT INTO audit_events (event_id, occurred_at, action, credential_id, credential_name, \
             owner_id, actor_id, actor_name, actor_credential, address, request_id, reason, search_text) \
             VALUES {rows}"
        );
        let query = part
            .iter()
            .fold(sqlx::query(AssertSqlSafe(sql)), |query, event| bind_event(query, event));
        query.execute(&mut **tx).await?;
    }
    Ok(())
}

fn bind_event(
    query: Query<'static, Any, AnyArguments>,
    event: &Event,
) -> Query<'static, Any, AnyArguments> {
    query
        .bind(event.id.to_string())
        .bind(event.at.millis())
        .bind(event.action.name())
        .bind(event.credential_id.clone())
        .bind(event.credential_name.clone())
        .bind(event.owner_id.to_string())
        .bind(event.actor_id.to_string())
        .bind(event.actor_name.clone())
        .bind(event.actor_credential.clone())
        .bind(event.address.clone())
        .bind(event.request_id.clone())
        .bind(event.full_reason())
        .bind(event.search_text())
}

/// Which events are wanted, and in which order.
#[derive(Clone, Debug)]
pub struct AuditFilter {
    /// Only this was done.
    pub action: Option<Act>,
    /// Only to this credential.
    pub credential_id: Option<String>,
    /// Only to credentials of this owner.
    pub owner_id: Option<String>,
    /// Only by this actor.
    pub actor_id: Option<String>,
    /// Part of the credential's or the actor's name, in any case; empty: all.
    pub search: String,
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    /// By time; ties by id.
    pub direction: Direction,
    /// Which part of it.
    pub page: PageRequest,
}

/// An event as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its own id.
    pub event_id: String,
    /// When it was done.
    pub occurred_at: Timestamp,
    /// The name of an [`Act`], perhaps of another version.
    pub action: String,
    /// The credential that it was done to.
    pub credential_id: String,
    /// Its name at that time.
    pub credential_name: String,
    /// Whose credential it was.
    pub owner_id: String,
    /// Who did it.
    pub actor_id: String,
    /// Their name at login.
    pub actor_name: String,
    /// By what: `access_token`, `pat:{id}` or `none`.
    pub actor_credential: String,
    /// From which address.
    pub address: String,
    /// In which request.
    pub request_id: String,
    /// Why.
    pub reason: Option<String>,
}

/// What stands in the place of a condition's `$n`.
enum Bound {
    Text(String),
    Number(i64),
}

impl Bound {
    fn bind(self, query: Query<'_, Any, AnyArguments>) -> Query<'_, Any, AnyArguments> {
        match self {
            Self::Text(text) => query.bind(text),
            Self::Number(number) => query.bind(number),
        }
    }
}

impl AuditFilter {
    /// The conditions that are asked for: what stands before and after the value, and the value.
    fn conditions(&self) -> Vec<(&'static str, &'static str, Bound)> {
        let equal =
            |column, value: Option<&String>| Some((column, "", Bound::Text(value?.clone())));
        let time = |column, at: Option<Timestamp>| Some((column, "", Bound::Number(at?.millis())));
        let action = self.action.map(|action| action.name().to_owned());
        let pattern = search_pattern(&self.search);
        let search = ("search_text LIKE ", r" ESCAPE '\'", Bound::Text(pattern));
        let all = [
            equal("action = ", action.as_ref()),
            equal("credential_id = ", self.credential_id.as_ref()),
            equal("owner_id = ", self.owner_id.as_ref()),
            equal("actor_id = ", self.actor_id.as_ref()),
            Some(search).filter(|_| !self.search.is_empty()),
            time("occurred_at >= ", self.from),
            time("occurred_at < ", self.to),
        ];
        all.into_iter().flatten().collect()
    }

    /// ` WHERE …` of the conditions that are asked for, or nothing.
    fn where_clause(&self) -> String {
        let conditions = self.conditions().into_iter().zip(1..);
        let conditions: Vec<_> = conditions
            .map(|((before, after, _), number)| format!("{before}${number}{after}"))
            .collect();
        if conditions.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", conditions.join(" AND "))
    }

    /// How many there are.
    #[must_use]
    pub fn count_statement(&self) -> String {
        format!("SELECT COUNT(*) AS total FROM audit_events{}", self.where_clause())
    }

    /// A page of them, its limit and offset last.
    #[must_use]
    pub fn page_statement(&self) -> String {
        let (direction, next) = (self.direction.sql(), self.conditions().len() + 1);
        format!(
            "SELECT event_id, occurred_at, action, credential_id, credential_name, owner_id, actor_id, actor_name, \
             actor_credential, address, request_id, reason FROM audit_events{} \
             ORDER BY occurred_at {direction}, event_id {direction} LIMIT ${next} OFFSET ${}",
            self.where_clause(),
            next + 1
        )
    }
}

impl Store {
    /// A page of the events that are wanted.
    pub async fn list_audit_events(
        &self,
        filter: &AuditFilter,
    ) -> Result<Page<AuditRecord>, StoreError> {
        within(async {
            let bind = |sql| {
                let query = sqlx::query(AssertSqlSafe(sql));
                filter.conditions().into_iter().fold(query, |query, (.., value)| value.bind(query))
            };
            let count = bind(filter.count_statement()).fetch_one(&self.pool).await?;
            let rows = bind(filter.page_statement())
                .bind(i64::from(filter.page.limit))
                .bind(i64::from(filter.page.offset))
                .fetch_all(&self.pool)
                .await?;
            Ok(Page {
                items: rows.iter().map(audit_record).collect::<Result<_, _>>()?,
                total: count.try_get::<i64, _>("total")?.unsigned_abs(),
            })
        })
        .await
    }
}

fn audit_record(row: &AnyRow) -> Result<AuditRecord, StoreError> {
    Ok(AuditRecord {
        event_id: row.try_get("event_id")?,
        occurred_at: Timestamp::from_millis(row.try_get("occurred_at")?),
        action: row.try_get("action")?,
        credential_id: row.try_get("credential_id")?,
        credential_name: row.try_get("credential_name")?,
        owner_id: row.try_get("owner_id")?,
        actor_id: row.try_get("actor_id")?,
        actor_name: row.try_get("actor_name")?,
        actor_credential: row.try_get("actor_credential")?,
        address: row.try_get("address")?,
        request_id: row.try_get("request_id")?,
        reason: row.try_get("reason")?,
    })
}
