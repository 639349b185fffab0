//! Accounts: how many API clients each has, and may have.

use sqlx::{Any, Row as _, Transaction};

use super::{Store, StoreError, audit, within};
use crate::audit::Event;
use crate::id::AccountId;

/// How many clients an account has and may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many there are, those that are being made included.
    pub used: u32,
    /// How many there may be.
    pub limit: u32,
}

impl Store {
    /// The account's quota; `default` where none was set for it.
    pub async fn get_quota(&self, account: &AccountId, default: u32) -> Result<Quota, StoreError> {
        within(async {
            let row = sqlx::query("SELECT clients, quota FROM accounts WHERE account_id = $1")
                .bind(account.as_str())
                .fetch_optional(&self.pool)
                .await?;
            let Some(row) = row else { return Ok(Quota { used: 0, limit: default }) };
            let number =
                |value: i64| u32::try_from(value).map_err(|_| StoreError::Corrupt("quota"));
            let limit = row.try_get::<Option<i64>, _>("quota")?.map(number).transpose()?;
            Ok(Quota { used: number(row.try_get("clients")?)?, limit: limit.unwrap_or(default) })
        })
        .await
    }

    /// Whether the account has, or had, clients or a quota of its own.
    pub async fn knows_account(&self, account: &AccountId) -> Result<bool, StoreError> {
        within(async {
            let row = sqlx::query("SELECT account_id FROM accounts WHERE account_id = $1")
                .bind(account.as_str())
                .fetch_optional(&self.pool)
                .await?;
            Ok(row.is_some())
        })
        .await
    }

    /// Sets how many clients the account may have; `None`: as many as the settings say. Fewer than it has: then it keeps
    /// them, and gets no more.
    pub async fn set_quota(
        &self,
        account: &AccountId,
        limit: Option<u32>,
        event: &Event,
    ) -> Result<(), StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "INSERT INTO accounts (account_id, quota, clients) VALUES ($1, $2, 0) \
             ON CONFLICT (account_id) DO UPDATE SET quota = $2",
            )
            .bind(account.as_str())
            .bind(limit.map(i64::from))
            .execute(&mut *tx)
            .await?;
            audit::append(&mut tx, event).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

/// Counts a client that is about to be made. False when there may be no more. The account's row stays locked until
/// the commit, so that parallel creations wait for each other.
pub(super) async fn count_one_more(
    tx: &mut Transaction<'static, Any>,
    account: &AccountId,
    default_quota: u32,
) -> Result<bool, sqlx::Error> {
    sqlx::query("INSERT INTO accounts (account_id, clients) VALUES ($1, 0) ON CONFLICT (account_id) DO NOTHING")
        .bind(account.as_str())
        .execute(&mut **tx)
        .await?;
    let counted = sqlx::query(
        "UPDATE accounts SET clients = clients + 1 WHERE account_id = $1 AND clients < COALESCE(quota, $2)",
    )
    .bind(account.as_str())
    .bind(i64::from(default_quota))
    .execute(&mut **tx)
    .await?;
    Ok(counted.rows_affected() == 1)
}

/// Locks the account's row, so that a removal and a creation never wait for each other's rows.
pub(super) async fn lock(
    tx: &mut Transaction<'static, Any>,
    account: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE accounts SET clients = clients WHERE account_id = $1")
        .bind(account)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Counts a client that is gone.
pub(super) async fn count_one_less(
    tx: &mut Transaction<'static, Any>,
    account: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE accounts SET clients = clients - 1 WHERE account_id = $1")
        .bind(account)
        .execute(&mut **tx)
        .await?;
    Ok(())
}
