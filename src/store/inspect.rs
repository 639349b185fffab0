//! A look at a database that may be in any state: nothing is made, migrated or written.

use std::collections::BTreeSet;

use super::connect::MIGRATIONS;
use super::{Progress, Store, StoreError, files, within};
use crate::config::StoreUrl;

const SQLITE_PRAGMAS: &str = "PRAGMA query_only = ON; PRAGMA busy_timeout = 2000;";
const POSTGRES_SETTINGS: &str = "SET default_transaction_read_only = on; \
     SET statement_timeout = '2s'; SET lock_timeout = '2s';";

/// How far the tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrations {
    /// How many were applied.
    pub applied: usize,
    /// How many this program would apply.
    pub pending: usize,
}

impl Store {
    /// Opens an existing database to look at it, beside whoever uses it.
    pub async fn open_to_inspect(url: &StoreUrl) -> Result<Self, StoreError> {
        within(Self::connect(url, (SQLITE_PRAGMAS, POSTGRES_SETTINGS))).await
    }

    /// Refuses SQLite's files where others can read them.
    pub fn check_files(url: &StoreUrl) -> Result<(), StoreError> {
        match url {
            StoreUrl::Sqlite(path) => files::check_private(path),
            StoreUrl::Postgres(_) => Ok(()),
        }
    }

    /// How far the realm is followed; `None`: the tables are not that far.
    pub async fn inspect_progress(&self) -> Result<Option<Progress>, StoreError> {
        if !self.has_table("follower").await? {
            return Ok(None);
        }
        self.find_progress().await.map(Some)
    }

    /// How many owners cannot be read; `None`: the tables are not that far.
    pub async fn inspect_unreadable_owners(&self) -> Result<Option<u64>, StoreError> {
        if !self.has_table("unreadable_owners").await? {
            return Ok(None);
        }
        self.count_unreadable_owners().await.map(Some)
    }

    /// How far the tables are. Those of a newer version do not count.
    pub async fn inspect_migrations(&self) -> Result<Migrations, StoreError> {
        if !self.has_table("_sqlx_migrations").await? {
            return Ok(Migrations { applied: 0, pending: MIGRATIONS.iter().count() });
        }
        let applied = within(async {
            let versions: Vec<i64> =
                sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
                    .fetch_all(&self.pool)
                    .await?;
            Ok(BTreeSet::from_iter(versions))
        })
        .await?;
        let known = || MIGRATIONS.iter().map(|migration| migration.version);
        Ok(Migrations {
            applied: known().filter(|version| applied.contains(version)).count(),
            pending: known().filter(|version| !applied.contains(version)).count(),
        })
    }

    /// The issuer of the realm that it belongs to.
    pub async fn find_issuer(&self) -> Result<Option<String>, StoreError> {
        self.find_fact("issuer").await
    }
}
