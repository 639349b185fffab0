//! The tower layer of `verify/` in its example service, before a real Keycloak and a real Hallpass.

mod introspection;
mod service;

use serde_json::{Value, json};

use crate::support::{Answer, Api, Database, FaultProxy, Person, TestRealm, TestServer, claims_of};
use service::Service;

async fn hallpass(realm: &TestRealm) -> TestServer {
    let audiences = [("HALLPASS_TOKENS__AUDIENCES", "datahub,other")];
    TestServer::start_with(realm.clone(), Database::sqlite, &audiences).await
}

/// Mints with these restrictions; answers the JWT.
async fn mint(owner: &Api, name: &str, restrictions: Value) -> String {
    let mut body = json!({"name": name});
    body.as_object_mut().unwrap().extend(restrictions.as_object().unwrap().clone());
    let minted = owner.post("/api/pat/v1/tokens", &body).await.expect(201);
    minted["token"].as_str().unwrap().to_owned()
}

async fn whoami(service: &Service, token: &str) -> Answer {
    service.with_token(token).get("/whoami").await
}

fn challenge(answer: &Answer) -> (u16, &str) {
    let challenge = answer.headers.get("www-authenticate").map_or("", |it| it.to_str().unwrap());
    (answer.status.as_u16(), challenge)
}

const NO_TOKEN: &str = "Bearer realm=\"datahub\"";
const INVALID: &str = "Bearer realm=\"datahub\", error=\"invalid_token\"";
const INSUFFICIENT: &str = "Bearer realm=\"datahub\", error=\"insufficient_scope\"";

#[tokio::test]
async fn a_fresh_token_passes_offline_and_its_claims_arrive() {
    let realm = TestRealm::shared().await;
    let (server, service) = (hallpass(&realm).await, Service::start(&realm, &[]).await);
    let person = realm.person().await;
    let minted = server.user(&person).await.mint("fresh").await;
    let answer = whoami(&service, minted["token"].as_str().unwrap()).await;
    let expected = json!({"sub": person.id, "name": person.username, "patId": minted["patId"]});
    assert_eq!(answer.expect(200), expected);
    assert_eq!(challenge(&service.anonymous().get("/whoami").await), (401, NO_TOKEN));
    assert_eq!(service.anonymous().get("/health").await.text, "ok");
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_good_token_of_the_realm_for_this_service_is_refused_offline() {
    let realm = TestRealm::shared().await;
    let (server, service) = (hallpass(&realm).await, Service::start(&realm, &[]).await);
    let person = realm.person().await;
    let user = server.user(&person).await;
    let good = mint(&user, "good", json!({})).await;
    whoami(&service, &good).await.expect(200);

    let claims = claims_of(&good);
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        realm.forge(&claims)
    };
    // The forge is good: with the claims as they were its token passes.
    let jti = claims["jti"].clone();
    whoami(&service, &with("jti", jti)).await.expect(200);
    let iat = claims["iat"].as_i64().unwrap();
    let middle = good.rfind('.').unwrap() + 100;
    let other = if &good[middle..=middle] == "A" { "B" } else { "A" };
    for (what, token) in [
        ("expired", with("exp", json!(iat))),
        ("of another issuer", with("iss", json!("https://sso.test/realms/other"))),
        ("for another service", mint(&user, "other", json!({"audience": ["other"]})).await),
        ("with another signature", format!("{}{other}{}", &good[..middle], &good[middle + 1..])),
        ("an access token", realm.access_token(&person).await),
        ("of another realm", of_another_realm().await),
    ] {
        assert_eq!(challenge(&whoami(&service, &token).await), (401, INVALID), "{what}");
    }
    server.stop().await;
}

async fn of_another_realm() -> String {
    let realm = TestRealm::own().await;
    let server = hallpass(&realm).await;
    let token = mint(&server.user(&realm.person().await).await, "stranger", json!({})).await;
    server.stop().await;
    token
}

/// A realm with the role `reader`, and somebody who has it.
async fn with_reader() -> (TestRealm, Person) {
    let realm = TestRealm::own().await;
    let admin = crate::support::Admin::log_in().await;
    let roles = format!("/{}/roles", realm.name);
    admin.post(&roles, &json!({"name": "reader"})).await;
    let person = realm.person().await;
    let role = admin.get(&format!("{roles}/reader")).await;
    let path = format!("/{}/users/{}/role-mappings/realm", realm.name, person.id);
    admin.post(&path, &json!([role])).await;
    (realm, person)
}

#[tokio::test]
async fn a_role_that_is_required_must_be_in_the_token() {
    let (realm, reader) = with_reader().await;
    let (server, service) = (hallpass(&realm).await, Service::start(&realm, &[]).await);
    let user = server.user(&reader).await;
    let whole = mint(&user, "whole", json!({})).await;
    let narrowed = mint(&user, "narrowed", json!({"roles": []})).await;
    let stranger = mint(&server.user(&realm.person().await).await, "stranger", json!({})).await;
    let reports = async |token: &str| service.with_token(token).get("/reports").await;
    assert_eq!(reports(&whole).await.text, "three reports");
    for token in [&narrowed, &stranger] {
        assert_eq!(challenge(&reports(token).await), (403, INSUFFICIENT));
        whoami(&service, token).await.expect(200);
    }
    server.stop().await;
}

#[tokio::test]
async fn while_keycloak_is_away_known_keys_serve_and_unknown_ones_are_nobodys_fault() {
    let realm = TestRealm::shared().await;
    let server = hallpass(&realm).await;
    let token = mint(&server.user(&realm.person().await).await, "away", json!({})).await;
    let proxy = FaultProxy::start();
    let certs = format!("{}/realms/{}/protocol/openid-connect/certs", proxy.url(), realm.name);
    let behind = [("JWKS_URL", &*certs)];
    let (warm, cold) =
        (Service::start(&realm, &behind).await, Service::start(&realm, &behind).await);
    whoami(&warm, &token).await.expect(200);
    proxy.down().await;
    whoami(&warm, &token).await.expect(200);
    assert_eq!(challenge(&whoami(&warm, "abc").await), (401, INVALID));
    let answer = whoami(&cold, &token).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["retry-after"]),
        (503, &"10".parse().unwrap())
    );
    server.stop().await;
}
