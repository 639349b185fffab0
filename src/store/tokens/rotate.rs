//! Rotation: a token is replaced by its successor, in one transaction; and families, whose tokens end together.

use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row as _, Transaction};

use super::create::{insert, lock_owner};
use super::end::set_revoked;
use super::{COLUMNS, NewToken, TokenRecord, find, pat_id, token_record};
use crate::audit::{Act, Event};
use crate::clock::Timestamp;
use crate::credential::EndReason;
use crate::id::PatId;
use crate::store::changes::{self, ChangeKind};
use crate::store::{Store, StoreError, audit, within};

/// Who rotated a token, as the column has it.
pub(super) const PERSON: &str = "person";
const ITSELF: &str = "pat";

/// One token for another.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The token that is replaced.
    pub from: PatId,
    /// What replaces it.
    pub successor: NewToken,
    /// Until when both work; not after the successor's creation: the old one ends at once.
    pub grace_until: Timestamp,
    /// The old one is a successor that may never have reached anybody: then it must be unused still.
    pub lost: bool,
    /// The token that asks for it, where one does: it must be good still.
    pub asked_by: Option<PatId>,
}

/// What became of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRotated {
    /// It is committed.
    Rotated,
    /// The old token is gone, not valid or rotated by now; or used, where it must not be.
    Changed,
}

/// What became of a family whose rotated token was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FamilyBurned {
    /// All that was live is revoked now: the events of that.
    Burned(Vec<Event>),
    /// Nothing of it was live any more.
    AlreadyEnded,
}

impl Store {
    /// Replaces a token, with the audit events of the rotation and of the successor's creation.
    pub async fn rotate_token(
        &self,
        rotation: &Rotation,
        event: &Event,
        created: &Event,
    ) -> Result<TokenRotated, StoreError> {
        within(async {
            let Rotation { from, successor, .. } = rotation;
            let mut tx = self.begin().await?;
            lock_owner(&mut tx, &successor.user_id).await?;
            changes::lock(&mut tx).await?;
            let old = find(&mut tx, *from).await?.filter(|old| {
                old.user_id == successor.user_id
                    && old.rotated_to.is_none()
                    && old.status(event.at).is_valid()
                    && !(rotation.lost && old.last_used_at.is_some())
            });
            let Some(old) = old else { return Ok(TokenRotated::Changed) };
            if let Some(asking) = rotation.asked_by {
                let asking = find(&mut tx, asking).await?;
                if !asking.is_some_and(|asking| asking.status(event.at).is_valid()) {
                    return Ok(TokenRotated::Changed);
                }
            }
            set_rotated(&mut tx, rotation, event.at).await?;
            if rotation.grace_until > event.at {
                end_older_graces(&mut tx, old.chain.family_id, *from, event.at).await?;
            }
            if !insert(&mut tx, successor, Some(*from)).await? {
                return Ok(TokenRotated::Changed);
            }
            changes::record(&mut tx, ChangeKind::TokenEnded, &from.to_string(), event.at).await?;
            audit::append(&mut tx, event).await?;
            audit::append(&mut tx, created).await?;
            tx.commit().await?;
            self.hear_own().await;
            Ok(TokenRotated::Rotated)
        })
        .await
    }

    /// Takes back the rotation that `rotated` tells of, whose successor was not issued after all: the old token is what it
    /// was, and so is one whose grace that rotation ended. But whoever ended the successor meanwhile ended the old one, too.
    pub async fn undo_rotation(
        &self,
        rotation: &Rotation,
        rotated: &Event,
        event: &Event,
    ) -> Result<(), StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            changes::lock(&mut tx).await?;
            let successor = rotation.successor.pat_id.to_string();
            let untouched = sqlx::query(
                "DELETE FROM tokens WHERE pat_id = $1 AND revoked_at IS NULL AND rotated_to IS NULL",
            )
            .bind(successor.as_str())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if untouched == 0 {
                audit::append(&mut tx, event).await?;
                return Ok(tx.commit().await?);
            }
            // Who revoked it meanwhile said another reason: it stays so.
            sqlx::query(
                "UPDATE tokens SET rotated_to = NULL, grace_until = NULL, rotated_by = NULL, \
                 revoked_at = CASE WHEN revoked_reason = $3 THEN NULL ELSE revoked_at END, \
                 revoked_reason = CASE WHEN revoked_reason = $3 THEN NULL ELSE revoked_reason END \
                 WHERE pat_id = $1 AND rotated_to = $2",
            )
            .bind(rotation.from.to_string())
            .bind(successor.as_str())
            .bind(EndReason::Rotated.name())
            .execute(&mut *tx)
            .await?;
            changes::record(&mut tx, ChangeKind::TokenEnded, &rotation.from.to_string(), event.at)
                .await?;
            restore_older_graces(&mut tx, rotation.from, rotated.at, event.at).await?;
            audit::append(&mut tx, event).await?;
            tx.commit().await?;
            self.hear_own().await;
            Ok(())
        })
        .await
    }

    /// Notes that a token was used that a person rotated, after its grace, with the audit event. False where that was noted
    /// before.
    pub async fn note_late_use(&self, pat_id: PatId, event: &Event) -> Result<bool, StoreError> {
        within(async {
            let id = pat_id.to_string();
            // Looked at without a lock first: it may come again and again.
            let noted: Option<i64> =
                sqlx::query_scalar("SELECT COALESCE(late_use_at, 0) FROM tokens WHERE pat_id = $1")
                    .bind(id.as_str())
                    .fetch_optional(&self.pool)
                    .await?;
            if noted != Some(0) {
                return Ok(false);
            }
            let mut tx = self.begin().await?;
            let first = sqlx::query(
                "UPDATE tokens SET late_use_at = $2 WHERE pat_id = $1 AND late_use_at IS NULL",
            )
            .bind(id.as_str())
            .bind(event.at.millis())
            .execute(&mut *tx)
            .await?
            .rows_affected()
                == 1;
            if first {
                audit::append(&mut tx, event).await?;
            }
            tx.commit().await?;
            Ok(first)
        })
        .await
    }

    /// The token of the family that was not rotated yet, where there is one.
    pub async fn find_newest_of_family(
        &self,
        family_id: PatId,
    ) -> Result<Option<TokenRecord>, StoreError> {
        within(async {
            let sql =
                format!("SELECT {COLUMNS} FROM tokens WHERE family_id = $1 AND rotated_to IS NULL");
            let row = sqlx::query(AssertSqlSafe(sql))
                .bind(family_id.to_string())
                .fetch_optional(&self.pool)
                .await?;
            row.as_ref().map(token_record).transpose()
        })
        .await
    }

    /// Revokes what is live in the family of a token that was used after its grace, with one audit event for the family
    /// and one for each token.
    pub async fn burn_family(
        &self,
        family_id: PatId,
        event: &Event,
    ) -> Result<FamilyBurned, StoreError> {
        within(async {
            // Looked at without a lock first: an old token may come again and again.
            let mut connection = self.pool.acquire().await?;
            if list_live(&mut connection, family_id, event.at).await?.is_empty() {
                return Ok(FamilyBurned::AlreadyEnded);
            }
            drop(connection);
            let mut tx = self.begin().await?;
            lock_owner(&mut tx, &event.owner_id).await?;
            changes::lock(&mut tx).await?;
            let live = list_live(&mut tx, family_id, event.at).await?;
            if live.is_empty() {
                return Ok(FamilyBurned::AlreadyEnded);
            }
            let ids: Vec<_> = live.iter().map(|token| token.pat_id).collect();
            set_revoked(&mut tx, &ids, event.at, (event.end_reason(), None)).await?;
            let revoked =
                live.iter().map(|token| event.and_to(Act::TokenRevoked, token.pat_id, &token.name));
            let events: Vec<_> = std::iter::once(event.clone()).chain(revoked).collect();
            audit::append_all(&mut tx, &events.iter().collect::<Vec<_>>()).await?;
            tx.commit().await?;
            self.hear_own().await;
            Ok(FamilyBurned::Burned(events))
        })
        .await
    }
}

async fn set_rotated(
    tx: &mut Transaction<'static, Any>,
    rotation: &Rotation,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let at_once = (rotation.grace_until <= now).then_some(now.millis());
    sqlx::query(
        "UPDATE tokens SET rotated_to = $2, grace_until = $3, family_id = COALESCE(family_id, pat_id), \
         revoked_at = $4, revoked_reason = $5, rotated_by = $6 WHERE pat_id = $1",
    )
    .bind(rotation.from.to_string())
    .bind(rotation.successor.pat_id.to_string())
    .bind(rotation.grace_until.millis())
    .bind(at_once)
    .bind(at_once.map(|_| EndReason::Rotated.name()))
    .bind(if rotation.asked_by.is_some() { ITSELF } else { PERSON })
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// One token in its grace for each live one: `from` is in its grace now, and what was before works no more. Else a chain of
/// rotations would give its owner any number of tokens that work.
async fn end_older_graces(
    tx: &mut Transaction<'static, Any>,
    family_id: PatId,
    from: PatId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "UPDATE tokens SET revoked_at = $1, revoked_reason = $2 WHERE family_id = $3 AND pat_id <> $4 \
         AND revoked_at IS NULL AND grace_until > $1 RETURNING pat_id",
    )
    .bind(now.millis())
    .bind(EndReason::Superseded.name())
    .bind(family_id.to_string())
    .bind(from.to_string())
    .fetch_all(&mut **tx)
    .await?;
    record_ended(tx, &rows, now).await
}

/// What a rotation ended at `rotated_at` that is taken back.
async fn restore_older_graces(
    tx: &mut Transaction<'static, Any>,
    from: PatId,
    rotated_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "UPDATE tokens SET revoked_at = NULL, revoked_reason = NULL \
         WHERE family_id = (SELECT family_id FROM tokens WHERE pat_id = $1) \
         AND revoked_reason = $2 AND revoked_at = $3 RETURNING pat_id",
    )
    .bind(from.to_string())
    .bind(EndReason::Superseded.name())
    .bind(rotated_at.millis())
    .fetch_all(&mut **tx)
    .await?;
    record_ended(tx, &rows, now).await
}

/// Every process looks at these tokens again.
async fn record_ended(
    tx: &mut Transaction<'static, Any>,
    rows: &[AnyRow],
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids = rows.iter().map(|row| Ok(pat_id(row.try_get(0)?)?.to_string()));
    let ids = ids.collect::<Result<Vec<_>, StoreError>>()?;
    Ok(changes::record_all(tx, ChangeKind::TokenEnded, &ids, now).await?)
}

async fn list_live(
    connection: &mut AnyConnection,
    family_id: PatId,
    now: Timestamp,
) -> Result<Vec<TokenRecord>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM tokens WHERE family_id = $1 AND revoked_at IS NULL AND expires_at > $2 \
         AND (grace_until IS NULL OR grace_until > $2)"
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(family_id.to_string()).bind(now.millis());
    query.fetch_all(connection).await?.iter().map(token_record).collect()
}
