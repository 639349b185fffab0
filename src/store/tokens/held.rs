//! Owners whose tokens the brake holds: suspended, until a person decides.

use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use super::end_reason;
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::credential::EndReason;
use crate::id::{PatId, UserId};
use crate::store::changes::{self, ChangeKind};
use crate::store::{Store, StoreError, audit, placeholders, within};

/// An owner whose tokens are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldOwner {
    /// Whose tokens.
    pub user_id: UserId,
    /// The owner's name at login, as it was when the newest of these tokens was made.
    pub username: String,
    /// Since when.
    pub held_at: Timestamp,
    /// Why they would have ended.
    pub reason: EndReason,
    /// How many of theirs are suspended.
    pub tokens: u64,
}

/// What an operator accepts of an owner, as canonical JSON.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The roles that they have now.
    pub roles: String,
    /// Their claims that carry authority, where these were looked at.
    pub claims: Option<String>,
}

/// How many ids one statement names.
const PART: usize = 250;

/// The WHERE of the SELECT is also what lets SQLite tell the ON of a join from that of a conflict.
const HOLD: &str = "INSERT INTO owners (user_id, tokens_created, held_at, held_reason) \
     SELECT $1, 0, CAST($2 AS BIGINT), $3 WHERE EXISTS (SELECT 1 FROM tokens WHERE user_id = $1 \
     AND suspended_at IS NOT NULL AND revoked_at IS NULL AND expires_at > $2) \
     ON CONFLICT (user_id) DO UPDATE SET held_at = excluded.held_at, held_reason = excluded.held_reason \
     WHERE owners.held_at IS NULL";

impl Store {
    /// Holds the tokens of these owners, each with the reason for which they would have ended; in parts, each of them kept
    /// though a later one fails. Who is held already stays so; who has no suspended token any more is not held: somebody
    /// has decided meanwhile.
    pub async fn hold_owners(
        &self,
        owners: &[(UserId, EndReason)],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        for part in owners.chunks(PART) {
            within(async {
                let mut tx = self.begin().await?;
                for (owner, reason) in part {
                    sqlx::query(HOLD)
                        .bind(owner.as_str())
                        .bind(at.millis())
                        .bind(reason.name())
                        .execute(&mut *tx)
                        .await?;
                }
                tx.commit().await?;
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Some of the owners who are held, after this one, in the order of their ids.
    pub async fn list_held_owners_after(
        &self,
        last: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<HeldOwner>, StoreError> {
        within(async {
            let rows = sqlx::query(
                "SELECT user_id, held_at, held_reason, COALESCE((SELECT username FROM tokens \
                 WHERE tokens.user_id = owners.user_id ORDER BY created_at DESC, pat_id DESC LIMIT 1), '') AS username, \
                 (SELECT COUNT(*) FROM tokens \
                 WHERE tokens.user_id = owners.user_id AND suspended_at IS NOT NULL AND revoked_at IS NULL) AS tokens \
                 FROM owners WHERE held_at IS NOT NULL AND user_id > $1 ORDER BY user_id LIMIT $2",
            )
            .bind(last.map(UserId::as_str).unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
            let read = |row: &sqlx::any::AnyRow| -> Result<HeldOwner, StoreError> {
                Ok(HeldOwner {
                    user_id: UserId::new(row.try_get::<String, _>("user_id")?),
                    username: row.try_get("username")?,
                    held_at: Timestamp::from_millis(row.try_get("held_at")?),
                    reason: end_reason(row, "held_reason")?.unwrap_or(EndReason::Unknown),
                    tokens: row.try_get::<i64, _>("tokens")?.unsigned_abs(),
                })
            };
            rows.iter().map(read).collect()
        })
        .await
    }

    /// Holds the owner no more; what becomes of their tokens is for the rules again.
    pub async fn end_hold(&self, owner: &UserId) -> Result<(), StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            end_hold(&mut tx, owner).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Holds those no more of whose tokens none is suspended: they were revoked or deleted by somebody else, or expired.
    pub async fn end_vain_holds(&self, now: Timestamp) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "UPDATE owners SET held_at = NULL, held_reason = NULL WHERE held_at IS NOT NULL \
                 AND NOT EXISTS (SELECT 1 FROM tokens WHERE tokens.user_id = owners.user_id \
                 AND suspended_at IS NOT NULL AND revoked_at IS NULL AND expires_at > $1)",
            )
            .bind(now.millis())
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }

    /// Lets tokens live on though their owner has other roles or claims than at their issue: from now on these count. The
    /// tokens, each with its event, are suspended no more, and the owner is not held unless others of theirs are to stay
    /// so. Answers the events of those that were suspended.
    pub async fn accept(
        &self,
        owner: &UserId,
        accepted: &Accepted,
        tokens: Vec<(PatId, Event)>,
        others_stay: bool,
    ) -> Result<Vec<Event>, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            // The owner's row before the counter's, as whoever rotates takes them.
            if !others_stay {
                end_hold(&mut tx, owner).await?;
            }
            changes::lock(&mut tx).await?;
            let mut released = Vec::new();
            for part in tokens.chunks(PART) {
                released.extend(accept(&mut tx, accepted, part).await?);
            }
            if let Some((_, first)) = tokens.first() {
                let kind = ChangeKind::TokenSuspended;
                changes::record_all(&mut tx, kind, &released, first.at).await?;
            }
            let events = tokens.into_iter().map(|(_, event)| event);
            let events: Vec<_> =
                events.filter(|event| released.contains(&event.credential_id)).collect();
            audit::append_all(&mut tx, &events.iter().collect::<Vec<_>>()).await?;
            tx.commit().await?;
            self.hear_own().await;
            Ok(events)
        })
        .await
    }
}

async fn end_hold(tx: &mut Transaction<'static, Any>, owner: &UserId) -> Result<(), StoreError> {
    sqlx::query("UPDATE owners SET held_at = NULL, held_reason = NULL WHERE user_id = $1")
        .bind(owner.as_str())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The ids of those that were suspended.
async fn accept(
    tx: &mut Transaction<'static, Any>,
    accepted: &Accepted,
    tokens: &[(PatId, Event)],
) -> Result<Vec<String>, StoreError> {
    let ids = placeholders(3, tokens.len());
    let bind = |sql: String| {
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(accepted.roles.clone())
            .bind(accepted.claims.clone());
        tokens.iter().fold(query, |query, (id, _)| query.bind(id.to_string()))
    };
    // Each names both values: the two databases count parameters alike then.
    let all = format!(
        "UPDATE tokens SET accepted_roles = $1, accepted_claims = $2 \
         WHERE revoked_at IS NULL AND pat_id IN ({ids})"
    );
    bind(all).execute(&mut **tx).await?;
    let suspended = format!(
        "UPDATE tokens SET suspended_at = NULL, accepted_roles = $1, accepted_claims = $2 \
         WHERE suspended_at IS NOT NULL AND revoked_at IS NULL AND pat_id IN ({ids}) RETURNING pat_id"
    );
    let rows = bind(suspended).fetch_all(&mut **tx).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
