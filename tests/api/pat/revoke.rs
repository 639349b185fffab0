//! `POST /api/pat/v1/tokens/{patId}/invalidate` and `DELETE /api/pat/v1/tokens/{patId}`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{DATABASES, TOKEN_VARIES, TestRealm, TestServer, redacted};

const TOKENS: &str = "/api/pat/v1/tokens";

fn path_of(minted: &Value) -> String {
    format!("{TOKENS}/{}", minted["patId"].as_str().unwrap())
}

#[tokio::test]
async fn a_revoked_token_stays_and_a_deleted_one_is_gone_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let user = server.user(&realm.person().await).await;
        let minted = user.mint("doomed").await;
        let path = path_of(&minted);
        let pat = server.with_token(minted["token"].as_str().unwrap());

        let before = server.clock.now().floor_to_second().to_string();
        let revoked = user.post_empty(&format!("{path}/invalidate")).await.expect(200);
        assert!(revoked["revokedAt"].as_str().unwrap() >= before.trim_end_matches('Z'));
        insta::assert_json_snapshot!("revoked", redacted(&revoked, &TOKEN_VARIES));
        pat.get(&format!("{TOKENS}/self")).await.expect_problem(401, "unauthenticated");

        server.clock.advance(Duration::from_secs(5));
        let again = user.post_empty(&format!("{path}/invalidate")).await.expect(200);
        assert_eq!(again, revoked, "nothing changes");
        assert_eq!(user.get(&path).await.expect(200), revoked);
        assert_eq!(user.get(TOKENS).await.expect(200)["tokens"], json!([revoked]));

        let deleted = user.delete(&path).await;
        assert_eq!((deleted.status.as_u16(), deleted.text.as_str()), (204, ""));
        user.delete(&path).await.expect_problem(404, "not-found");
        user.get(&path).await.expect_problem(404, "not-found");
        let invalidated = user.post_empty(&format!("{path}/invalidate")).await;
        invalidated.expect_problem(404, "not-found");
        assert_eq!(user.get(TOKENS).await.expect(200)["pagination"]["total"], 0);
        pat.get(&format!("{TOKENS}/self")).await.expect_problem(401, "unauthenticated");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_token_deleted_while_good_is_refused_at_once() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let minted = user.mint("short-lived").await;
    let pat = server.with_token(minted["token"].as_str().unwrap());
    pat.get(&format!("{TOKENS}/self")).await.expect(200);
    user.delete(&path_of(&minted)).await.expect(204);
    pat.get(&format!("{TOKENS}/self")).await.expect_problem(401, "unauthenticated");
    server.stop().await;
}

#[tokio::test]
async fn a_token_revokes_itself_once() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let minted = user.mint("self").await;
    let path = path_of(&minted);
    let pat = server.with_token(minted["token"].as_str().unwrap());
    let revoked = pat.post_empty(&format!("{path}/invalidate")).await.expect(200);
    assert_eq!(revoked["status"], "revoked");
    let again = pat.post_empty(&format!("{path}/invalidate")).await;
    again.expect_problem(401, "unauthenticated");
    assert_eq!(user.get(&path).await.expect(200), revoked);
    server.stop().await;
}

#[tokio::test]
async fn a_token_shows_its_age() {
    const MINUTE: u64 = 60;
    const WEEK: u64 = 7 * 24 * 3600;
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let mint = async |name: &str, lifetime: u64| {
        user.post(TOKENS, &json!({"name": name, "expiresIn": lifetime})).await.expect(201)
    };
    let long = mint("long", WEEK + MINUTE).await;
    let short = mint("short", MINUTE).await;
    let revoked = mint("revoked", MINUTE).await;
    user.post_empty(&format!("{}/invalidate", path_of(&revoked))).await.expect(200);
    assert_eq!((&long["status"], &long["isValid"]), (&json!("active"), &json!(true)));
    assert_eq!((&short["status"], &short["isValid"]), (&json!("expiring_soon"), &json!(true)));
    let pat = server.with_token(short["token"].as_str().unwrap());
    pat.get(&format!("{TOKENS}/self")).await.expect(200);

    server.clock.advance(Duration::from_secs(MINUTE));
    for (token, status, is_valid) in
        [(&long, "expiring_soon", true), (&short, "expired", false), (&revoked, "revoked", false)]
    {
        let now = user.get(&path_of(token)).await.expect(200);
        assert_eq!((&now["status"], &now["isValid"]), (&json!(status), &json!(is_valid)));
    }
    pat.get(&format!("{TOKENS}/self")).await.expect_problem(401, "unauthenticated");
    server.stop().await;
}
