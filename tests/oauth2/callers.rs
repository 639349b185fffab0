//! Who may ask about tokens, in every way, and who may not.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::expect_error;
use crate::support::{
    Admin, Answer, Api, Database, Fault, FaultProxy, INACTIVE, LOGIN_CLIENT, ServiceClient,
    TestRealm, TestServer,
};

const PATH: &str = "/oauth2/introspect";
const CHECKS: &str = "POST */token/introspect";

/// Asks about no token at all, by HTTP Basic.
async fn by_basic(api: &Api, id: &str, secret: &str) -> Answer {
    let request = api.request(Method::POST, PATH).basic_auth(id, Some(secret));
    api.send(request.form(&[("token", "x")])).await
}

async fn by_form(api: &Api, id: &str, secret: &str) -> Answer {
    let form = [("client_id", id), ("client_secret", secret), ("token", "x")];
    api.send(api.request(Method::POST, PATH).form(&form)).await
}

async fn by_token(api: &Api, token: &str) -> Answer {
    let api = api.with_token(token);
    api.send(api.request(Method::POST, PATH).form(&[("token", "x")])).await
}

fn answered(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, INACTIVE), "{answer:?}");
}

/// A server whose Keycloak is behind a proxy, and a client that may ask. That the client was made is nothing that the
/// server hears of later.
async fn behind() -> (TestServer, FaultProxy, ServiceClient) {
    let proxy = FaultProxy::start();
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server = TestServer::that_follows_nothing_with(Database::sqlite, &settings).await;
    let service = server.realm.introspector().await;
    (server, proxy, service)
}

#[tokio::test]
async fn a_client_asks_with_its_secret_in_either_place_or_with_its_access_token() {
    let server = TestServer::start().await;
    let (service, anyone) = (server.realm.introspector().await, server.anonymous());
    answered(&by_basic(&anyone, &service.id, &service.secret).await);
    answered(&by_form(&anyone, &service.id, &service.secret).await);
    answered(&by_token(&anyone, &server.realm.service_token(&service).await).await);
    // The id beside the header says nothing new.
    let request = anyone.request(Method::POST, PATH).basic_auth(&service.id, Some(&service.secret));
    let form = [("client_id", service.id.as_str()), ("token", "x")];
    answered(&anyone.send(request.form(&form)).await);
    server.stop().await;
}

#[tokio::test]
async fn a_secret_with_odd_characters_is_encoded_in_the_header() {
    let server = TestServer::start().await;
    let (realm, anyone) = (&server.realm, server.anonymous());
    let service = realm.introspector().await;
    let secret = "a b+c%:&=ä\"";
    let client = json!({"secret": secret});
    let path = format!("/{}/clients/{}", realm.name, service.uuid);
    Admin::log_in().await.put(&path, &client).await;
    answered(&by_form(&anyone, &service.id, secret).await);
    // RFC 6749 §2.3.1.
    answered(&by_basic(&anyone, &service.id, "a+b%2Bc%25%3A%26%3D%C3%A4%22").await);
    expect_error(&by_basic(&anyone, &service.id, "a b+c").await, 401, "invalid_client");
    server.stop().await;
}

#[tokio::test]
async fn everybody_else_is_refused() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let (anyone, admin) = (server.anonymous(), Admin::log_in().await);
    let (service, without_role) = (realm.introspector().await, realm.service_client().await);
    // Wrong, empty, unknown, and those who authenticate otherwise or not at all.
    for (id, secret) in [
        (service.id.as_str(), "wrong"),
        (&service.id, ""),
        (&service.id, &without_role.secret),
        (&service.id, &"x".repeat(5_000)),
        (&service.id, "\0"),
        ("nobody", "x"),
        ("", ""),
        ("", "x"),
        (&"x".repeat(300), "x"),
        (LOGIN_CLIENT, ""),
        (LOGIN_CLIENT, "x"),
    ] {
        for answer in [by_basic(&anyone, id, secret).await, by_form(&anyone, id, secret).await] {
            expect_error(&answer, 401, "invalid_client");
        }
    }
    let change = async |client: &ServiceClient, change: serde_json::Value| {
        admin.put(&format!("/{}/clients/{}", realm.name, client.uuid), &change).await;
    };
    let disabled = realm.introspector().await;
    change(&disabled, json!({"enabled": false})).await;
    let by_key = realm.introspector().await;
    change(&by_key, json!({"clientAuthenticatorType": "client-jwt"})).await;
    for client in [&disabled, &by_key] {
        let answer = by_basic(&anyone, &client.id, &client.secret).await;
        expect_error(&answer, 401, "invalid_client");
    }
    // A good secret that is not enough: no role, no account any more, a disabled account.
    let no_account = realm.introspector().await;
    change(&no_account, json!({"serviceAccountsEnabled": false})).await;
    let lame = realm.introspector().await;
    let path = format!("/{}/users/{}", realm.name, lame.account.id);
    admin.put(&path, &json!({"enabled": false})).await;
    for client in [&without_role, &no_account, &lame] {
        for _ in 0..2 {
            let answer = by_basic(&anyone, &client.id, &client.secret).await;
            expect_error(&answer, 403, "unauthorized_client");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn other_tokens_do_not_ask() {
    let server = TestServer::start().await;
    let (realm, anyone) = (&server.realm, server.anonymous());
    // A person who holds the role is no service.
    let person = realm.person().await;
    realm.give_roles(&person, "hallpass", &["introspect-tokens"]).await;
    let user = server.user(&person).await;
    expect_error(&by_token(&anyone, user.token().unwrap()).await, 403, "unauthorized_client");
    // Nor is somebody whose name pretends it.
    let service = realm.introspector().await;
    let pretender = realm.person_with(&format!("{}x", service.account.username), json!({})).await;
    realm.give_roles(&pretender, "hallpass", &["introspect-tokens"]).await;
    let token = realm.access_token(&pretender).await;
    expect_error(&by_token(&anyone, &token).await, 403, "unauthorized_client");
    let pat = user.mint("pat").await;
    let pat = by_token(&anyone, pat["token"].as_str().unwrap()).await;
    expect_error(&pat, 403, "unauthorized_client");
    let without_role = realm.service_client().await;
    let token = realm.service_token(&without_role).await;
    expect_error(&by_token(&anyone, &token).await, 403, "unauthorized_client");
    // Without any role at Hallpass it is not meant for Hallpass either.
    realm.take_default_roles(&without_role.account).await;
    let token = realm.service_token(&without_role).await;
    expect_error(&by_token(&anyone, &token).await, 401, "invalid_client");
    for token in ["x", "", "a.b.c"] {
        expect_error(&by_token(&anyone, token).await, 401, "invalid_client");
    }
    let nothing = anyone.send(anyone.request(Method::POST, PATH).form(&[("token", "x")])).await;
    expect_error(&nothing, 401, "invalid_client");
    server.stop().await;
}

#[tokio::test]
async fn nobody_authenticates_in_two_ways() {
    let server = TestServer::start().await;
    let (service, anyone) = (server.realm.introspector().await, server.anonymous());
    let form = [("client_id", &*service.id), ("client_secret", &*service.secret), ("token", "x")];
    let request = || anyone.request(Method::POST, PATH).form(&form);
    let basic = request().basic_auth(&service.id, Some(&service.secret));
    expect_error(&anyone.send(basic).await, 400, "invalid_request");
    let token = server.realm.service_token(&service).await;
    expect_error(&anyone.send(request().bearer_auth(token)).await, 400, "invalid_request");
    let twice = anyone.request(Method::POST, PATH).form(&[("token", "x")]);
    let twice = twice.basic_auth(&service.id, Some(&service.secret));
    let twice = twice.basic_auth(&service.id, Some(&service.secret));
    expect_error(&anyone.send(twice).await, 401, "invalid_client");
    let form = [&form[..], &[("client_secret", "y")]].concat();
    let twice = anyone.send(anyone.request(Method::POST, PATH).form(&form)).await;
    expect_error(&twice, 400, "invalid_request");
    server.stop().await;
}

#[tokio::test]
async fn a_secret_is_asked_about_once_by_however_many_and_remembered() {
    let (server, proxy, service) = behind().await;
    let anyone = server.anonymous();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (anyone, service) = (anyone.clone(), service.clone());
        crowd.spawn(async move { by_basic(&anyone, &service.id, &service.secret).await });
    }
    crowd.join_all().await.iter().for_each(answered);
    answered(&by_form(&anyone, &service.id, &service.secret).await);
    assert_eq!(proxy.count(CHECKS), 1);
    for _ in 0..5 {
        expect_error(&by_basic(&anyone, &service.id, "wrong").await, 401, "invalid_client");
    }
    assert_eq!(proxy.count(CHECKS), 2);
    // Keycloak away: what is remembered goes on, all else is unknown.
    proxy.down().await;
    answered(&by_basic(&anyone, &service.id, &service.secret).await);
    let other = by_basic(&anyone, &service.id, "other").await;
    expect_error(&other, 503, "temporarily_unavailable");
    server.stop().await;
}

#[tokio::test]
async fn guesses_from_the_same_address_do_not_lock_out_a_caller_whose_secret_was_good() {
    let proxy = FaultProxy::start();
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let realm = TestRealm::shared().await;
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    let (service, anyone) = (realm.introspector().await, server.anonymous());
    answered(&by_basic(&anyone, &service.id, &service.secret).await);
    let mut guesses = 0;
    while by_basic(&anyone, &service.id, &format!("guess-{guesses}")).await.status != 429 {
        guesses += 1;
        assert!(guesses < 1_000);
    }
    // Something happens to the client, so its secret is checked again: at the first try, and by Keycloak.
    let before = proxy.count(CHECKS);
    let path = format!("/{}/clients/{}", realm.name, service.uuid);
    Admin::log_in().await.put(&path, &json!({"description": "changed"})).await;
    let begun = Instant::now();
    loop {
        answered(&by_basic(&anyone, &service.id, &service.secret).await);
        if proxy.count(CHECKS) > before {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "it is never checked again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A secret that is good no more is a guess like any other.
    Admin::log_in().await.put(&path, &json!({"secret": "another-secret-of-a-service"})).await;
    let begun = Instant::now();
    while by_basic(&anyone, &service.id, &service.secret).await.status == 200 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the old secret is good");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn something_else_in_keycloaks_place_lets_nobody_in() {
    let (server, proxy, service) = behind().await;
    let anyone = server.anonymous();
    for fault in [
        Fault::Answer(200, "<html>Welcome</html>".to_owned()),
        Fault::Answer(200, "{}".to_owned()),
        Fault::Answer(200, "[false]".to_owned()),
        Fault::Answer(200, r#"{"active":"false"}"#.to_owned()),
        Fault::Answer(200, r#"{"active":true}"#.to_owned()),
        Fault::status(204),
        Fault::status(302),
        Fault::status(404),
        Fault::status(500),
        Fault::status(502),
        Fault::Garbage,
        Fault::CutRequest,
        Fault::CutAnswer,
        Fault::CutHalfWay,
    ] {
        proxy.on(CHECKS, fault.clone());
        let answer = by_basic(&anyone, &service.id, &service.secret).await;
        assert_eq!(answer.status, 503, "{fault:?}: {answer:?}");
        expect_error(&answer, 503, "temporarily_unavailable");
        proxy.clear();
    }
    // Nothing of that is remembered. And what fails after the secret was found good lets nobody in either.
    for later in ["GET */service-account-user", "GET */generate-example-access-token"] {
        proxy.on(later, Fault::status(500));
        let answer = by_basic(&anyone, &service.id, &service.secret).await;
        expect_error(&answer, 503, "temporarily_unavailable");
        proxy.clear();
    }
    answered(&by_basic(&anyone, &service.id, &service.secret).await);
    server.stop().await;
}

/// Asks until the answer has this status; answers how long that took.
async fn until(api: &Api, service: &ServiceClient, secret: &str, status: u16) -> Duration {
    let began = Instant::now();
    loop {
        let answer = by_basic(api, &service.id, secret).await;
        if answer.status == status {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_new_secret_or_a_disabled_client_is_noticed_long_before_a_minute_is_over() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let replica_folder = TestServer::start_with(realm.clone(), Database::postgres, &[]).await;
    let (anyone, admin) = (server.anonymous(), Admin::log_in().await);
    let (service, untouched) = (realm.introspector().await, realm.introspector().await);
    for client in [&service, &untouched] {
        answered(&by_basic(&anyone, &client.id, &client.secret).await);
        answered(&by_basic(&replica_folder.anonymous(), &client.id, &client.secret).await);
    }
    let path = format!("/{}/clients/{}", realm.name, service.uuid);
    let fresh = admin.post(&format!("{path}/client-secret"), &json!({})).await;
    let fresh = fresh["value"].as_str().unwrap();
    for server in [&server, &replica_folder] {
        until(&server.anonymous(), &service, &service.secret, 401).await;
        answered(&by_basic(&server.anonymous(), &service.id, fresh).await);
    }
    admin.put(&path, &json!({"enabled": false})).await;
    until(&anyone, &service, fresh, 401).await;
    answered(&by_basic(&anyone, &untouched.id, &untouched.secret).await);
    server.stop().await;
    replica_folder.stop().await;
}

#[tokio::test]
async fn guesses_are_limited_by_address_and_a_remembered_caller_is_not() {
    let (server, proxy, service) = behind().await;
    let anyone = server.anonymous();
    answered(&by_basic(&anyone, &service.id, &service.secret).await);
    proxy.on(CHECKS, Fault::status(401));
    let mut limited = None;
    for n in 0..400 {
        let answer = by_basic(&anyone, &service.id, &format!("guess-{n}")).await;
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
        expect_error(&answer, 401, "invalid_client");
    }
    expect_error(&limited.expect("guesses are limited"), 429, "temporarily_unavailable");
    answered(&by_basic(&anyone, &service.id, &service.secret).await);
    server.stop().await;
}
