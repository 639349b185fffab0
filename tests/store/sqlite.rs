//! What only SQLite has: files, which are private, and served by one process at a time.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use hallpass::config::{SealingKey, StoreUrl};
use hallpass::keys::SigningKey;
use hallpass::seal::Sealer;
use hallpass::store::{Store, StoreError};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::opening::{ISSUER, serve};
use super::{Fresh, NOW, create, new_token, until};
use crate::support::Database;

fn beside(database: &Database, suffix: &str) -> PathBuf {
    let Database::Sqlite(path) = database else { panic!("no file") };
    let mut name = path.clone().into_os_string();
    name.push(suffix);
    name.into()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_second_serve_is_refused_and_maintenance_goes_on_beside_it() {
    let fresh = Fresh::on(Database::sqlite).await;
    let url = fresh.database.url();
    let serving = Store::open_to_serve(&url).await.unwrap();
    let refused = Store::open_to_serve(&url).await.err().expect("a second one is refused");
    assert!(matches!(refused, StoreError::AlreadyServed(_)), "{refused:?}");
    let file = beside(&fresh.database, "");
    let expected = format!(
        "another `hallpass serve` uses {}: stop it first, or give this one its own store",
        file.display()
    );
    assert_eq!(refused.to_string(), expected);

    // The refusal did not take the lock away, and maintenance reads and writes.
    let maintenance = Store::open(&url).await.unwrap();
    let token = new_token("alice", "ci");
    create(&maintenance, &token).await.unwrap();
    assert!(serving.find_token(&token.user_id, token.pat_id).await.unwrap().is_some());
    maintenance.close().await;
    drop(maintenance);
    assert!(matches!(Store::open_to_serve(&url).await, Err(StoreError::AlreadyServed(_))));

    // A clone holds it too; the last one lets go.
    let clone = serving.clone();
    drop(serving);
    assert!(matches!(Store::open_to_serve(&url).await, Err(StoreError::AlreadyServed(_))));
    drop(clone);
    Store::open_to_serve(&url).await.unwrap();
}

#[tokio::test]
async fn a_killed_process_lets_go_of_the_store() {
    let fresh = Fresh::on(Database::sqlite).await;
    let key = SealingKey::generate().unwrap();
    let sealer = Sealer::new(key.bytes(), None).unwrap();
    let signing = SigningKey::generate().unwrap().seal(&sealer, ISSUER).unwrap();
    fresh.store.insert_pending_key(&signing, NOW).await.unwrap();
    fresh.store.activate_key(&signing.kid, NOW).await.unwrap();

    let mut child = serve(&fresh.database, &key).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().expect("it listens").contains("hallpass listens") {}
    let second = serve(&fresh.database, &key).output().await.unwrap();
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(text.contains("another `hallpass serve` uses"), "{text}");
    let url = fresh.database.url();
    assert!(matches!(Store::open_to_serve(&url).await, Err(StoreError::AlreadyServed(_))));

    // SIGKILL: it has no chance to tidy up.
    child.kill().await.unwrap();
    let store = Store::open_to_serve(&url).await.unwrap();
    assert_eq!(store.find_active_key().await.unwrap().unwrap().kid, signing.kid);
}

#[tokio::test]
async fn its_files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&folder);
    Store::open(&database.url()).await.unwrap().close().await;
    let store = Store::open_to_serve(&database.url()).await.unwrap();
    create(&store, &new_token("alice", "ci")).await.unwrap();
    let files: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    for suffix in ["", "-wal", "-shm", "-serve-lock", "-opening-lock"] {
        assert!(files.contains(&beside(&database, suffix)), "{suffix} in {files:?}");
    }
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn looser_files_are_refused() {
    for suffix in ["", "-wal", "-shm"] {
        for loose in [0o640, 0o604, 0o660, 0o601, 0o644] {
            let fresh = Fresh::on(Database::sqlite).await;
            create(&fresh.store, &new_token("alice", "ci")).await.unwrap();
            let file = beside(&fresh.database, suffix);
            fs::set_permissions(&file, Permissions::from_mode(loose)).unwrap();
            for refused in [
                Store::open(&fresh.database.url()).await.err(),
                Store::open_to_serve(&fresh.database.url()).await.err(),
            ] {
                let text = refused.expect("it is refused").to_string();
                let expected = format!(
                    "{0} can be read by others (mode {loose:04o}): run `chmod 600 {0}`",
                    file.display()
                );
                assert_eq!(text, expected);
            }
            // The advice helps.
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            Store::open(&fresh.database.url()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_path_may_have_any_characters() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "with space.db",
        "100%.db",
        "%41%2F.db",
        "a#b.db",
        "a&b=c.db",
        "ünïcödé 🗝.db",
        "a+b.db",
        "'q'\"q\".db",
    ] {
        let folder = folder.path().join(format!("in {name}"));
        fs::create_dir(&folder).unwrap();
        let path = folder.join(name);
        let url = StoreUrl::parse(&format!("sqlite://{}", path.display())).unwrap();
        Store::open(&url).await.unwrap().close().await;
        let store = Store::open_to_serve(&url).await.unwrap();
        let token = new_token("alice", "ci");
        create(&store, &token).await.unwrap();
        store.close().await;
        drop(store);
        // It is this file and no other beside it.
        let files: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert!(path.metadata().unwrap().len() > 0, "{name}: {files:?}");
        assert!(files.iter().all(|file| file.to_str().unwrap().starts_with(name)), "{files:?}");
        let again = Store::open(&url).await.unwrap();
        assert!(again.find_token(&token.user_id, token.pat_id).await.unwrap().is_some(), "{name}");
        again.close().await;
    }
}

#[tokio::test]
async fn whoever_needs_a_database_that_is_not_there_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&folder);
    for opened in [
        Store::open_to_serve(&database.url()).await.err(),
        Store::open_existing(&database.url()).await.err(),
    ] {
        let text = opened.expect("there is none").to_string();
        let path = beside(&database, "");
        assert!(text.contains(&format!("there is no database {}:", path.display())), "{text}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "not even a lock");

    // An empty file is no database of ours either.
    fs::write(beside(&database, ""), "").unwrap();
    fs::set_permissions(beside(&database, ""), Permissions::from_mode(0o600)).unwrap();
    let text = Store::open_to_serve(&database.url()).await.err().unwrap().to_string();
    assert!(text.contains("(it has no tables)"), "{text}");
}

#[tokio::test]
async fn a_file_that_cannot_be_a_store_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none/hallpass.db");
    let url = StoreUrl::parse(&format!("sqlite://{}", missing.display())).unwrap();
    let error = Store::open(&url).await.err().expect("there is no such folder");
    assert_eq!(error.to_string(), format!("cannot use {}", missing.display()));

    let other = folder.path().join("other.db");
    fs::write(&other, "this is no database, and stays what it is").unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
    let url = StoreUrl::parse(&format!("sqlite://{}", other.display())).unwrap();
    assert!(Store::open(&url).await.is_err());
    assert_eq!(fs::read_to_string(&other).unwrap(), "this is no database, and stays what it is");
}

/// A write that waits for another process's write goes through when that one is done.
#[tokio::test]
async fn a_writer_waits_for_the_one_before_it() {
    let fresh = Fresh::on(Database::sqlite).await;
    let mut writer = fresh.connect().await;
    sqlx::raw_sql("BEGIN IMMEDIATE; INSERT INTO owners (user_id, tokens_created) VALUES ('x', 1)")
        .execute(&mut writer)
        .await
        .unwrap();
    let store = fresh.store.clone();
    let waiting = tokio::spawn(async move { create(&store, &new_token("alice", "ci")).await });
    // Readers do not wait.
    until("a reader reads", async || fresh.store.last_change().await.is_ok()).await;
    assert!(!waiting.is_finished());
    sqlx::raw_sql("COMMIT").execute(&mut writer).await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(fresh.count("owners").await, 2);
}
