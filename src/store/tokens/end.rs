//! The end of tokens: revoked or deleted, one or many in one transaction, each with its audit event.
//!
//! A thousand end by a few statements: the counter of the changes is locked meanwhile, and whoever else ends a token waits.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row as _, Transaction};

use super::{COLUMNS, TokenRecord, pat_id, token_record};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::credential::EndReason;
use crate::id::{PatId, UserId};
use crate::store::changes::{self, ChangeKind};
use crate::store::{Store, StoreError, audit, placeholders, within};

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

const UNREVOKED_BEFORE: &str =
    "WHERE created_at < $1 AND revoked_at IS NULL AND (grace_until IS NULL OR grace_until > $2)";

/// After so many milliseconds the grace of a rotation is over: a day, and a second for the creation that is rounded down.
const GRACE_IS_OVER: i64 = (24 * 3600 + 1) * 1000;

/// How many ids one statement names.
const PART: usize = 250;

impl Store {
    /// Revokes these tokens, of this owner where one is named: all of them, or none when the store fails. Where all are
    /// revoked already, nothing is locked or written.
    pub async fn revoke_tokens(
        &self,
        owner: Option<&UserId>,
        ids: &[PatId],
        event: &EventOf<'_>,
    ) -> Result<Vec<TokenRevoked>, StoreError> {
        within(async {
            let found = find_all(&mut *self.pool.acquire().await?, owner, ids).await?;
            let is_dead = |token: &TokenRecord| token.revocation(event(token).at).is_some();
            if found.values().all(is_dead) {
                let outcomes = ids.iter().map(|id| {
                    let known = found.contains_key(id);
                    if known { TokenRevoked::AlreadyRevoked } else { TokenRevoked::NotFound }
                });
                return Ok(outcomes.collect());
            }
            let mut tx = self.begin().await?;
            changes::lock(&mut tx).await?;
            let found = find_all(&mut tx, owner, ids).await?;
            let revoked = revoke(&mut tx, &found, event).await?;
            tx.commit().await?;
            self.hear_own().await;
            // An id that comes again was revoked by its first.
            let mut events: HashMap<_, _> = revoked.into_iter().collect();
            let outcomes = ids.iter().map(|id| match events.remove(id) {
                Some(event) => TokenRevoked::Revoked(Box::new(event)),
                None if found.contains_key(id) => TokenRevoked::AlreadyRevoked,
                None => TokenRevoked::NotFound,
            });
            Ok(outcomes.collect())
        })
        .await
    }

    /// Deletes these tokens with all their metadata, of this owner where one is named: all, or none when the store
    /// fails. Where there are none, nothing is locked or written.
    pub async fn delete_tokens(
        &self,
        owner: Option<&UserId>,
        ids: &[PatId],
        event: &EventOf<'_>,
    ) -> Result<Vec<TokenDeleted>, StoreError> {
        within(async {
            if find_all(&mut *self.pool.acquire().await?, owner, ids).await?.is_empty() {
                return Ok(ids.iter().map(|_| TokenDeleted::NotFound).collect());
            }
            let mut tx = self.begin().await?;
            changes::lock(&mut tx).await?;
            let found = find_all(&mut tx, owner, ids).await?;
            let deleted = delete(&mut tx, &found, event).await?;
            tx.commit().await?;
            self.hear_own().await;
            let mut events: HashMap<_, _> = deleted.into_iter().collect();
            let outcomes = ids.iter().map(|id| match events.remove(id) {
                Some(event) => TokenDeleted::Deleted(Box::new(event)),
                None => TokenDeleted::NotFound,
            });
            Ok(outcomes.collect())
        })
        .await
    }

    /// Some of the owner's tokens that are not revoked at `now`; none: there are no more.
    pub async fn list_unrevoked_ids(
        &self,
        owner: &UserId,
        now: Timestamp,
    ) -> Result<Vec<PatId>, StoreError> {
        within(async {
            let sql = format!(
                "SELECT pat_id FROM tokens WHERE user_id = $1 AND revoked_at IS NULL \
                 AND (grace_until IS NULL OR grace_until > $2) LIMIT {BATCH}"
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(owner.as_str()).bind(now.millis());
            let rows = query.fetch_all(&self.pool).await?;
            rows.iter().map(|row| pat_id(row.try_get(0)?)).collect()
        })
        .await
    }

    /// Some of the tokens that were issued before a moment and are not revoked at `now`; none: there are no more.
    pub async fn list_unrevoked_before(
        &self,
        moment: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<PatId>, StoreError> {
        within(async {
            let sql = format!("SELECT pat_id FROM tokens {UNREVOKED_BEFORE} LIMIT {BATCH}");
            let query = sqlx::query(AssertSqlSafe(sql)).bind(moment.millis()).bind(now.millis());
            let rows = query.fetch_all(&self.pool).await?;
            rows.iter().map(|row| pat_id(row.try_get(0)?)).collect()
        })
        .await
    }

    /// How many there are of [`Self::list_unrevoked_before`].
    pub async fn count_unrevoked_before(
        &self,
        moment: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        within(async {
            let sql = format!("SELECT COUNT(*) FROM tokens {UNREVOKED_BEFORE}");
            let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql));
            let count = query.bind(moment.millis()).bind(now.millis()).fetch_one(&self.pool);
            Ok(count.await?.unsigned_abs())
        })
        .await
    }

    /// Some of the owner's tokens; none: there are no more.
    pub async fn list_ids(&self, owner: &UserId) -> Result<Vec<PatId>, StoreError> {
        within(async {
            let sql = format!("SELECT pat_id FROM tokens WHERE user_id = $1 LIMIT {BATCH}");
            let query = sqlx::query(AssertSqlSafe(sql)).bind(owner.as_str());
            let rows = query.fetch_all(&self.pool).await?;
            rows.iter().map(|row| pat_id(row.try_get(0)?)).collect()
        })
        .await
    }
}

/// The tokens of these ids, of this owner where one is named.
async fn find_all(
    connection: &mut AnyConnection,
    owner: Option<&UserId>,
    ids: &[PatId],
) -> Result<BTreeMap<PatId, TokenRecord>, StoreError> {
    let mut found = BTreeMap::new();
    for part in ids.chunks(PART) {
        let ids = placeholders(1, part.len());
        let sql = format!("SELECT {COLUMNS} FROM tokens WHERE pat_id IN ({ids})");
        let query = bind_ids(sqlx::query(AssertSqlSafe(sql)), part);
        for row in query.fetch_all(&mut *connection).await? {
            let token = token_record(&row)?;
            if owner.is_none_or(|owner| token.user_id == *owner) {
                found.insert(token.pat_id, token);
            }
        }
    }
    Ok(found)
}

/// Revokes those that are not, and answers which with their events.
async fn revoke(
    tx: &mut Transaction<'static, Any>,
    found: &BTreeMap<PatId, TokenRecord>,
    event: &EventOf<'_>,
) -> Result<Vec<(PatId, Event)>, StoreError> {
    let mut events = Vec::new();
    let mut alike: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (id, token) in found {
        let event = event(token);
        if token.revocation(event.at).is_none() {
            let why = (event.at, event.end_reason(), event.note.clone());
            alike.entry(why).or_default().push(*id);
            events.push((*id, event));
        }
    }
    let mut revoked = HashSet::new();
    for ((at, reason, note), ids) in alike {
        revoked.extend(set_revoked(tx, &ids, at, (reason, note.as_deref())).await?);
    }
    events.retain(|(id, _)| revoked.contains(id));
    finish(tx, found, &events).await?;
    Ok(events)
}

/// Answers those that nobody else revoked meanwhile.
pub(super) async fn set_revoked(
    tx: &mut Transaction<'static, Any>,
    ids: &[PatId],
    at: Timestamp,
    (reason, note): (Option<EndReason>, Option<&str>),
) -> Result<Vec<PatId>, StoreError> {
    let mut revoked = Vec::new();
    for part in ids.chunks(PART) {
        let ids = placeholders(4, part.len());
        let sql = format!(
            "UPDATE tokens SET revoked_at = $1, revoked_reason = $2, revoked_note = $3 \
             WHERE revoked_at IS NULL AND pat_id IN ({ids}) RETURNING pat_id"
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(at.millis())
            .bind(reason.map(EndReason::name))
            .bind(note);
        revoked.extend(fetch_ids(tx, bind_ids(query, part)).await?);
    }
    changes::record_all(tx, ChangeKind::TokenEnded, &texts(&revoked), at).await?;
    Ok(revoked)
}

/// Deletes them, and answers which with their events.
async fn delete(
    tx: &mut Transaction<'static, Any>,
    found: &BTreeMap<PatId, TokenRecord>,
    event: &EventOf<'_>,
) -> Result<Vec<(PatId, Event)>, StoreError> {
    let ids: Vec<_> = found.keys().copied().collect();
    let mut deleted = Vec::new();
    for part in ids.chunks(PART) {
        let ids = placeholders(1, part.len());
        let sql = format!("DELETE FROM tokens WHERE pat_id IN ({ids}) RETURNING pat_id");
        deleted.extend(fetch_ids(tx, bind_ids(sqlx::query(AssertSqlSafe(sql)), part)).await?);
    }
    let events = deleted.iter().filter_map(|id| Some((*id, event(found.get(id)?))));
    let events: Vec<_> = events.collect();
    if let Some((_, event)) = events.first() {
        changes::record_all(tx, ChangeKind::TokenEnded, &texts(&deleted), event.at).await?;
    }
    finish(tx, found, &events).await?;
    Ok(events)
}

/// What comes with the end of each: the end of what it replaced, and the audit event.
async fn finish(
    tx: &mut Transaction<'static, Any>,
    found: &BTreeMap<PatId, TokenRecord>,
    events: &[(PatId, Event)],
) -> Result<(), StoreError> {
    let Some((_, Event { at, .. })) = events.first() else { return Ok(()) };
    let replaced = |id: &PatId| found.get(id).is_some_and(|token| token.rotated_from.is_some());
    let successors: Vec<_> = events.iter().map(|(id, _)| *id).filter(replaced).collect();
    end_grace_of_predecessors(tx, &successors, *at).await?;
    let events: Vec<_> = events.iter().map(|(_, event)| event).collect();
    Ok(audit::append_all(tx, &events).await?)
}

/// Whoever ends a token ends what it replaced, too: a predecessor works for nobody but who waits for the successor.
async fn end_grace_of_predecessors(
    tx: &mut Transaction<'static, Any>,
    successors: &[PatId],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut in_grace = HashSet::new();
    for part in successors.chunks(PART) {
        let ids = placeholders(3, part.len());
        let sql = format!(
            "WITH RECURSIVE line (pat_id, created_at) AS ( \
             SELECT pat_id, created_at FROM tokens WHERE rotated_to IN ({ids}) \
             UNION SELECT tokens.pat_id, tokens.created_at FROM tokens \
             JOIN line ON tokens.rotated_to = line.pat_id WHERE line.created_at > $2) \
             SELECT tokens.pat_id FROM tokens JOIN line ON tokens.pat_id = line.pat_id \
             WHERE tokens.revoked_at IS NULL AND tokens.grace_until > $1"
        );
        // What replaced a token longer ago than any grace lasts is where the walk ends.
        let longest = now.millis() - GRACE_IS_OVER;
        let query = sqlx::query(AssertSqlSafe(sql)).bind(now.millis()).bind(longest);
        in_grace.extend(fetch_ids(tx, bind_ids(query, part)).await?);
    }
    let in_grace: Vec<_> = in_grace.into_iter().collect();
    for part in in_grace.chunks(PART) {
        let ids = placeholders(2, part.len());
        let sql = format!("UPDATE tokens SET grace_until = $1 WHERE pat_id IN ({ids})");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(now.millis());
        bind_ids(query, part).execute(&mut **tx).await?;
    }
    Ok(changes::record_all(tx, ChangeKind::TokenEnded, &texts(&in_grace), now).await?)
}

type Statement = Query<'static, Any, AnyArguments>;

fn bind_ids(query: Statement, ids: &[PatId]) -> Statement {
    ids.iter().fold(query, |query, id| query.bind(id.to_string()))
}

async fn fetch_ids(
    tx: &mut Transaction<'static, Any>,
    query: Statement,
) -> Result<Vec<PatId>, StoreError> {
    let rows = query.fetch_all(&mut **tx).await?;
    rows.iter().map(|row| pat_id(row.try_get(0)?)).collect()
}

fn texts(ids: &[PatId]) -> Vec<String> {
    ids.iter().map(PatId::to_string).collect()
}
