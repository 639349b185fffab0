//! `POST /oauth2/introspect`: what is said of tokens.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::expect_error;
use crate::support::{
    DATABASES, INACTIVE, LOGIN_CLIENT, ServiceClient, TestRealm, TestServer, claims_of,
};

const TOKENS: &str = "/api/pat/v1/tokens";

fn jwt(minted: &Value) -> &str {
    minted["token"].as_str().unwrap()
}

#[tokio::test]
async fn a_good_token_is_told_with_all_its_claims() {
    let server = TestServer::start().await;
    let realm = &server.realm;
    let person = realm.person().await;
    let minted = server.user(&person).await.mint("told").await;
    let claims = claims_of(jwt(&minted));
    let service = realm.introspector().await;
    let answer = service.ask(&server.anonymous(), jwt(&minted), &[]).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let told = answer.expect(200);
    // RFC 7662 §2.2.
    assert_eq!(told["active"], true);
    assert_eq!(told["client_id"], "hallpass-pat");
    assert_eq!(told["username"], person.username.as_str());
    assert_eq!(told["token_type"], "Bearer");
    assert_eq!(told["sub"], person.id.as_str());
    assert_eq!(told["jti"], minted["patId"]);
    assert_eq!(told["scope"], claims["scope"]);
    // `sid` names no session; it is for Keycloak alone.
    for (name, value) in claims.as_object().unwrap().iter().filter(|(name, _)| *name != "sid") {
        assert_eq!(&told[name], value, "{name}");
    }
    assert_eq!(told["aud"], json!(["hallpass-pat"]));
    server.stop().await;
}

#[tokio::test]
async fn a_token_that_ended_is_inactive_at_once_whatever_ended_it_on_both_databases() {
    let realm = TestRealm::shared().await;
    let service = realm.introspector().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (user, anyone) = (server.user(&realm.person().await).await, server.anonymous());
        let path = |minted: &Value| format!("{TOKENS}/{}", minted["patId"].as_str().unwrap());
        let minted = async |name: &str| {
            let minted = user.mint(name).await;
            assert!(service.finds(&anyone, jwt(&minted)).await);
            minted
        };
        let gone = async |minted: &Value| {
            let answer = service.ask(&anyone, jwt(minted), &[]).await;
            assert_eq!((answer.status.as_u16(), &*answer.text), (200, INACTIVE));
        };
        let one = minted("revoked").await;
        user.post_empty(&format!("{}/invalidate", path(&one))).await.expect(200);
        gone(&one).await;
        let one = minted("deleted").await;
        user.delete(&path(&one)).await.expect(204);
        gone(&one).await;
        let one = minted("rotated").await;
        let next = user.post(&format!("{}/rotate", path(&one)), &json!({})).await.expect(201);
        assert!(service.finds(&anyone, jwt(&next)).await);
        gone(&one).await;
        // It came back; a person rotated it, so its successor stays.
        assert!(service.finds(&anyone, jwt(&next)).await);
        let one = minted("grace").await;
        let grace = json!({"graceSeconds": 60});
        let next = user.post(&format!("{}/rotate", path(&one)), &grace).await.expect(201);
        assert!(service.finds(&anyone, jwt(&one)).await);
        // Whoever ends the successor ends the grace.
        user.post_empty(&format!("{}/invalidate", path(&next))).await.expect(200);
        gone(&one).await;
        let one = minted("all").await;
        user.post_empty("/api/pat/v1/tokens/invalidate").await.expect(200);
        gone(&one).await;
        let one = minted("short").await;
        let lifetime = Duration::from_hours(30 * 24);
        server.clock.advance(lifetime);
        gone(&one).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn what_belongs_to_networks_is_active_from_them_only() {
    let server = TestServer::start().await;
    let realm = &server.realm;
    let user = server.user(&realm.person().await).await;
    let body = json!({"name": "networks", "allowedCidrs": ["198.51.100.0/24", "2001:db8::/32"]});
    let minted = user.post(TOKENS, &body).await.expect(201);
    let (service, anyone) = (realm.introspector().await, server.anonymous());
    let active = async |client_ip: &str| {
        let answer = service.ask(&anyone, jwt(&minted), &[("client_ip", client_ip)]).await;
        answer.expect(200)["active"].as_bool().unwrap()
    };
    for (client_ip, expected) in [
        ("198.51.100.7", true),
        ("::ffff:198.51.100.7", true),
        ("2001:db8::7", true),
        ("198.51.101.7", false),
        ("127.0.0.1", false),
        // As a proxy that passes `X-Forwarded-For` on may have it.
        ("198.51.100.7:4711", true),
        ("[::ffff:198.51.100.7]:4711", true),
        ("fe80::1%eth0", false),
        // Nobody said.
        ("", false),
    ] {
        assert_eq!(active(client_ip).await, expected, "{client_ip}");
    }
    assert!(!service.finds(&anyone, jwt(&minted)).await);
    // The service's word counts, not a header that anybody may write.
    let request = anyone
        .request(Method::POST, "/oauth2/introspect")
        .header("x-forwarded-for", "198.51.100.7")
        .basic_auth(&service.id, Some(&service.secret))
        .form(&[("token", jwt(&minted))]);
    assert_eq!(anyone.send(request).await.text, INACTIVE);
    for bad in ["localhost", "198.51.100.7:x", "[198.51.100.7", "unknown", "198.51.100.0/24"] {
        let answer = service.ask(&anyone, jwt(&minted), &[("client_ip", bad)]).await;
        expect_error(&answer, 400, "invalid_request");
    }
    // The address of the end caller is where the token was last used from.
    assert!(active("198.51.100.8").await);
    let path = format!("{TOKENS}/{}", minted["patId"].as_str().unwrap());
    let recorded = async {
        loop {
            let token = user.get(&path).await.expect(200);
            if token["lastUsedIp"] == "198.51.100.8" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    server.clock.advance(Duration::from_mins(1));
    assert!(active("198.51.100.8").await);
    tokio::time::timeout(Duration::from_secs(20), recorded).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_token_narrowed_in_audience_is_inactive_for_callers_outside_it() {
    let realm = TestRealm::own().await;
    let (inside, outside) = (realm.introspector().await, realm.introspector().await);
    let audiences = format!("{},datahub", inside.id);
    let settings = [("HALLPASS_TOKENS__AUDIENCES", &*audiences)];
    let server =
        TestServer::start_with(realm.clone(), crate::support::Database::sqlite, &settings).await;
    let (user, anyone) = (server.user(&realm.person().await).await, server.anonymous());
    let whole = user.mint("whole").await;
    let minted = async |name: &str, audience: &str| {
        let body = json!({"name": name, "audience": [audience]});
        user.post(TOKENS, &body).await.expect(201)
    };
    let (theirs, others) = (minted("a", &inside.id).await, minted("b", "datahub").await);
    let token_of = async |service: &ServiceClient| realm.service_token(service).await;
    for (service, token, expected) in [
        (&inside, &whole, true),
        (&outside, &whole, true),
        (&inside, &theirs, true),
        (&outside, &theirs, false),
        (&inside, &others, false),
        (&outside, &others, false),
    ] {
        assert_eq!(service.finds(&anyone, jwt(token)).await, expected);
        // The client behind an access token is the same one.
        let bearer = server.with_token(&token_of(service).await);
        let request = bearer.request(Method::POST, "/oauth2/introspect");
        let answer = bearer.send(request.form(&[("token", jwt(token))])).await;
        assert_eq!(answer.expect(200)["active"], expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn other_tokens_are_inactive() {
    let server = TestServer::start().await;
    let realm = &server.realm;
    let (person, service) = (realm.person().await, realm.introspector().await);
    let login = realm.log_in(&person, LOGIN_CLIENT).await;
    let anyone = server.anonymous();
    for name in ["access_token", "id_token", "refresh_token"] {
        assert!(!service.finds(&anyone, login[name].as_str().unwrap()).await, "{name}");
    }
    assert!(!service.finds(&anyone, &realm.service_token(&service).await).await);
    for text in ["hunter2", ".", "..", "a.b.c", "مرحبا", " "] {
        assert!(!service.finds(&anyone, text).await, "{text}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_malformed_request_is_an_error_of_oauth() {
    let server = TestServer::start().await;
    let service = server.realm.introspector().await;
    let anyone = server.anonymous();
    let send = async |body: String, kind: &str| {
        let request = anyone.request(Method::POST, "/oauth2/introspect");
        let request = request.basic_auth(&service.id, Some(&service.secret));
        anyone.send(request.header("content-type", kind).body(body)).await
    };
    let form = "application/x-www-form-urlencoded";
    for body in ["", "token=", "tok=x", "token=x&token=x", "token=x&client_ip=::1&client_ip=::1"] {
        expect_error(&send(body.to_owned(), form).await, 400, "invalid_request");
    }
    // What is not known is passed over, however often it comes.
    let body = "token=x&resource=a&resource=b&token_type_hint=access_token&token_type_hint=x";
    assert_eq!(send(body.to_owned(), form).await.text, INACTIVE);
    let answer = send("token=x".to_owned(), &format!("{form}; charset=utf-8")).await;
    assert_eq!(answer.text, INACTIVE);
    expect_error(
        &send(r#"{"token":"x"}"#.to_owned(), "application/json").await,
        400,
        "invalid_request",
    );
    let large = send(format!("token={}", "x".repeat(64 * 1024)), form).await;
    expect_error(&large, 413, "invalid_request");
    let get = anyone.get("/oauth2/introspect?token=x").await;
    expect_error(&get, 405, "invalid_request");
    assert_eq!(get.headers["allow"], "POST");
    expect_error(&anyone.post_empty("/oauth2/token").await, 404, "invalid_request");
    server.stop().await;
}
