//! From a change of an API client in Keycloak's console to the list that shows it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Report;
use crate::support::{Admin, Api, Database, TestRealm, TestServer, unique};

const TRIALS: usize = 20;
const TARGET: Duration = Duration::from_secs(2);
const CLIENTS: &str = "/api/clients/v1/clients";

pub async fn measure(report: &mut Report) {
    report.section(
        "Changes of API clients in Keycloak",
        "From the answer of Keycloak to the list of API clients that shows the change, 20 times each.",
        "| change | median, s | maximum, s | target, s |\n|---|---:|---:|---:|",
    );
    let realm = TestRealm::own().await;
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &[]).await;
    for (name, status) in [
        ("changed in the console", "drifted"),
        ("deleted in the console", "missing"),
        ("owner disabled", "orphaned"),
    ] {
        let mut times = Vec::new();
        for _ in 0..TRIALS {
            times.push(trial(&realm, &server, status).await);
        }
        report.change(name, times, TARGET);
    }
    server.stop().await;
}

/// One client of one person, changed so that it gets this status.
async fn trial(realm: &TestRealm, server: &TestServer, status: &str) -> Duration {
    let person = realm.person().await;
    realm.give_roles(&person, "hallpass", &["create-api-clients"]).await;
    let user = server.user(&person).await;
    let id = format!("{}_{}", person.username.replace('-', ""), unique("noticed"));
    let body = json!({"clientId": id, "capabilities": ["script"]});
    user.post(CLIENTS, &body).await.expect(201);
    let admin = Admin::log_in().await;
    let uuid = admin.client_uuid(&realm.name, &id).await;
    let client = format!("/{}/clients/{uuid}", realm.name);
    let owner = format!("/{}/users/{}", realm.name, person.id);
    match status {
        "drifted" => {
            let mut changed = admin.get(&client).await;
            changed["name"] = json!("Changed");
            admin.put(&client, &changed).await;
        }
        "missing" => drop(admin.delete(&client).await),
        _ => {
            let mut disabled = admin.get(&owner).await;
            disabled["enabled"] = json!(false);
            admin.put(&owner, &disabled).await;
        }
    }
    let began = Instant::now();
    while listed(&user, &id).await != status {
        assert!(began.elapsed() < Duration::from_secs(30), "{id} is never {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

async fn listed(user: &Api, id: &str) -> Value {
    let list = user.get(CLIENTS).await.expect(200);
    let clients = list["clients"].as_array().unwrap();
    let found = clients.iter().find(|client| client["clientId"] == id);
    found.map_or(Value::Null, |client| client["status"].clone())
}
