//! Opening the database: its options, its private files, its migrations.

use std::str::FromStr as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, Connection as _};
use tokio::time::timeout;

use super::files::{self, OpeningLock};
use super::{Dialect, Hearing, ServeLock, Store, StoreError, within};
use crate::config::StoreUrl;

/// A database that a newer version migrated opens too: replicas are replaced one by one.
pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!();
    migrations.set_ignore_missing(true);
    migrations
});

/// Longer than any statement of ours takes, shorter than a caller waits.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that does not answer within this time after its use is not used again.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest that we look for the reason why there is no connection.
const REASON_TIMEOUT: Duration = Duration::from_secs(2);

/// WAL lets readers go on beside the one writer; FULL keeps a commit through a power cut. A connection keeps 256 KiB of
/// pages: the system keeps the file in its memory, once for all of them.
const SQLITE_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -256;";

/// A statement that takes longer is stopped by the server: nobody waits for it any more. Our indexes are in memory, or on
/// disks without arms: by its own guess PostgreSQL would rather sort the table than walk an index far.
const POSTGRES_SETTINGS: &str =
    "SET statement_timeout = '5s'; SET lock_timeout = '4s'; SET random_page_cost = 1.1;";

const SERVING: (&str, &str) = (SQLITE_PRAGMAS, POSTGRES_SETTINGS);

impl Store {
    /// Opens the database beside a `serve` that may run, and makes it where it is missing: only bootstrap does.
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        let store = Self::open_wherever(url).await?;
        store.check_place().await?;
        Ok(store)
    }

    /// The same, also where its rows are being moved, or were.
    pub async fn open_wherever(url: &StoreUrl) -> Result<Self, StoreError> {
        Self::open_or(url, Missing::Make).await
    }

    /// Opens a database that bootstrap made, for a command that may run beside a `serve`; makes none.
    pub async fn open_existing(url: &StoreUrl) -> Result<Self, StoreError> {
        must_exist(url)?;
        let store = Self::open_or(url, Missing::Refuse).await?;
        store.check_place().await?;
        Ok(store)
    }

    async fn open_or(url: &StoreUrl, missing: Missing) -> Result<Self, StoreError> {
        // Held until the tables are up to date: PostgreSQL makes those that open it at once wait for each
        // other, SQLite does not.
        let opening = match url {
            StoreUrl::Sqlite(path) => {
                files::make_private(path)?;
                Some(OpeningLock::take(path).await?)
            }
            StoreUrl::Postgres(_) => None,
        };
        let store = Self::connect(url, SERVING).await?;
        if missing == Missing::Refuse && !store.has_table("facts").await? {
            store.close().await;
            return Err(StoreError::Missing(format!("{} (it has no tables)", url.place())));
        }
        MIGRATIONS.run(&store.pool).await?;
        drop(opening);
        Ok(store)
    }

    /// Opens the database for a look: makes and migrates nothing. `None`: there are no tables of ours.
    pub async fn open_unchanged(url: &StoreUrl) -> Result<Option<Self>, StoreError> {
        if let StoreUrl::Sqlite(path) = url {
            if !path.exists() {
                return Ok(None);
            }
            files::make_private(path)?;
        }
        let store = Self::connect(url, SERVING).await?;
        if store.has_table("facts").await? {
            return Ok(Some(store));
        }
        store.close().await;
        Ok(None)
    }

    /// `settings`: what a connection is told first, on SQLite and on PostgreSQL.
    pub(super) async fn connect(
        url: &StoreUrl,
        (pragmas, settings): (&'static str, &'static str),
    ) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (dialect, text, settings) = match url {
            StoreUrl::Sqlite(path) => (Dialect::Sqlite, files::sqlite_url(path), pragmas),
            StoreUrl::Postgres(url) => {
                (Dialect::Postgres, url.expose_secret().to_owned(), settings)
            }
        };
        let options = AnyConnectOptions::from_str(&text)?;
        let pool = AnyPoolOptions::new()
            .max_connections(10)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(settings).execute(connection).await?;
                    Ok(())
                })
            })
            .after_release(move |connection, _| Box::pin(check_released(dialect, connection)))
            .connect_with(options.clone())
            .await;
        match pool {
            Ok(pool) => {
                Ok(Self { pool, dialect, hearing: Arc::new(Hearing::new()), serve_lock: None })
            }
            Err(error) => {
                let source = reason_of(error, &options).await;
                Err(StoreError::Unreachable { place: url.place(), source })
            }
        }
    }

    pub(super) async fn has_table(&self, name: &'static str) -> Result<bool, StoreError> {
        let sql = match self.dialect {
            Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE name = $1",
            Dialect::Postgres => {
                "SELECT table_name::text FROM information_schema.tables \
                 WHERE table_schema = current_schema() AND table_name = $1"
            }
        };
        within(async {
            Ok(sqlx::query(sql).bind(name).fetch_optional(&self.pool).await?.is_some())
        })
        .await
    }

    /// Opens the database that bootstrap made for `serve`: a SQLite file for one at a time. An empty one, made here,
    /// would hide that the tokens are in another.
    pub async fn open_to_serve(url: &StoreUrl) -> Result<Self, StoreError> {
        must_exist(url)?;
        let serve_lock = match url {
            StoreUrl::Sqlite(path) => Some(Arc::new(ServeLock::take(path)?)),
            StoreUrl::Postgres(_) => None,
        };
        Ok(Self { serve_lock, ..Self::open_existing(url).await? })
    }
}

/// What becomes of tables that are not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Make,
    Refuse,
}

/// Before anything is made beside a file that is not there.
fn must_exist(url: &StoreUrl) -> Result<(), StoreError> {
    match url {
        StoreUrl::Sqlite(path) if !path.exists() => Err(StoreError::Missing(url.place())),
        StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) => Ok(()),
    }
}

/// The pool only says that its time was over, whatever kept it: one more try says what.
async fn reason_of(error: sqlx::Error, options: &AnyConnectOptions) -> sqlx::Error {
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        return error;
    }
    match timeout(REASON_TIMEOUT, AnyConnection::connect_with(options)).await {
        Ok(Err(reason)) => reason,
        _ => error,
    }
}

/// The pool asks each connection that comes back whether it is good, and waits for good: those that a silent
/// server left would be missing in it until the kernel gives them up, after many minutes. An error ends one.
async fn check_released(
    dialect: Dialect,
    connection: &mut AnyConnection,
) -> Result<bool, sqlx::Error> {
    if dialect == Dialect::Postgres {
        timeout(RELEASE_TIMEOUT, connection.ping())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)??;
    }
    Ok(true)
}
