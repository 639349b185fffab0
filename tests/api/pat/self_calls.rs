//! What a token does to itself that knows no id: `/tokens/self/rotate` and `/tokens/self/invalidate`.

use serde_json::{Value, json};

use super::{SELF, TOKENS, id_of, path_of, user};
use crate::support::{Api, TestServer};

fn with(server: &TestServer, token: &Value) -> Api {
    server.with_token(token["token"].as_str().unwrap())
}

#[tokio::test]
async fn a_token_rotates_itself_without_knowing_its_id() {
    let server = TestServer::start().await;
    let owner = user(&server).await;
    for body in [json!({"name": "whole"}), json!({"name": "narrow", "roles": []})] {
        let first = owner.post(TOKENS, &body).await.expect(201);
        let itself = with(&server, &first);
        let grace = json!({"graceSeconds": 600, "expiresIn": 3600});
        let second = itself.post(&format!("{SELF}/rotate"), &grace).await;
        assert_eq!(second.headers["cache-control"], "no-store");
        let second = second.expect(201);
        assert_eq!((&second["rotatedFrom"], &second["name"]), (&first["patId"], &body["name"]));
        assert_eq!(second["roles"], first["roles"]);
        assert_eq!(itself.get(SELF).await.expect(200)["rotatedTo"], second["patId"]);
        // Without a body, too.
        let third = with(&server, &second).post_empty(&format!("{SELF}/rotate")).await.expect(201);
        assert_eq!(third["rotatedFrom"], second["patId"]);
        // A use of the second one would burn the third.
        assert_eq!(owner.get(&path_of(&second)).await.expect(200)["status"], "revoked");
        with(&server, &third).get(SELF).await.expect(200);
    }
    let bad = json!({"graceSeconds": -1, "patId": "x"});
    let token = owner.mint("bad").await;
    let problem = with(&server, &token).post(&format!("{SELF}/rotate"), &bad).await;
    let problem = problem.expect_problem(400, "invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "{problem}");
    server.stop().await;
}

#[tokio::test]
async fn a_token_revokes_itself_without_knowing_its_id() {
    let server = TestServer::start().await;
    let owner = user(&server).await;
    let (token, other) = (owner.mint("one").await, owner.mint("other").await);
    let itself = with(&server, &token);
    let reason = json!({"reason": "the job is done"});
    let revoked = itself.post(&format!("{SELF}/invalidate"), &reason).await.expect(200);
    assert_eq!((&revoked["patId"], &revoked["status"]), (&token["patId"], &json!("revoked")));
    assert_eq!(revoked["revokedNote"], "the job is done");
    itself.post_empty(&format!("{SELF}/invalidate")).await.expect_problem(401, "unauthenticated");
    // Nothing else is revoked.
    assert_eq!(owner.get(&path_of(&other)).await.expect(200)["status"], "active");
    with(&server, &other).post_empty(&format!("{SELF}/invalidate")).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn a_person_is_no_token() {
    let server = TestServer::start().await;
    let owner = user(&server).await;
    let token = owner.mint("one").await;
    for call in ["rotate", "invalidate"] {
        let refused = owner.post_empty(&format!("{SELF}/{call}")).await;
        let problem = refused.expect_problem(404, "not-found");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("No personal access token calls"), "{detail}");
    }
    assert_eq!(owner.get(&path_of(&token)).await.expect(200)["patId"], id_of(&token));
    server.stop().await;
}
