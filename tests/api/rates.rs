//! How often is too often: creation by one caller, failed authentication from one address.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Api, Database, Fault, FaultProxy, TestRealm, TestServer, unique};

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

#[tokio::test]
async fn changes_and_reads_of_secrets_are_limited_for_each_caller() {
    let realm = TestRealm::shared().await;
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &[]).await;
    let account = unique("account");
    let attributes = json!({"attributes": {"account_id": [account]}});
    let person = realm.person_with(&unique("member"), attributes.clone()).await;
    let colleague = realm.person_with(&unique("member"), attributes).await;
    for person in [&person, &colleague] {
        realm.give_roles(person, "hallpass", &["create-api-clients"]).await;
    }
    let (user, other) = (server.user(&person).await, server.user(&colleague).await);
    let id = format!("{account}_limited");
    user.post(CLIENTS, &json!({"clientId": id, "capabilities": ["script"]})).await.expect(201);
    let (path, secret) = (format!("{CLIENTS}/{id}"), format!("{CLIENTS}/{id}/secret"));
    let allowed = until_refused(async || user.get(&secret).await).await;
    assert!((BURST..BURST + 60).contains(&allowed), "{allowed}");
    // One bucket for all of it; what is only looked at is not limited, and others are not.
    until_refused(async || user.patch(&path, &json!({"description": "x"})).await).await;
    until_refused(async || user.post_empty(&secret).await).await;
    until_refused(async || user.post(&format!("{path}/transfer"), &json!({"ownerId": "x"})).await)
        .await;
    // One that there is not: on a slow machine the bucket has room for one again.
    until_refused(async || user.delete(&format!("{path}-none")).await).await;
    user.get(&path).await.expect(200);
    other.get(&secret).await.expect(200);
    server.clock.advance(Duration::from_secs(5));
    user.get(&secret).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn revoking_what_is_dead_is_limited_for_each_address_and_a_leaked_token_can_always_be_ended()
{
    let realm = TestRealm::shared().await;
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &[]).await;
    let (user, anyone) = (server.user(&realm.person().await).await, server.anonymous());
    let [dead, leaked] = [user.mint("dead").await, user.mint("leaked").await];
    let text = |minted: &serde_json::Value| minted["token"].as_str().unwrap().to_owned();
    let revoke = async |token: &str| {
        let request = anyone.request(Method::POST, "/oauth2/revoke").form(&[("token", token)]);
        anyone.send(request).await
    };
    assert_eq!(revoke(&text(&dead)).await.status, 200);
    let tokens = [text(&dead), "rubbish".to_owned()];
    let mut turn = tokens.iter().cycle();
    let mut allowed = 0;
    while revoke(turn.next().unwrap()).await.status != 429 {
        allowed += 1;
        assert!(allowed < 10 * BURST);
    }
    assert!(allowed >= BURST, "{allowed}");
    assert_eq!(revoke(&text(&leaked)).await.status, 200);
    let list = user.get(&format!("{TOKENS}?status=revoked")).await.expect(200);
    assert_eq!(list["pagination"]["total"], 2);
    server.stop().await;
}

/// A writer holds the database: whatever had to write would fail or wait.
#[tokio::test]
async fn what_is_dead_is_not_written_again() {
    use sqlx::Connection as _;
    let server = TestServer::that_follows_nothing().await;
    let user = server.user(&server.realm.person().await).await;
    let minted = user.mint("dead").await;
    let id = minted["patId"].as_str().unwrap();
    let invalidate = format!("{TOKENS}/{id}/invalidate");
    let revoked = user.post_empty(&invalidate).await.expect(200);
    sqlx::any::install_default_drivers();
    let mut writer = sqlx::AnyConnection::connect(&server.database.url_text()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut writer).await.unwrap();
    assert_eq!(user.post_empty(&invalidate).await.expect(200)["revokedAt"], revoked["revokedAt"]);
    let anyone = server.anonymous();
    let form = [("token", minted["token"].as_str().unwrap())];
    let again = anyone.send(anyone.request(Method::POST, "/oauth2/revoke").form(&form)).await;
    assert_eq!(again.status, 200);
    let bulk = user.post(&format!("{TOKENS}/invalidate/bulk"), &json!({"patIds": [id, "x"]})).await;
    assert_eq!(bulk.expect(200)["results"][0]["outcome"], "already_revoked");
    let nobodys = format!("{TOKENS}/018f0000-0000-7000-8000-000000000000");
    user.delete(&nobodys).await.expect_problem(404, "not-found");
    sqlx::query("ROLLBACK").execute(&mut writer).await.unwrap();
    writer.close().await.unwrap();
    user.delete(&format!("{TOKENS}/{id}")).await.expect(204);
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
