//! What the lifecycle of owners asks of tokens: whose are live, with which roles they were issued, and their suspension.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use super::{COLUMNS, TokenRecord, token_record};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::credential::EndReason;
use crate::id::{PatId, UserId};
use crate::store::changes::{self, ChangeKind};
use crate::store::{Dialect, Store, StoreError, audit, optional_time, placeholders, within};

/// A token with what its answer never shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedToken {
    /// Its record.
    pub record: TokenRecord,
    /// Its owner's roles at its issue, as canonical JSON.
    pub owner_roles: String,
    /// Its claims that carry authority, as canonical JSON; `None`: it has none, or is older than their comparison.
    pub authority_claims: Option<String>,
    /// The roles of its owner that an operator accepted since.
    pub accepted_roles: Option<String>,
    /// The claims of its owner that an operator accepted since.
    pub accepted_claims: Option<String>,
}

/// What is known of an owner beside their tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerNote {
    /// Since when it is known that they come from somewhere else, such as LDAP.
    pub federated_at: Option<Timestamp>,
    /// When the sweep began that found them disabled or gone, while that is not certain.
    pub doubted_at: Option<Timestamp>,
    /// Since when the brake holds their tokens; not written with the rest.
    pub held_at: Option<Timestamp>,
}

/// Whether tokens are to be refused for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspension {
    /// They are refused until they are released.
    Suspended,
    /// They are what they were.
    Released,
}

/// How many ids one statement names.
const PART: usize = 250;

/// The plus keeps SQLite from the index of the states, where it would look at all live tokens for each page.
pub(super) fn owners_after(with_role: bool, dialect: Dialect) -> String {
    let holds = match (with_role, dialect) {
        (false, _) => "$4 = ''",
        (true, Dialect::Sqlite) => "(INSTR(owner_roles, $4) > 0 OR INSTR(accepted_roles, $4) > 0)",
        (true, Dialect::Postgres) => {
            "(POSITION($4 IN owner_roles) > 0 OR POSITION($4 IN accepted_roles) > 0)"
        }
    };
    format!(
        "SELECT DISTINCT user_id FROM tokens WHERE user_id > $1 AND +revoked_at IS NULL AND expires_at > $2 \
         AND {holds} ORDER BY user_id LIMIT $3"
    )
}

impl Store {
    /// Some of the owners of tokens that are neither revoked nor expired, after this one, in their order. Where a role or
    /// a client is named, only those that had such a role, or a role of such a client, at a token's issue or when it was
    /// released; and maybe others.
    pub async fn list_token_owners_after(
        &self,
        last: Option<&UserId>,
        role: Option<&str>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<UserId>, StoreError> {
        within(async {
            // As it is written in a list of roles; what else it is found in does no harm.
            let role = role.map(|role| Value::from(role).to_string());
            let sql = owners_after(role.is_some(), self.dialect);
            let ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
                .bind(last.map(UserId::as_str).unwrap_or_default())
                .bind(now.millis())
                .bind(i64::from(limit))
                .bind(role.unwrap_or_default())
                .fetch_all(&self.pool)
                .await?;
            Ok(ids.into_iter().map(UserId::new).collect())
        })
        .await
    }

    /// Those of these users who own tokens that are neither revoked nor expired.
    pub async fn list_token_owners_among(
        &self,
        users: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<UserId>, StoreError> {
        within(async {
            let mut owners = Vec::new();
            for part in users.chunks(PART) {
                let ids = placeholders(2, part.len());
                let sql = format!(
                    "SELECT DISTINCT user_id FROM tokens WHERE revoked_at IS NULL AND expires_at > $1 \
                     AND user_id IN ({ids})"
                );
                let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(now.millis());
                let query = part.iter().fold(query, |query, user| query.bind(user.to_string()));
                let found: Vec<String> = query.fetch_all(&self.pool).await?;
                owners.extend(found.into_iter().map(UserId::new));
            }
            Ok(owners)
        })
        .await
    }

    /// Some of the owner's tokens that are neither revoked nor expired, after this one, in the order of their making.
    pub async fn list_live_tokens_after(
        &self,
        owner: &UserId,
        last: Option<&TokenRecord>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<OwnedToken>, StoreError> {
        within(async {
            let sql = format!(
                "SELECT {COLUMNS}, owner_roles, authority_claims, accepted_roles, accepted_claims \
                 FROM tokens WHERE user_id = $1 AND (created_at, pat_id) > ($2, $3) \
                 AND revoked_at IS NULL AND expires_at > $4 AND (grace_until IS NULL OR grace_until > $4) \
                 ORDER BY created_at, pat_id LIMIT $5"
            );
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(owner.as_str())
                .bind(last.map_or(i64::MIN, |last| last.created_at.millis()))
                .bind(last.map(|last| last.pat_id.to_string()).unwrap_or_default())
                .bind(now.millis())
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
                .await?;
            let read = |row| -> Result<OwnedToken, StoreError> {
                Ok(OwnedToken {
                    record: token_record(row)?,
                    owner_roles: row.try_get("owner_roles")?,
                    authority_claims: row.try_get("authority_claims")?,
                    accepted_roles: row.try_get("accepted_roles")?,
                    accepted_claims: row.try_get("accepted_claims")?,
                })
            };
            rows.iter().map(read).collect()
        })
        .await
    }

    /// Suspends or releases these tokens, each with its event, and answers the events of those that were not so
    /// before: all of them, or none when the store fails. A revoked one stays as it is.
    pub async fn set_suspension(
        &self,
        tokens: Vec<(PatId, Event)>,
        suspension: Suspension,
    ) -> Result<Vec<Event>, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            changes::lock(&mut tx).await?;
            let mut changed = Vec::new();
            for part in tokens.chunks(PART) {
                changed.extend(set_suspended(&mut tx, part, suspension).await?);
            }
            if let Some((_, first)) = tokens.first() {
                let kind = ChangeKind::TokenSuspended;
                changes::record_all(&mut tx, kind, &changed, first.at).await?;
            }
            let events = tokens.into_iter().map(|(_, event)| event);
            let events: Vec<_> =
                events.filter(|event| changed.contains(&event.credential_id)).collect();
            audit::append_all(&mut tx, &events.iter().collect::<Vec<_>>()).await?;
            tx.commit().await?;
            self.hear_own().await;
            Ok(events)
        })
        .await
    }

    /// What is known of an owner; of a stranger, nothing.
    pub async fn find_owner_note(&self, owner: &UserId) -> Result<OwnerNote, StoreError> {
        within(async {
            let row = sqlx::query(
                "SELECT federated_at, doubted_at, held_at FROM owners WHERE user_id = $1",
            )
            .bind(owner.as_str())
            .fetch_optional(&self.pool)
            .await?;
            let Some(row) = row else { return Ok(OwnerNote::default()) };
            Ok(OwnerNote {
                federated_at: optional_time(&row, "federated_at")?,
                doubted_at: optional_time(&row, "doubted_at")?,
                held_at: optional_time(&row, "held_at")?,
            })
        })
        .await
    }

    /// Notes it; an owner who came from somewhere else once stays one who did.
    pub async fn note_owner(&self, owner: &UserId, note: OwnerNote) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "INSERT INTO owners (user_id, tokens_created, federated_at, doubted_at) VALUES ($1, 0, $2, $3) \
                 ON CONFLICT (user_id) DO UPDATE SET \
                 federated_at = COALESCE(owners.federated_at, $2), doubted_at = $3",
            )
            .bind(owner.as_str())
            .bind(note.federated_at.map(Timestamp::millis))
            .bind(note.doubted_at.map(Timestamp::millis))
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }
}

/// The ids of those that were not so before.
async fn set_suspended(
    tx: &mut Transaction<'static, Any>,
    tokens: &[(PatId, Event)],
    suspension: Suspension,
) -> Result<Vec<String>, StoreError> {
    let mut alike: BTreeMap<_, Vec<&PatId>> = BTreeMap::new();
    for (id, event) in tokens {
        alike.entry((event.at, event.end_reason())).or_default().push(id);
    }
    let mut changed = Vec::new();
    for ((at, reason), ids) in alike {
        let list = placeholders(3, ids.len());
        let (at, reason, condition) = match suspension {
            Suspension::Suspended => (Some(at.millis()), reason, "suspended_at IS NULL"),
            Suspension::Released => (None, None, "suspended_at IS NOT NULL"),
        };
        let sql = format!(
            "UPDATE tokens SET suspended_at = $1, suspended_reason = $2 \
             WHERE revoked_at IS NULL AND {condition} AND pat_id IN ({list}) RETURNING pat_id"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(at).bind(reason.map(EndReason::name));
        let query = ids.iter().fold(query, |query, id| query.bind(id.to_string()));
        for row in query.fetch_all(&mut **tx).await? {
            changed.push(row.try_get(0)?);
        }
    }
    Ok(changed)
}
