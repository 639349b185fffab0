//! The records of personal access tokens. The JWT itself is never here.

mod create;
mod describe;
mod end;
mod held;
mod lifecycle;
mod list;
mod names;
mod restrictions;
mod rotate;
mod standing;
mod status;
mod unreadable;
mod uses;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

pub use create::TokenCreated;
pub use end::{EventOf, TokenDeleted, TokenRevoked};
pub use held::{Accepted, HeldOwner};
pub use lifecycle::{OwnedToken, OwnerNote, Suspension};
pub use list::{TokenFilter, TokenSort};
pub use restrictions::Restrictions;
pub use rotate::{FamilyBurned, Rotation, TokenRotated};
pub use standing::Standing;
pub use status::TokenStatus;
pub use uses::TokenUse;

use super::{Store, StoreError, optional_time, within};
use crate::clock::Timestamp;
use crate::credential::EndReason;
use crate::id::{PatId, UserId};
use crate::names::Names;

/// What is recorded before a token is signed.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id: the `jti`.
    pub pat_id: PatId,
    /// Its owner.
    pub user_id: UserId,
    /// What its owner is called.
    pub names: Names,
    /// Its name, unique among the owner's listed tokens.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The key that signs it.
    pub kid: String,
    /// The owner's roles at issue, as canonical JSON: compared when roles change.
    pub owner_roles: String,
    /// Its claims that carry authority, as canonical JSON, where it has any: compared when claims change.
    pub authority_claims: Option<String>,
    /// When it was made: the `iat`.
    pub created_at: Timestamp,
    /// When it ends: the `exp`.
    pub expires_at: Timestamp,
    /// The chain of rotations that it goes on; `None`: it begins one.
    pub chain: Option<Chain>,
    /// What it is narrowed to.
    pub restrictions: Restrictions,
}

/// A personal access token's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its id: the `jti`.
    pub pat_id: PatId,
    /// Its owner.
    pub user_id: UserId,
    /// What its owner is called now, as far as is known.
    pub names: Names,
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
    pub revoked_reason: Option<EndReason>,
    /// What whoever revoked it said of that.
    pub revoked_note: Option<String>,
    /// Since when it is suspended.
    pub suspended_at: Option<Timestamp>,
    /// Why it was last suspended.
    pub suspended_reason: Option<EndReason>,
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
    /// A person replaced it, and so only they have the successor. Else it did itself, or nobody knows.
    pub rotated_by_person: bool,
    /// The chain of rotations that it is in.
    pub chain: Chain,
}

/// A chain of rotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its first token, which names the family.
    pub family_id: PatId,
    /// When a person last made or rotated a token of it by themselves.
    pub began_at: Timestamp,
}

/// All columns of a record.
const COLUMNS: &str = "pat_id, user_id, username, email, email_verified, name, description, created_at, expires_at, \
     revoked_at, revoked_reason, revoked_note, suspended_at, suspended_reason, last_used_at, last_used_ip, scopes, roles, \
     audience, allowed_cidrs, rotated_from, rotated_to, grace_until, rotated_by, family_id, chain_began_at";

impl Store {
    /// The owner's token of this id.
    pub async fn find_token(
        &self,
        owner: &UserId,
        pat_id: PatId,
    ) -> Result<Option<TokenRecord>, StoreError> {
        within(async {
            let mut connection = self.pool.acquire().await?;
            Ok(find(&mut connection, pat_id).await?.filter(|token| token.user_id == *owner))
        })
        .await
    }

    /// The same, with the roles that the owner had when it was issued.
    pub(in crate::store) async fn find_token_with_roles(
        &self,
        owner: &UserId,
        pat_id: PatId,
    ) -> Result<Option<(TokenRecord, String)>, StoreError> {
        within(async {
            let sql = format!("SELECT {COLUMNS}, owner_roles FROM tokens WHERE pat_id = $1");
            let row = sqlx::query(AssertSqlSafe(sql))
                .bind(pat_id.to_string())
                .fetch_optional(&self.pool)
                .await?;
            let found = row
                .as_ref()
                .map(|row| Ok::<_, StoreError>((token_record(row)?, row.try_get("owner_roles")?)));
            Ok(found.transpose()?.filter(|(token, _)| token.user_id == *owner))
        })
        .await
    }

    /// The owner's listed token that has this name: no other can get it.
    pub async fn find_token_named(
        &self,
        owner: &UserId,
        name: &str,
    ) -> Result<Option<TokenRecord>, StoreError> {
        within(async {
            let sql = format!(
                "SELECT {COLUMNS} FROM tokens WHERE user_id = $1 AND name = $2 AND rotated_to IS NULL"
            );
            let row = sqlx::query(AssertSqlSafe(sql))
                .bind(owner.as_str())
                .bind(name)
                .fetch_optional(&self.pool)
                .await?;
            row.as_ref().map(token_record).transpose()
        })
        .await
    }

    /// The roles that the owner of this token had when it was issued, and the claims that it has, both as canonical JSON.
    pub async fn find_fingerprint(
        &self,
        pat_id: PatId,
    ) -> Result<Option<(String, Option<String>)>, StoreError> {
        within(async {
            let sql = "SELECT owner_roles, authority_claims FROM tokens WHERE pat_id = $1";
            let row = sqlx::query(sql).bind(pat_id.to_string()).fetch_optional(&self.pool).await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some((row.try_get("owner_roles")?, row.try_get("authority_claims")?)))
        })
        .await
    }
}

async fn find(
    connection: &mut AnyConnection,
    pat_id: PatId,
) -> Result<Option<TokenRecord>, StoreError> {
    let row = sqlx::query(AssertSqlSafe(format!("SELECT {COLUMNS} FROM tokens WHERE pat_id = $1")))
        .bind(pat_id.to_string())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(token_record).transpose()
}

fn token_record(row: &AnyRow) -> Result<TokenRecord, StoreError> {
    let pat_id = pat_id(row.try_get("pat_id")?)?;
    let created_at = Timestamp::from_millis(row.try_get("created_at")?);
    let chain = Chain {
        family_id: optional_pat_id(row, "family_id")?.unwrap_or(pat_id),
        began_at: optional_time(row, "chain_began_at")?.unwrap_or(created_at),
    };
    Ok(TokenRecord {
        pat_id,
        user_id: UserId::new(row.try_get::<String, _>("user_id")?),
        names: names::names(row)?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        created_at,
        expires_at: Timestamp::from_millis(row.try_get("expires_at")?),
        revoked_at: optional_time(row, "revoked_at")?,
        revoked_reason: end_reason(row, "revoked_reason")?,
        revoked_note: row.try_get("revoked_note")?,
        suspended_at: optional_time(row, "suspended_at")?,
        suspended_reason: end_reason(row, "suspended_reason")?,
        last_used_at: optional_time(row, "last_used_at")?.filter(|at| at.millis() != 0),
        last_used_ip: row.try_get("last_used_ip")?,
        scopes: list(row, "scopes")?,
        roles: list(row, "roles")?,
        audience: list(row, "audience")?,
        allowed_cidrs: list(row, "allowed_cidrs")?,
        rotated_from: optional_pat_id(row, "rotated_from")?,
        rotated_to: optional_pat_id(row, "rotated_to")?,
        grace_until: optional_time(row, "grace_until")?,
        rotated_by_person: row.try_get::<Option<&str>, _>("rotated_by")? == Some(rotate::PERSON),
        chain,
    })
}

fn end_reason(row: &AnyRow, column: &str) -> Result<Option<EndReason>, StoreError> {
    Ok(row.try_get::<Option<&str>, _>(column)?.map(EndReason::read))
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
