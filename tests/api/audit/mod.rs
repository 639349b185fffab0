//! `/api/audit/v1`.

mod append_only;
mod events;
mod parameters;

use serde_json::{Value, json};

use crate::support::{Api, Person, TestRealm, TestServer, unique};

const EVENTS: &str = "/api/audit/v1/events";
const TOKENS: &str = "/api/pat/v1/tokens";
const CLIENTS: &str = "/api/clients/v1/clients";

/// Somebody whose one role is to read the audit log.
async fn reader(server: &TestServer) -> Api {
    let person = server.realm.person().await;
    server.realm.give_roles(&person, "hallpass", &["read-audit"]).await;
    server.user(&person).await
}

/// Somebody of this account who may create API clients.
async fn member(realm: &TestRealm, account: &str) -> Person {
    let attributes = json!({"attributes": {"account_id": [account]}});
    let person = realm.person_with(&unique("member"), attributes).await;
    realm.give_roles(&person, "hallpass", &["create-api-clients"]).await;
    person
}

/// The events that this query finds.
async fn events(reader: &Api, query: &str) -> Vec<Value> {
    let page = reader.get(&format!("{EVENTS}?{query}")).await.expect(200);
    page["events"].as_array().unwrap_or_else(|| panic!("{page}")).clone()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["action"].as_str().unwrap()).collect()
}
