//! How often is too often: creation by one caller, failed authentication from one address.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Api, Database, Fault, FaultProxy, TestRealm, TestServer};

const TOKENS: &str = "/api/pat/v1/tokens";
const CLIENTS: &str = "/api/clients/v1/clients";
const BURST: usize = 120;

/// Whether it is a 429, which then has the right form.
fn is_refused(answer: Answer) -> bool {
    if answer.status != 429 {
        return false;
    }
    // A bucket gets two each second: the next is there within the second.
    assert_eq!(answer.headers["retry-after"], "1", "{answer:?}");
    assert_eq!(answer.headers["cache-control"], "no-store", "{answer:?}");
    answer.expect_problem(429, "rate-limited");
    true
}

/// Asks until it is refused for asking too often; answers how often it was not.
async fn until_refused(mut ask: impl AsyncFnMut() -> Answer) -> usize {
    for count in 0..10 * BURST {
        if is_refused(ask().await) {
            return count;
        }
    }
    panic!("it is never refused");
}

/// The cheapest creation: it counts, and then fails.
async fn create(api: &Api) -> Answer {
    api.post(CLIENTS, &json!({})).await
}

#[tokio::test]
async fn creation_is_limited_for_each_caller_and_nothing_else_is() {
    let realm = TestRealm::shared().await;
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &[]).await;
    let (one, other) = (realm.person().await, realm.person().await);
    realm.give_roles(&one, "hallpass", &["create-api-clients"]).await;
    let (user, neighbour) = (server.user(&one).await, server.user(&other).await);
    let minted = user.mint("first").await;
    let allowed = until_refused(async || create(&user).await).await;
    // One was made above; two come back each second of the test.
    assert!(allowed >= BURST - 1, "{allowed}");
    // Another login of the same person is the same caller, and a token counts as a client does.
    let again = server.user(&one).await;
    let tries = until_refused(async || again.post(TOKENS, &json!({"name": "first"})).await).await;
    assert!(tries < BURST / 2, "{tries}: that is a bucket of its own");

    // Others create, and the caller does everything else; what is wrong in itself is said first.
    neighbour.mint("mine").await;
    user.get(TOKENS).await.expect(200);
    user.post(TOKENS, &json!({"name": ""})).await.expect_problem(400, "invalid");
    let path = format!("{TOKENS}/{}", minted["patId"].as_str().unwrap());
    user.post_empty(&format!("{path}/invalidate")).await.expect(200);
    user.delete(&path).await.expect(204);

    until_refused(async || create(&user).await).await;
    // Nothing was made by what was refused, and time mends it.
    server.clock.advance(Duration::from_secs(5));
    user.mint("later").await;
    server.stop().await;
}

#[tokio::test]
async fn failed_authentication_is_limited_for_each_address_and_a_good_credential_passes() {
    let realm = TestRealm::shared().await;
    let trusted = [("HALLPASS_SERVER__TRUSTED_PROXIES", "127.0.0.1/32")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &trusted).await;
    let person = realm.person().await;
    let user = server.user(&person).await;
    let minted = user.mint("good").await;
    let good = server.with_token(minted["token"].as_str().unwrap());
    let revoked = user.mint("revoked").await;
    let path = format!("{TOKENS}/{}/invalidate", revoked["patId"].as_str().unwrap());
    user.post_empty(&path).await.expect(200);
    let revoked = server.with_token(revoked["token"].as_str().unwrap());
    let from = async |api: &Api, address: &str| {
        let request = api.request(Method::GET, TOKENS).header("x-forwarded-for", address);
        api.send(request).await
    };
    let bad = server.with_token("not.a.token");
    for (address, same, another) in [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", "2001:db8:0:2::1"),
    ] {
        // Of every kind, all in one bucket.
        let everybody = [&bad, &revoked, &server.anonymous()];
        let mut turn = everybody.into_iter().cycle();
        let allowed = until_refused(async || from(turn.next().unwrap(), address).await).await;
        assert!((BURST..BURST + 60).contains(&allowed), "{allowed}");
        until_refused(async || from(&bad, same).await).await;
        from(&user, address).await.expect(200);
        from(&good, address).await.expect(200);
        from(&bad, another).await.expect_problem(401, "unauthenticated");
    }
    // Each refusal of before is one of after, when time has passed.
    server.clock.advance(Duration::from_mins(1));
    from(&bad, "192.0.2.1").await.expect_problem(401, "unauthenticated");
    server.stop().await;
}

/// Its keys are asked for at most once in ten seconds, whoever names unknown ones.
#[tokio::test]
async fn who_is_over_the_limit_does_not_keep_keycloak_busy() {
    let realm = TestRealm::shared().await;
    let proxy = FaultProxy::start();
    let extra =
        [("HALLPASS_KEYCLOAK__URL", proxy.url()), ("HALLPASS_LIFECYCLE__POLL_INTERVAL", "1h")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &extra).await;
    let person = realm.person().await;
    let token = realm.access_token(&person).await;
    server.with_token(&token).get(TOKENS).await.expect(200);
    let (_, rest) = token.split_once('.').unwrap();
    // {"alg":"RS256","kid":"nobody's"}
    let bad = server.with_token(&format!("eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vYm9keSdzIn0.{rest}"));
    until_refused(async || bad.get(TOKENS).await).await;
    let asked = proxy.on("* *", Fault::Pass);
    for _ in 0..50 {
        bad.get(TOKENS).await;
    }
    assert!(asked.hits() <= 1, "Keycloak was asked {} times", asked.hits());
    server.with_token(&token).get(TOKENS).await.expect(200);
    server.stop().await;
}
