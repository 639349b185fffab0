//! `POST …/tokens/invalidate` and `DELETE …/tokens`: all of a user's tokens.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{SELF, TOKENS, USERS, administrator, audited, auditor, path_of, record_tokens, user};
use crate::support::{Api, DATABASES, Database, TestRealm, TestServer};

const INVALIDATE: &str = "/api/pat/v1/tokens/invalidate";

#[tokio::test]
async fn all_are_counted_once_and_others_are_left_alone_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (owner, someone) = (user(&server).await, user(&server).await);
        let theirs = someone.mint("theirs").await;
        let untouched = someone.get(TOKENS).await.expect(200);
        let (first, second) = (owner.mint("first").await, owner.mint("second").await);
        let third =
            owner.post(TOKENS, &json!({"name": "third", "expiresIn": 60})).await.expect(201);
        owner.post_empty(&format!("{}/invalidate", path_of(&second))).await.expect(200);
        server.clock.advance(Duration::from_mins(1));

        // One is good, one was revoked before, one has expired: revoked wins over expired.
        assert_eq!(owner.post_empty(INVALIDATE).await.expect(200), json!({"revoked": 2}));
        assert_eq!(owner.post_empty(INVALIDATE).await.expect(200), json!({"revoked": 0}));
        for token in [&first, &second, &third] {
            let now = owner.get(&path_of(token)).await.expect(200);
            assert_eq!((&now["status"], &now["isValid"]), (&json!("revoked"), &json!(false)));
            let pat = server.with_token(token["token"].as_str().unwrap());
            pat.get(SELF).await.expect_problem(401, "unauthenticated");
        }
        assert_eq!(audited(&auditor(&server).await, "action=token_revoked").await, 3);

        let last = owner.mint("last").await;
        assert_eq!(owner.delete(TOKENS).await.expect(200), json!({"deleted": 4}));
        assert_eq!(owner.delete(TOKENS).await.expect(200), json!({"deleted": 0}));
        assert_eq!(owner.get(TOKENS).await.expect(200)["pagination"]["total"], 0);
        let pat = server.with_token(last["token"].as_str().unwrap());
        pat.get(SELF).await.expect_problem(401, "unauthenticated");
        assert_eq!(someone.get(TOKENS).await.expect(200), untouched);
        server.with_token(theirs["token"].as_str().unwrap()).get(SELF).await.expect(200);
        server.stop().await;
    }
}

/// More than are ended in one transaction.
#[tokio::test]
async fn all_are_all_however_many() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let person = realm.person().await;
        let owner = server.user(&person).await;
        let (_, administrator) = administrator(&server).await;
        let of_user = format!("{USERS}/{}/tokens", person.id);
        record_tokens(&server, &person, 1001).await;
        assert_eq!(owner.post_empty(INVALIDATE).await.expect(200), json!({"revoked": 1001}));
        assert_eq!(owner.delete(TOKENS).await.expect(200), json!({"deleted": 1001}));
        record_tokens(&server, &person, 1001).await;
        let revoked = administrator.post_empty(&format!("{of_user}/invalidate")).await.expect(200);
        assert_eq!(revoked, json!({"revoked": 1001}));
        assert_eq!(administrator.delete(&of_user).await.expect(200), json!({"deleted": 1001}));
        assert_eq!(owner.get(TOKENS).await.expect(200)["pagination"]["total"], 0);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_replica_refuses_within_a_second_what_another_one_ended() {
    let realm = TestRealm::shared().await;
    let server = TestServer::start_with(realm, Database::postgres, &[]).await;
    let replica = server.replica().await;
    let owner = user(&server).await;
    let there = replica.with_token(owner.token().unwrap());
    let mint = async |name: &str| {
        let minted = owner.mint(name).await;
        let pat = replica.with_token(minted["token"].as_str().unwrap());
        pat.get(SELF).await.expect(200);
        (minted, pat)
    };
    let bulk = |token: &Value| json!({"patIds": [token["patId"]]});

    let (one, pat) = mint("one").await;
    owner.post_empty(&format!("{}/invalidate", path_of(&one))).await.expect(200);
    refused_within_a_second(&pat).await;
    let (several, pat) = mint("several").await;
    owner.post(&format!("{TOKENS}/invalidate/bulk"), &bulk(&several)).await.expect(200);
    refused_within_a_second(&pat).await;
    let (_, pat) = mint("all").await;
    assert_eq!(owner.post_empty(INVALIDATE).await.expect(200), json!({"revoked": 1}));
    refused_within_a_second(&pat).await;
    let (several, pat) = mint("several-gone").await;
    owner.post(&format!("{TOKENS}/delete/bulk"), &bulk(&several)).await.expect(200);
    refused_within_a_second(&pat).await;
    let (_, pat) = mint("all-gone").await;
    assert_eq!(owner.delete(TOKENS).await.expect(200), json!({"deleted": 4}));
    refused_within_a_second(&pat).await;
    assert_eq!(there.get(TOKENS).await.expect(200)["pagination"]["total"], 0);
    replica.stop().await;
    server.stop().await;
}

async fn refused_within_a_second(pat: &Api) {
    let ended = Instant::now();
    loop {
        let asked = ended.elapsed();
        let answer = pat.get(SELF).await;
        if answer.status != 200 {
            answer.expect_problem(401, "unauthenticated");
            return;
        }
        assert!(asked < Duration::from_secs(1), "good after {asked:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A token whose grace is over by the time that its turn comes has ended by itself.
#[tokio::test]
async fn graces_that_run_out_meanwhile_keep_no_revocation_from_ending() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let person = realm.person().await;
        let owner = server.user(&person).await;
        record_tokens(&server, &person, 2000).await;
        // One runs out each millisecond, from now on.
        let now = server.clock.now().millis();
        let graces = format!(
            "UPDATE tokens SET rotated_to = pat_id, grace_until = {now} + CAST(substr(name, 3) AS BIGINT)"
        );
        assert_eq!(server.execute(graces).await, 2000);
        let answer = timeout(Duration::from_mins(1), owner.post_empty(INVALIDATE)).await;
        let revoked = answer.expect("it goes on and on").expect(200)["revoked"].as_u64().unwrap();
        assert!((1..2000).contains(&revoked), "{revoked} were in their grace");
        let valid = owner.get(&format!("{TOKENS}?status=active")).await.expect(200);
        assert_eq!(valid["pagination"]["total"], 0);
        assert_eq!(audited(&auditor(&server).await, "action=token_revoked").await, revoked);
        server.stop().await;
    }
}
