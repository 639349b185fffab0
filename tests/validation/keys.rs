//! The realm's keys at the endpoints: unknown ones, a rotated one, an endpoint that answers rubbish.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Scene;
use crate::support::{
    Admin, Database, Fault, FaultProxy, TestRealm, TestServer, decode_part, passes,
};

const KEYS: &str = "GET */certs";
const WITH_ACCESS_TOKENS: &str = "/forward-auth?aud=hallpass";

async fn behind(realm: &TestRealm, proxy: &FaultProxy) -> TestServer {
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    TestServer::start_with(realm.clone(), Database::sqlite, &settings).await
}

fn jwt(minted: &Value) -> &str {
    minted["token"].as_str().unwrap()
}

/// A token under a key that nobody has.
fn stranger(n: usize) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "typ": "JWT", "kid": format!("stranger-{n}")}));
    format!("{header}.{}.{}", part(json!({"sub": "x"})), URL_SAFE_NO_PAD.encode([7; 256]))
}

async fn flood(server: &TestServer, path: &'static str) -> Vec<u16> {
    let (mut flood, anyone) = (JoinSet::new(), server.anonymous());
    for n in 0..60 {
        let api = anyone.with_token(&stranger(n));
        flood.spawn(async move { api.get(path).await.status.as_u16() });
    }
    flood.join_all().await
}

#[tokio::test]
async fn unknown_keys_cost_one_fetch_a_cool_down_and_none_where_only_pats_are_taken() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let scene = Scene::of(behind(&realm, &proxy).await).await;
    assert_eq!(flood(&scene.server, "/forward-auth").await, [401; 60]);
    let anyone = scene.server.anonymous();
    for n in 0..60 {
        assert!(!scene.service.finds(&anyone, &stranger(n)).await);
    }
    assert_eq!(proxy.count(KEYS), 0);
    assert_eq!(flood(&scene.server, WITH_ACCESS_TOKENS).await, [401; 60]);
    assert_eq!(flood(&scene.server, WITH_ACCESS_TOKENS).await, [401; 60]);
    assert_eq!(proxy.count(KEYS), 1);
    let minted = scene.user().await.mint("known").await;
    assert!(scene.finds(jwt(&minted)).await);
    scene.server.stop().await;
}

/// Another key of the realm, which it signs with from now on; answers the id of its component.
async fn rotate(realm: &TestRealm) {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let component = json!({
        "name": "rotated", "providerId": "rsa", "providerType": "org.keycloak.keys.KeyProvider",
        "config": {"priority": ["200"], "enabled": ["true"], "active": ["true"],
            "algorithm": ["RS256"], "privateKey": [STANDARD.encode(der.as_ref())]},
    });
    Admin::log_in().await.post(&format!("/{}/components", realm.name), &component).await;
}

/// Takes the realm's first key away.
async fn remove_first_key(realm: &TestRealm) {
    let admin = Admin::log_in().await;
    let found = admin.get(&format!("/{}/components?name=rsa", realm.name)).await;
    let id = found[0]["id"].as_str().unwrap();
    admin.delete(&format!("/{}/components/{id}", realm.name)).await;
}

#[tokio::test]
async fn a_rotated_key_of_the_realm_is_followed_and_a_removed_one_counts_no_more() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let person = realm.person().await;
    let before = realm.access_token(&person).await;
    let status =
        async |token: &str| server.with_token(token).get(WITH_ACCESS_TOKENS).await.status.as_u16();
    assert_eq!(status(&before).await, 200);
    let minted = server.with_token(&before).mint("stays").await;

    rotate(&realm).await;
    let after = realm.access_token(&person).await;
    let kid = |token: &str| decode_part(token.split('.').next().unwrap())["kid"].clone();
    assert_ne!(kid(&before), kid(&after));
    let rotated = Instant::now();
    while status(&after).await != 200 {
        assert!(rotated.elapsed() < Duration::from_secs(20), "{:?}", rotated.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status(&before).await, 200);

    remove_first_key(&realm).await;
    let removed = Instant::now();
    while status(&before).await != 401 {
        assert!(removed.elapsed() < Duration::from_secs(20), "{:?}", removed.elapsed());
        // A look that does not wait until the set is old.
        server.anonymous().get("/readyz").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status(&after).await, 200);
    assert!(passes(&server.anonymous(), jwt(&minted)).await);
    server.stop().await;
}

#[tokio::test]
async fn the_last_good_keys_serve_while_the_endpoint_answers_rubbish() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let scene = Scene::of(behind(&realm, &proxy).await).await;
    let user = scene.user().await;
    let (seen, unseen) = (user.mint("seen").await, user.mint("unseen").await);
    assert!(scene.finds(jwt(&seen)).await);
    let many = format!(r#"{{"keys":[{}]}}"#, "{},".repeat(200_000));
    for (n, fault) in [
        Fault::status(500),
        Fault::Answer(200, "<html>".to_owned()),
        Fault::Answer(200, r#"{"keys":{}}"#.to_owned()),
        Fault::Answer(200, many),
        Fault::Garbage,
        Fault::CutHalfWay,
    ]
    .into_iter()
    .enumerate()
    {
        let rule = proxy.on(KEYS, fault.clone());
        let asked = Instant::now();
        // The readiness probe looks again when its last look is two seconds old.
        while rule.hits() == 0 {
            assert!(asked.elapsed() < Duration::from_secs(10), "{fault:?}");
            scene.server.anonymous().get("/readyz").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(scene.finds(jwt(&seen)).await, "{fault:?}");
        if n == 0 {
            assert!(scene.finds(jwt(&unseen)).await, "{fault:?}");
        }
        let api = scene.server.anonymous();
        let request = api.request(Method::GET, WITH_ACCESS_TOKENS).bearer_auth(stranger(n));
        let unknown = api.send(request).await;
        // It may be a new key of the realm: nobody can tell while the keys cannot be fetched.
        unknown.expect_problem(503, "keycloak-unavailable");
        proxy.clear();
    }
    scene.server.stop().await;
}
