//! All SQL, over SQLite and PostgreSQL alike.
//!
//! 1. One method is one atomic unit. No transaction leaves this module, so none is ever open across a call to Keycloak.
//! 2. A statement is written once, with `$n` placeholders and the column types TEXT and BIGINT. Lists join fragments in
//!    one file each.
//! 3. Whatever other processes must hear of takes a number in [`changes`], within its own transaction; [`hearing`] reads
//!    these numbers and forgets what they make untrue.

mod accounts;
mod audit;
mod backup;
mod changes;
mod clients;
mod connect;
mod copy;
mod facts;
mod files;
mod followed;
mod follower;
mod hearing;
mod inspect;
mod realm_objects;
mod signing_keys;
mod statuses;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, Row as _, Transaction};
use tokio::time::timeout;

pub use accounts::Quota;
pub use audit::{AuditFilter, AuditRecord};
pub use backup::{Candidate, Contents};
pub use changes::{Change, ChangeKind};
pub use clients::{
    ClientFilter, ClientRecord, ClientReserved, ClientSort, DeletedClient, NewClient, NewOwner,
    Operation, Seen, StoredSpec, Visible,
};
pub use copy::{CopiedTable, CopyError};
pub use files::ServeLock;
pub use follower::{Follower, Progress};
pub use inspect::Migrations;
pub use realm_objects::{Note, ObjectKind, RealmObject};
pub use signing_keys::{KnownKey, SealedKey};
pub use statuses::OwnerSaid;
pub use tokens::{
    Accepted, Chain, EventOf, FamilyBurned, HeldOwner, NewToken, OwnedToken, OwnerNote,
    Restrictions, Rotation, Standing, Suspension, TokenCreated, TokenDeleted, TokenFilter,
    TokenRecord, TokenRevoked, TokenRotated, TokenSort, TokenStatus, TokenUse,
};

use hearing::Hearing;

use crate::clock::Timestamp;
use crate::error::{Code, Error};

/// The longest that a caller waits: a connection and a statement, each at its own bound.
const PATIENCE: Duration = Duration::from_secs(8);

/// A pool of connections to the one database.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
    hearing: Arc<Hearing>,
    #[expect(dead_code, reason = "held, so that no second process serves; never read")]
    serve_lock: Option<Arc<ServeLock>>,
}

/// What little differs between the databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or answers that it cannot.
    #[error("the store failed")]
    Database(#[from] sqlx::Error),
    /// The database did not answer in time; whether it did what it was asked is not known.
    #[error("the store did not answer in time")]
    Late,
    /// The database cannot be reached, or refuses us.
    #[error("{place} cannot be opened")]
    Unreachable {
        /// The database, without a password.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// It is PostgreSQL, which has its own tools for this.
    #[error("a backup of PostgreSQL is made by `pg_dump`, and restored by `pg_restore`")]
    NotSqlite,
    /// Its rows were copied elsewhere.
    #[error(
        "this store was moved to {to}: set `store.url` to that; `hallpass admin copy --abandon` takes this one into use again"
    )]
    Moved {
        /// The database.
        to: String,
    },
    /// Not all rows arrived yet.
    #[error("this is a part of {from} only: run `hallpass admin copy` again, which goes on")]
    HalfCopied {
        /// The database.
        from: String,
    },
    /// The migrations could not be applied.
    #[error("the store's tables could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// It belongs to another realm.
    #[error("this store belongs to the realm {found}, not to {wanted}")]
    ForeignRealm {
        /// The issuer in the store.
        found: String,
        /// The issuer in the settings.
        wanted: String,
    },
    /// Another process serves from the same file.
    #[error("another `hallpass serve` uses {0}: stop it first, or give this one its own store")]
    AlreadyServed(String),
    /// The database's files are not private.
    #[error("{path} can be read by others (mode {mode:04o}): run `chmod 600 {path}`")]
    LooseMode {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no database where one is to be used, not made.
    #[error(
        "there is no database {0}: `hallpass bootstrap` makes it; if it is elsewhere, correct `store.url` \
         (a relative path is relative to the settings file)"
    )]
    Missing(String),
    /// The database's files cannot be used.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A row holds what this program never writes.
    #[error("the store holds an unreadable {0}")]
    Corrupt(&'static str),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(_)
            | StoreError::Database(
                sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::Decode(_)
                | sqlx::Error::RowNotFound
                | sqlx::Error::TypeNotFound { .. },
            ) => Self::internal(error),
            _ => {
                Self::new(Code::StoreUnavailable, "The store is not available; try again shortly.")
                    .because(error)
            }
        }
    }
}

/// One unit of work, bounded here: the driver waits for good when the other end falls silent.
async fn within<T>(unit: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(PATIENCE, unit).await.unwrap_or(Err(StoreError::Late))
}

impl Store {
    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        within(async {
            sqlx::query("SELECT 1").execute(&self.pool).await?;
            Ok(())
        })
        .await
    }

    /// Records the realm's issuer on first use; afterwards refuses any other.
    pub async fn claim_issuer(&self, issuer: &str) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "INSERT INTO facts (name, value) VALUES ('issuer', $1) ON CONFLICT (name) DO NOTHING",
            )
            .bind(issuer)
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await?;
        self.check_issuer(issuer).await
    }

    /// Refuses the store of another realm, and claims nothing.
    pub async fn check_issuer(&self, issuer: &str) -> Result<(), StoreError> {
        match self.find_issuer().await? {
            Some(found) if found != issuer => {
                Err(StoreError::ForeignRealm { found, wanted: issuer.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Ends all connections, after the statements under way; SQLite folds its log into the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that writes. On SQLite it takes the write lock at once: a read that turns into a
    /// write could otherwise fail half-way.
    async fn begin(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        match self.dialect {
            Dialect::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Dialect::Postgres => self.pool.begin().await,
        }
    }
}

/// A moment that may not have come.
fn optional_time(row: &AnyRow, column: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_millis))
}

/// `$3, $4, $5`: this many placeholders, from this number on.
fn placeholders(first: usize, count: usize) -> String {
    let placeholders: Vec<_> = (first..first + count).map(|number| format!("${number}")).collect();
    placeholders.join(", ")
}

/// `($1, $2), ($3, $4)`: the values of this many rows of this many columns.
fn rows_of_placeholders(rows: usize, columns: usize) -> String {
    let rows = (0..rows).map(|row| format!("({})", placeholders(row * columns + 1, columns)));
    rows.collect::<Vec<_>>().join(", ")
}

/// The pattern for a part of a column that is in lower case; empty text stays empty.
fn search_pattern(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("%{}%", literal(&text.to_lowercase())) }
}

/// The text with `%` and `_` as ordinary characters, for `LIKE … ESCAPE '\'`.
fn literal(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}
