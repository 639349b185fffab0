//! `/api/pat/v1`.

mod all;
mod bulk;
mod claims;
mod create;
mod denied_roles;
mod describe;
mod family;
mod identify;
mod limits;
mod list;
mod narrowing;
mod networks;
mod notes;
mod offer;
mod operator;
mod revoke;
mod rotate;
mod scopes;
mod search;
mod self_calls;
mod users;
mod uses;

use std::fmt::Write as _;
use std::time::Duration;

use hallpass::id::PatId;
use serde_json::Value;

use crate::support::{Api, Person, TestServer};

const TOKENS: &str = "/api/pat/v1/tokens";
const USERS: &str = "/api/pat/v1/users";
const SELF: &str = "/api/pat/v1/tokens/self";

fn names(list: &Value) -> Vec<&str> {
    let tokens = list["tokens"].as_array().unwrap();
    tokens.iter().map(|token| token["name"].as_str().unwrap()).collect()
}

fn id_of(token: &Value) -> &str {
    token["patId"].as_str().unwrap()
}

fn path_of(token: &Value) -> String {
    format!("{TOKENS}/{}", id_of(token))
}

async fn user(server: &TestServer) -> Api {
    server.user(&server.realm.person().await).await
}

/// Somebody with the role `manage-tokens` and no other.
async fn administrator(server: &TestServer) -> (Person, Api) {
    let person = server.realm.person().await;
    server.realm.give_roles(&person, "hallpass", &["manage-tokens"]).await;
    let api = server.user(&person).await;
    (person, api)
}

/// Records as mints leave them, so many that Keycloak would take long over them; answers their ids.
async fn record_tokens(server: &TestServer, owner: &Person, count: usize) -> Vec<String> {
    let now = server.clock.now().floor_to_second();
    let (created, ends) = (now.millis(), now.plus(Duration::from_hours(30 * 24)).millis());
    let Person { id, username } = owner;
    let mut rows = String::new();
    let mut ids = Vec::new();
    for number in 0..count {
        let pat_id = PatId::new(now).to_string();
        let comma = if number == 0 { "" } else { "," };
        write!(
            rows,
            "{comma}('{pat_id}', '{id}', '{username}', 'n-{number}', 'kid', '{{}}', {created}, {ends}, \
             'n-{number}\n{username}')"
        )
        .unwrap();
        ids.push(pat_id);
    }
    let columns =
        "pat_id, user_id, username, name, kid, owner_roles, created_at, expires_at, search_text";
    let inserted = server.execute(format!("INSERT INTO tokens ({columns}) VALUES {rows}")).await;
    assert_eq!(inserted, count as u64);
    ids
}

/// Somebody whose one role is to read the audit log.
async fn auditor(server: &TestServer) -> Api {
    let person = server.realm.person().await;
    server.realm.give_roles(&person, "hallpass", &["read-audit"]).await;
    server.user(&person).await
}

/// How many events of the audit log this query finds.
async fn audited(auditor: &Api, query: &str) -> u64 {
    let found = auditor.get(&format!("/api/audit/v1/events?{query}")).await.expect(200);
    found["pagination"]["total"].as_u64().unwrap()
}
