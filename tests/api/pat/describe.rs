//! `PATCH /tokens/{patId}`: the description, and nothing else.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{audited, auditor, id_of, path_of, user};
use crate::support::{DATABASES, TestRealm, TestServer, without_use};

#[tokio::test]
async fn a_description_is_changed_and_taken_away_and_nothing_else_changes() {
    for database in DATABASES {
        let server = TestServer::start_with(TestRealm::shared().await, database, &[]).await;
        let owner = user(&server).await;
        let mut token = owner.mint("ci").await;
        let itself = server.with_token(token["token"].as_str().unwrap());
        token.as_object_mut().unwrap().remove("token");
        for description in
            [json!("für den Bau 🚀\n"), json!(null), json!(""), json!("x".repeat(255))]
        {
            let patch = json!({"description": description});
            let changed = owner.patch(&path_of(&token), &patch).await.expect(200);
            token["description"] = description;
            assert_eq!(changed, token);
            assert_eq!(owner.get(&path_of(&token)).await.expect(200), token);
        }
        // An empty patch, and what was read sent back.
        assert_eq!(owner.patch(&path_of(&token), &json!({})).await.expect(200), token);
        assert_eq!(owner.patch(&path_of(&token), &token).await.expect(200), token);
        itself.get(super::SELF).await.expect(200);
        let auditor = auditor(&server).await;
        let told = format!("credentialId={}&action=token_described", id_of(&token));
        assert_eq!(audited(&auditor, &told).await, 4, "each change, and no more");

        // One that has ended is still one's own.
        owner.post_empty(&format!("{}/invalidate", path_of(&token))).await.expect(200);
        let patch = json!({"description": "the old one"});
        let changed = owner.patch(&path_of(&token), &patch).await.expect(200);
        assert_eq!(
            (&changed["description"], &changed["status"]),
            (&patch["description"], &json!("revoked"))
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn what_is_no_change_of_the_description_is_refused_by_name() {
    let server = TestServer::start().await;
    let owner = user(&server).await;
    let token = owner.mint("ci").await;
    let table = [
        (json!({"description": 7}), vec!["description"]),
        (json!({"description": "x".repeat(256)}), vec!["description"]),
        (json!({"description": "a\u{0}b"}), vec!["description"]),
        (json!({"name": "other"}), vec!["name"]),
        (
            json!({"expiresAt": "2099-01-01T00:00:00Z", "roles": [], "description": "x"}),
            vec!["expiresAt", "roles"],
        ),
        (json!({"Description": "x"}), vec!["Description"]),
        (json!({"token": "x", "expiresIn": 60}), vec!["expiresIn", "token"]),
    ];
    for (body, fields) in table {
        let refused = owner.patch(&path_of(&token), &body).await;
        let problem = refused.expect_problem(400, "invalid");
        let errors = problem["errors"].as_array().unwrap().iter();
        let named: Vec<_> = errors.map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!(named, fields, "{problem}");
    }
    let twice = owner
        .request(Method::PATCH, &path_of(&token))
        .header(CONTENT_TYPE, "application/merge-patch+json")
        .body(r#"{"description": "a", "description": "b"}"#);
    owner.send(twice).await.expect_problem(400, "invalid");
    let after = owner.get(&path_of(&token)).await.expect(200);
    assert_eq!(after["description"], Value::Null);

    let stranger = user(&server).await;
    let patch = json!({"description": "mine"});
    stranger.patch(&path_of(&token), &patch).await.expect_problem(404, "not-found");
    let itself = server.with_token(token["token"].as_str().unwrap());
    itself.patch(&path_of(&token), &patch).await.expect_problem(403, "pat-not-allowed");
    assert_eq!(without_use(owner.get(&path_of(&token)).await.expect(200)), without_use(after));
    server.stop().await;
}
