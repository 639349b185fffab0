//! What holds when Keycloak or the process itself fails, at the worst moment.

mod changes_once;
mod clients;
mod each_call;
mod keycloak_away;
mod killed;
mod owner_changes;
mod process;
mod published_keys;
mod service_token;
mod store_away;

use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{Connection as _, Row as _, SqliteConnection};

use crate::support::{Database, Fault, FaultProxy, TestRealm, TestServer};

/// The service's own calls, its looks at events and its sweeps, come at the start and then not for long.
const SELDOM: [(&str, &str); 2] =
    [("HALLPASS_LIFECYCLE__POLL_INTERVAL", "24h"), ("HALLPASS_LIFECYCLE__SWEEP_INTERVAL", "24h")];

/// A start whose own calls fail: from then on each call is the test's, beginning with the login.
async fn quietly<T>(proxy: &FaultProxy, start: impl Future<Output = T>) -> T {
    let own = proxy.on("*", Fault::status(503));
    let started = start.await;
    own.wait_until_quiet().await;
    proxy.clear();
    started
}

/// A server whose Keycloak is behind this proxy, which nobody called yet.
async fn server_behind(proxy: &FaultProxy, realm: &TestRealm) -> TestServer {
    let mut extra = SELDOM.to_vec();
    extra.push(("HALLPASS_KEYCLOAK__URL", proxy.url()));
    quietly(proxy, TestServer::start_with(realm.clone(), Database::sqlite, &extra)).await
}

async fn sqlite(server: &TestServer) -> SqliteConnection {
    let Database::Sqlite(path) = &server.database else { panic!("the store is a file") };
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap()
}

/// How many tokens have a record.
async fn recorded(server: &TestServer) -> i64 {
    let mut store = sqlite(server).await;
    sqlx::query_scalar("SELECT COUNT(*) FROM tokens").fetch_one(&mut store).await.unwrap()
}

/// What the audit log says of a name, oldest first: `action` or `action: reason`.
async fn audited(server: &TestServer, name: &str) -> Vec<String> {
    let rows = sqlx::query(
        "SELECT action, reason FROM audit_events WHERE credential_name = $1 \
         ORDER BY occurred_at, event_id",
    )
    .bind(name)
    .fetch_all(&mut sqlite(server).await)
    .await
    .unwrap();
    let line = |row: &SqliteRow| {
        let action: String = row.get("action");
        match row.get::<Option<String>, _>("reason") {
            Some(reason) => format!("{action}: {reason}"),
            None => action,
        }
    };
    rows.iter().map(line).collect()
}
