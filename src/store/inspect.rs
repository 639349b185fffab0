//! A look at a database that may be in any state: nothing is made, migrated or written.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use secrecy::ExposeSecret as _;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};

use super::connect::MIGRATIONS;
use super::{Dialect, Store, StoreError, files, within};
use crate::config::StoreUrl;

const SQLITE_PRAGMAS: &str = "PRAGMA query_only = ON; PRAGMA busy_timeout = 2000;";
const POSTGRES_SETTINGS: &str = "SET default_transaction_read_only = on; SET statement_timeout = '2s'; SET lock_timeout = '2s';";

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
        sqlx::any::install_default_drivers();
        let (dialect, url, settings) = match url {
            StoreUrl::Sqlite(path) => (Dialect::Sqlite, files::sqlite_url(path), SQLITE_PRAGMAS),
            StoreUrl::Postgres(url) => {
                (Dialect::Postgres, url.expose_secret().to_owned(), POSTGRES_SETTINGS)
            }
        };
        let options = AnyConnectOptions::from_str(&url)?;
        let connect = AnyPoolOptions::new()
            .max_connections(1)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(settings).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_with(options);
        let pool = within(async { Ok(connect.await?) }).await?;
        Ok(Self { pool, dialect, serve_lock: None })
    }

    /// Refuses SQLite's files where others can read them.
    pub fn check_files(url: &StoreUrl) -> Result<(), StoreError> {
        match url {
            StoreUrl::Sqlite(path) => files::check_private(path),
            StoreUrl::Postgres(_) => Ok(()),
        }
    }

    /// How far the tables are. Those of a newer version do not count.
    pub async fn inspect_migrations(&self) -> Result<Migrations, StoreError> {
        let applied = within(async {
            if !self.has_table("_sqlx_migrations").await? {
                return Ok(BTreeSet::new());
            }
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
        within(async {
            Ok(sqlx::query_scalar("SELECT value FROM facts WHERE name = 'issuer'")
                .fetch_optional(&self.pool)
                .await?)
        })
        .await
    }

    async fn has_table(&self, name: &str) -> Result<bool, StoreError> {
        let sql = match self.dialect {
            Dialect::Sqlite => {
                "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = $1"
            }
            Dialect::Postgres => {
                "SELECT COUNT(*) FROM information_schema.tables \
                 WHERE table_schema = current_schema() AND table_name = $1"
            }
        };
        let found: i64 = sqlx::query_scalar(sql).bind(name).fetch_one(&self.pool).await?;
        Ok(found > 0)
    }
}
