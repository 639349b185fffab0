//! SQLite's files: private to their owner, and served by one process at a time.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use url::Url;

use super::StoreError;

/// Longer than a migration takes.
const OPENING_TIMEOUT: Duration = Duration::from_mins(1);
const OPENING_RETRY: Duration = Duration::from_millis(10);

/// An advisory lock beside the database. The kernel lets go of it when the process ends, however it ends.
///
/// It is a file of its own: closing a second handle on the database itself would drop SQLite's locks.
#[derive(Debug)]
pub struct ServeLock {
    _file: File,
}

impl ServeLock {
    /// Takes the lock, or says who has it.
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, "-serve-lock");
        let file = private_file(&path).map_err(|source| file_error(&path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::AlreadyServed(database.display().to_string()))
            }
            Err(TryLockError::Error(source)) => Err(file_error(&path, source)),
        }
    }
}

/// Keeps processes apart that open the database, and maybe make its tables. Let go of as [`ServeLock`] is.
pub(super) struct OpeningLock {
    _file: File,
}

impl OpeningLock {
    /// Takes the lock, after those who are before.
    pub(super) async fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(database, "-opening-lock");
        let file = private_file(&path).map_err(|source| file_error(&path, source))?;
        // Not the blocking call: it could not be given up, not even at the end of the process.
        let taken = timeout(OPENING_TIMEOUT, async {
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => sleep(OPENING_RETRY).await,
                    Err(TryLockError::Error(source)) => return Err(source),
                }
            }
        });
        match taken.await {
            Ok(Ok(())) => Ok(Self { _file: file }),
            Ok(Err(source)) => Err(file_error(&path, source)),
            Err(late) => Err(file_error(&path, late.into())),
        }
    }
}

/// Creates the database file with mode 0600 where it is missing; refuses looser files that are there.
pub(super) fn make_private(database: &Path) -> Result<(), StoreError> {
    private_file(database).map_err(|source| file_error(database, source))?;
    check_private(database)
}

/// Refuses files that others can read; what is not there is not looked at.
pub(super) fn check_private(database: &Path) -> Result<(), StoreError> {
    for path in [database.to_owned(), beside(database, "-wal"), beside(database, "-shm")] {
        let mode = match path.metadata() {
            Ok(metadata) => metadata.mode() & 0o777,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(file_error(&path, source)),
        };
        if mode & 0o077 != 0 {
            return Err(StoreError::LooseMode { path: path.display().to_string(), mode });
        }
    }
    Ok(())
}

/// The URL under which the driver opens this path, whatever characters it has.
pub(super) fn sqlite_url(database: &Path) -> String {
    let absolute = std::path::absolute(database).unwrap_or_else(|_| database.to_owned());
    Url::from_file_path(&absolute).map_or_else(
        |()| format!("sqlite:{}", absolute.display()),
        |url| format!("sqlite://{}", url.path()),
    )
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn file_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::File { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_file_is_private_and_a_loose_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b%.db");
        make_private(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(make_private(&path), Err(StoreError::LooseMode { mode: 0o640, .. })));
    }

    #[test]
    fn only_one_process_serves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hallpass.db");
        let first = ServeLock::take(&path).unwrap();
        assert!(matches!(ServeLock::take(&path), Err(StoreError::AlreadyServed(_))));
        drop(first);
        ServeLock::take(&path).unwrap();
    }
}
