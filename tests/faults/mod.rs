//! What holds when Keycloak or the process itself fails, at the worst moment.

mod changes_once;
mod clients;
mod each_call;
mod keycloak_away;
mod killed;
mod owner_changes;
mod process;
mod published_keys;
mod rotation;
mod service_token;
mod store_away;

use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{Connection as _, Row as _, SqliteConnection};

use crate::support::{Database, Fault, FaultProxy, Rule, TestRealm, TestServer};

/// The service's own looks at events and its sweeps come at the start and then not for long.
const SELDOM: [(&str, &str); 2] =
    [("HALLPASS_LIFECYCLE__POLL_INTERVAL", "24h"), ("HALLPASS_LIFECYCLE__SWEEP_INTERVAL", "24h")];

/// A server whose Keycloak is behind this proxy.
async fn server_behind(proxy: &FaultProxy, realm: &TestRealm) -> TestServer {
    let mut extra = SELDOM.to_vec();
    extra.push(("HALLPASS_KEYCLOAK__URL", proxy.url()));
    TestServer::start_with(realm.clone(), Database::sqlite, &extra).await
}

/// The same, which looks at nobody by itself.
async fn quiet_server_behind(proxy: &FaultProxy, realm: &TestRealm) -> TestServer {
    Box::pin(unswept(proxy, server_behind(proxy, realm))).await
}

/// A start, on a store without clients, whose sweep and first look at events find nothing, and the next ones are far away:
/// they would look at clients and owners while these are counted on.
async fn unswept<T>(proxy: &FaultProxy, start: impl Future<Output = T>) -> T {
    let nothing = || Fault::Answer(200, "[]".to_owned());
    let sweep = proxy.on("GET */clients?first=*", nothing());
    let events = ["GET */admin-events", "GET */events"].map(|list| proxy.on(list, nothing()));
    let started = start.await;
    for list in events.iter().chain([&sweep]) {
        list.wait_for_hits(1).await;
    }
    proxy.clear();
    started
}

/// A call that a mint makes to Keycloak, and that the service makes for nothing else.
#[derive(Clone, Copy, Debug)]
struct Call {
    pattern: &'static str,
    /// Which of them, counted from 1.
    nth: usize,
    /// The record is there already.
    committed: bool,
}

const fn call(pattern: &'static str, nth: usize, committed: bool) -> Call {
    Call { pattern, nth, committed }
}

const KEYS: Call = call("GET */certs", 1, false);
const LOGIN: Call = call("POST */token", 1, false);
const OWNER: Call = call("GET */users?*", 1, false);
const PROBE_CLIENT: Call = call("GET */clients?clientId=hallpass-probe", 1, false);
const ROLES: Call = call("GET */generate-example-access-token", 1, false);
const CLAIMS: Call = call("GET */generate-example-access-token", 2, false);
const OWNER_AGAIN: Call = call("GET */users?*", 2, true);
const ROLES_AGAIN: Call = call("GET */generate-example-access-token", 3, true);
const CALLS: [Call; 8] =
    [KEYS, LOGIN, OWNER, PROBE_CLIENT, ROLES, CLAIMS, OWNER_AGAIN, ROLES_AGAIN];

impl Call {
    /// The fault at this call, from its n-th occurrence on.
    fn fails(self, proxy: &FaultProxy, fault: Fault) -> Rule {
        if self.pattern == LOGIN.pattern {
            // The service may have logged in for itself; then its token has to be renewed.
            proxy.on(OWNER.pattern, Fault::status(401));
        }
        proxy.on_from(self.nth, self.pattern, fault)
    }
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
