//! Hallpass's own token at Keycloak: renewed when Keycloak does not know it any more, and no more often.

use std::time::Duration;

use hallpass::clock::Clock;
use serde_json::json;

use super::server_behind;
use crate::support::{Admin, Fault, FaultProxy, TestRealm};

const LOGIN: &str = "POST */token";

#[tokio::test]
async fn a_token_that_the_realm_no_longer_accepts_is_renewed_once() {
    let (realm, proxy) = (TestRealm::own().await, FaultProxy::start());
    let server = server_behind(&proxy, &realm).await;
    let user = server.user(&realm.person().await).await;
    user.mint("before").await;
    assert_eq!(proxy.count(LOGIN), 1);

    // Tokens from before this second are stale.
    let issued = Clock::system().now().seconds();
    while Clock::system().now().seconds() <= issued {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let admin = Admin::log_in().await;
    admin.put(&format!("/{}", realm.name), &json!({"notBefore": issued + 1})).await;
    proxy.clear();
    user.mint("after").await;
    assert_eq!(proxy.count(LOGIN), 1, "{:?}", proxy.passed());
    proxy.clear();
    user.mint("later").await;
    assert_eq!(proxy.count(LOGIN), 0, "{:?}", proxy.passed());
    server.stop().await;
}

#[tokio::test]
async fn a_token_that_is_refused_again_and_again_is_renewed_once_a_call() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let server = server_behind(&proxy, &realm).await;
    let user = server.user(&realm.person().await).await;
    let refused = proxy.on("GET */users?*", Fault::status(401));
    user.post("/api/pat/v1/tokens", &json!({"name": "refused"}))
        .await
        .expect_problem(503, "keycloak-refused");
    assert_eq!((refused.hits(), proxy.count(LOGIN)), (2, 2));
    server.stop().await;
}

#[tokio::test]
async fn a_crowd_of_callers_logs_in_once() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let server = server_behind(&proxy, &realm).await;
    let user = server.user(&realm.person().await).await;
    let mut crowd = tokio::task::JoinSet::new();
    for n in 0..10 {
        let user = user.clone();
        crowd.spawn(async move { user.mint(&format!("n{n}")).await });
    }
    crowd.join_all().await;
    assert_eq!(proxy.count(LOGIN), 1);
    server.stop().await;
}
