//! `lastUsedAt` and `lastUsedIp`: what Hallpass saw of a token's use.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::support::{Api, DATABASES, TestRealm, TestServer};

const TOKENS: &str = "/api/pat/v1/tokens";
const SELF: &str = "/api/pat/v1/tokens/self";

/// The token's metadata, once a use after `before` is recorded.
async fn used_after(owner: &Api, pat_id: &str, before: &Value) -> Value {
    let path = format!("{TOKENS}/{pat_id}");
    for _ in 0..200 {
        let token = owner.get(&path).await.expect(200);
        if token["lastUsedAt"] != *before {
            return token;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no use of {pat_id} was recorded");
}

async fn use_from(pat: &Api, address: &str) {
    let request = pat.request(Method::GET, SELF).header("x-forwarded-for", address);
    pat.send(request).await.expect(200);
}

#[tokio::test]
async fn a_use_is_recorded_with_time_and_address_once_a_minute() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let proxies = [("HALLPASS_SERVER__TRUSTED_PROXIES", "127.0.0.1")];
        let server = TestServer::start_with(realm.clone(), database, &proxies).await;
        let owner = server.user(&realm.person().await).await;
        let minted = owner.mint("ci").await;
        let pat_id = minted["patId"].as_str().unwrap();
        assert_eq!((&minted["lastUsedAt"], &minted["lastUsedIp"]), (&Value::Null, &Value::Null));
        let pat = server.with_token(minted["token"].as_str().unwrap());

        use_from(&pat, "198.51.100.7").await;
        let first = used_after(&owner, pat_id, &Value::Null).await;
        assert_eq!(first["lastUsedIp"], "198.51.100.7");
        let at = hallpass::clock::Timestamp::parse(first["lastUsedAt"].as_str().unwrap()).unwrap();
        assert!((server.clock.now().millis() - at.millis()).abs() < 60_000);

        // Within the minute it waits; then the last one is written.
        use_from(&pat, "2001:db8::7").await;
        use_from(&pat, "198.51.100.9").await;
        server.clock.advance(Duration::from_secs(61));
        let second = used_after(&owner, pat_id, &first["lastUsedAt"]).await;
        assert_eq!(second["lastUsedIp"], "198.51.100.9");

        // What waits is written at the end.
        use_from(&pat, "2001:db8::7").await;
        let server = server.restart(&[]).await;
        let owner = server.with_token(owner.token().unwrap());
        let last = owner.get(&format!("{TOKENS}/{pat_id}")).await.expect(200);
        assert_eq!(last["lastUsedIp"], "2001:db8::7");
        server.stop().await;
    }
}

#[tokio::test]
async fn what_is_no_use_is_not_recorded() {
    let server = TestServer::start().await;
    let owner = server.user(&server.realm.person().await).await;
    let minted = owner.mint("ci").await;
    let pat_id = minted["patId"].as_str().unwrap().to_owned();
    let path = format!("{TOKENS}/{pat_id}");
    // The owner looks at it, and asks what it is.
    owner.get(&path).await.expect(200);
    let found = serde_json::json!({"token": minted["token"]});
    owner.post(&format!("{TOKENS}/identify"), &found).await.expect(200);
    // Refused.
    owner.post_empty(&format!("{path}/invalidate")).await.expect(200);
    let pat = server.with_token(minted["token"].as_str().unwrap());
    pat.get(SELF).await.expect_problem(401, "unauthenticated");
    // Whatever was noted is written at the end.
    let server = server.restart(&[]).await;
    let owner = server.with_token(owner.token().unwrap());
    assert_eq!(owner.get(&path).await.expect(200)["lastUsedAt"], Value::Null);
    server.stop().await;
}
