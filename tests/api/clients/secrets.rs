//! A secret is where it is asked for, and nowhere else: no list, no log line, no audit record, no file.

use serde_json::{Value, json};
use sqlx::Connection as _;

use super::{CLIENTS, QUOTA, at, manager, member};
use crate::support::{Answer, Api, Database, Process, TestRealm, unique};

/// The audit log's actions on this credential, with who did them, in order.
pub(super) async fn audited(database: &Database, id: &str) -> Vec<(String, String)> {
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&database.url_text()).await.unwrap();
    let statement =
        "SELECT action, actor_id FROM audit_events WHERE credential_id = $1 ORDER BY event_id";
    let rows = sqlx::query_as(statement).bind(id).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    rows
}

/// The secret that the answer is for; it is told to no cache.
fn secret_in(answer: Answer, status: u16) -> String {
    assert_eq!(answer.headers["cache-control"], "no-store", "{answer:?}");
    answer.expect(status)["clientSecret"].as_str().unwrap().to_owned()
}

/// What people see who look around.
async fn look_around(apis: [&Api; 2], id: &str) -> String {
    let mut seen = String::new();
    for api in apis {
        for path in [
            CLIENTS,
            &at(id),
            QUOTA,
            "/api/clients/v1/scopes",
            &format!("{CLIENTS}?search={id}&sort=status"),
        ] {
            seen.push_str(&api.get(path).await.text);
        }
    }
    seen
}

fn count(text: &str, needle: &str) -> usize {
    text.matches(needle).count()
}

#[tokio::test]
async fn a_secret_is_in_no_list_log_line_audit_record_or_file() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    let manager = manager(&realm).await;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&folder);
    Process::prepare_store(&realm, &database).await;
    let trace = [("RUST_LOG", "trace"), ("HALLPASS_TELEMETRY__LOG_FORMAT", "json")];
    let process = Process::serve(&realm, &database, folder.path(), &trace).await;
    let api = process.user(&realm, &person).await;
    let managing = process.user(&realm, &manager).await;
    let id = format!("{account}_app");
    let path = at(&id);
    let secret = format!("{path}/secret");

    let mut secrets = Vec::new();
    let mut seen = String::new();
    let body = json!({
        "clientId": id, "capabilities": ["web_app", "script"], "redirectUris": ["https://x.example/cb"],
    });
    secrets.push(secret_in(api.post(CLIENTS, &body).await, 201));
    assert_eq!(secret_in(api.get(&secret).await, 200), secrets[0]);
    seen += &look_around([&api, &managing], &id).await;
    seen += &api.patch(&path, &json!({"description": "new"})).await.text;
    secrets.push(secret_in(managing.post_empty(&secret).await, 201));
    assert_eq!(secret_in(managing.get(&secret).await, 200), secrets[1]);
    seen += &api.post(CLIENTS, &body).await.text;
    seen += &api.post(&format!("{path}/transfer"), &json!({"ownerId": colleague.id})).await.text;
    secrets.push(secret_in(api.get(&secret).await, 200));
    seen += &look_around([&api, &managing], &id).await;
    seen += &api.delete(&path).await.text;
    seen += &api.get(&secret).await.text;
    let log = process.stop().await;

    let store = std::fs::read(folder.path().join("hallpass.db")).unwrap();
    let store = String::from_utf8_lossy(&store);
    // What is looked through is what it should be.
    assert!(count(&seen, &id) > 5 && count(&log, &id) > 5 && count(&store, &id) > 5);
    assert!(log.contains("TRACE"), "{log}");
    for secret in &secrets {
        assert_eq!(count(&seen, secret), 0, "{seen}");
        assert_eq!(count(&store, secret), 0);
        let lines: Vec<_> = log.lines().filter(|line| line.contains(secret.as_str())).collect();
        assert_eq!(lines, [""; 0]);
    }
    secrets.dedup();
    assert_eq!(secrets.len(), 3);
    // Nor are access tokens in the log, ours or the callers'.
    let lines: Vec<_> = log.lines().filter(|line| line.contains("eyJhbGciOi")).collect();
    assert_eq!(lines, [""; 0]);

    let expected = [
        ("client_created", &person.id),
        ("client_secret_read", &person.id),
        ("client_updated", &person.id),
        ("client_secret_regenerated", &manager.id),
        ("client_secret_read", &manager.id),
        ("client_transferred", &person.id),
        ("client_secret_read", &person.id),
        ("client_deleted", &person.id),
    ];
    let found = audited(&database, &id).await;
    let found: Vec<_> = found.iter().map(|(action, actor)| (action.as_str(), actor)).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_secret_that_is_refused_leaves_no_record() {
    let realm = TestRealm::shared().await;
    let (account, elsewhere) = (unique("acme"), unique("globex"));
    let (person, foreigner) = (member(&realm, &account).await, member(&realm, &elsewhere).await);
    let server = crate::support::TestServer::in_realm(realm).await;
    let (api, foreign) = (server.user(&person).await, server.user(&foreigner).await);
    let id = format!("{account}_app");
    let made: Value = super::make(&api, &super::script(&id)).await;
    assert_eq!(made["status"], "active");
    foreign.get(&format!("{}/secret", at(&id))).await.expect_problem(404, "not-found");
    foreign.post_empty(&format!("{}/secret", at(&id))).await.expect_problem(404, "not-found");
    let found = audited(&server.database, &id).await;
    assert_eq!(found, [("client_created".to_owned(), person.id.clone())]);
    server.stop().await;
}
