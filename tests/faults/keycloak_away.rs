//! Keycloak is away as a whole: what goes on, what does not, and that it comes back by itself.

use std::time::{Duration, Instant};

use serde_json::json;

use super::server_behind;
use crate::support::{Api, Database, FaultProxy, Metrics, TestRealm, TestServer};

/// Asks again until the answer has this status.
async fn until_mint(user: &Api, name: &str, status: u16) {
    let began = Instant::now();
    loop {
        let answer = user.post("/api/pat/v1/tokens", &json!({"name": name})).await;
        if answer.status.as_u16() == status {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn while_keycloak_is_away_people_still_see_and_revoke_what_they_have() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let server = server_behind(&proxy, &realm).await;
    let user = server.user(&realm.person().await).await;
    let (first, second) = (user.mint("first").await, user.mint("second").await);
    let pat = server.with_token(first["token"].as_str().unwrap());
    let path = |token: &serde_json::Value| {
        format!("/api/pat/v1/tokens/{}", token["patId"].as_str().unwrap())
    };
    pat.get("/api/pat/v1/tokens/self").await.expect(200);

    proxy.down().await;
    let asked = Instant::now();
    // The keys are remembered, so an access token is checked without Keycloak.
    assert_eq!(user.get("/api/pat/v1/tokens").await.expect(200)["pagination"]["total"], 2);
    user.get(&path(&first)).await.expect(200);
    user.post_empty(&format!("{}/invalidate", path(&second))).await.expect(200);
    user.delete(&path(&second)).await.expect(204);
    // Nothing is minted.
    user.post("/api/pat/v1/tokens", &json!({"name": "third"}))
        .await
        .expect_problem(503, "keycloak-unavailable");
    // A PAT is what the store says, its owner's state with it; what takes the owner's roles has to wait.
    pat.get("/api/pat/v1/tokens/self").await.expect(200);
    let rotation = pat.post(&format!("{}/rotate", path(&first)), &json!({})).await;
    rotation.expect_problem(503, "keycloak-unavailable");
    // What needs no Keycloak to be refused is refused.
    server
        .with_token("no.such.token")
        .get("/api/pat/v1/tokens")
        .await
        .expect_problem(401, "unauthenticated");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    let metrics = Metrics::of(&server.anonymous()).await;
    let away =
        "hallpass_keycloak_calls_total{method=\"GET\",resource=\"users\",outcome=\"unavailable\"}";
    assert!(metrics.value(away) > 0.5, "{}", metrics.text);

    proxy.up();
    until_mint(&user, "third", 201).await;
    pat.get("/api/pat/v1/tokens/self").await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn a_service_that_starts_before_keycloak_finds_it_later() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    proxy.down().await;
    let keycloak = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &keycloak).await;
    let user = server.user(&realm.person().await).await;
    user.get("/api/pat/v1/tokens").await.expect_problem(503, "keycloak-unavailable");
    let health = server.anonymous().get("/readyz").await.expect(200);
    assert_eq!(health["status"], "degraded");
    server.anonymous().get("/livez").await;

    proxy.up();
    until_mint(&user, "later", 201).await;
    server.stop().await;
}

#[tokio::test]
async fn readyz_says_degraded_while_keycloak_is_away_and_ok_when_it_is_back() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let server = server_behind(&proxy, &realm).await;
    let anyone = server.anonymous();
    let health = async |wanted: &str| {
        let began = Instant::now();
        loop {
            let health = anyone.get("/readyz").await.expect(200);
            if health["status"] == wanted {
                return health;
            }
            assert!(began.elapsed() < Duration::from_secs(5), "{health}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let all_ok =
        json!({"status": "ok", "store": "ok", "signingKey": "ok", "jwks": "ok", "keycloak": "ok"});
    assert_eq!(health("ok").await, all_ok);
    proxy.down().await;
    let away = json!({"status": "degraded", "store": "ok", "signingKey": "ok", "jwks": "ok", "keycloak": "failed",
        "reason": "Keycloak does not answer."});
    assert_eq!(health("degraded").await, away);
    proxy.up();
    assert_eq!(health("ok").await, all_ok);
    server.stop().await;
}
