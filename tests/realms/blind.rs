//! A probe or a designated client that shows no roles: nothing is minted, and nothing that lives is ended for it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{PATIENCE, TOKENS};
use crate::support::{Admin, TestRealm, TestServer, passes};

/// How a client is blinded.
fn blinded(client: &Value, way: &str) -> Value {
    let mut client = client.clone();
    match way {
        "full scope" => client["fullScopeAllowed"] = false.into(),
        "lightweight" => {
            client["attributes"]["client.use.lightweight.access.token.enabled"] = "true".into();
        }
        other => panic!("{other}"),
    }
    client
}

#[tokio::test]
async fn where_roles_are_not_shown_nothing_is_minted_and_nothing_ended() {
    let realm = TestRealm::own().await;
    let admin = Admin::log_in().await;
    let extra = [("HALLPASS_LIFECYCLE__POLL_INTERVAL", "100ms")];
    let server =
        TestServer::start_with(realm.clone(), crate::support::Database::postgres, &extra).await;
    let person = realm.person().await;
    let user = server.user(&person).await;
    let token = user.mint("before").await["token"].as_str().unwrap().to_owned();

    for client_id in ["hallpass-probe", "hallpass-pat"] {
        let uuid = admin.client_uuid(&realm.name, client_id).await;
        let path = format!("/{}/clients/{uuid}", realm.name);
        let sighted = admin.get(&path).await;
        for way in ["full scope", "lightweight"] {
            admin.put(&path, &blinded(&sighted, way)).await;
            // What was known of the client holds for a minute at most; a new service knows nothing.
            let fresh = server.replica().await;
            let refused = fresh.user(&person).await.post(TOKENS, &json!({"name": "blind"})).await;
            refused.expect_problem(503, "keycloak-refused");
            fresh.stop().await;
            assert!(passes(&server.anonymous(), &token).await, "{client_id}, {way}");
            admin.put(&path, &restored(&sighted)).await;
        }
    }
    user.post(TOKENS, &json!({"name": "after"})).await.expect(201);
    server.stop().await;
}

#[tokio::test]
async fn a_blind_probe_is_noticed_where_it_was_known_to_see() {
    let realm = TestRealm::own().await;
    let admin = Admin::log_in().await;
    let extra = [("HALLPASS_LIFECYCLE__POLL_INTERVAL", "100ms")];
    let server =
        TestServer::start_with(realm.clone(), crate::support::Database::sqlite, &extra).await;
    let person = realm.person().await;
    let user = server.user(&person).await;
    let token = user.mint("before").await["token"].as_str().unwrap().to_owned();
    let uuid = admin.client_uuid(&realm.name, "hallpass-probe").await;
    let path = format!("/{}/clients/{uuid}", realm.name);
    let sighted = admin.get(&path).await;

    admin.put(&path, &blinded(&sighted, "full scope")).await;
    user.post(TOKENS, &json!({"name": "blind"})).await.expect_problem(503, "keycloak-refused");
    // Its owner is looked at now, and so once more a moment later.
    let owner = format!("/{}/users/{}", realm.name, person.id);
    admin.put(&owner, &admin.get(&owner).await).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(passes(&server.anonymous(), &token).await);

    admin.put(&path, &restored(&sighted)).await;
    // A look at the owner may have read the client a moment before.
    let mended = async {
        while user.post(TOKENS, &json!({"name": "after"})).await.status != 201 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, mended).await.expect("tokens are minted again");
    assert!(passes(&server.anonymous(), &token).await);
    server.stop().await;
}

/// As it was: an attribute that is left out stays.
fn restored(sighted: &Value) -> Value {
    let mut client = sighted.clone();
    client["attributes"]["client.use.lightweight.access.token.enabled"] = "false".into();
    client
}
