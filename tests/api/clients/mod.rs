//! `/api/clients/v1`.

mod accounts;
mod believed;
mod blocked;
mod domo;
mod fields;
mod keycloak_away;
mod lists;
mod main_way;
mod memberships;
mod messages;
mod noticed;
mod patches;
mod quotas;
mod secrets;
mod taken_ids;
mod transfer;
mod turns;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Admin, Answer, Api, Person, TestRealm, unique};

const CLIENTS: &str = "/api/clients/v1/clients";
const QUOTA: &str = "/api/clients/v1/quota";

/// Somebody of this account who may create API clients.
async fn member(realm: &TestRealm, account: &str) -> Person {
    let attributes = json!({"attributes": {"account_id": [account]}});
    let person = realm.person_with(&unique("member"), attributes).await;
    realm.give_roles(&person, "hallpass", &["create-api-clients"]).await;
    person
}

/// Somebody of no account who manages everybody's API clients.
async fn manager(realm: &TestRealm) -> Person {
    let person = realm.person_with(&unique("manager"), json!({})).await;
    realm.give_roles(&person, "hallpass", &["manage-api-clients"]).await;
    person
}

/// The least that a client is.
fn script(id: &str) -> Value {
    json!({"clientId": id, "capabilities": ["script"]})
}

fn at(id: &str) -> String {
    format!("{CLIENTS}/{id}")
}

/// Makes a client of these fields; answers what the caller is shown.
async fn make(api: &Api, body: &Value) -> Value {
    api.post(CLIENTS, body).await.expect(201)
}

/// Asks for all of these clients in one moment.
async fn make_at_once(wanted: impl IntoIterator<Item = (Api, Value)>) -> Vec<(Value, Answer)> {
    let mut asking = JoinSet::new();
    for (api, body) in wanted {
        asking.spawn(async move {
            let answer = api.post(CLIENTS, &body).await;
            (body, answer)
        });
    }
    asking.join_all().await
}

async fn used(api: &Api) -> u64 {
    api.get(QUOTA).await.expect(200)["used"].as_u64().unwrap()
}

/// The fields that a problem names, in alphabetical order.
fn fields(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("{problem}"));
    let mut fields: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// The ids on a page, in its order.
fn ids(page: &Value) -> Vec<&str> {
    let clients = page["clients"].as_array().unwrap().iter();
    clients.map(|client| client["clientId"].as_str().unwrap()).collect()
}

/// The client of exactly this id as Keycloak has it.
async fn in_keycloak(realm: &TestRealm, id: &str) -> Option<Value> {
    let path = format!("/{}/clients?clientId={id}", realm.name);
    let found = Admin::log_in().await.get(&path).await;
    let mut client =
        found.as_array().unwrap().iter().find(|client| client["clientId"] == id).cloned()?;
    // Keycloak keeps no order in its lists.
    for member in client.as_object_mut().unwrap().values_mut() {
        if let Some(list) = member.as_array_mut() {
            list.sort_by_key(Value::to_string);
        }
    }
    Some(client)
}

/// What somebody does in Keycloak's console: these members of the client, and no others.
async fn change_in_console(realm: &TestRealm, id: &str, members: Value) {
    let mut client = in_keycloak(realm, id).await.unwrap();
    client.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let path = format!("/{}/clients/{}", realm.name, client["id"].as_str().unwrap());
    Admin::log_in().await.put(&path, &client).await;
}

async fn delete_in_console(realm: &TestRealm, id: &str) {
    let client = in_keycloak(realm, id).await.unwrap();
    let path = format!("/{}/clients/{}", realm.name, client["id"].as_str().unwrap());
    Admin::log_in().await.delete(&path).await;
}

/// The client's status in the list, which asks Keycloak nothing.
async fn listed_status(api: &Api, id: &str) -> String {
    let page = api.get(&format!("{CLIENTS}?search={id}")).await.expect(200);
    let clients = page["clients"].as_array().unwrap();
    let client = clients.iter().find(|client| client["clientId"] == id);
    client.map_or("not listed", |client| client["status"].as_str().unwrap()).to_owned()
}

/// Waits until the list shows this status: events are followed every second. Far longer than that is too late.
async fn wait_for_status(api: &Api, id: &str, status: &str) {
    let waiting = async {
        while listed_status(api, id).await != status {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert!(found.is_ok(), "{id} is {}, not {status}", listed_status(api, id).await);
}
