//! What forward-auth tells of the caller, and that nothing that the caller sends comes back.

use reqwest::Method;
use serde_json::json;

use super::{HEADERS, PATH, TOKENS, ask, identity, jwt, refused};
use crate::support::{Admin, Person, TestRealm, TestServer, unique};

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

#[tokio::test]
async fn the_seven_headers_say_who_it_is_encoded() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let admin = Admin::log_in().await;
    let person = realm.person_with("zoë", json!({"email": "zoë@example.org"})).await;
    for name in ["plain", "with,comma", "100%", "grün weiß", "a:b"] {
        admin.post(&format!("/{}/roles", realm.name), &json!({"name": name})).await;
        let role = admin.get(&format!("/{}/roles/{}", realm.name, encoded_path(name))).await;
        let path = format!("/{}/users/{}/role-mappings/realm", realm.name, person.id);
        admin.post(&path, &json!([role])).await;
    }
    let user = server.user(&person).await;
    let minted = user.mint("whole").await;
    let answer = ask(&server.anonymous(), PATH, jwt(&minted)).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let [user_id, username, email, roles, scope, token_id, expires] = identity(&answer);
    assert_eq!(expires, minted["expiresAt"].as_str().unwrap());
    assert_eq!(user_id, person.id);
    assert_eq!(username, "zo%C3%AB");
    assert_eq!(email, "zo%C3%AB@example.org");
    assert_eq!(token_id, minted["patId"].as_str().unwrap());
    let roles: Vec<_> = roles.split(',').collect();
    for role in [
        "plain",
        "with%2Ccomma",
        "100%25",
        "gr%C3%BCn%20wei%C3%9F",
        "a%3Ab",
        "hallpass:create-tokens",
    ] {
        assert!(roles.contains(&role), "{roles:?} has no {role}");
    }
    let claims = crate::support::claims_of(jwt(&minted));
    assert_eq!(decoded(&scope), claims["scope"].as_str().unwrap());

    // A narrowed one has no more than what was asked for; what is absent is empty.
    let narrowed = json!({"name": "narrow", "roles": ["plain"]});
    let narrowed = user.post(TOKENS, &narrowed).await.expect(201);
    let [.., roles, scope, _, _] = identity(&ask(&server.anonymous(), PATH, jwt(&narrowed)).await);
    assert_eq!((&*roles, &*scope), ("plain", ""));
    server.stop().await;
}

fn encoded_path(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn any_method_is_answered_alike_and_no_body_is_read() {
    let server = TestServer::start().await;
    let minted = server.user(&server.realm.person().await).await.mint("any").await;
    let anyone = server.anonymous();
    let expected = identity(&ask(&anyone, PATH, jwt(&minted)).await);
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
    {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = anyone.request(method.clone(), PATH).bearer_auth(jwt(&minted));
        let answer = anyone.send(request.body("x".repeat(10))).await;
        assert_eq!(identity(&answer), expected, "{method}");
        assert!(!answer.headers.contains_key("allow"), "{answer:?}");
        let answer = anyone.send(anyone.request(method.clone(), PATH)).await;
        assert_eq!(answer.status, 401, "{method}");
    }
    server.stop().await;
}

#[tokio::test]
async fn nothing_that_a_client_sends_about_itself_comes_back() {
    let server = TestServer::start().await;
    let person = server.realm.person().await;
    let minted = server.user(&person).await.mint("smuggle").await;
    let anyone = server.anonymous();
    let expected = identity(&ask(&anyone, PATH, jwt(&minted)).await);
    let smuggled = async |authorization: Option<&str>| {
        let mut request = anyone.request(Method::GET, PATH);
        if let Some(token) = authorization {
            request = request.bearer_auth(token);
        }
        for name in HEADERS {
            let value = format!("admin-{name}");
            request = request.header(name, &value).header(name, "twice");
            request = request.header(name.replace('-', "_"), &value);
            request = request.header(name.to_uppercase(), &value);
        }
        request = request.header("X-Auth-Groups", "admin").header("X-Forwarded-User", "admin");
        anyone.send(request).await
    };
    let answer = smuggled(Some(jwt(&minted))).await;
    assert_eq!(identity(&answer), expected);
    assert!(!format!("{answer:?}").contains("admin"), "{answer:?}");
    let answer = smuggled(None).await;
    refused(&answer, 401);
    assert!(!format!("{answer:?}").contains("admin"), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_spoofed_address_of_an_untrusted_peer_opens_no_network() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let body = json!({"name": "bound", "allowedCidrs": ["198.51.100.0/24"]});
    let bound = user.post(TOKENS, &body).await.expect(201);
    let from = async |token: &str, name: &str, value: &str| {
        let api = server.anonymous();
        let request = api.request(Method::GET, PATH).bearer_auth(token).header(name, value);
        api.send(request).await
    };
    for name in
        ["x-forwarded-for", "forwarded", "x-real-ip", "x_forwarded_for", "x-client-ip", "client-ip"]
    {
        for value in ["198.51.100.7", "for=198.51.100.7"] {
            refused(&from(jwt(&bound), name, value).await, 401);
        }
    }
    // Of a trusted one it counts.
    let trusted = [("HALLPASS_SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let server = server.restart(&trusted).await;
    let from = async |value: &str| {
        let api = server.anonymous();
        let request = api.request(Method::GET, PATH).bearer_auth(jwt(&bound));
        api.send(request.header("x-forwarded-for", value)).await
    };
    identity(&from("198.51.100.7").await);
    identity(&from("203.0.113.9, 198.51.100.7").await);
    refused(&from("198.51.100.7, 203.0.113.9").await, 401);
    server.stop().await;
}

/// Anybody may enter any address: until Keycloak calls it verified it proves nothing.
#[tokio::test]
async fn an_address_is_told_only_when_it_is_verified_unless_the_settings_say_so() {
    let server = TestServer::start().await;
    let realm = server.realm.clone();
    let unverified = realm.person_with(&unique("claims"), json!({"emailVerified": false})).await;
    let verified = realm.person().await;
    let address = |person: &Person| format!("{}@example.org", person.username);
    let audience = format!("{PATH}?aud=hallpass");
    let mut credentials = Vec::new();
    for (person, told) in [(&unverified, false), (&verified, true)] {
        let minted = server.user(person).await.mint("token").await;
        credentials.push((person, PATH, jwt(&minted).to_owned(), told));
        let access_token = realm.access_token(person).await;
        credentials.push((person, &*audience, access_token, told));
    }
    let email = async |server: &TestServer, path: &str, token: &str| {
        let [_, _, email, ..] = identity(&ask(&server.anonymous(), path, token).await);
        email
    };
    for (person, path, token, told) in &credentials {
        let expected = if *told { address(person) } else { String::new() };
        assert_eq!(email(&server, path, token).await, expected, "{path}");
    }
    let server = server.restart(&[("HALLPASS_FORWARD_AUTH__UNVERIFIED_EMAIL", "true")]).await;
    for (person, path, token, _) in &credentials {
        assert_eq!(email(&server, path, token).await, address(person), "{path}");
    }
    server.stop().await;
}
