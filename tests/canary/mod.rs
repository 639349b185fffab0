//! Canaries: every operation is driven with real secrets, well and badly, and then they are looked for where no
//! secret may be: in the log of a real process at its most talkative, in every table, in errors and in lists.

mod driver;
mod operations;
mod places;
mod secrets;

use crate::support::{Api, Database, Process, TestRealm, service};
use driver::Driver;
use places::{Recorder, give_password, rows};
use secrets::Secrets;
use serde_json::json;

/// The process with its log at trace, its Keycloak behind a recorder, its database with a password where it has one.
struct Stage {
    realm: TestRealm,
    recorder: Recorder,
    database: Database,
    process: Process,
    secrets: Secrets,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn set(database: fn(&tempfile::TempDir) -> Database, format: &str) -> Self {
        let realm = TestRealm::shared().await;
        let recorder = Recorder::before(&service("HALLPASS_TEST_KEYCLOAK_URL")).await;
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        Process::prepare_store(&realm, &database).await;
        let mut secrets = Secrets::default();
        let mut settings = vec![
            ("RUST_LOG", "trace".to_owned()),
            ("HALLPASS_TELEMETRY__LOG_FORMAT", format.to_owned()),
            ("HALLPASS_SERVER__TRUSTED_PROXIES", "127.0.0.1/32".to_owned()),
            ("HALLPASS_CLIENTS__QUOTA", "1000".to_owned()),
            ("HALLPASS_FORWARD_AUTH__POLICIES", json!({driver::POLICY: {}}).to_string()),
            ("HALLPASS_KEYCLOAK__URL", recorder.url().to_owned()),
        ];
        if let Some((url, password)) = give_password(&database).await {
            secrets.text("the database's password", &password);
            settings.push(("HALLPASS_STORE__URL", url));
        }
        for (name, value) in realm.environment(&database, &[]) {
            match name.as_str() {
                "HALLPASS_KEYCLOAK__CLIENT_SECRET" => secrets.text("the service's secret", &value),
                "HALLPASS_STORE__ENCRYPTION_KEY" => secrets.key("the encryption key", &value),
                _ => {}
            }
        }
        // The middle: what an encoding puts before and after it may differ.
        secrets.text("the signing key", &realm.signing_key().provider().private_key[200..300]);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
        let process = Process::serve(&realm, &database, folder.path(), &settings).await;
        Self { realm, recorder, database, process, secrets, folder }
    }
}

/// Everything without a problem document is read too.
async fn read_pages(api: &Api) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    for path in ["/metrics", "/docs/", "/openapi.json", "/problems/unauthenticated", "/public-keys"]
    {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        pages.push((path.to_owned(), answer.text));
    }
    pages
}

async fn no_secret_is_anywhere(database: fn(&tempfile::TempDir) -> Database, format: &str) {
    let Stage { realm, recorder, database, process, mut secrets, folder: _folder } =
        Stage::set(database, format).await;
    let mut driver = Driver::new(&realm, &process).await;
    for operation in operations::all() {
        driver.drive(&operation).await;
    }
    let pages = read_pages(&process.api(None)).await;
    let Driver { heard, known, control, .. } = driver;
    secrets.extend(known);
    // The service's own tokens are in no answer: only on the way to Keycloak.
    let asked = recorder.heard();
    let service_tokens = places::bearer_tokens(&asked);
    assert!(!service_tokens.is_empty(), "Hallpass did not log in to Keycloak");
    for token in service_tokens {
        secrets.jwt("the service's token", &token);
    }

    // The search finds what is there: in what was shown to those who may see it, and on the way to Keycloak.
    let shown: String = heard.iter().filter(|one| one.succeeded()).map(|one| &*one.text).collect();
    let expected = secrets.of_answers();
    let found = secrets.found_in(&format!("{shown}{asked}"));
    assert!(expected.iter().all(|what| found.contains(what)), "{found:?} of {expected:?}");
    assert!(secrets.found_in(&asked).contains("the service's secret"));

    let log = process.stop().await;
    let traced = log.lines().filter(|line| line.contains("TRACE")).count();
    assert!(traced > 100, "the log was not at trace: {traced} lines");
    let rows = rows(&database).await;
    let mut places = vec![("the log".to_owned(), log), ("the store".to_owned(), rows)];
    places.extend(places::raw_file(&database));
    for (what, text) in &places[..2] {
        assert!(text.contains(&control), "{what} was not read, or the search finds nothing");
    }
    places.extend(pages);
    let lists = heard.iter().filter(|one| one.is_list()).count();
    let errors = heard.iter().filter(|one| !one.succeeded()).count();
    assert!(lists > 3 && errors > 100, "{lists} lists and {errors} errors");
    assert!(heard.iter().any(|one| one.is_list() && one.text.contains(&control)), "no list has it");
    places.extend(heard.into_iter().map(driver::Heard::what_anybody_may_see));

    let mut leaks = Vec::new();
    for (place, text) in &places {
        leaks
            .extend(secrets.found_in(text).into_iter().map(|what| format!("{what} is in {place}")));
    }
    assert!(leaks.is_empty(), "{leaks:#?}\n{}", secrets.first_line_of_a_leak(&places[0].1));
}

#[tokio::test]
async fn no_secret_is_in_the_text_log_the_sqlite_store_an_error_or_a_list() {
    Box::pin(no_secret_is_anywhere(Database::sqlite, "text")).await;
}

#[tokio::test]
async fn no_secret_is_in_the_json_log_the_postgresql_store_an_error_or_a_list() {
    Box::pin(no_secret_is_anywhere(Database::postgres, "json")).await;
}
