//! A realm with everything in it, in a form that can be compared.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::Admin;
use crate::support::sorted;

/// The realm's own settings, clients, roles, scopes, components, user profile, events, keys and people, ids
/// included. Keycloak's lists are sets: they are sorted.
pub(crate) async fn of(admin: &Admin, realm: &str) -> Value {
    let mut whole = json!({});
    let export = format!("/{realm}/partial-export?exportClients=true&exportGroupsAndRoles=true");
    whole["export"] = admin.call(Method::POST, &export, None).await;
    for part in [
        "",
        "/users/profile",
        "/events/config",
        "/components",
        "/keys",
        "/client-scopes",
        "/default-default-client-scopes",
        "/default-optional-client-scopes",
        "/users?max=1000&briefRepresentation=false",
    ] {
        whole[format!("realm{part}")] = admin.get(&format!("/{realm}{part}")).await;
    }
    // Who holds what is in no export.
    for user in whole["realm/users?max=1000&briefRepresentation=false"].clone().as_array().unwrap()
    {
        let id = user["id"].as_str().unwrap();
        let path = format!("/{realm}/users/{id}/role-mappings");
        whole[format!("roles of {}", user["username"])] = admin.get(&path).await;
    }
    sorted(whole)
}

/// Where two snapshots differ, by path.
pub(crate) fn difference(before: &Value, after: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    collect("", before, after, &mut paths);
    paths
}

#[track_caller]
pub(crate) fn assert_same(before: &Value, after: &Value) {
    let paths = difference(before, after);
    assert!(paths.is_empty(), "{}", paths.join("\n"));
}

fn collect(path: &str, before: &Value, after: &Value, paths: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for name in names {
                collect(&format!("{path}/{name}"), &before[name], &after[name], paths);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                collect(&format!("{path}/{index}"), one, other, paths);
            }
        }
        _ if before == after => {}
        _ => paths.push(format!(
            "{path}: {:.300} became {:.300}",
            before.to_string(),
            after.to_string()
        )),
    }
}
