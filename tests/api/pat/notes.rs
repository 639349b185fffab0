//! What people say of a revocation: kept in the audit log, shown to the owner.

use serde_json::{Value, json};

use super::{TOKENS, USERS, administrator, auditor, id_of, path_of};
use crate::support::{Api, DATABASES, Process, TestRealm, TestServer, unique};

const REASON: &str = "the laptop was stolen, see ticket 4711";

/// What the audit log gives as the reason of a token's revocation.
async fn told(auditor: &Api, token: &Value) -> String {
    let query = format!("credentialId={}&action=token_revoked", id_of(token));
    let events = auditor.get(&format!("/api/audit/v1/events?{query}")).await.expect(200);
    assert_eq!(events["pagination"]["total"], 1, "{events}");
    events["events"][0]["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn whichever_way_tokens_are_revoked_the_reason_is_kept_and_shown() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let person = realm.person().await;
        let owner = server.user(&person).await;
        let (_, admin) = administrator(&server).await;
        let auditor = auditor(&server).await;
        let of_user = format!("{USERS}/{}/tokens", person.id);
        for (api, path, reason) in [
            (&owner, format!("{TOKENS}/{{patId}}/invalidate"), "revoked_by_owner"),
            (&owner, format!("{TOKENS}/invalidate"), "revoked_by_owner"),
            (&owner, format!("{TOKENS}/invalidate/bulk"), "revoked_by_owner"),
            (&admin, format!("{of_user}/{{patId}}/invalidate"), "revoked_by_administrator"),
            (&admin, format!("{of_user}/invalidate"), "revoked_by_administrator"),
            (&admin, format!("{USERS}/tokens/invalidate/bulk"), "revoked_by_administrator"),
        ] {
            for said in [json!(REASON), Value::Null] {
                let token = owner.mint(&unique("noted")).await;
                let mut body = json!({});
                if path.ends_with("bulk") {
                    body["patIds"] = json!([id_of(&token)]);
                }
                if !said.is_null() {
                    body["reason"] = said.clone();
                }
                let path = path.replace("{patId}", id_of(&token));
                api.post(&path, &body).await.expect(200);
                let found = owner.get(&path_of(&token)).await.expect(200);
                assert_eq!(
                    (&found["status"], &found["revokedReason"]),
                    (&json!("revoked"), &json!(reason))
                );
                assert_eq!(found["revokedNote"], said, "{path}");
                let expected = match said.as_str() {
                    Some(said) => format!("{reason}: {said}"),
                    None => reason.to_owned(),
                };
                assert_eq!(told(&auditor, &token).await, expected, "{path}");
                // What was said first stays.
                let again = json!({"reason": "another reason"});
                owner.post(&format!("{}/invalidate", path_of(&token)), &again).await.expect(200);
                assert_eq!(owner.get(&path_of(&token)).await.expect(200)["revokedNote"], said);
            }
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_reason_is_one_line_and_a_wrong_one_revokes_nothing() {
    let server = TestServer::start().await;
    let person = server.realm.person().await;
    let owner = server.user(&person).await;
    let (_, admin) = administrator(&server).await;
    let token = owner.mint("kept").await;
    let ids = json!([id_of(&token)]);
    let of_user = format!("{USERS}/{}/tokens", person.id);
    for (api, path, base) in [
        (&owner, format!("{}/invalidate", path_of(&token)), json!({})),
        (&owner, format!("{TOKENS}/invalidate"), json!({})),
        (&owner, format!("{TOKENS}/invalidate/bulk"), json!({"patIds": ids})),
        (&admin, format!("{of_user}/{}/invalidate", id_of(&token)), json!({})),
        (&admin, format!("{of_user}/invalidate"), json!({})),
        (&admin, format!("{USERS}/tokens/invalidate/bulk"), json!({"patIds": ids})),
    ] {
        for reason in
            [json!(""), json!("  "), json!(7), json!(["x"]), json!("a\nb"), json!("x".repeat(256))]
        {
            let mut body = base.clone();
            body["reason"] = reason;
            let problem = api.post(&path, &body).await.expect_problem(400, "invalid");
            assert_eq!(problem["errors"][0]["field"], "reason", "{path} {problem}");
        }
        let mut more = base.clone();
        more["reasons"] = json!("x");
        api.post(&path, &more).await.expect_problem(400, "invalid");
    }
    // A deletion takes none.
    let body = json!({"patIds": ids, "reason": REASON});
    owner.post(&format!("{TOKENS}/delete/bulk"), &body).await.expect_problem(400, "invalid");
    assert_eq!(owner.get(&path_of(&token)).await.expect(200)["status"], "active");
    server.stop().await;
}

#[tokio::test]
async fn what_people_write_is_in_no_log_line() {
    let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
    let database = crate::support::Database::sqlite(&folder);
    Process::prepare_store(&realm, &database).await;
    let process = Process::serve(&realm, &database, folder.path(), &[("RUST_LOG", "debug")]).await;
    let owner = process.user(&realm, &realm.person().await).await;
    let token = owner.mint("quiet").await;
    let described = json!({"description": "a-word-of-the-description"});
    owner.patch(&path_of(&token), &described).await.expect(200);
    let reason = json!({"reason": "a-word-of-the-reason"});
    owner.post(&format!("{}/invalidate", path_of(&token)), &reason).await.expect(200);
    process.terminate().await;
    let (_, written) = process.ended().await;
    assert!(
        written.contains("token_described") && written.contains("revoked_by_owner"),
        "{written}"
    );
    for word in ["a-word-of-the-description", "a-word-of-the-reason"] {
        assert!(!written.contains(word), "{word} is in the log");
    }
    // A role of Hallpass gives its holder an audience that is left out: nobody need hear of it.
    assert!(!written.contains("left out of the token's audience"), "{written}");
}
