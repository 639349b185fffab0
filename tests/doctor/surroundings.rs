//! Faults of settings, store, network and clock: the realm itself is good.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use hallpass::clock::Clock;
use hallpass::config::SealingKey;
use hallpass::doctor::{Outcome, examine};
use hallpass::store::Store;
use secrecy::ExposeSecret as _;

use super::{CHECKS, Case};
use crate::support::{DATABASES, Database, TestRealm, hallpass, run};

#[tokio::test]
async fn a_good_realm_passes_on_both_databases() {
    for database in DATABASES {
        let case = Case::in_realm(TestRealm::shared().await, database).await;
        case.examine().await.expect_good();
    }
}

#[tokio::test]
async fn people_read_a_line_for_each_check() {
    let case = Case::in_shared_realm().await;
    for (extra, line, code) in [
        (vec![], "ok    login                the service account of hallpass logs in\n", 0),
        (
            vec![("HALLPASS_KEYCLOAK__CLIENT_SECRET", "wrong")],
            "FAIL  login                Keycloak refuses the credentials",
            1,
        ),
    ] {
        let mut command = hallpass(case.folder.path(), &["doctor"]);
        command.envs(case.realm.environment(&case.database, &extra));
        let output = run(command).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(line), "{text}");
        assert_eq!(text.contains("-> set `keycloak.client_secret`"), code == 1, "{text}");
        assert!(!text.contains('\x1b'), "{text}");
        assert_eq!(output.status.code(), Some(code));
    }
}

#[tokio::test]
async fn all_problems_of_the_settings_come_at_once_and_the_rest_is_skipped() {
    let case = Case::in_shared_realm().await;
    let wrong = [("HALLPASS_SERVER__LISTEN", "nowhere"), ("HALLPASS_STORE__URL", "mysql://x")];
    let report = case.examine_with(&wrong, &[]).await;
    report.expect_one_failure("settings", "server.listen");
    report.expect_detail("settings", "store.url");
    assert_eq!(report.named("skipped").len(), CHECKS - 1);
    report.expect_detail("minting", "`settings`");

    let mut misuse = hallpass(case.folder.path(), &["doctor", "--output", "xml"]);
    misuse.envs(case.realm.environment(&case.database, &[]));
    assert_eq!(run(misuse).await.status.code(), Some(2));
}

#[tokio::test]
async fn a_settings_file_that_everybody_can_read_is_warned_of() {
    let case = Case::in_shared_realm().await;
    let file = case.folder.path().join("hallpass.toml");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    case.examine().await.expect_good();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    case.examine().await.expect_one_warning("settings", "mode 0644");
}

#[tokio::test]
async fn each_fault_of_the_store_is_found_and_nothing_is_made() {
    let case = Case::in_shared_realm().await;
    let Database::Sqlite(path) = &case.database else { panic!("no file") };
    fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
    case.examine().await.expect_one_failure("store-files", "mode 0640");
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();

    let key = SealingKey::generate().unwrap().to_base64();
    let other = [("HALLPASS_STORE__ENCRYPTION_KEY", key.expose_secret())];
    case.examine_with(&other, &[]).await.expect_one_failure("encryption-key", "does not open");

    let nowhere = case.folder.path().join("nowhere.db");
    let url = format!("sqlite://{}", nowhere.display());
    let missing = [("HALLPASS_STORE__URL", url.as_str())];
    case.examine_with(&missing, &[]).await.expect_one_failure("store", "there is no file");
    assert!(!nowhere.exists());

    fs::write(&nowhere, "").unwrap();
    fs::set_permissions(&nowhere, Permissions::from_mode(0o600)).unwrap();
    case.examine_with(&missing, &[]).await.expect_one_failure("store", "there are no tables");
    assert_eq!(fs::read(&nowhere).unwrap(), b"");

    let foreign = Database::Sqlite(nowhere);
    let store = Store::open(&foreign.url()).await.unwrap();
    let report = case.examine_with(&missing, &[]).await;
    report.expect_one_failure("store-realm", "no realm yet");
    store.claim_issuer("https://sso.example/realms/other").await.unwrap();
    let report = case.examine_with(&missing, &[]).await;
    report.expect_one_failure("store-realm", "https://sso.example/realms/other");
    store.close().await;
}

#[tokio::test]
async fn a_keycloak_that_is_away_silent_or_another_is_found() {
    let case = Case::in_shared_realm().await;
    // It listens, and answers nobody.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let url = [("HALLPASS_KEYCLOAK__URL", address.as_str())];
    case.examine_with(&url, &[]).await.expect_one_failure("keycloak", "not available");
    drop(silent);
    let report = case.examine_with(&url, &[]).await;
    report.expect_one_failure("keycloak", "not available");
    report.expect_detail("login", "`keycloak`");
    assert_eq!(report.named("ok").len(), 8, "settings and store are looked at all the same");

    let report = case.examine_with(&[], &["--keycloak-public-url", "https://sso.example"]).await;
    assert_eq!(report.named("fail"), ["store-realm", "issuer"]);
    report.expect_detail("issuer", "https://sso.example/realms/");
    let report = case.examine_with(&[], &["--realm", "no-such-realm"]).await;
    assert_eq!(report.named("fail"), ["store-realm", "keycloak"]);
    report.expect_detail("keycloak", "there is no realm");
}

#[tokio::test]
async fn a_clock_that_goes_wrong_is_warned_of_and_then_fails() {
    let case = Case::in_shared_realm().await;
    let clock = Clock::system();
    let mut results = Vec::new();
    for step in [0, 10, 50] {
        clock.advance(Duration::from_secs(step));
        let settings = case.realm.settings(&case.database, &[]);
        let findings = examine(Ok(settings), None, &clock).await.unwrap();
        let others = findings.iter().filter(|finding| finding.check != "clock");
        assert!(others.into_iter().all(|finding| finding.result == Outcome::Ok), "{findings:?}");
        results.push(findings.iter().find(|finding| finding.check == "clock").unwrap().result);
    }
    assert_eq!(results, [Outcome::Ok, Outcome::Warn, Outcome::Fail]);
}
