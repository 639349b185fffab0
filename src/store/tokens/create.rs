//! Recording tokens, under limits and names that hold under races.

use sqlx::{Any, Transaction};

use super::NewToken;
use super::names::{columns, search_text};
use super::restrictions::column;
use crate::audit::Event;
use crate::clock::Timestamp;
use crate::id::{PatId, UserId};
use crate::store::{Store, StoreError, audit, within};

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
            if !insert(&mut tx, token, None).await? {
                return Ok(TokenCreated::NameTaken);
            }
            audit::append(&mut tx, event).await?;
            tx.commit().await?;
            Ok(TokenCreated::Created)
        })
        .await
    }
}

/// Makes parallel creations of one owner wait for each other, on either database.
pub(super) async fn lock_owner(
    tx: &mut Transaction<'static, Any>,
    owner: &UserId,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO owners (user_id, tokens_created) VALUES ($1, 1) \
         ON CONFLICT (user_id) DO UPDATE SET tokens_created = owners.tokens_created + 1",
    )
    .bind(owner.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Who is at the limit can rotate: one token in its grace is not counted beside the live end of its chain. Without such
/// an end it is, since it works for a day, however short the life of its successor was.
async fn count_live(
    tx: &mut Transaction<'static, Any>,
    owner: &UserId,
    now: Timestamp,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM tokens WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 \
         AND (rotated_to IS NULL OR (grace_until > $2 AND NOT EXISTS (SELECT 1 FROM tokens AS newest \
         WHERE newest.family_id = tokens.family_id AND newest.rotated_to IS NULL \
         AND newest.revoked_at IS NULL AND newest.expires_at > $2)))",
    )
    .bind(owner.as_str())
    .bind(now.millis())
    .fetch_one(&mut **tx)
    .await
}

/// False when the name is taken.
pub(super) async fn insert(
    tx: &mut Transaction<'static, Any>,
    token: &NewToken,
    rotated_from: Option<PatId>,
) -> Result<bool, sqlx::Error> {
    let (address, verified) = columns(&token.names);
    let inserted = sqlx::query(
        "INSERT INTO tokens (pat_id, user_id, username, name, description, kid, owner_roles, \
         created_at, expires_at, last_used_at, search_text, family_id, chain_began_at, rotated_from, \
         scopes, roles, audience, allowed_cidrs, authority_claims, email, email_verified) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) \
         ON CONFLICT DO NOTHING",
    )
    .bind(token.pat_id.to_string())
    .bind(token.user_id.as_str())
    .bind(token.names.username.as_str())
    .bind(token.name.as_str())
    .bind(token.description.as_deref())
    .bind(token.kid.as_str())
    .bind(token.owner_roles.as_str())
    .bind(token.created_at.millis())
    .bind(token.expires_at.millis())
    .bind(search_text(&token.name, &token.names.username))
    .bind(token.chain.map(|chain| chain.family_id.to_string()))
    .bind(token.chain.map(|chain| chain.began_at.millis()))
    .bind(rotated_from.map(|from| from.to_string()))
    .bind(column(token.restrictions.scopes.as_ref()))
    .bind(column(token.restrictions.roles.as_ref()))
    .bind(column(token.restrictions.audience.as_ref()))
    .bind(column(token.restrictions.allowed_cidrs.as_ref()))
    .bind(token.authority_claims.as_deref())
    .bind(address)
    .bind(verified)
    .execute(&mut **tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}
