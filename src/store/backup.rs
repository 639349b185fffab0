//! Backups of a SQLite store: made while it is served, checked, and put in the place of the store.
//!
//! 1. `VACUUM INTO` writes one consistent state into a new file, without the write-ahead log that a copied file would lack.
//!    Readers and the writer go on meanwhile. The file gets its name only when it is whole.
//! 2. A backup is restored from a copy of it beside the database. What is checked and changed there touches neither the
//!    backup nor the store; the copy takes the store's name last.
//! 3. What was there is set aside with its write-ahead log: SQLite would apply that log to whatever file has the name.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{self, beside, file_error};
use super::{Dialect, Store, StoreError, within};

/// How much of what a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Personal access tokens, dead ones too.
    pub tokens: u64,
    /// API clients.
    pub clients: u64,
    /// Signing keys, retired ones too.
    pub signing_keys: u64,
    /// Lines of the audit log.
    pub acts: u64,
}

impl Store {
    /// Writes all of it into a new file that only its owner can read. A file of that name is left alone.
    pub async fn back_up(&self, file: &Path) -> Result<(), StoreError> {
        if self.dialect != Dialect::Sqlite {
            return Err(StoreError::NotSqlite);
        }
        if file.symlink_metadata().is_ok() {
            let source = io::ErrorKind::AlreadyExists.into();
            return Err(file_error(file, source));
        }
        let unfinished = beside(file, "-unfinished");
        remove(&unfinished)?;
        // SQLite accepts an empty file, and would make one that everybody can read.
        files::make_private(&unfinished)?;
        let written = async {
            sqlx::query("VACUUM INTO $1")
                .bind(unfinished.display().to_string())
                .execute(&self.pool)
                .await?;
            let opened = File::open(&unfinished).and_then(|written| written.sync_all());
            opened.map_err(|source| file_error(&unfinished, source))?;
            // Not a rename: that would replace what somebody put there meanwhile.
            std::fs::hard_link(&unfinished, file).map_err(|source| file_error(file, source))
        };
        let outcome = written.await;
        remove(&unfinished)?;
        outcome?;
        sync_folder(file)
    }

    /// Refuses a database whose pages are damaged.
    pub async fn check_integrity(&self) -> Result<(), StoreError> {
        // Not bounded in time: it reads every page.
        let found: String =
            sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&self.pool).await?;
        if found == "ok" { Ok(()) } else { Err(StoreError::Corrupt("page")) }
    }

    /// How much it holds.
    pub async fn count_contents(&self) -> Result<Contents, StoreError> {
        within(async {
            let count = async |sql: &'static str| {
                let count: i64 = sqlx::query_scalar(sql).fetch_one(&self.pool).await?;
                Ok::<_, StoreError>(count.unsigned_abs())
            };
            Ok(Contents {
                tokens: count("SELECT COUNT(*) FROM tokens").await?,
                clients: count("SELECT COUNT(*) FROM clients").await?,
                signing_keys: count("SELECT COUNT(*) FROM signing_keys").await?,
                acts: count("SELECT COUNT(*) FROM audit_events").await?,
            })
        })
        .await
    }
}

/// A copy of a backup, beside the database that it is to replace. It is removed unless it does.
#[derive(Debug)]
pub struct Candidate {
    database: PathBuf,
    path: PathBuf,
}

impl Candidate {
    /// Copies the backup. The caller holds the [`super::ServeLock`] of the database.
    pub fn copy(backup: &Path, database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, "-restoring");
        let this = Self { database: database.to_owned(), path };
        this.discard()?;
        files::make_private(&this.path)?;
        let copied = File::open(backup).and_then(|mut from| {
            let mut to = File::options().write(true).truncate(true).open(&this.path)?;
            io::copy(&mut from, &mut to)?;
            to.sync_all()
        });
        copied.map_err(|source| file_error(backup, source))?;
        Ok(this)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the database's place, when everything that had it open has closed it. What was there is set aside under the
    /// name that is answered, if there was something.
    pub fn replace(self, suffix: &str) -> Result<Option<PathBuf>, StoreError> {
        let log = beside(&self.path, "-wal");
        if log.exists() {
            let source = io::Error::other("its write-ahead log is still in use");
            return Err(file_error(&log, source));
        }
        let aside = beside(&self.database, suffix);
        // The database first: a crash in between leaves none, and never one without its log.
        let mut moved = false;
        for part in ["", "-wal", "-shm"] {
            let (from, to) = (beside(&self.database, part), beside(&aside, part));
            match std::fs::rename(&from, &to) {
                Ok(()) => moved = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(file_error(&from, source)),
            }
        }
        let renamed = std::fs::rename(&self.path, &self.database);
        renamed.map_err(|source| file_error(&self.database, source))?;
        sync_folder(&self.database)?;
        Ok(moved.then_some(aside))
    }

    fn discard(&self) -> Result<(), StoreError> {
        ["", "-wal", "-shm", "-opening-lock"]
            .iter()
            .try_for_each(|part| remove(&beside(&self.path, part)))
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        // What is left of it is removed by the next one.
        let _ = self.discard();
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(path, error)),
        _ => Ok(()),
    }
}

/// A new name survives a power cut only when its folder was written.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let absolute = std::path::absolute(path).map_err(|source| file_error(path, source))?;
    let Some(folder) = absolute.parent() else { return Ok(()) };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| file_error(folder, source))
}
