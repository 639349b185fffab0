//! Whose account counts: only the user's own attribute, whatever the access token says.

use std::time::Duration;

use serde_json::{Value, json};

use super::{CLIENTS, QUOTA, at, fields, in_keycloak, make, member, script};
use crate::support::{
    Admin, Api, Database, FaultProxy, Person, TestRealm, TestServer, claims_of, unique,
};

const SCOPES: &str = "/api/clients/v1/scopes";
const AWAY: &str = "keycloak-unavailable";

/// A group whose members Keycloak's mapper gives this account; answers its id.
async fn group(realm: &TestRealm, account: &str) -> String {
    let (admin, name) = (Admin::log_in().await, unique("group"));
    let body = json!({"name": name, "attributes": {"account_id": [account]}});
    admin.post(&format!("/{}/groups", realm.name), &body).await;
    let found = admin.get(&format!("/{}/groups?search={name}&exact=true", realm.name)).await;
    found[0]["id"].as_str().unwrap().to_owned()
}

/// Somebody without an account of their own, in this group.
async fn inheriting(realm: &TestRealm, group: &str) -> Person {
    let person = realm.person_with(&unique("intruder"), json!({})).await;
    realm.give_roles(&person, "hallpass", &["create-api-clients", "create-tokens"]).await;
    let path = format!("/{}/users/{}/groups/{group}", realm.name, person.id);
    Admin::log_in().await.put(&path, &json!({})).await;
    person
}

/// Every call that somebody of an account could make.
async fn cannot_do_anything(api: &Api, id: &str, account: &str) {
    let refused = |answer: crate::support::Answer| answer.expect_problem(403, "no-account");
    for path in [CLIENTS, QUOTA, SCOPES, &at(id), &format!("{}/secret", at(id))] {
        refused(api.get(path).await);
    }
    refused(api.post(CLIENTS, &script(&format!("{account}_mine"))).await);
    refused(api.post_empty(&format!("{}/secret", at(id))).await);
    refused(api.post(&format!("{}/transfer", at(id)), &json!({"ownerId": "me"})).await);
    refused(api.post(&format!("{CLIENTS}/delete/bulk"), &json!({"clientIds": [id]})).await);
    refused(api.patch(&at(id), &json!({"description": "mine"})).await);
    refused(api.delete(&at(id)).await);
}

#[tokio::test]
async fn an_account_that_comes_from_a_group_is_nobodys() {
    let realm = TestRealm::own().await;
    let account = unique("acme");
    let insider = member(&realm, &account).await;
    let (above, elsewhere) = (group(&realm, &account).await, group(&realm, "globex").await);
    let below = format!("/{}/groups/{above}/children", realm.name);
    let below = Admin::log_in().await.post(&below, &json!({"name": unique("below")})).await;
    let below = below["id"].as_str().unwrap();
    let server = TestServer::in_realm(realm.clone()).await;
    let inside = server.user(&insider).await;
    let id = format!("{account}_app");
    make(&inside, &script(&id)).await;
    let before = in_keycloak(&realm, &id).await;

    for group in [above.as_str(), below] {
        let intruder = inheriting(&realm, group).await;
        let api = server.user(&intruder).await;
        // Keycloak says that they are a member.
        assert_eq!(claims_of(api.token().unwrap())["account_id"], account.as_str());
        cannot_do_anything(&api, &id, &account).await;
        let pat = server.with_token(api.mint("pat").await["token"].as_str().unwrap());
        for path in [CLIENTS, QUOTA, SCOPES, &at(&id)] {
            pat.get(path).await.expect_problem(403, "no-account");
        }
        // Nor are they handed one.
        let transfer = format!("{}/transfer", at(&id));
        let problem = inside.post(&transfer, &json!({"ownerId": intruder.id})).await;
        assert_eq!(fields(&problem.expect_problem(400, "invalid")), ["ownerId"]);
    }
    assert_eq!(in_keycloak(&realm, &id).await, before);
    // Whoever has an account of their own keeps it, whatever groups they are in.
    let path = format!("/{}/users/{}/groups/{elsewhere}", realm.name, insider.id);
    Admin::log_in().await.put(&path, &json!({})).await;
    let inside = server.user(&insider).await;
    inside.get(&format!("{}/secret", at(&id))).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn of_several_accounts_none_counts() {
    let realm = TestRealm::own().await;
    let admin = Admin::log_in().await;
    let profile = format!("/{}/users/profile", realm.name);
    let mut several = admin.get(&profile).await;
    for attribute in several["attributes"].as_array_mut().unwrap() {
        if attribute["name"] == "account_id" {
            attribute["multivalued"] = json!(true);
        }
    }
    admin.put(&profile, &several).await;
    let (account, other) = (unique("acme"), unique("globex"));
    let server = TestServer::in_realm(realm.clone()).await;
    let insider = server.user(&member(&realm, &account).await).await;
    let id = format!("{account}_app");
    make(&insider, &script(&id)).await;

    let attributes = json!({"attributes": {"account_id": [account, other]}});
    let person = realm.person_with(&unique("both"), attributes).await;
    realm.give_roles(&person, "hallpass", &["create-api-clients"]).await;
    let api = server.user(&person).await;
    // Keycloak's mapper takes one of them.
    let named = claims_of(api.token().unwrap())["account_id"].clone();
    assert!([&account, &other].iter().any(|one| named == one.as_str()), "{named}");
    cannot_do_anything(&api, &id, &account).await;
    server.stop().await;
}

/// The user with these attributes from now on.
async fn set_attributes(realm: &TestRealm, person: &Person, attributes: Value) {
    let (admin, path) = (Admin::log_in().await, format!("/{}/users/{}", realm.name, person.id));
    let mut user = admin.get(&path).await;
    user["attributes"] = attributes;
    admin.put(&path, &user).await;
}

#[tokio::test]
async fn who_has_left_an_account_reads_for_a_minute_and_changes_nothing() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let quiet =
        [("HALLPASS_LIFECYCLE__POLL_INTERVAL", "1h"), ("HALLPASS_LIFECYCLE__SWEEP_INTERVAL", "1h")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &quiet).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    api.get(CLIENTS).await.expect(200);

    set_attributes(&realm, &person, json!({"account_id": [unique("globex")]})).await;
    api.get(&format!("{}/secret", at(&id))).await.expect_problem(403, "no-account");
    api.patch(&at(&id), &json!({"description": "still mine"}))
        .await
        .expect_problem(403, "no-account");
    // That was noticed: reading ends with it.
    api.get(CLIENTS).await.expect_problem(403, "no-account");

    // Who does nothing but read is found out a minute later.
    set_attributes(&realm, &person, json!({"account_id": [account]})).await;
    api.get(CLIENTS).await.expect(200);
    set_attributes(&realm, &person, json!({})).await;
    api.get(CLIENTS).await.expect(200);
    server.clock.advance(Duration::from_secs(61));
    for path in [CLIENTS, QUOTA, SCOPES, &at(&id)] {
        api.get(path).await.expect_problem(403, "no-account");
    }
    server.stop().await;
}

#[tokio::test]
async fn while_keycloak_is_away_only_who_was_confirmed_reads_and_for_an_hour() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    let proxy = FaultProxy::start();
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    let (api, other) = (server.user(&person).await, server.user(&colleague).await);
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    let listed = api.get(CLIENTS).await.expect(200);

    proxy.down().await;
    server.clock.advance(Duration::from_mins(59));
    assert_eq!(api.get(CLIENTS).await.expect(200), listed);
    other.get(CLIENTS).await.expect_problem(503, AWAY);
    api.delete(&at(&id)).await.expect_problem(503, AWAY);
    api.get(&format!("{}/secret", at(&id))).await.expect_problem(503, AWAY);
    server.clock.advance(Duration::from_mins(2));
    api.get(CLIENTS).await.expect_problem(503, AWAY);
    proxy.up();
    assert_eq!(api.get(CLIENTS).await.expect(200), listed);
    server.stop().await;
}
