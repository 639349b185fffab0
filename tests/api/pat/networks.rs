//! From where a token may be used: `allowedCidrs`, and whose word counts for the caller's address.

use serde_json::json;

use super::narrowing::narrowed;
use crate::support::{Api, Database, TestRealm, TestServer};

const SELF: &str = "/api/pat/v1/tokens/self";

async fn from(api: &Api, forwarded: &str) -> u16 {
    let request = api.request(reqwest::Method::GET, SELF).header("x-forwarded-for", forwarded);
    api.send(request).await.status.as_u16()
}

#[tokio::test]
async fn a_token_is_good_from_its_networks_only_and_an_untrusted_caller_cannot_lie() {
    let realm = TestRealm::shared().await;
    let proxies = [("HALLPASS_SERVER__TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &proxies).await;
    let user = server.user(&realm.person().await).await;
    let networks = json!(["198.51.100.0/24", "::ffff:192.0.2.7", "2001:DB8::/32", "192.0.2.7"]);
    let created = narrowed(&user, json!({"allowedCidrs": networks})).await;
    let stored = json!(["198.51.100.0/24", "192.0.2.7/32", "2001:db8::/32"]);
    assert_eq!(created["allowedCidrs"], stored);
    let token = created["token"].as_str().unwrap();
    let pat = server.with_token(token);
    for (forwarded, status) in [
        ("198.51.100.0", 200),
        ("198.51.100.255", 200),
        ("::ffff:198.51.100.9", 200),
        ("192.0.2.7", 200),
        ("2001:db8:ffff::1", 200),
        ("203.0.113.9, 198.51.100.9, 10.0.0.3", 200),
        ("198.51.101.0", 401),
        ("192.0.2.6", 401),
        ("2001:db9::1", 401),
        ("::1", 401),
        // What stands left of a stranger is the stranger's word.
        ("198.51.100.9, 203.0.113.9", 401),
        ("198.51.100.9, 203.0.113.9, 10.0.0.3", 401),
        ("198.51.100.9, nonsense", 401),
    ] {
        assert_eq!(from(&pat, forwarded).await, status, "{forwarded}");
    }
    // The proxy itself is no caller from these networks, and the answer does not say why.
    let refused = pat.get(SELF).await.expect_problem(401, "unauthenticated");
    assert_eq!(refused["detail"], "The credential is not valid.");

    let server = server.restart(&[]).await;
    let pat = server.with_token(token);
    for forwarded in ["198.51.100.9", "192.0.2.7", "2001:db8::1"] {
        assert_eq!(from(&pat, forwarded).await, 401, "{forwarded}");
    }
    server.stop().await;
}
