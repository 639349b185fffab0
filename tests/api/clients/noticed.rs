//! What others do in Keycloak shows in the list, by events; without events by the sweep at the next start.

use serde_json::{Value, json};

use super::{CLIENTS, at, change_in_console, delete_in_console, in_keycloak, listed_status, make};
use super::{manager, member, script, used, wait_for_status};
use crate::support::{Admin, Database, Person, TestRealm, TestServer, unique};

async fn set_enabled(realm: &TestRealm, person: &Person, enabled: bool) {
    let path = format!("/{}/users/{}", realm.name, person.id);
    let admin = Admin::log_in().await;
    let mut user = admin.get(&path).await;
    user["enabled"] = json!(enabled);
    admin.put(&path, &user).await;
}

/// Something below the client in the admin API: a mapper, a scope.
async fn below(realm: &TestRealm, id: &str, path: &str, body: Option<&Value>) {
    let uuid = in_keycloak(realm, id).await.unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("/{}/clients/{uuid}/{path}", realm.name);
    let method =
        if path.contains("client-scopes") { reqwest::Method::PUT } else { reqwest::Method::POST };
    Admin::log_in().await.call(method, &path, body).await;
}

fn mapper() -> Value {
    json!({
        "name": "admin", "protocol": "openid-connect", "protocolMapper": "oidc-hardcoded-role-mapper",
        "config": {"role": "admin"},
    })
}

#[tokio::test]
async fn a_client_is_orphaned_while_its_owner_is_disabled_and_can_be_handed_on() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (owner, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    let server = TestServer::in_realm(realm.clone()).await;
    let (api, other) = (server.user(&owner).await, server.user(&colleague).await);
    let (id, second) = (format!("{account}_app"), format!("{account}_two"));
    make(&api, &script(&id)).await;
    make(&api, &script(&second)).await;

    set_enabled(&realm, &owner, false).await;
    wait_for_status(&other, &id, "orphaned").await;
    // It keeps working.
    assert_eq!(in_keycloak(&realm, &id).await.unwrap()["enabled"], true);
    let filtered = other.get(&format!("{CLIENTS}?status=orphaned")).await.expect(200);
    assert_eq!(filtered["pagination"]["total"], 2);
    set_enabled(&realm, &owner, true).await;
    wait_for_status(&other, &id, "active").await;

    Admin::log_in().await.delete(&format!("/{}/users/{}", realm.name, owner.id)).await;
    wait_for_status(&other, &id, "orphaned").await;
    let transfer = json!({"ownerId": colleague.id});
    let handed_on = other.post(&format!("{}/transfer", at(&id)), &transfer).await.expect(200);
    assert_eq!(handed_on["status"], "active");
    assert_eq!(listed_status(&other, &second).await, "orphaned");
    other.delete(&at(&second)).await.expect(204);
    server.stop().await;
}

#[tokio::test]
async fn a_change_in_the_console_shows_and_is_not_reverted() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let owner = member(&realm, &account).await;
    let server = TestServer::in_realm(realm.clone()).await;
    let api = server.user(&owner).await;
    let scopes = Admin::log_in().await.get(&format!("/{}/client-scopes", realm.name)).await;
    let scope =
        scopes.as_array().unwrap().iter().find(|scope| scope["name"] == "offline_access").unwrap();
    let scope = scope["id"].as_str().unwrap();
    let id = |name: &str| format!("{account}_{name}");
    for name in ["flag", "uri", "mapper", "optional"] {
        let body = json!({"clientId": id(name), "capabilities": ["web_app"], "redirectUris": ["https://x.example/cb"]});
        make(&api, &body).await;
    }
    change_in_console(&realm, &id("flag"), json!({"fullScopeAllowed": true})).await;
    let uris = json!({"redirectUris": ["https://x.example/cb", "https://y.example/*"]});
    change_in_console(&realm, &id("uri"), uris).await;
    below(&realm, &id("mapper"), "protocol-mappers/models", Some(&mapper())).await;
    below(&realm, &id("optional"), &format!("optional-client-scopes/{scope}"), None).await;
    for name in ["flag", "uri", "mapper", "optional"] {
        wait_for_status(&api, &id(name), "drifted").await;
        // Another change leaves it as it is.
        let changed = api.patch(&at(&id(name)), &json!({"description": "new"})).await.expect(200);
        assert_eq!(changed["status"], "drifted", "{changed}");
    }
    let stored = async |name: &str| in_keycloak(&realm, &id(name)).await.unwrap();
    assert_eq!(stored("flag").await["fullScopeAllowed"], true);
    assert_eq!(stored("uri").await["redirectUris"].as_array().unwrap().len(), 2);
    assert_eq!(stored("mapper").await["protocolMappers"][0]["name"], "admin");
    assert_eq!(stored("optional").await["optionalClientScopes"], json!(["offline_access"]));
    change_in_console(&realm, &id("flag"), json!({"fullScopeAllowed": false})).await;
    wait_for_status(&api, &id("flag"), "active").await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_removed_in_the_console_is_missing_and_its_record_can_be_deleted() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let owner = member(&realm, &account).await;
    let server = TestServer::in_realm(realm.clone()).await;
    let api = server.user(&owner).await;
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    delete_in_console(&realm, &id).await;
    wait_for_status(&api, &id, "missing").await;

    // Somebody else takes the id meanwhile: theirs is theirs.
    let foreign = json!({"clientId": id, "name": "Somebody's", "serviceAccountsEnabled": true});
    Admin::log_in().await.post(&format!("/{}/clients", realm.name), &foreign).await;
    let theirs = in_keycloak(&realm, &id).await.unwrap();
    assert_eq!(api.get(&at(&id)).await.expect(200)["status"], "missing");
    api.patch(&at(&id), &json!({"description": "x"})).await.expect_problem(409, "client-missing");
    api.get(&format!("{}/secret", at(&id))).await.expect_problem(409, "client-missing");
    api.post_empty(&format!("{}/secret", at(&id))).await.expect_problem(409, "client-missing");
    assert_eq!(used(&api).await, 1);
    api.delete(&at(&id)).await.expect(204);
    assert_eq!(used(&api).await, 0);
    assert_eq!(in_keycloak(&realm, &id).await.unwrap(), theirs);
    api.post(CLIENTS, &script(&id)).await.expect_problem(409, "client-id-taken");
    delete_in_console(&realm, &id).await;
    make(&api, &script(&id)).await;
    server.stop().await;
}

#[tokio::test]
async fn without_events_the_next_start_finds_it_all() {
    let realm = TestRealm::own().await;
    let account = unique("acme");
    let (owner, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    let off = json!({"adminEventsEnabled": false, "adminEventsDetailsEnabled": false});
    Admin::log_in().await.put(&format!("/{}", realm.name), &off).await;
    let server = TestServer::start_with(realm.clone(), Database::postgres, &[]).await;
    let id = |name: &str| format!("{account}_{name}");
    let (api, other) = (server.user(&owner).await, server.user(&colleague).await);
    make(&api, &script(&id("orphaned"))).await;
    for name in ["drifted", "missing", "active"] {
        make(&other, &script(&id(name))).await;
    }
    set_enabled(&realm, &owner, false).await;
    below(&realm, &id("drifted"), "protocol-mappers/models", Some(&mapper())).await;
    delete_in_console(&realm, &id("missing")).await;

    let server = server.restart(&[]).await;
    let managing = server.user(&manager(&realm).await).await;
    for status in ["orphaned", "drifted", "missing", "active"] {
        wait_for_status(&managing, &id(status), status).await;
    }
    server.stop().await;
}
