//! What owners are called, kept with their tokens: lists are ordered and searched by it, and answers say it.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use crate::clock::Timestamp;
use crate::id::UserId;
use crate::names::{Email, Names};
use crate::store::changes::{self, ChangeKind};
use crate::store::{Store, StoreError, within};

/// How many tokens one transaction changes: somebody may own very many that ended long ago.
const PART: i64 = 250;

/// The owner's tokens that say something else of them.
const SAY_OTHERWISE: &str = "user_id = $1 AND (username <> $2 OR email IS NULL OR email <> $3 \
     OR email_verified IS NULL OR email_verified <> $4)";

/// What a search looks at.
pub(super) fn search_text(token_name: &str, username: &str) -> String {
    format!("{}\n{}", token_name.to_lowercase(), username.to_lowercase())
}

/// The names in a row of tokens.
pub(super) fn names(row: &AnyRow) -> Result<Names, StoreError> {
    let address: Option<String> = row.try_get("email")?;
    let verified = row.try_get::<Option<i64>, _>("email_verified")? == Some(1);
    let email = address.map(|address| Email { address, verified });
    Ok(Names { username: row.try_get("username")?, email })
}

/// The email address as its two columns have it.
pub(super) fn columns(names: &Names) -> (Option<&str>, Option<i64>) {
    let email = names.email.as_ref();
    (email.map(|email| &*email.address), email.map(|email| email.verified.into()))
}

impl Store {
    /// Writes what the owner is called now to all of their tokens, dead ones too, and tells every process of it.
    pub async fn rename_owner(
        &self,
        owner: &UserId,
        names: &Names,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (Some(address), Some(verified)) = columns(names) else { return Ok(()) };
        let search = format!("SELECT pat_id FROM tokens WHERE {SAY_OTHERWISE} LIMIT 1");
        loop {
            let found = within(async {
                Ok(sqlx::query(AssertSqlSafe(&*search))
                    .bind(owner.as_str())
                    .bind(&*names.username)
                    .bind(address)
                    .bind(verified)
                    .fetch_optional(&self.pool)
                    .await?)
            });
            if found.await?.is_none() {
                return Ok(());
            }
            within(async {
                let mut tx = self.begin().await?;
                changes::lock(&mut tx).await?;
                let renamed =
                    rename_some(&mut tx, owner, &names.username, (address, verified)).await?;
                changes::record_all(&mut tx, ChangeKind::TokenOwnerRenamed, &renamed, at).await?;
                tx.commit().await?;
                self.hear_own().await;
                Ok(())
            })
            .await?;
        }
    }
}

/// The ids of those that were changed.
async fn rename_some(
    tx: &mut Transaction<'static, Any>,
    owner: &UserId,
    username: &str,
    (address, verified): (&str, i64),
) -> Result<Vec<String>, StoreError> {
    // The token's name is in lower case.
    let sql = format!(
        "UPDATE tokens SET username = $2, email = $3, email_verified = $4, search_text = name || $5 \
         WHERE pat_id IN (SELECT pat_id FROM tokens WHERE {SAY_OTHERWISE} LIMIT $6) RETURNING pat_id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(owner.as_str())
        .bind(username)
        .bind(address)
        .bind(verified)
        .bind(search_text("", username))
        .bind(PART)
        .fetch_all(&mut **tx)
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
