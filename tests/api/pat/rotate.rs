//! `POST /api/pat/v1/tokens/{patId}/rotate`: by the owner, and by the token itself.

use std::time::Duration;

use serde_json::{Value, json};

use super::family::{Family, id_of, rotate_path};
use crate::support::{DATABASES, Database, TestRealm, TestServer, claims_of};

const TOKENS: &str = "/api/pat/v1/tokens";

#[tokio::test]
async fn a_successor_takes_the_place_of_the_old_token_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let user = server.user(&realm.person().await).await;
        let body = json!({"name": "ci", "description": "nightly", "expiresIn": 7200});
        let old = user.post(TOKENS, &body).await.expect(201);
        let new = user.post_empty(&rotate_path(&old)).await.expect(201);

        for field in ["name", "description", "userId", "username", "roles", "scopes"] {
            assert_eq!(new[field], old[field], "{field}");
        }
        assert_eq!((&new["rotatedFrom"], &new["rotatedTo"]), (&old["patId"], &Value::Null));
        let claims = claims_of(new["token"].as_str().unwrap());
        assert_eq!(claims["jti"], new["patId"]);
        let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(lifetime, 7200, "as long as the old one");

        let replaced = user.get(&format!("{TOKENS}/{}", id_of(&old))).await.expect(200);
        assert_eq!(replaced["rotatedTo"], new["patId"]);
        assert_eq!(
            (&replaced["status"], &replaced["revokedReason"]),
            (&json!("revoked"), &json!("rotated"))
        );
        server
            .with_token(new["token"].as_str().unwrap())
            .get(&format!("{TOKENS}/self"))
            .await
            .expect(200);
        // The name is the successor's.
        user.post(TOKENS, &json!({"name": "ci"})).await.expect_problem(409, "name-taken");
        assert_eq!(user.get(TOKENS).await.expect(200)["pagination"]["total"], 2);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_lifetime_a_grace_and_further_restrictions_can_be_asked_for() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let networks = json!(["127.0.0.0/8", "10.0.0.0/8"]);
    let body = json!({"name": "ci", "allowedCidrs": networks, "scopes": ["email", "profile"]});
    let old = user.post(TOKENS, &body).await.expect(201);
    for (body, field) in [
        (json!({"graceSeconds": 86_401}), "graceSeconds"),
        (json!({"graceSeconds": -1}), "graceSeconds"),
        (json!({"expiresIn": 59}), "expiresIn"),
        (json!({"expiresIn": u64::MAX}), "expiresIn"),
        (json!({"name": "other"}), "name"),
        (json!({"expiresAt": "2030-01-01T00:00:00Z"}), "expiresAt"),
        (json!({"roles": ["offline_access"]}), "roles"),
        (json!({"scopes": ["email", "phone"]}), "scopes"),
        (json!({"allowedCidrs": ["192.0.2.0/24"]}), "allowedCidrs"),
    ] {
        let problem = user.post(&rotate_path(&old), &body).await.expect_problem(400, "invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let body = json!({"expiresIn": 600, "graceSeconds": 60, "scopes": ["email"], "allowedCidrs": ["127.0.0.1"]});
    let new = user.post(&rotate_path(&old), &body).await.expect(201);
    assert_eq!(
        (&new["scopes"], &new["allowedCidrs"]),
        (&json!(["email"]), &json!(["127.0.0.1/32"]))
    );
    assert_eq!(claims_of(new["token"].as_str().unwrap())["scope"], "email");
    let kept = user.post_empty(&rotate_path(&new)).await.expect(201);
    assert_eq!((&kept["scopes"], &kept["allowedCidrs"]), (&new["scopes"], &new["allowedCidrs"]));
    server.stop().await;
}

#[tokio::test]
async fn a_token_rotates_itself_for_its_own_lifetime_until_its_chain_ends() {
    let realm = TestRealm::shared().await;
    let max =
        [("HALLPASS_TOKENS__MAX_LIFETIME", "2h"), ("HALLPASS_TOKENS__DEFAULT_LIFETIME", "1h")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &max).await;
    let user = server.user(&realm.person().await).await;
    let began = server.clock.now().floor_to_second();
    let first = user.mint("ci").await;
    let itself = server.with_token(first["token"].as_str().unwrap());

    let longer = itself.post(&rotate_path(&first), &json!({"expiresIn": 3601})).await;
    assert_eq!(longer.expect_problem(400, "invalid")["errors"][0]["field"], "expiresIn");
    let other = user.mint("other").await;
    itself.post_empty(&rotate_path(&other)).await.expect_problem(403, "pat-not-allowed");

    server.clock.advance(Duration::from_mins(50));
    let second = itself.post_empty(&rotate_path(&first)).await.expect(201);
    let exp = |token: &Value| claims_of(token["token"].as_str().unwrap())["exp"].as_i64().unwrap();
    assert!((exp(&second) - began.seconds() - 110 * 60).abs() < 60, "an hour from now");

    server.clock.advance(Duration::from_mins(50));
    let itself = server.with_token(second["token"].as_str().unwrap());
    let third = itself.post_empty(&rotate_path(&second)).await.expect(201);
    let chain_end = began.seconds() + 2 * 3600;
    assert!((chain_end..chain_end + 30).contains(&exp(&third)), "the chain's end");

    server.clock.advance(Duration::from_secs(19 * 60 + 15));
    let itself = server.with_token(third["token"].as_str().unwrap());
    itself.post_empty(&rotate_path(&third)).await.expect_problem(409, "chain-ended");
    server.stop().await;
}

#[tokio::test]
async fn a_narrowed_token_rotates_itself_and_stays_narrowed() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let old = user.post(TOKENS, &json!({"name": "ci", "scopes": ["email"]})).await.expect(201);
    let itself = server.with_token(old["token"].as_str().unwrap());
    let wider = itself.post(&rotate_path(&old), &json!({"scopes": ["email", "profile"]})).await;
    wider.expect_problem(400, "invalid");
    let new = itself.post_empty(&rotate_path(&old)).await.expect(201);
    assert_eq!(new["scopes"], json!(["email"]));
    assert_eq!(claims_of(new["token"].as_str().unwrap())["realm_access"], Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn only_a_good_token_is_rotated() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let [revoked, suspended, expired] =
        [user.mint("a").await, user.mint("b").await, user.mint("c").await];
    user.post_empty(&format!("{TOKENS}/{}/invalidate", id_of(&revoked))).await.expect(200);
    for (token, change) in [(&suspended, "suspended_at = 1"), (&expired, "expires_at = 1")] {
        let sql = format!("UPDATE tokens SET {change} WHERE pat_id = '{}'", id_of(token));
        assert_eq!(server.execute(sql).await, 1);
    }
    for token in [&revoked, &suspended, &expired] {
        user.post_empty(&rotate_path(token)).await.expect_problem(409, "token-not-live");
    }
    let someone = server.user(&server.realm.person().await).await;
    let theirs = someone.mint("theirs").await;
    user.post_empty(&rotate_path(&theirs)).await.expect_problem(404, "not-found");
    someone.get(&format!("{TOKENS}/{}", id_of(&theirs))).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn a_token_whose_owner_has_other_roles_now_does_not_rotate_itself() {
    // The change is not followed yet: then the token is revoked anyway.
    let server = TestServer::that_follows_nothing().await;
    let realm = server.realm.clone();
    let person = realm.person().await;
    let user = server.user(&person).await;
    let old = user.mint("ci").await;
    realm.give_roles(&person, "hallpass", &["read-audit"]).await;
    let itself = server.with_token(old["token"].as_str().unwrap());
    itself.post_empty(&rotate_path(&old)).await.expect_problem(409, "owner-changed");
    // The owner, who is there, gets one with the roles of now.
    let new = user.post_empty(&rotate_path(&old)).await.expect(201);
    realm.take_default_roles(&person).await;
    let itself = server.with_token(new["token"].as_str().unwrap());
    itself.post_empty(&rotate_path(&new)).await.expect_problem(403, "missing-role");
    server.stop().await;
}

#[tokio::test]
async fn who_is_at_the_limit_can_rotate() {
    let realm = TestRealm::shared().await;
    let limit = [("HALLPASS_TOKENS__MAX_PER_USER", "2")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &limit).await;
    let user = server.user(&realm.person().await).await;
    let (first, _) = (user.mint("one").await, user.mint("two").await);
    user.post(&rotate_path(&first), &json!({"graceSeconds": 600})).await.expect(201);
    user.post(TOKENS, &json!({"name": "three"})).await.expect_problem(409, "limit-reached");
    server.stop().await;
}

#[tokio::test]
async fn however_many_rotations_run_at_once_one_token_is_good_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let user = server.user(&realm.person().await).await;
        let old = user.mint("ci").await;
        let mut rotations = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (user, path) = (user.clone(), rotate_path(&old));
            rotations.spawn(async move { user.post_empty(&path).await });
        }
        let answers = rotations.join_all().await;
        let made = answers.iter().filter(|answer| answer.status == 201).count();
        assert!(made >= 1, "{answers:?}");
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            // One that came late saw the outcome.
            let code = refused.json()["code"].clone();
            assert!(code == "token-changed" || code == "already-rotated", "{refused:?}");
        }
        let family = Family::of(&user).await;
        assert_eq!(family.good().len(), 1, "{family:?}");
        assert_eq!(family.tokens.len(), made + 1);
        server.stop().await;
    }
}
