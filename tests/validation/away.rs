//! What is away: the store, and then nothing is good; Keycloak, and validation goes on.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use super::Scene;
use crate::oauth2::expect_error;
use crate::support::{
    Answer, Api, Database, Fault, FaultProxy, Line, ProxiedStore, TestRealm, TestServer, passes,
};

const BOUND: Duration = Duration::from_secs(10);

fn jwt(minted: &Value) -> &str {
    minted["token"].as_str().unwrap()
}

async fn forward_auth(api: &Api, token: &str) -> Answer {
    api.send(api.request(Method::GET, "/forward-auth").bearer_auth(token)).await
}

async fn revoke(api: &Api, token: &str) -> Answer {
    api.send(api.request(Method::POST, "/oauth2/revoke").form(&[("token", token)])).await
}

async fn without_the_store(away: Line) {
    let ProxiedStore { realm, proxy, process, folder: _folder } = ProxiedStore::serve().await;
    let service = realm.introspector().await;
    let user = process.user(&realm, &realm.person().await).await;
    let (seen, unseen) = (user.mint("seen").await, user.mint("unseen").await);
    let anyone = process.api(None);
    assert!(passes(&anyone, jwt(&seen)).await && service.finds(&anyone, jwt(&seen)).await);

    proxy.set(away);
    let cut = Instant::now();
    // What was heard less than a second ago may still be good; then nothing is.
    let last = loop {
        let asked = cut.elapsed();
        let answer = forward_auth(&anyone, jwt(&seen)).await;
        if answer.status != 200 {
            break answer;
        }
        assert!(asked < Duration::from_secs(1), "good {asked:?} after the store was gone");
    };
    last.expect_problem(503, "store-unavailable");
    let asked = Instant::now();
    let answers = tokio::join!(
        service.ask(&anyone, jwt(&seen), &[]),
        service.ask(&anyone, jwt(&unseen), &[]),
        revoke(&anyone, jwt(&seen)),
        revoke(&anyone, jwt(&unseen)),
        forward_auth(&anyone, jwt(&unseen)),
    );
    assert!(asked.elapsed() < BOUND, "{:?}", asked.elapsed());
    for answer in [&answers.0, &answers.1, &answers.2, &answers.3] {
        expect_error(answer, 503, "temporarily_unavailable");
    }
    answers.4.expect_problem(503, "store-unavailable");
    // What needs no store to be refused is refused.
    assert!(!passes(&anyone, "no.such.token").await);

    proxy.set(Line::Open);
    let back = Instant::now();
    while forward_auth(&anyone, jwt(&unseen)).await.status != 200 {
        assert!(back.elapsed() < BOUND, "{:?}", back.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(service.finds(&anyone, jwt(&seen)).await);
    process.stop().await;
}

#[tokio::test]
async fn without_the_store_nothing_is_good_when_it_is_cut_off() {
    Box::pin(without_the_store(Line::Cut)).await;
}

#[tokio::test]
async fn without_the_store_nothing_is_good_when_it_falls_silent() {
    Box::pin(without_the_store(Line::Silent)).await;
}

#[tokio::test]
async fn without_keycloak_validation_goes_on() {
    let proxy = FaultProxy::start();
    // An event of the client that asks would have its secret asked for anew.
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server = TestServer::that_follows_nothing_with(Database::sqlite, &settings).await;
    let scene = Scene::of(server).await;
    let realm = scene.realm();
    let person = realm.person().await;
    let user = scene.server.user(&person).await;
    let (seen, unseen) = (user.mint("seen").await, user.mint("unseen").await);
    assert!(scene.finds(jwt(&seen)).await);
    // Also by the access token of a caller who was here before.
    let bearer = scene.server.with_token(&realm.service_token(&scene.service).await);
    let by_token = async |token: &str| {
        let request = bearer.request(Method::POST, "/oauth2/introspect");
        bearer.send(request.form(&[("token", token)])).await.expect(200)["active"] == true
    };
    assert!(by_token(jwt(&seen)).await);

    proxy.down().await;
    assert!(scene.finds(jwt(&seen)).await && scene.finds(jwt(&unseen)).await);
    assert!(by_token(jwt(&unseen)).await);
    let access_token = realm.access_token(&person).await;
    let api = scene.server.with_token(&access_token);
    assert_eq!(api.get("/forward-auth?aud=hallpass").await.status, 200);
    assert!(!scene.finds("a.b.c").await);
    let anyone = scene.server.anonymous();
    assert_eq!(revoke(&anyone, jwt(&seen)).await.status, 200);
    assert!(!scene.finds(jwt(&seen)).await && scene.finds(jwt(&unseen)).await);
    anyone.get("/.well-known/oauth-authorization-server").await.expect(200);
    scene.server.stop().await;
}

#[tokio::test]
async fn whoever_never_saw_the_realms_keys_says_that_it_cannot_tell() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    let minted = server.user(&realm.person().await).await.mint("early").await;
    proxy.down().await;
    // As on a store from before keys were kept there.
    assert_eq!(server.execute("DELETE FROM facts WHERE name = 'realm_keys'".to_owned()).await, 1);
    let server = server.restart(&settings).await;
    let anyone = server.anonymous();
    forward_auth(&anyone, jwt(&minted)).await.expect_problem(503, "keycloak-unavailable");
    expect_error(&revoke(&anyone, jwt(&minted)).await, 503, "temporarily_unavailable");
    proxy.up();
    proxy.on("GET */certs", Fault::Answer(200, "<html>".to_owned()));
    forward_auth(&anyone, jwt(&minted)).await.expect_problem(503, "keycloak-unavailable");
    proxy.clear();
    let back = Instant::now();
    while forward_auth(&anyone, jwt(&minted)).await.status != 200 {
        assert!(back.elapsed() < Duration::from_secs(20), "{:?}", back.elapsed());
        // A look that does not wait for the cool-down.
        anyone.get("/readyz").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.stop().await;
}
