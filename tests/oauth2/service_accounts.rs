//! Callers with an access token: whether it is of a service account, the token says itself, or Keycloak.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::expect_error;
use crate::support::{
    Admin, Answer, Api, Database, FaultProxy, INACTIVE, LOGIN_CLIENT, TestRealm, TestServer,
    claims_of,
};

const ACCOUNTS: &str = "GET */service-account-user";

async fn by_token(api: &Api, token: &str, about: &str) -> Answer {
    let api = api.with_token(token);
    api.send(api.request(Method::POST, "/oauth2/introspect").form(&[("token", about)])).await
}

fn answered(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, INACTIVE), "{answer:?}");
}

#[tokio::test]
async fn a_token_that_says_that_it_is_a_services_needs_no_keycloak_also_after_a_start_without_it() {
    let proxy = FaultProxy::start();
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server =
        TestServer::start_with(TestRealm::shared().await, Database::sqlite, &settings).await;
    let realm = server.realm.clone();
    let minted = server.user(&realm.person().await).await.mint("asked-about").await;
    let minted = minted["token"].as_str().unwrap();
    let (seen, unseen) = (realm.introspector().await, realm.introspector().await);
    let seen = realm.service_token(&seen).await;
    let unseen = realm.service_token(&unseen).await;
    assert_eq!(claims_of(&seen)["client_id"], claims_of(&seen)["azp"]);
    answered(&by_token(&server.anonymous(), &seen, "x").await);
    assert_eq!(proxy.count(ACCOUNTS), 0);

    proxy.down().await;
    answered(&by_token(&server.anonymous(), &unseen, "x").await);
    let server = server.restart(&settings).await;
    for caller in [&seen, &unseen] {
        let told = by_token(&server.anonymous(), caller, minted).await.expect(200);
        assert_eq!(told["active"], true, "{told}");
    }
    let health = server.anonymous().get("/readyz").await.expect(200);
    assert_eq!((&health["status"], &health["jwks"]), (&json!("degraded"), &json!("ok")));
    assert_eq!(proxy.count(ACCOUNTS), 0);
    server.stop().await;
}

#[tokio::test]
async fn keys_that_were_seen_over_a_day_ago_count_no_more_at_a_start() {
    let proxy = FaultProxy::start();
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server =
        TestServer::start_with(TestRealm::shared().await, Database::sqlite, &settings).await;
    let minted = server.user(&server.realm.person().await).await.mint("old").await;
    let minted = minted["token"].as_str().unwrap();
    proxy.down().await;
    server.clock.advance(Duration::from_hours(25));
    let server = server.restart(&settings).await;
    let answer = server.with_token(minted).get("/api/pat/v1/tokens/self").await;
    answer.expect_problem(503, "keycloak-unavailable");
    // And what somebody else wrote there opens nothing.
    let forged =
        "UPDATE facts SET value = '{\"at\":9999999999999,\"keys\":{}}' WHERE name = 'realm_keys'";
    assert_eq!(server.execute(forged.to_owned()).await, 1);
    let server = server.restart(&settings).await;
    let answer = server.with_token(minted).get("/api/pat/v1/tokens/self").await;
    answer.expect_problem(503, "keycloak-unavailable");
    server.stop().await;
}

#[tokio::test]
async fn where_the_token_does_not_say_it_keycloak_is_asked_once() {
    let proxy = FaultProxy::start();
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server = TestServer::that_follows_nothing_with(Database::sqlite, &settings).await;
    let service = server.realm.introspector().await;
    let admin = Admin::log_in().await;
    let client = format!("/{}/clients/{}", server.realm.name, service.uuid);
    let scopes = admin.get(&format!("{client}/default-client-scopes")).await;
    let scopes = scopes.as_array().unwrap().iter();
    let says_it = scopes.filter(|scope| scope["name"] == "service_account");
    for scope in says_it {
        let id = scope["id"].as_str().unwrap();
        admin.delete(&format!("{client}/default-client-scopes/{id}")).await;
    }
    let token = server.realm.service_token(&service).await;
    assert!(claims_of(&token).get("client_id").is_none(), "{}", claims_of(&token));
    for _ in 0..3 {
        answered(&by_token(&server.anonymous(), &token, "x").await);
    }
    assert_eq!(proxy.count(ACCOUNTS), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_person_does_not_pass_for_a_service_by_name_and_claims() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    // For everybody who logs in there: what a token of a service account says.
    let admin = Admin::log_in().await;
    let uuid = admin.client_uuid(&realm.name, LOGIN_CLIENT).await;
    let mapper = json!({
        "name": "client id", "protocol": "openid-connect", "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": {"claim.name": "client_id", "claim.value": LOGIN_CLIENT, "jsonType.label": "String",
            "access.token.claim": "true"},
    });
    admin.post(&format!("/{}/clients/{uuid}/protocol-mappers/models", realm.name), &mapper).await;
    let name = format!("service-account-{LOGIN_CLIENT}");
    let person = realm.person_with(&name, json!({})).await;
    realm.give_roles(&person, "hallpass", &["introspect-tokens"]).await;
    let token = realm.access_token(&person).await;
    let claims = claims_of(&token);
    assert_eq!(
        (&claims["client_id"], &claims["preferred_username"]),
        (&json!(LOGIN_CLIENT), &json!(name))
    );
    expect_error(&by_token(&server.anonymous(), &token, "x").await, 403, "unauthorized_client");
    server.stop().await;
}
