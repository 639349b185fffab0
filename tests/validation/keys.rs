//! The realm's keys at the endpoints: unknown ones, a rotated one, an endpoint that answers rubbish.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hallpass::bootstrap::{Mode, Removal, remove};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Scene;
use crate::support::{
    Admin, Database, Fault, FaultProxy, TestRealm, TestServer, administrator, bootstrap_settings,
    decode_part, passes,
};

const KEYS: &str = "GET */certs";
const WITH_ACCESS_TOKENS: &str = "/forward-auth?aud=hallpass";

async fn behind(realm: &TestRealm, proxy: &FaultProxy) -> TestServer {
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    TestServer::start_with(realm.clone(), Database::sqlite, &settings).await
}

/// Waits until this is so: what is taken back counts no more within seconds.
async fn within_seconds(what: &str, condition: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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
    let proxy = FaultProxy::start();
    // It looks at the realm's keys by itself, too, unless it follows nothing.
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let begun = Instant::now();
    let server = TestServer::that_follows_nothing_with(Database::sqlite, &settings).await;
    // It looks at the keys every two seconds, too.
    let looks = || 1 + usize::try_from(begun.elapsed().as_secs()).unwrap() / 2;
    let scene = Scene::of(server).await;
    assert_eq!(flood(&scene.server, "/forward-auth").await, [401; 60]);
    let anyone = scene.server.anonymous();
    for n in 0..60 {
        assert!(!scene.service.finds(&anyone, &stranger(n)).await);
    }
    assert!(proxy.count(KEYS) <= looks());
    assert_eq!(flood(&scene.server, WITH_ACCESS_TOKENS).await, [401; 60]);
    assert_eq!(flood(&scene.server, WITH_ACCESS_TOKENS).await, [401; 60]);
    assert!(proxy.count(KEYS) <= looks() + 1);
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
    remove_provider(realm, "rsa").await;
}

/// Takes the key of personal access tokens away.
async fn remove_signing_key(realm: &TestRealm) {
    remove_provider(realm, &realm.signing_key().provider().name).await;
}

async fn remove_provider(realm: &TestRealm, name: &str) {
    let admin = Admin::log_in().await;
    let found = admin.get(&format!("/{}/components?name={name}", realm.name)).await;
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
    within_seconds("the new key", async || status(&after).await == 200).await;
    assert_eq!(status(&before).await, 200);

    remove_first_key(&realm).await;
    within_seconds("the removed key", async || status(&before).await == 401).await;
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

#[tokio::test]
async fn only_a_whole_answer_of_the_realm_that_lacks_a_key_takes_it_away() {
    let (realm, proxy) = (TestRealm::own().await, FaultProxy::start());
    let server = behind(&realm, &proxy).await;
    let access_token = realm.access_token(&realm.person().await).await;
    let user = server.with_token(&access_token);
    let (seen, unseen) = (user.mint("seen").await, user.mint("unseen").await);
    let anyone = server.anonymous();
    let is_good = async |token: &str| passes(&anyone, token).await;
    let is_known = async || user.get(WITH_ACCESS_TOKENS).await.status == 200;
    assert!(is_good(jwt(&seen)).await && is_known().await);
    for fault in [
        Fault::status(404),
        Fault::status(204),
        Fault::Answer(200, "<html>".to_owned()),
        Fault::Answer(200, "{}".to_owned()),
        Fault::Answer(200, r#"{"keys":[]}"#.to_owned()),
        Fault::Answer(200, r#"{"keys":[{"kid":"x","kty":"oct"},7]}"#.to_owned()),
        Fault::CutHalfWay,
        Fault::CutRequest,
    ] {
        let rule = proxy.on(KEYS, fault.clone());
        // The second look begins when the first one is dealt with.
        rule.wait_for_hits(2).await;
        assert!(is_good(jwt(&seen)).await && is_known().await, "{fault:?}");
        proxy.clear();
    }
    assert!(is_good(jwt(&unseen)).await);

    // The realm has another key by then: it is never without one.
    rotate(&realm).await;
    remove_first_key(&realm).await;
    within_seconds("an access token", async || !is_known().await).await;
    assert!(is_good(jwt(&seen)).await);
    remove_signing_key(&realm).await;
    within_seconds("a token", async || !is_good(jwt(&seen)).await).await;
    assert!(!is_good(jwt(&unseen)).await);
    server.stop().await;
}

#[tokio::test]
async fn what_a_removal_takes_back_beside_a_running_service_is_refused_for_good() {
    let realm = TestRealm::own().await;
    let [by_key, by_removal] =
        [TestServer::in_realm(realm.clone()).await, TestServer::in_realm(realm.clone()).await];
    let person = realm.person().await;
    for server in [&by_key, &by_removal] {
        let minted = server.user(&person).await.mint("removed").await;
        let anyone = server.anonymous();
        assert!(passes(&anyone, jwt(&minted)).await);
        if std::ptr::eq(server, &raw const by_key) {
            // The realm publishes it all the same.
            let store = server.store().await;
            assert_eq!(store.retire_all_keys(server.clock.now()).await.unwrap(), 1);
            store.close().await;
        } else {
            let settings = bootstrap_settings(&realm.name, &server.database);
            let keycloak = administrator(&settings);
            let silent = Box::new(|_: &str| {});
            let removal = Removal { mode: Mode::Apply, without_store: false };
            remove(&keycloak, &settings, &server.clock, removal, silent).await.unwrap();
        }
        within_seconds("a token", async || !passes(&anyone, jwt(&minted)).await).await;
        let revoked =
            anyone.request(Method::POST, "/oauth2/revoke").form(&[("token", jwt(&minted))]);
        assert_eq!(anyone.send(revoked).await.status, 200);
    }
    by_key.stop().await;
    by_removal.stop().await;
}
