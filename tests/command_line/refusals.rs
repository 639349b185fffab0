//! What stops `hallpass serve` before it listens: exit code 1, and the reason on standard error.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{stderr, stdout};
use crate::support::{Database, Process, TestRealm, hallpass, run};

/// The reason for which a service does not start.
async fn refused(
    realm: &TestRealm,
    database: &Database,
    folder: &Path,
    extra: &[(&str, &str)],
) -> String {
    let mut command = hallpass(folder, &["serve"]);
    command.envs(realm.environment(database, extra));
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(stdout(&output), "", "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("error: "), "{said}");
    assert!(!said.contains("hallpass listens"), "{said}");
    said
}

/// A store of this realm, in this folder.
async fn store(realm: &TestRealm, folder: &tempfile::TempDir) -> Database {
    let database = Database::sqlite(folder);
    Process::prepare_store(realm, &database).await;
    database
}

#[tokio::test]
async fn a_second_service_on_the_same_file_is_refused_and_the_first_goes_on() {
    let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
    let database = store(&realm, &folder).await;
    let first = Process::serve(&realm, &database, folder.path(), &[]).await;
    let said = refused(&realm, &database, folder.path(), &[]).await;
    let path = folder.path().join("hallpass.db");
    assert!(said.contains(&format!("another `hallpass serve` uses {}", path.display())), "{said}");
    first.api(None).get("/readyz").await.expect(200);

    // However it ends, the next one starts.
    first.kill().await;
    Process::serve(&realm, &database, folder.path(), &[]).await.stop().await;
    Process::serve(&realm, &database, folder.path(), &[]).await.stop().await;
}

#[tokio::test]
async fn files_that_others_can_read_stop_the_start() {
    let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
    let database = store(&realm, &folder).await;
    let path = folder.path().join("hallpass.db");
    for mode in [0o640, 0o604, 0o660, 0o666] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let said = refused(&realm, &database, folder.path(), &[]).await;
        let reason = format!("{0} can be read by others (mode {mode:04o})", path.display());
        assert!(said.contains(&reason), "{said}");
        assert!(said.contains(&format!("chmod 600 {}", path.display())), "{said}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    Process::serve(&realm, &database, folder.path(), &[]).await.stop().await;
}

#[tokio::test]
async fn a_store_of_another_realm_stops_the_start() {
    let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
    let database = store(&realm, &folder).await;
    let other = [("HALLPASS_KEYCLOAK__REALM", "elsewhere")];
    let said = refused(&realm, &database, folder.path(), &other).await;
    let (found, wanted) = (realm.issuer(), realm.issuer().replace(&realm.name, "elsewhere"));
    let reason = format!("this store belongs to the realm {found}, not to {wanted}");
    assert!(said.contains(&reason), "{said}");
}

#[tokio::test]
async fn a_store_without_a_key_says_to_run_bootstrap() {
    let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
    let database = Database::sqlite(&folder);
    hallpass::store::Store::open(&database.url()).await.unwrap().close().await;
    let said = refused(&realm, &database, folder.path(), &[]).await;
    let reason = format!("no signing key for {}: run `hallpass bootstrap` first", realm.issuer());
    assert!(said.contains(&reason), "{said}");
}

#[tokio::test]
async fn a_key_that_does_not_open_stops_the_start() {
    let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
    let database = store(&realm, &folder).await;
    let other = "A".repeat(43) + "=";
    let wrong = [("HALLPASS_STORE__ENCRYPTION_KEY", other.as_str())];
    let said = refused(&realm, &database, folder.path(), &wrong).await;
    assert!(said.contains("error: the signing key cannot be read"), "{said}");
    assert!(said.contains(realm.signing_key().kid()), "{said}");
    assert!(!said.contains(&other), "{said}");
}

#[tokio::test]
async fn a_port_that_is_taken_stops_the_start() {
    let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
    let database = store(&realm, &folder).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listen = [("HALLPASS_SERVER__LISTEN", address.as_str())];
    let said = refused(&realm, &database, folder.path(), &listen).await;
    assert!(said.contains(&format!("error: cannot listen on {address}")), "{said}");
    assert!(said.contains("because: Address already in use"), "{said}");
}

#[tokio::test]
async fn a_database_that_is_not_there_stops_the_start() {
    let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
    for (url, reason) in [
        (
            "postgres://nobody:open-sesame@127.0.0.1:1/none",
            "because: PostgreSQL's database `none` at 127.0.0.1:1 cannot be opened",
        ),
        ("postgres://nobody:open-sesame@127.0.0.1:1/none", "Connection refused"),
        (
            "sqlite:///no/such/folder/hallpass.db",
            "because: there is no database /no/such/folder/hallpass.db",
        ),
    ] {
        let extra = [("HALLPASS_STORE__URL", url)];
        let said = refused(&realm, &Database::sqlite(&folder), folder.path(), &extra).await;
        assert!(said.contains("error: the store cannot be used"), "{said}");
        assert!(said.contains(reason), "{said}");
        assert!(!said.contains("open-sesame"), "{said}");
    }
}

#[tokio::test]
async fn every_setting_that_is_wrong_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = hallpass(folder.path(), &["serve"]);
    command.envs([
        ("HALLPASS_SERVER__LISTEN", "everywhere"),
        ("HALLPASS_KEYCLOAK__URL", "ftp://keycloak"),
        ("HALLPASS_STORE__ENCRYPTION_KEY", "tooshortasecret"),
        ("HALLPASS_TOKENS__MAX_LIFETIME", "forever"),
        ("HALLPASS_SERVER__LISTNE", "127.0.0.1:1"),
    ]);
    let output = run(command).await;
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()), "{output:?}");
    let said = stderr(&output);
    for key in [
        "server.listen",
        "keycloak.url",
        "keycloak.realm",
        "keycloak.client_secret",
        "store.encryption_key",
        "tokens.max_lifetime",
        "server.listne",
    ] {
        assert!(said.contains(key), "{key} is missing in: {said}");
    }
    assert!(!said.contains("tooshortasecret"), "{said}");
}

#[tokio::test]
async fn a_file_that_was_named_and_is_missing_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(hallpass(folder.path(), &["serve", "--config", "nowhere.toml"])).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("nowhere.toml"), "{output:?}");
}

#[tokio::test]
async fn a_filter_for_log_lines_that_is_garbage_stops_nothing() {
    let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
    let database = store(&realm, &folder).await;
    let garbage = [("RUST_LOG", "=,,!!=[nonsense"), ("HALLPASS_TELEMETRY__LOG_FORMAT", "json")];
    let process = Process::serve(&realm, &database, folder.path(), &garbage).await;
    process.api(None).get("/openapi.json").await;
    let written = process.stop().await;
    assert!(written.contains("hallpass::request"), "{written}");
}
