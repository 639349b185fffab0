//! The records of personal access tokens. The JWT itself is never here.

use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};

use super::changes::{self, ChangeKind};
use super::{Store, StoreError, audit, within};
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::id::{PatId, UserId};
use crate::page::{Page, PageRequest};

/// What is recorded before a token is signed.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id: the `jti`.
    pub pat_id: PatId,
    /// Its owner.
    pub user_id: UserId,
    /// The owner's name at login.
    pub username: String,
    /// Its name, unique among the owner's listed tokens.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The key that signs it.
    pub kid: String,
    /// The owner's roles at issue, as canonical JSON: compared when roles change.
    pub owner_roles: String,
    /// When it was made: the `iat`.
    pub created_at: Timestamp,
    /// When it ends: the `exp`.
    pub expires_at: Timestamp,
}

/// A personal access token's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its id: the `jti`.
    pub pat_id: PatId,
    /// Its owner.
    pub user_id: UserId,
    /// The owner's name at login, as it was at issue.
    pub username: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Since when it is revoked.
    pub revoked_at: Option<Timestamp>,
    /// Why it is revoked.
    pub revoked_reason: Option<String>,
    /// Since when it is suspended.
    pub suspended_at: Option<Timestamp>,
    /// When Hallpass last saw it used.
    pub last_used_at: Option<Timestamp>,
    /// From which address it was last used.
    pub last_used_ip: Option<String>,
    /// The scopes that it was narrowed to.
    pub scopes: Option<Vec<String>>,
    /// The roles that it was narrowed to.
    pub roles: Option<Vec<String>>,
    /// The audiences that it was narrowed to.
    pub audience: Option<Vec<String>>,
    /// The networks from which it may be used.
    pub allowed_cidrs: Option<Vec<String>>,
    /// The token that it replaces.
    pub rotated_from: Option<PatId>,
    /// The token that replaces it.
    pub rotated_to: Option<PatId>,
    /// Until when it works beside its successor.
    pub grace_until: Option<Timestamp>,
}

/// What became of a new record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenCreated {
    /// It is committed.
    Created,
    /// Another listed token of the owner has the name.
    NameTaken,
    /// The owner has as many live tokens as allowed.
    LimitReached,
}

/// What became of a record that was to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenRevoked {
    /// It is revoked now.
    Revoked,
    /// It was revoked before, and stays as it was.
    AlreadyRevoked,
    /// There is none.
    NotFound,
}

/// What became of a record that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenDeleted {
    /// It is gone.
    Deleted,
    /// There was none.
    NotFound,
}

/// A statement over all columns of a record: `sqlx` takes static text only.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT pat_id, user_id, username, name, description, created_at, expires_at, \
             revoked_at, revoked_reason, suspended_at, last_used_at, last_used_ip, scopes, roles, \
             audience, allowed_cidrs, rotated_from, rotated_to, grace_until FROM tokens ",
            $rest
        )
    };
}

impl Store {
    /// Records a token with its audit event, within the owner's limit of live tokens (0: none).
    pub async fn create_token(
        &self,
        token: &NewToken,
        max_live: u32,
        event: &Event,
    ) -> Result<TokenCreated, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            lock_owner(&mut tx, &token.user_id).await?;
            if max_live > 0 {
                let live = count_live(&mut tx, &token.user_id, token.created_at).await?;
                if live >= i64::from(max_live) {
                    return Ok(TokenCreated::LimitReached);
                }
            }
            if !insert(&mut tx, token).await? {
                return Ok(TokenCreated::NameTaken);
            }
            audit::append(&mut tx, event).await?;
            tx.commit().await?;
            Ok(TokenCreated::Created)
        })
        .await
    }

    /// The owner's token of this id.
    pub async fn find_token(
        &self,
        owner: &UserId,
        pat_id: PatId,
    ) -> Result<Option<TokenRecord>, StoreError> {
        within(async {
            let row = sqlx::query(select!("WHERE user_id = $1 AND pat_id = $2"))
                .bind(owner.as_str())
                .bind(pat_id.to_string())
                .fetch_optional(&self.pool)
                .await?;
            row.as_ref().map(token_record).transpose()
        })
        .await
    }

    /// The owner's tokens, newest first.
    pub async fn list_tokens(
        &self,
        owner: &UserId,
        page: PageRequest,
    ) -> Result<Page<TokenRecord>, StoreError> {
        within(async {
            let total: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM tokens WHERE user_id = $1")
                .bind(owner.as_str())
                .fetch_one(&self.pool)
                .await?;
            let rows = sqlx::query(select!(
                "WHERE user_id = $1 ORDER BY created_at DESC, pat_id DESC LIMIT $2 OFFSET $3"
            ))
            .bind(owner.as_str())
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset))
            .fetch_all(&self.pool)
            .await?;
            let items = rows.iter().map(token_record).collect::<Result<_, _>>()?;
            Ok(Page { items, total: total.unsigned_abs() })
        })
        .await
    }

    /// Revokes the token that `event` speaks of, with the event's reason. Again: nothing changes.
    pub async fn revoke_token(
        &self,
        pat_id: PatId,
        event: &Event,
    ) -> Result<TokenRevoked, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            let revoked = sqlx::query(
                "UPDATE tokens SET revoked_at = $3, revoked_reason = $4 \
                 WHERE user_id = $1 AND pat_id = $2 AND revoked_at IS NULL",
            )
            .bind(event.owner_id.as_str())
            .bind(pat_id.to_string())
            .bind(event.at.millis())
            .bind(event.reason.as_deref())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if revoked == 0 {
                drop(tx);
                let found = self.find_token(&event.owner_id, pat_id).await?;
                return Ok(found.map_or(TokenRevoked::NotFound, |_| TokenRevoked::AlreadyRevoked));
            }
            changes::record(&mut tx, ChangeKind::TokenEnded, &pat_id.to_string(), event.at).await?;
            audit::append(&mut tx, event).await?;
            tx.commit().await?;
            Ok(TokenRevoked::Revoked)
        })
        .await
    }

    /// Deletes the token that `event` speaks of, with all its metadata.
    pub async fn delete_token(
        &self,
        pat_id: PatId,
        event: &Event,
    ) -> Result<TokenDeleted, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            let deleted = sqlx::query("DELETE FROM tokens WHERE user_id = $1 AND pat_id = $2")
                .bind(event.owner_id.as_str())
                .bind(pat_id.to_string())
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if deleted == 0 {
                return Ok(TokenDeleted::NotFound);
            }
            changes::record(&mut tx, ChangeKind::TokenEnded, &pat_id.to_string(), event.at).await?;
            audit::append(&mut tx, event).await?;
            tx.commit().await?;
            Ok(TokenDeleted::Deleted)
        })
        .await
    }
}

/// Makes parallel creations of one owner wait for each other, on either database.
async fn lock_owner(tx: &mut Transaction<'static, Any>, owner: &UserId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO owners (user_id, tokens_created) VALUES ($1, 1) \
         ON CONFLICT (user_id) DO UPDATE SET tokens_created = owners.tokens_created + 1",
    )
    .bind(owner.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn count_live(
    tx: &mut Transaction<'static, Any>,
    owner: &UserId,
    now: Timestamp,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM tokens WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2",
    )
    .bind(owner.as_str())
    .bind(now.millis())
    .fetch_one(&mut **tx)
    .await
}

/// False when the name is taken.
async fn insert(tx: &mut Transaction<'static, Any>, token: &NewToken) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(
        "INSERT INTO tokens (pat_id, user_id, username, name, description, kid, owner_roles, \
         created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
    )
    .bind(token.pat_id.to_string())
    .bind(token.user_id.as_str())
    .bind(token.username.as_str())
    .bind(token.name.as_str())
    .bind(token.description.as_deref())
    .bind(token.kid.as_str())
    .bind(token.owner_roles.as_str())
    .bind(token.created_at.millis())
    .bind(token.expires_at.millis())
    .execute(&mut **tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

fn token_record(row: &AnyRow) -> Result<TokenRecord, StoreError> {
    let time = |column: &str| -> Result<Option<Timestamp>, StoreError> {
        Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_millis))
    };
    Ok(TokenRecord {
        pat_id: pat_id(row.try_get("pat_id")?)?,
        user_id: UserId::new(row.try_get::<String, _>("user_id")?),
        username: row.try_get("username")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        expires_at: Timestamp::from_millis(row.try_get("expires_at")?),
        revoked_at: time("revoked_at")?,
        revoked_reason: row.try_get("revoked_reason")?,
        suspended_at: time("suspended_at")?,
        last_used_at: time("last_used_at")?,
        last_used_ip: row.try_get("last_used_ip")?,
        scopes: list(row, "scopes")?,
        roles: list(row, "roles")?,
        audience: list(row, "audience")?,
        allowed_cidrs: list(row, "allowed_cidrs")?,
        rotated_from: optional_pat_id(row, "rotated_from")?,
        rotated_to: optional_pat_id(row, "rotated_to")?,
        grace_until: time("grace_until")?,
    })
}

fn pat_id(text: &str) -> Result<PatId, StoreError> {
    PatId::parse(text).ok_or(StoreError::Corrupt("token id"))
}

fn optional_pat_id(row: &AnyRow, column: &str) -> Result<Option<PatId>, StoreError> {
    row.try_get::<Option<&str>, _>(column)?.map(pat_id).transpose()
}

/// `NULL` is "not narrowed", which an empty list would not be.
fn list(row: &AnyRow, column: &str) -> Result<Option<Vec<String>>, StoreError> {
    row.try_get::<Option<&str>, _>(column)?
        .map(|json| serde_json::from_str(json).map_err(|_| StoreError::Corrupt("list")))
        .transpose()
}
