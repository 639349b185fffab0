//! The realm's keys: a flood of unknown ones, a slow endpoint, a signing key that the realm loses.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::task::JoinSet;

use super::server_behind;
use crate::support::{Admin, Api, Fault, FaultProxy, TestRealm, TestServer};

const KEYS: &str = "GET */certs";

/// A token under a key that nobody has.
fn stranger(n: usize) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "typ": "JWT", "kid": format!("stranger-{n}")}));
    format!("{header}.{}.{}", part(json!({"sub": "x"})), URL_SAFE_NO_PAD.encode([7; 256]))
}

fn flood(server: &TestServer, count: usize) -> JoinSet<u16> {
    // One client for all: to make so many takes longer than a cool-down.
    let (mut flood, anyone) = (JoinSet::new(), server.anonymous());
    for n in 0..count {
        let api = anyone.with_token(&stranger(n));
        flood.spawn(async move { api.get("/api/pat/v1/tokens").await.status.as_u16() });
    }
    flood
}

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_one_fetch() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let begun = Instant::now();
    let server = server_behind(&proxy, &realm).await;
    // Beside the requests the keys are looked at every two seconds.
    let is_one = |count: usize| count as u64 <= 2 + begun.elapsed().as_secs() / 2;
    for _ in 0..2 {
        let statuses = flood(&server, 40).join_all().await;
        assert_eq!(statuses, [401; 40]);
        assert!(is_one(proxy.count(KEYS)));
    }
    // Who has a key of the realm is not kept out by it.
    let user = server.user(&realm.person().await).await;
    user.get("/api/pat/v1/tokens").await.expect(200);
    assert!(is_one(proxy.count(KEYS)));
    server.stop().await;
}

#[tokio::test]
async fn while_a_flood_waits_for_a_slow_endpoint_known_keys_are_checked_at_once() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let server = server_behind(&proxy, &realm).await;
    let user = server.user(&realm.person().await).await;
    // A renewal without a cool-down: the look of the readiness probe.
    server.anonymous().get("/readyz").await.expect(200);
    user.get("/api/pat/v1/tokens").await.expect(200);
    let rule = proxy.on(KEYS, Fault::HoldRequest);
    let anyone = server.anonymous();
    let readiness = async {
        // The last look is good for two seconds; then one is held.
        while rule.hits() == 0 {
            anyone.get("/readyz").await;
        }
    };
    let checks = async {
        rule.wait_until_held().await;
        let waiting = flood(&server, 10);
        let asked = Instant::now();
        user.get("/api/pat/v1/tokens").await.expect(200);
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        rule.release();
        assert_eq!(waiting.join_all().await, [401; 10]);
    };
    tokio::join!(readiness, checks);
    server.stop().await;
}

#[tokio::test]
async fn a_realm_that_loses_the_key_stops_minting_within_two_seconds() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let user = server.user(&realm.person().await).await;
    let minted = user.mint("before").await;
    let pat = server.with_token(minted["token"].as_str().unwrap());
    let key = realm.signing_key();
    let admin = Admin::log_in().await;
    let name = key.provider().name;
    let found = admin.get(&format!("/{}/components?name={name}", realm.name)).await;
    let component = found[0].clone();
    admin
        .delete(&format!("/{}/components/{}", realm.name, component["id"].as_str().unwrap()))
        .await;

    let lost = Instant::now();
    for n in 0.. {
        let asked = Instant::now();
        let answer = user.post("/api/pat/v1/tokens", &json!({"name": format!("n{n}")})).await;
        if answer.status == 503 {
            answer.expect_problem(503, "key-not-published");
            break;
        }
        answer.expect(201);
        let late = asked.duration_since(lost);
        assert!(late < Duration::from_secs(2), "still minted {late:?} later");
        // A fast machine would mint more than one person may, or have, before it shows.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let health = server.anonymous().get("/readyz").await.expect(503);
    assert_eq!(health["status"], "unavailable");
    assert_eq!((&health["jwks"], &health["signingKey"]), (&json!("failed"), &json!("ok")));
    // As everywhere else that validates by the realm's JWKS.
    pat.get("/api/pat/v1/tokens/self").await.expect_problem(401, "unauthenticated");

    publish(&admin, &realm).await;
    let back = Instant::now();
    while user.post("/api/pat/v1/tokens", &json!({"name": "after"})).await.status != 201 {
        assert!(back.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    pat.get("/api/pat/v1/tokens/self").await.expect(200);
    server.anonymous().get("/readyz").await.expect(200);
    server.stop().await;
}

/// Has the realm sign with the key, or publish it only.
async fn set_active(admin: &Admin, realm: &TestRealm, active: bool) {
    let name = realm.signing_key().provider().name;
    let found = admin.get(&format!("/{}/components?name={name}", realm.name)).await;
    let mut component = found[0].clone();
    component["config"]["active"] = json!([active.to_string()]);
    component["config"]["priority"] = json!([if active { "1000" } else { "0" }]);
    let path = format!("/{}/components/{}", realm.name, component["id"].as_str().unwrap());
    admin.put(&path, &component).await;
}

fn kid_of(token: &str) -> serde_json::Value {
    crate::support::decode_part(token.split('.').next().unwrap())["kid"].clone()
}

async fn mints(user: &Api, status: u16) {
    let begun = Instant::now();
    for n in 0.. {
        let name = crate::support::unique(&format!("minted-{n}"));
        let answer = user.post("/api/pat/v1/tokens", &json!({"name": name})).await;
        if answer.status == status {
            if status != 201 {
                answer.expect_problem(status, "key-misused");
            }
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn misused(server: &TestServer) -> bool {
    let text = server.anonymous().get("/metrics").await.text;
    let line = text.lines().find(|line| line.starts_with("hallpass_signing_key_misused "));
    line.unwrap_or_else(|| panic!("{text}")).ends_with(" 1")
}

#[tokio::test]
async fn while_the_realm_signs_with_the_key_nothing_is_minted() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let (person, admin) = (realm.person().await, Admin::log_in().await);
    let user = server.user(&person).await;
    let minted = user.mint("before").await;
    let pat = server.with_token(minted["token"].as_str().unwrap());
    assert!(!misused(&server).await);

    set_active(&admin, &realm, true).await;
    // Somebody comes with a token from then. One of the second of the last good login would say nothing new.
    let token = loop {
        let token = realm.access_token(&person).await;
        assert_eq!(kid_of(&token), realm.signing_key().kid());
        let shown = server.with_token(&token).get("/api/pat/v1/tokens").await;
        shown.expect_problem(401, "unauthenticated");
        if misused(&server).await {
            break token;
        }
    };
    user.post("/api/pat/v1/tokens", &json!({"name": "x"})).await.expect_problem(503, "key-misused");
    let rotate = format!("/api/pat/v1/tokens/{}/rotate", minted["patId"].as_str().unwrap());
    pat.post_empty(&rotate).await.expect_problem(503, "key-misused");
    // Validation goes on.
    pat.get("/api/pat/v1/tokens/self").await.expect(200);
    let health = server.anonymous().get("/readyz").await.expect(200);
    assert_eq!(health["status"], "degraded", "{health}");
    let reason = health["reason"].as_str().unwrap();
    assert!(reason.contains("signs its own tokens with Hallpass's key"), "{reason}");

    set_active(&admin, &realm, false).await;
    mints(&user, 201).await;
    assert!(!misused(&server).await);
    // A token from then says nothing new.
    let shown = server.with_token(&token).get("/api/pat/v1/tokens").await;
    shown.expect_problem(401, "unauthenticated");
    user.mint("after").await;

    // Hallpass's own login shows it, too.
    set_active(&admin, &realm, true).await;
    let server = server.restart(&[]).await;
    let user = server.with_token(user.token().unwrap());
    mints(&user, 503).await;
    set_active(&admin, &realm, false).await;
    mints(&user, 201).await;
    server.stop().await;
}

/// Puts the key back as bootstrap does.
async fn publish(admin: &Admin, realm: &TestRealm) {
    let provider = realm.signing_key().provider();
    let component = json!({
        "name": provider.name, "providerId": "rsa", "providerType": "org.keycloak.keys.KeyProvider",
        "config": {"priority": ["0"], "enabled": ["true"], "active": ["false"],
            "algorithm": ["RS256"], "privateKey": [provider.private_key.as_str()]},
    });
    admin.post(&format!("/{}/components", realm.name), &component).await;
}
