//! A thousand owners with ten tokens each: the sweep and what others feel of it, a change of a hundred, a change of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hallpass::clock::Timestamp;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::Report;
use crate::support::{Admin, Database, TestRealm, TestServer, hallpass};

pub const OWNERS: usize = 1_000;
const EACH: usize = 10;
const SWEEP: Duration = Duration::from_secs(30);
/// What others wait for Keycloak while a sweep runs, over what they wait else.
const SLOWER: f64 = 2.0;

pub async fn measure(report: &mut Report) {
    report.section(
        "A thousand owners with ten tokens each",
        "On SQLite. Others are logins of people, one after the other, while a sweep runs and while none does. A Keycloak that has just started is busy with \
         compiling itself: it has logins and sweeps until a sweep takes no less than nine tenths of the one before.",
        "| what | measured | target |\n|---|---:|---:|",
    );
    let realm = TestRealm::own().await;
    let settings = [("HALLPASS_LIFECYCLE__BRAKE", "200")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    let users = fill(&realm, &server, EACH).await;

    let server = sweeps(report, &realm, server).await;
    change_of_a_hundred(report, &realm, &server, &users[..100]).await;
    change_of_all(report, &realm, &server).await;
    server.stop().await;
}

/// Sweeps, beside logins, until Keycloak has warmed up; reports the first one and the last.
async fn sweeps(report: &mut Report, realm: &TestRealm, mut server: TestServer) -> TestServer {
    let mut before: Option<Duration> = None;
    loop {
        let calm = logins(realm, Arc::new(AtomicBool::new(false)), 300).await;
        let (again, took, busy) = sweep(realm, server).await;
        server = again;
        let took_s = took.as_secs_f64();
        if before.is_none() {
            report.row(&format!("| sweep, Keycloak just started | {took_s:.1} s | |"), true);
        }
        if before.is_none_or(|before| took < before.mul_f64(0.9)) {
            before = Some(took);
            continue;
        }
        let limit = SWEEP.as_secs();
        report.row(&format!("| sweep | {took_s:.1} s | {limit} s |"), took <= SWEEP);
        let ratio = busy.as_secs_f64() / calm.as_secs_f64();
        let (calm, busy) = (calm.as_secs_f64() * 1e3, busy.as_secs_f64() * 1e3);
        let row = format!(
            "| others' logins, 95 %: {calm:.0} ms without, {busy:.0} ms beside a sweep | {ratio:.2} x | {SLOWER} x |"
        );
        report.row(&row, ratio <= SLOWER);
        return server;
    }
}

async fn change_of_a_hundred(
    report: &mut Report,
    realm: &TestRealm,
    server: &TestServer,
    users: &[String],
) {
    let admin = Admin::log_in().await;
    let path = |rest: &str| format!("/{}/{rest}", realm.name);
    admin.post(&path("groups"), &json!({"name": "hundred"})).await;
    let groups = admin.get(&path("groups?search=hundred&exact=true")).await;
    let group = groups[0]["id"].as_str().unwrap();
    for user in users {
        admin.put(&path(&format!("users/{user}/groups/{group}")), &Value::Null).await;
    }
    admin.post(&path("roles"), &json!({"name": "reader"})).await;
    let role = admin.get(&path("roles/reader")).await;
    // Who joined is looked at before the group changes.
    tokio::time::sleep(Duration::from_secs(5)).await;
    admin.post(&path(&format!("groups/{group}/role-mappings/realm")), &json!([role])).await;
    let took = until(server, "revoked_at IS NOT NULL", 100 * EACH).await;
    let took_s = took.as_secs_f64();
    let row = format!(
        "| a role for a group of a hundred of them: the last token is revoked | {took_s:.1} s | 5 s |"
    );
    report.row(&row, took <= Duration::from_secs(5));
}

async fn change_of_all(report: &mut Report, realm: &TestRealm, server: &TestServer) {
    let admin = Admin::log_in().await;
    let path = |rest: &str| format!("/{}/{rest}", realm.name);
    // Everybody has the default roles.
    let default_roles = admin.get(&path(&format!("roles/default-roles-{}", realm.name))).await;
    let composites = format!("roles-by-id/{}/composites", default_roles["id"].as_str().unwrap());
    admin.post(&path("roles"), &json!({"name": "upgraded"})).await;
    let role = admin.get(&path("roles/upgraded")).await;
    admin.post(&path(&composites), &json!([role])).await;
    let left = (OWNERS - 100) * EACH;
    let took = until(server, "revoked_at IS NULL AND suspended_at IS NOT NULL", left).await;
    report.row(
        &format!(
            "| a new default role: the last of {} owners' tokens is refused | {:.1} s | |",
            OWNERS - 100,
            took.as_secs_f64()
        ),
        true,
    );
    let revoked = count(server, "revoked_at IS NOT NULL").await;
    assert_eq!(revoked, 100 * EACH, "the brake held the others");
    let took = confirm(realm, server).await;
    report.row(
        &format!(
            "| `hallpass admin tokens confirm` of {} owners | {:.1} s | |",
            OWNERS - 100,
            took.as_secs_f64()
        ),
        true,
    );
    assert_eq!(count(server, "revoked_at IS NOT NULL").await, OWNERS * EACH);
}

/// Users as an import makes them, and so many tokens of each as Hallpass writes them. Answers the users' ids.
pub async fn fill(realm: &TestRealm, server: &TestServer, each: usize) -> Vec<String> {
    let person = realm.person().await;
    let api = server.user(&person).await;
    let minted = api.post("/api/pat/v1/tokens", &json!({"name": "model"})).await;
    let model = minted.expect(201)["patId"].as_str().unwrap().to_owned();
    let admin = Admin::log_in().await;
    let users: Vec<_> = (0..OWNERS)
        .map(|number| json!({"username": format!("crowd-{number:04}"), "enabled": true}))
        .collect();
    for part in users.chunks(250) {
        let body = json!({"ifResourceExists": "FAIL", "users": part});
        admin.post(&format!("/{}/partialImport", realm.name), &body).await;
    }
    let path = format!("/{}/users?search=crowd-&max={OWNERS}&briefRepresentation=true", realm.name);
    let found = admin.get(&path).await;
    let ids: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), OWNERS);
    for id in &ids {
        // Imported users have no default roles.
        let path = format!("/{}/users/{id}/role-mappings/realm", realm.name);
        let role = admin.get(&format!("/{0}/roles/default-roles-{0}", realm.name)).await;
        admin.post(&path, &json!([role])).await;
    }
    sqlx::any::install_default_drivers();
    let url = server.database.url_text();
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    for (number, id) in ids.iter().enumerate() {
        let insert = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {each}) \
             INSERT INTO tokens (pat_id, user_id, username, name, kid, owner_roles, created_at, expires_at, search_text, \
             email, email_verified) \
             SELECT '01900000-0000-7000-8000-' || (100000000000 + {number} * {each} + i), '{id}', 'crowd-{number:04}', \
             'token-' || i, kid, owner_roles, created_at, expires_at, 'token-' || i || ' crowd-{number:04}', '', 0 \
             FROM n, (SELECT kid, owner_roles, created_at, expires_at FROM tokens WHERE pat_id = '{model}')"
        );
        sqlx::query(AssertSqlSafe(insert)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    admin.delete(&format!("/{}/users/{}", realm.name, person.id)).await;
    ids
}

/// When the last sweep began that came to its end.
pub async fn swept_at(server: &TestServer) -> Option<Timestamp> {
    let store = server.store().await;
    let progress = store.find_progress().await.unwrap();
    store.close().await;
    progress.swept_at
}

/// Starts the service anew, which sweeps; answers how long that took, and what logins took meanwhile.
async fn sweep(realm: &TestRealm, server: TestServer) -> (TestServer, Duration, Duration) {
    let before = swept_at(&server).await;
    let server = server.restart(&[("HALLPASS_LIFECYCLE__BRAKE", "200")]).await;
    let began = Instant::now();
    let end = Arc::new(AtomicBool::new(false));
    let others = tokio::spawn({
        let (realm, end) = (realm.clone(), end.clone());
        async move { logins(&realm, end, usize::MAX).await }
    });
    while swept_at(&server).await == before {
        assert!(began.elapsed() < Duration::from_mins(3), "the sweep does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = began.elapsed();
    end.store(true, Ordering::Relaxed);
    let live = count(&server, "revoked_at IS NULL AND suspended_at IS NULL").await;
    assert!(live >= OWNERS * EACH, "nobody changed: {live}");
    (server, took, others.await.unwrap())
}

/// People log in, one after the other, until `end` or so many; answers the 95th percentile.
async fn logins(realm: &TestRealm, end: Arc<AtomicBool>, most: usize) -> Duration {
    let person = realm.person().await;
    let mut times = Vec::new();
    while times.len() < most && !end.load(Ordering::Relaxed) {
        let began = Instant::now();
        realm.access_token(&person).await;
        times.push(began.elapsed());
    }
    times.sort();
    times[times.len() * 95 / 100]
}

async fn count(server: &TestServer, condition: &str) -> usize {
    sqlx::any::install_default_drivers();
    let url = server.database.url_text();
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    let sql = format!("SELECT COUNT(*) FROM tokens WHERE {condition}");
    let count: i64 =
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    usize::try_from(count).unwrap()
}

async fn until(server: &TestServer, condition: &str, wanted: usize) -> Duration {
    let began = Instant::now();
    while count(server, condition).await < wanted {
        assert!(began.elapsed() < Duration::from_mins(2), "{condition}: not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    began.elapsed()
}

/// Waits for the brake, and has the operator confirm.
async fn confirm(realm: &TestRealm, server: &TestServer) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let tokens = async |arguments: &[&str]| {
        let mut command = hallpass(folder.path(), &[&["admin", "tokens"], arguments].concat());
        command.envs(realm.environment(&server.database, &[]));
        let done = command.output().await.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let began = Instant::now();
    while !tokens(&["held"]).await.ends_with(&format!("\n{} owners\n", OWNERS - 100)) {
        assert!(began.elapsed() < Duration::from_mins(2), "the brake does not hold");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let began = Instant::now();
    tokens(&["confirm"]).await;
    began.elapsed()
}
