//! Opening a store: its tables, and whose it is.

use hallpass::config::SealingKey;
use hallpass::store::{Store, StoreError};
use secrecy::ExposeSecret as _;
use tokio::process::Command;
use tokio::task::JoinSet;

use super::{DATABASES, Database, Fresh, on_each};

/// `hallpass serve` as a process of its own, in a realm that is not there.
pub(super) fn serve(database: &Database, key: &SealingKey) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
    command
        .arg("serve")
        .current_dir(std::env::temp_dir())
        .kill_on_drop(true)
        .env("HALLPASS_SERVER__LISTEN", "127.0.0.1:0")
        .env("HALLPASS_KEYCLOAK__URL", "http://127.0.0.1:9")
        .env("HALLPASS_KEYCLOAK__REALM", "nowhere")
        .env("HALLPASS_KEYCLOAK__CLIENT_SECRET", "secret")
        .env("HALLPASS_STORE__URL", database.url_text())
        .env("HALLPASS_STORE__ENCRYPTION_KEY", key.to_base64().expose_secret());
    command
}

/// The realm's issuer, as that process sees it.
pub(super) const ISSUER: &str = "http://127.0.0.1:9/realms/nowhere";

async fn applied_migrations(fresh: &Fresh) -> i64 {
    fresh.count("_sqlx_migrations").await
}

fn all_migrations() -> i64 {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
    i64::try_from(files.count()).unwrap()
}

#[tokio::test]
async fn a_fresh_database_gets_its_tables_and_keeps_what_is_in_them() {
    let migrations = all_migrations();
    on_each!(|fresh| {
        assert_eq!(applied_migrations(&fresh).await, migrations);
        let token = fresh.create("alice", "ci").await;
        fresh.store.close().await;
        let again = Store::open(&fresh.database.url()).await.unwrap();
        assert_eq!(applied_migrations(&fresh).await, migrations);
        assert!(again.find_token(&token.user_id, token.pat_id).await.unwrap().is_some());
        again.close().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_open_a_fresh_database_at_once_migrate_it_once() {
    for database in DATABASES {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        println!("on {database:?}");
        database.create().await;
        let mut opening = JoinSet::new();
        for _ in 0..8 {
            let url = database.url();
            opening.spawn(async move { Store::open(&url).await });
        }
        for store in opening.join_all().await {
            let store = store.unwrap_or_else(|error| panic!("{error:?}"));
            store.ping().await.unwrap();
            store.close().await;
        }
        let store = Store::open(&database.url()).await.unwrap();
        let fresh = Fresh { folder, database, store };
        assert_eq!(applied_migrations(&fresh).await, all_migrations());
        assert_eq!(fresh.count("change_counter").await, 1);
        fresh.store.close().await;
    }
}

/// While replicas are replaced one by one, those of the version before start too.
#[tokio::test]
async fn a_database_that_a_newer_version_migrated_opens() {
    on_each!(|fresh| {
        let token = fresh.create("alice", "ci").await;
        fresh
            .execute(
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 SELECT 9999, 'a later one', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1; \
                 ALTER TABLE tokens ADD COLUMN later TEXT",
            )
            .await;
        let store = Store::open(&fresh.database.url()).await.unwrap();
        assert!(store.find_token(&token.user_id, token.pat_id).await.unwrap().is_some());
        store.close().await;
    });
}

#[tokio::test]
async fn a_store_belongs_to_one_realm() {
    on_each!(|fresh| {
        let (ours, other) = ("https://kc.example/realms/a", "https://kc.example/realms/b");
        for _ in 0..2 {
            fresh.store.claim_issuer(ours).await.unwrap();
        }
        // Also after it was opened again, and also when they differ in a character's case only.
        let again = Store::open(&fresh.database.url()).await.unwrap();
        for foreign in [other, "https://kc.example/realms/A", ""] {
            match again.claim_issuer(foreign).await {
                Err(StoreError::ForeignRealm { found, wanted }) => {
                    assert_eq!((found.as_str(), wanted.as_str()), (ours, foreign));
                }
                answer => panic!("{answer:?}"),
            }
        }
        again.claim_issuer(ours).await.unwrap();
        again.close().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_realms_that_claim_a_store_one_gets_it() {
    on_each!(|fresh| {
        let mut claims = JoinSet::new();
        for number in 0..10 {
            let store = fresh.store.clone();
            claims.spawn(async move { store.claim_issuer(&format!("realm {number}")).await });
        }
        let answers = claims.join_all().await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        let foreign =
            |answer: &&Result<(), _>| matches!(answer, Err(StoreError::ForeignRealm { .. }));
        assert_eq!(answers.iter().filter(foreign).count(), 9);
        assert_eq!(fresh.count("facts").await, 1);
    });
}
