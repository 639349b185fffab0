//! The end of tokens: revoked or deleted, one or many in one transaction, each with its audit event.

use sqlx::{Any, AssertSqlSafe, Transaction};

use super::{TokenRecord, find, pat_id};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::id::{PatId, UserId};
use crate::store::changes::{self, ChangeKind};
use crate::store::{Store, StoreError, audit, within};

/// What became of a record that was to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenRevoked {
    /// It is revoked now.
    Revoked(Box<Event>),
    /// It was revoked before, and stays as it was.
    AlreadyRevoked,
    /// There is none.
    NotFound,
}

/// What became of a record that was to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenDeleted {
    /// It is gone.
    Deleted(Box<Event>),
    /// There was none.
    NotFound,
}

/// What the audit log says of the end of a token; its reason is the revocation's, its time too.
pub type EventOf<'a> = dyn Fn(&TokenRecord) -> Event + Sync + 'a;

/// How many ids are given out at a time.
const BATCH: i64 = 500;

impl Store {
    /// Revokes these tokens, of this owner where one is named: all of them, or none when the store fails.
    pub async fn revoke_tokens(
        &self,
        owner: Option<&UserId>,
        ids: &[PatId],
        event: &EventOf<'_>,
    ) -> Result<Vec<TokenRevoked>, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            changes::lock(&mut tx).await?;
            let mut outcomes = Vec::with_capacity(ids.len());
            for id in ids {
                let outcome = match find_of(&mut tx, owner, *id).await? {
                    Some(token) => revoke(&mut tx, &token, event(&token)).await?,
                    None => TokenRevoked::NotFound,
                };
                outcomes.push(outcome);
            }
            tx.commit().await?;
            Ok(outcomes)
        })
        .await
    }

    /// Deletes these tokens with all their metadata, of this owner where one is named: all, or none when the store
    /// fails.
    pub async fn delete_tokens(
        &self,
        owner: Option<&UserId>,
        ids: &[PatId],
        event: &EventOf<'_>,
    ) -> Result<Vec<TokenDeleted>, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            changes::lock(&mut tx).await?;
            let mut outcomes = Vec::with_capacity(ids.len());
            for id in ids {
                let outcome = match find_of(&mut tx, owner, *id).await? {
                    Some(token) => delete(&mut tx, &token, event(&token)).await?,
                    None => TokenDeleted::NotFound,
                };
                outcomes.push(outcome);
            }
            tx.commit().await?;
            Ok(outcomes)
        })
        .await
    }

    /// Some of the owner's tokens that were made until `now` and are not revoked then; none: there are no more.
    pub async fn list_unrevoked_ids(
        &self,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<PatId>, StoreError> {
        let condition = "AND revoked_at IS NULL AND (grace_until IS NULL OR grace_until > $2)";
        self.list_ids_where(condition, owner, now).await
    }

    /// Some of the owner's tokens that were made until `now`; none: there are no more.
    pub async fn list_ids(&self, owner: &UserId, now: Timestamp) -> Result<Vec<PatId>, StoreError> {
        self.list_ids_where("", owner, now).await
    }

    async fn list_ids_where(
        &self,
        condition: &'static str,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<PatId>, StoreError> {
        within(async {
            let sql = format!(
                "SELECT pat_id FROM tokens WHERE user_id = $1 AND created_at <= $2 {condition} LIMIT {BATCH}"
            );
            let ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
                .bind(owner.as_str())
                .bind(now.millis())
                .fetch_all(&self.pool)
                .await?;
            ids.iter().map(|id| pat_id(id)).collect()
        })
        .await
    }
}

async fn find_of(
    tx: &mut Transaction<'static, Any>,
    owner: Option<&UserId>,
    id: PatId,
) -> Result<Option<TokenRecord>, StoreError> {
    let found = find(tx, id).await?;
    Ok(found.filter(|token| owner.is_none_or(|owner| token.user_id == *owner)))
}

pub(super) async fn revoke(
    tx: &mut Transaction<'static, Any>,
    token: &TokenRecord,
    event: Event,
) -> Result<TokenRevoked, StoreError> {
    if token.revocation(event.at).is_some() || !set_revoked(tx, token.pat_id, &event).await? {
        return Ok(TokenRevoked::AlreadyRevoked);
    }
    end_grace_of_predecessors(tx, token, event.at).await?;
    audit::append(tx, &event).await?;
    Ok(TokenRevoked::Revoked(Box::new(event)))
}

/// False when somebody else revoked it meanwhile.
pub(super) async fn set_revoked(
    tx: &mut Transaction<'static, Any>,
    pat_id: PatId,
    event: &Event,
) -> Result<bool, sqlx::Error> {
    let revoked = sqlx::query(
        "UPDATE tokens SET revoked_at = $2, revoked_reason = $3 WHERE pat_id = $1 AND revoked_at IS NULL",
    )
    .bind(pat_id.to_string())
    .bind(event.at.millis())
    .bind(event.reason.as_deref())
    .execute(&mut **tx)
    .await?;
    if revoked.rows_affected() == 0 {
        return Ok(false);
    }
    changes::record(tx, ChangeKind::TokenEnded, &pat_id.to_string(), event.at).await?;
    Ok(true)
}

async fn delete(
    tx: &mut Transaction<'static, Any>,
    token: &TokenRecord,
    event: Event,
) -> Result<TokenDeleted, StoreError> {
    let deleted = sqlx::query("DELETE FROM tokens WHERE pat_id = $1")
        .bind(token.pat_id.to_string())
        .execute(&mut **tx)
        .await?;
    if deleted.rows_affected() == 0 {
        return Ok(TokenDeleted::NotFound);
    }
    end_grace_of_predecessors(tx, token, event.at).await?;
    changes::record(tx, ChangeKind::TokenEnded, &token.pat_id.to_string(), event.at).await?;
    audit::append(tx, &event).await?;
    Ok(TokenDeleted::Deleted(Box::new(event)))
}

/// Whoever ends a token ends what it replaced, too: a predecessor works for nobody but who waits for the successor.
async fn end_grace_of_predecessors(
    tx: &mut Transaction<'static, Any>,
    token: &TokenRecord,
    now: Timestamp,
) -> Result<(), StoreError> {
    if token.rotated_from.is_none() {
        return Ok(());
    }
    let in_grace: Vec<String> = sqlx::query_scalar(
        "WITH RECURSIVE line (pat_id) AS ( \
         SELECT pat_id FROM tokens WHERE rotated_to = $1 \
         UNION SELECT tokens.pat_id FROM tokens JOIN line ON tokens.rotated_to = line.pat_id) \
         SELECT tokens.pat_id FROM tokens JOIN line ON tokens.pat_id = line.pat_id \
         WHERE tokens.revoked_at IS NULL AND tokens.grace_until > $2",
    )
    .bind(token.pat_id.to_string())
    .bind(now.millis())
    .fetch_all(&mut **tx)
    .await?;
    for pat_id in in_grace {
        sqlx::query("UPDATE tokens SET grace_until = $2 WHERE pat_id = $1")
            .bind(pat_id.as_str())
            .bind(now.millis())
            .execute(&mut **tx)
            .await?;
        changes::record(tx, ChangeKind::TokenEnded, &pat_id, now).await?;
    }
    Ok(())
}
