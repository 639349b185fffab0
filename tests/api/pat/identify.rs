//! `POST /api/pat/v1/tokens/identify` and `POST /api/pat/v1/users/tokens/identify`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{TOKENS, USERS, administrator, audited, auditor, id_of, path_of, user};
use crate::support::{Admin, Api, DATABASES, TestRealm, TestServer, claims_of};

const OWN: &str = "/api/pat/v1/tokens/identify";
const ANY: &str = "/api/pat/v1/users/tokens/identify";

fn jwt(minted: &Value) -> &str {
    minted["token"].as_str().unwrap()
}

async fn ask(caller: &Api, path: &str, token: &str) -> crate::support::Answer {
    caller.post(path, &json!({"token": token})).await
}

/// The metadata as its owner reads them, with the reason.
async fn identified(server: &TestServer, owner: &Api, minted: &Value, reason: Value) -> Value {
    let (_, administrator) = administrator(server).await;
    let mut expected = owner.get(&path_of(minted)).await.expect(200);
    expected["reason"] = reason;
    for (caller, path) in [(owner, OWN), (&administrator, ANY)] {
        assert_eq!(ask(caller, path, jwt(minted)).await.expect(200), expected, "{path}");
    }
    expected
}

#[tokio::test]
async fn a_token_is_told_with_its_status_and_the_reason_on_both_databases() {
    for database in DATABASES {
        // A look at the owner would release what is suspended.
        let server = TestServer::that_follows_nothing_with(database, &[]).await;
        let owner = user(&server).await;
        let good = owner.mint("good").await;
        let short =
            owner.post(TOKENS, &json!({"name": "short", "expiresIn": 60})).await.expect(201);
        let suspended = owner.mint("suspended").await;
        let (ended, taken) = (owner.mint("ended").await, owner.mint("taken").await);
        let before = identified(&server, &owner, &good, Value::Null).await;
        assert_eq!((&before["status"], &before["isValid"]), (&json!("active"), &json!(true)));

        owner.post_empty(&format!("{}/invalidate", path_of(&ended))).await.expect(200);
        let (_, administrator) = administrator(&server).await;
        let path = format!(
            "{USERS}/{}/tokens/{}/invalidate",
            taken["userId"].as_str().unwrap(),
            id_of(&taken)
        );
        administrator.post_empty(&path).await.expect(200);
        let suspend =
            format!("UPDATE tokens SET suspended_at = 1 WHERE pat_id = '{}'", id_of(&suspended));
        assert_eq!(server.execute(suspend).await, 1);
        server.clock.advance(Duration::from_mins(1));
        for (token, status, reason) in [
            (&short, "expired", "expired"),
            (&suspended, "suspended", "suspended"),
            (&ended, "revoked", "revoked_by_owner"),
            (&taken, "revoked", "revoked_by_administrator"),
        ] {
            let found = identified(&server, &owner, token, reason.into()).await;
            assert_eq!((&found["status"], &found["isValid"]), (&json!(status), &json!(false)));
        }
        // White space of the clipboard is no part of it.
        let pasted = format!(" {}\n", jwt(&good));
        assert_eq!(ask(&owner, OWN, &pasted).await.expect(200), before);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_token_that_was_rotated_is_good_in_its_grace_and_then_says_so() {
    let server = TestServer::start().await;
    let owner = user(&server).await;
    let old = owner.mint("old").await;
    let path = format!("{}/rotate", path_of(&old));
    let new = owner.post(&path, &json!({"graceSeconds": 60})).await.expect(201);
    let found = identified(&server, &owner, &old, Value::Null).await;
    assert_eq!((&found["status"], &found["rotatedTo"]), (&json!("active"), &new["patId"]));
    server.clock.advance(Duration::from_mins(1));
    let found = identified(&server, &owner, &old, "rotated".into()).await;
    assert_eq!((&found["status"], &found["isValid"]), (&json!("revoked"), &json!(false)));
    // To ask about it is not to use it: that would burn the family.
    assert_eq!(owner.get(&path_of(&new)).await.expect(200)["status"], "active");
    server.stop().await;
}

#[tokio::test]
async fn to_be_identified_is_no_use_and_no_event() {
    let server = TestServer::start().await;
    let owner = user(&server).await;
    let minted = owner.mint("unused").await;
    let before = owner.get(&path_of(&minted)).await.expect(200);
    let events = audited(&auditor(&server).await, "").await;
    for _ in 0..3 {
        ask(&owner, OWN, jwt(&minted)).await.expect(200);
    }
    assert_eq!(owner.get(&path_of(&minted)).await.expect(200), before);
    assert_eq!((&before["lastUsedAt"], &before["lastUsedIp"]), (&Value::Null, &Value::Null));
    assert_eq!(audited(&auditor(&server).await, "").await, events);
    server.stop().await;
}

#[tokio::test]
async fn somebody_elses_token_is_for_administrators_only() {
    let server = TestServer::start().await;
    let (owner, someone) = (user(&server).await, user(&server).await);
    let (_, administrator) = administrator(&server).await;
    let theirs = owner.mint("theirs").await;
    let problem = ask(&someone, OWN, jwt(&theirs)).await.expect_problem(404, "not-found");
    assert_eq!(problem["detail"], "There is no such token.");
    // The administrator's own question is about own tokens, too.
    ask(&administrator, OWN, jwt(&theirs)).await.expect_problem(404, "not-found");
    let found = ask(&administrator, ANY, jwt(&theirs)).await.expect(200);
    assert_eq!((&found["userId"], &found["patId"]), (&theirs["userId"], &theirs["patId"]));
    ask(&someone, ANY, jwt(&theirs)).await.expect_problem(403, "missing-role");
    ask(&owner, ANY, jwt(&theirs)).await.expect_problem(403, "missing-role");
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_not_found_and_not_sent_back() {
    let server = TestServer::start().await;
    let realm = &server.realm;
    let person = realm.person().await;
    let owner = server.user(&person).await;
    let (_, administrator) = administrator(&server).await;
    let minted = owner.mint("real").await;
    let (good, claims) = (jwt(&minted), claims_of(jwt(&minted)));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let forged = |claim: &str, value: Value| {
        let mut claims = claims.clone();
        claims[claim] = value;
        realm.forge(&claims)
    };
    let foreign = TestRealm::own().await;
    let twin = foreign.person().await;
    let deleted = owner.mint("deleted").await;
    owner.delete(&path_of(&deleted)).await.expect(204);
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    for (what, token) in [
        ("garbage", "hunter2".to_owned()),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("text", "مرحبا \0 🚀".to_owned()),
        ("long", "x".repeat(60_000)),
        ("its id", id_of(&minted).to_owned()),
        ("no signature", format!("{signed}.")),
        ("broken signature", format!("{signed}.{first}{}", &signature[1..])),
        ("cut signature", good[..good.len() - 4].to_owned()),
        ("our access token", owner.token().unwrap().to_owned()),
        ("foreign access token", foreign.access_token(&twin).await),
        ("foreign issuer", forged("iss", foreign.issuer().into())),
        ("other type", forged("typ", "Bearer".into())),
        ("unknown id", forged("jti", "01890000-0000-7000-8000-000000000000".into())),
        ("no id", forged("jti", "x".into())),
        ("other owner", forged("sub", administrator_id(&administrator).into())),
        ("deleted", jwt(&deleted).to_owned()),
    ] {
        for (caller, path) in [(&owner, OWN), (&administrator, ANY)] {
            let problem = ask(caller, path, &token).await.expect_problem(404, "not-found");
            let text = problem.to_string();
            assert!(text.len() < 1_000 && !text.contains("hunter2"), "{what}: {text}");
        }
    }
    for (body, field, message) in [
        (json!({}), "token", "is required"),
        (json!({"token": null}), "token", "is required"),
        (json!({"token": 7}), "token", "must be text"),
        (json!({"token": [good]}), "token", "must be text"),
        (json!({"token": good, "pat": good}), "pat", "is not a field of this request"),
    ] {
        for (caller, path) in [(&owner, OWN), (&administrator, ANY)] {
            let problem = caller.post(path, &body).await.expect_problem(400, "invalid");
            assert_eq!(problem["errors"], json!([{"field": field, "message": message}]));
        }
    }
    server.stop().await;
}

fn administrator_id(administrator: &Api) -> String {
    claims_of(administrator.token().unwrap())["sub"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_of_a_disabled_or_deleted_owner_says_so() {
    // As long as it is not followed: then the token is deleted.
    let server = TestServer::that_follows_nothing().await;
    let realm = &server.realm;
    let admin = Admin::log_in().await;
    let person = realm.person().await;
    let minted = server.user(&person).await.mint("orphan").await;
    let (_, administrator) = administrator(&server).await;
    let path = format!("/{}/users/{}", realm.name, person.id);
    admin.put(&path, &json!({"enabled": false})).await;
    let found = ask(&administrator, ANY, jwt(&minted)).await.expect(200);
    assert_eq!(found["reason"], "owner_disabled");
    admin.delete(&path).await;
    let found = ask(&administrator, ANY, jwt(&minted)).await.expect(200);
    assert_eq!(found["reason"], "owner_disabled");
    server.stop().await;
}
