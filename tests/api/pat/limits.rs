//! Names and limits hold however many creations run at once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::family::{id_of, rotate_path};
use super::{SELF, TOKENS};
use crate::support::{Api, DATABASES, TestRealm, TestServer};

/// Sends all bodies at once; answers how often each status and code came.
async fn create_at_once(user: &Api, bodies: Vec<Value>) -> BTreeMap<String, usize> {
    let mut creations = JoinSet::new();
    for body in bodies {
        let user = user.clone();
        creations.spawn(async move { user.post(TOKENS, &body).await });
    }
    let mut outcomes = BTreeMap::new();
    while let Some(answer) = creations.join_next().await {
        let answer = answer.unwrap();
        let status = answer.status.as_u16();
        let code = answer.json()["code"].as_str().map(|code| format!(" {code}"));
        *outcomes.entry(format!("{status}{}", code.unwrap_or_default())).or_default() += 1;
    }
    outcomes
}

#[tokio::test]
async fn of_twenty_creations_of_one_name_one_succeeds() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let user = server.user(&realm.person().await).await;
        let outcomes = create_at_once(&user, vec![json!({"name": "one"}); 20]).await;
        let expected = [("201".to_owned(), 1), ("409 name-taken".to_owned(), 19)];
        assert_eq!(outcomes, BTreeMap::from(expected), "{database:?}");
        let list = user.get(TOKENS).await.expect(200);
        assert_eq!(list["pagination"]["total"], 1);
        server.stop().await;
    }
}

#[tokio::test]
async fn at_the_limit_exactly_as_many_are_created() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let limit = [("HALLPASS_TOKENS__MAX_PER_USER", "7")];
        let server = TestServer::start_with(realm.clone(), database, &limit).await;
        let user = server.user(&realm.person().await).await;
        let bodies = (0..20).map(|number| json!({"name": format!("n-{number}")})).collect();
        let outcomes = create_at_once(&user, bodies).await;
        let expected = [("201".to_owned(), 7), ("409 limit-reached".to_owned(), 13)];
        assert_eq!(outcomes, BTreeMap::from(expected), "{database:?}");
        assert_eq!(user.get(TOKENS).await.expect(200)["pagination"]["total"], 7);
        // Another owner has a limit of their own.
        server.user(&realm.person().await).await.mint("other").await;
        server.stop().await;
    }
}

#[tokio::test]
async fn the_limit_counts_live_tokens_only() {
    let realm = TestRealm::shared().await;
    let limit = [("HALLPASS_TOKENS__MAX_PER_USER", "2")];
    let server = TestServer::start_with(realm.clone(), DATABASES[0], &limit).await;
    let user = server.user(&realm.person().await).await;
    let full = || async {
        let refused = user.post(TOKENS, &json!({"name": "over"})).await;
        refused.expect_problem(409, "limit-reached");
    };
    let first = user.mint("first").await;
    user.post(TOKENS, &json!({"name": "short", "expiresIn": 60})).await.expect(201);
    full().await;

    let path = format!("{TOKENS}/{}", first["patId"].as_str().unwrap());
    user.post_empty(&format!("{path}/invalidate")).await.expect(200);
    let third = user.mint("third").await;
    full().await;

    let path = format!("{TOKENS}/{}", third["patId"].as_str().unwrap());
    user.delete(&path).await.expect(204);
    user.mint("fourth").await;
    full().await;

    server.clock.advance(Duration::from_mins(1));
    user.mint("fifth").await;
    full().await;
    server.stop().await;
}

#[tokio::test]
async fn a_limit_of_zero_is_none() {
    let realm = TestRealm::shared().await;
    let limit = [("HALLPASS_TOKENS__MAX_PER_USER", "0")];
    let server = TestServer::start_with(realm.clone(), DATABASES[0], &limit).await;
    let user = server.user(&realm.person().await).await;
    let bodies = (0..5).map(|number| json!({"name": format!("n-{number}")})).collect();
    let outcomes = create_at_once(&user, bodies).await;
    assert_eq!(outcomes, BTreeMap::from([("201".to_owned(), 5)]));
    server.stop().await;
}

#[tokio::test]
async fn rotation_with_grace_gives_one_token_more_for_each_of_the_limit_and_no_third() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let limit = [("HALLPASS_TOKENS__MAX_PER_USER", "1")];
        let server = TestServer::start_with(realm.clone(), database, &limit).await;
        let user = server.user(&realm.person().await).await;
        let mut chain = vec![user.mint("ci").await];
        for number in 0..4 {
            let newest = chain.last().unwrap();
            let itself = server.with_token(newest["token"].as_str().unwrap());
            // One that was never used would be taken for lost.
            itself.get(SELF).await.expect(200);
            let caller = if number % 2 == 0 { &user } else { &itself };
            let grace = json!({"graceSeconds": 3600});
            let successor = caller.post(&rotate_path(newest), &grace).await.expect(201);
            chain.push(successor);
        }
        let mut working = Vec::new();
        for token in &chain {
            let answer = server.with_token(token["token"].as_str().unwrap()).get(SELF).await;
            working.push(answer.status == 200);
        }
        // Late uses of the others have burned nothing.
        assert_eq!(working, [false, false, false, true, true], "{database:?}");
        let newest = server.with_token(chain[4]["token"].as_str().unwrap());
        newest.get(SELF).await.expect(200);
        let first = user.get(&format!("{TOKENS}/{}", id_of(&chain[0]))).await.expect(200);
        assert_eq!(
            (&first["status"], &first["revokedReason"]),
            (&json!("revoked"), &json!("superseded"))
        );
        user.post(TOKENS, &json!({"name": "more"})).await.expect_problem(409, "limit-reached");

        // A successor of a minute does not free a place that the old token keeps for an hour.
        let short = json!({"expiresIn": 60, "graceSeconds": 3600});
        let last = user.post(&rotate_path(&chain[4]), &short).await.expect(201);
        server.clock.advance(Duration::from_secs(61));
        server
            .with_token(last["token"].as_str().unwrap())
            .get(SELF)
            .await
            .expect_problem(401, "unauthenticated");
        newest.get(SELF).await.expect(200);
        user.post(TOKENS, &json!({"name": "more"})).await.expect_problem(409, "limit-reached");
        server.clock.advance(Duration::from_hours(1));
        user.mint("more").await;
        server.stop().await;
    }
}
