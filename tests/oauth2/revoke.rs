//! `POST /oauth2/revoke`: to have a token is enough to end it.

use reqwest::Method;
use serde_json::{Value, json};

use super::expect_error;
use crate::support::{Answer, Api, DATABASES, LOGIN_CLIENT, TestRealm, TestServer, passes};

const PATH: &str = "/oauth2/revoke";
const TOKENS: &str = "/api/pat/v1/tokens";

async fn revoke(api: &Api, token: &str) -> Answer {
    api.send(api.request(Method::POST, PATH).form(&[("token", token)])).await
}

fn done(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, ""), "{answer:?}");
}

fn jwt(minted: &Value) -> &str {
    minted["token"].as_str().unwrap()
}

#[tokio::test]
async fn whoever_finds_a_token_ends_it_at_once_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (user, anyone) = (server.user(&realm.person().await).await, server.anonymous());
        let minted = user.mint("leaked").await;
        let other = user.mint("other").await;
        assert!(passes(&anyone, jwt(&minted)).await);
        done(&revoke(&anyone, jwt(&minted)).await);
        assert!(!passes(&anyone, jwt(&minted)).await);
        assert!(passes(&anyone, jwt(&other)).await);
        let path = format!("{TOKENS}/{}", minted["patId"].as_str().unwrap());
        let found = user.get(&path).await.expect(200);
        assert_eq!(found["revokedReason"], "revoked_by_holder");
        // Again: nothing changes, and the first reason stays.
        done(&revoke(&anyone, jwt(&minted)).await);
        assert_eq!(user.get(&path).await.expect(200)["revokedAt"], found["revokedAt"]);
        let auditor = realm.person().await;
        realm.give_roles(&auditor, "hallpass", &["read-audit"]).await;
        let id = minted["patId"].as_str().unwrap();
        let path = format!("/api/audit/v1/events?credentialId={id}&action=token_revoked");
        let told = server.user(&auditor).await.get(&path).await.expect(200);
        assert_eq!(told["pagination"]["total"], 1);
        let event = &told["events"][0];
        assert_eq!(event["reason"], "revoked_by_holder");
        assert_eq!(event["actorCredential"], format!("pat:{id}"));
        server.stop().await;
    }
}

#[tokio::test]
async fn a_suspended_token_and_one_bound_to_networks_are_ended_from_anywhere() {
    // A look at the owner would release what is suspended.
    let server = TestServer::that_follows_nothing().await;
    let user = server.user(&server.realm.person().await).await;
    let body = json!({"name": "networks", "allowedCidrs": ["198.51.100.0/24"]});
    let bound = user.post(TOKENS, &body).await.expect(201);
    let suspended = user.mint("suspended").await;
    let id = |minted: &Value| minted["patId"].as_str().unwrap().to_owned();
    let suspend = format!("UPDATE tokens SET suspended_at = 1 WHERE pat_id = '{}'", id(&suspended));
    assert_eq!(server.execute(suspend).await, 1);
    for minted in [&bound, &suspended] {
        done(&revoke(&server.anonymous(), jwt(minted)).await);
        let found = user.get(&format!("{TOKENS}/{}", id(minted))).await.expect(200);
        assert_eq!(found["revokedReason"], "revoked_by_holder");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_live_token_is_answered_alike_and_ends_nothing() {
    let server = TestServer::start().await;
    let (realm, anyone) = (&server.realm, server.anonymous());
    let person = realm.person().await;
    let user = server.user(&person).await;
    let minted = user.mint("good").await;
    let (input, signature) = jwt(&minted).rsplit_once('.').unwrap();
    let login = realm.log_in(&person, LOGIN_CLIENT).await;
    for token in [
        "hunter2",
        &format!("{input}."),
        &format!("{input}.{}", "A".repeat(signature.len())),
        minted["patId"].as_str().unwrap(),
        login["access_token"].as_str().unwrap(),
        login["refresh_token"].as_str().unwrap(),
    ] {
        done(&revoke(&anyone, token).await);
    }
    assert!(passes(&anyone, jwt(&minted)).await);
    user.get(TOKENS).await.expect(200);
    // A token that was rotated and comes to be revoked was found, not used: its successor stays.
    let path = format!("{TOKENS}/{}/rotate", minted["patId"].as_str().unwrap());
    let next = user.post(&path, &json!({})).await.expect(201);
    assert!(passes(&anyone, jwt(&next)).await);
    done(&revoke(&anyone, jwt(&minted)).await);
    assert!(passes(&anyone, jwt(&next)).await);
    // Its form is asked for all the same.
    for form in [&[][..], &[("token", "")], &[("token", "a"), ("token", "b")]] {
        let answer = anyone.send(anyone.request(Method::POST, PATH).form(form)).await;
        expect_error(&answer, 400, "invalid_request");
    }
    server.stop().await;
}

/// A token as it stands in a log, a chat or a script.
fn as_found(token: &str) -> Vec<String> {
    let (middle, quarter) = (token.len() / 2, token.len() / 4);
    vec![
        format!(" {token}\r\n"),
        format!("{}\n{}", &token[..middle], &token[middle..]),
        format!("{} \t{}\r\n  {}", &token[..quarter], &token[quarter..middle], &token[middle..]),
        format!("\"{token}\""),
        format!("'{token}'"),
        format!("\u{201c}{token}\u{201d}"),
        format!("Bearer {token}"),
        format!("Authorization: bearer  {token}\n"),
        format!("\"Bearer {}\n{}\",", &token[..middle], &token[middle..]),
        format!("INFO Authorization: Bearer {token} 200"),
    ]
}

#[tokio::test]
async fn a_token_is_ended_and_told_as_it_was_found() {
    let server = TestServer::start().await;
    let (user, anyone) = (server.user(&server.realm.person().await).await, server.anonymous());
    let count = as_found("eyJ.eyJ.sig").len();
    for number in 0..count {
        let minted = user.mint(&format!("found-{number}")).await;
        let text = as_found(jwt(&minted)).swap_remove(number);
        let found = user.post(&format!("{TOKENS}/identify"), &json!({"token": text})).await;
        assert_eq!(found.expect(200)["patId"], minted["patId"], "{number}");
        done(&revoke(&anyone, &text).await);
        assert!(!passes(&anyone, jwt(&minted)).await, "{number}");
    }
    // Nor does a word that looks like one end anything.
    let stays = user.mint("stays").await;
    for text in [
        "Bearer",
        "\"\"",
        " ",
        "eyJ",
        "eyJ.eyJ",
        &jwt(&stays)[1..],
        &format!("x{}", &jwt(&stays)[..40]),
    ] {
        let answer = revoke(&anyone, text).await;
        assert!(answer.status == 200 || text.is_empty(), "{answer:?}");
    }
    assert!(passes(&anyone, jwt(&stays)).await);
    server.stop().await;
}
