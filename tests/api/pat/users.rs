//! `/api/pat/v1/users`: everybody's tokens, for administrators.

use reqwest::Method;
use serde_json::{Value, json};

use super::{SELF, TOKENS, USERS, administrator, audited, auditor, id_of, names, path_of};
use crate::support::{Api, DATABASES, Person, TestRealm, TestServer};

const UNKNOWN_TOKEN: &str = "01890000-0000-7000-8000-000000000000";
const UNKNOWN_USER: &str = "3f0b9ab5-6a3c-4b43-9b1c-9d0f6d0a0f00";

fn of(person: &Person) -> String {
    format!("{USERS}/{}/tokens", person.id)
}

/// No answer may hold a JWT: its header, as every one begins.
fn without_secret(answer: Value) -> Value {
    assert!(!answer.to_string().contains("eyJ"), "{answer}");
    answer
}

async fn refused(server: &TestServer, minted: &Value) {
    let pat = server.with_token(minted["token"].as_str().unwrap());
    pat.get(SELF).await.expect_problem(401, "unauthenticated");
}

/// One event tells of this: who did it, and to whose token.
async fn told(auditor: &Api, action: &str, token: &Value, actor: &Person, reason: Option<&str>) {
    let query = format!("action={action}&credentialId={}", id_of(token));
    let found = auditor.get(&format!("/api/audit/v1/events?{query}")).await.expect(200);
    assert_eq!(found["pagination"]["total"], 1, "{found}");
    let event = &found["events"][0];
    for (member, value) in [
        ("credentialName", &token["name"]),
        ("ownerId", &token["userId"]),
        ("actorId", &json!(actor.id)),
        ("actorName", &json!(actor.username)),
        ("actorCredential", &json!("access_token")),
        ("reason", &json!(reason)),
    ] {
        assert_eq!(event[member], *value, "{event}");
    }
}

#[tokio::test]
async fn administrators_see_everybodys_tokens_as_their_owners_do() {
    let server = TestServer::start().await;
    let (one, two) = (server.realm.person().await, server.realm.person().await);
    let (first, second) = (server.user(&one).await, server.user(&two).await);
    let (me, administrator) = administrator(&server).await;
    for (owner, name) in [(&first, "a"), (&first, "b"), (&second, "a"), (&administrator, "mine")] {
        owner.mint(name).await;
    }
    let by_name = "?sort=name&direction=asc";
    let all = administrator.get(&format!("{USERS}/tokens{by_name}")).await.expect(200);
    let all = without_secret(all);
    assert_eq!(names(&all), ["a", "a", "b", "mine"]);
    let owners: Vec<_> =
        all["tokens"].as_array().unwrap().iter().map(|token| &token["userId"]).collect();
    assert_eq!(owners, [&one.id, &two.id, &one.id, &me.id]);
    for (person, owner) in [(&one, &first), (&two, &second), (&me, &administrator)] {
        let seen = administrator.get(&format!("{}{by_name}", of(person))).await.expect(200);
        assert_eq!(
            without_secret(seen.clone()),
            owner.get(&format!("{TOKENS}{by_name}")).await.expect(200)
        );
        assert_eq!(seen["tokens"][0]["username"], person.username.as_str());
    }
    assert_eq!(
        names(&administrator.get(TOKENS).await.expect(200)),
        ["mine"],
        "one's own are one's own"
    );
    server.stop().await;
}

#[tokio::test]
async fn administrators_revoke_one_several_all_and_the_log_says_who_on_both_databases() {
    const REASON: &str = "revoked_by_administrator";
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (one, two) = (realm.person().await, realm.person().await);
        let (first, second) = (server.user(&one).await, server.user(&two).await);
        let (me, administrator) = administrator(&server).await;
        let (a, b, c) = (first.mint("a").await, first.mint("b").await, second.mint("c").await);
        let (left, mine) = (second.mint("left").await, administrator.mint("mine").await);

        let path = format!("{}/{}/invalidate", of(&one), id_of(&a));
        let revoked = without_secret(administrator.post_empty(&path).await.expect(200));
        assert_eq!(revoked, first.get(&path_of(&a)).await.expect(200));
        assert_eq!(
            (&revoked["status"], &revoked["revokedReason"]),
            (&json!("revoked"), &json!(REASON))
        );
        assert_eq!(
            administrator.post_empty(&path).await.expect(200),
            revoked,
            "again: nothing changes"
        );
        // Nor when its owner does it again.
        let again = first.post_empty(&format!("{}/invalidate", path_of(&a))).await.expect(200);
        assert_eq!(again, revoked);

        let body = json!({"patIds": [id_of(&a), id_of(&c), UNKNOWN_TOKEN, id_of(&mine)]});
        let answer = administrator.post(&format!("{USERS}/tokens/invalidate/bulk"), &body).await;
        assert_eq!(
            said(&answer.expect(200)),
            ["already_revoked", "revoked", "not_found", "revoked"]
        );
        let all = administrator.post_empty(&format!("{}/invalidate", of(&one))).await;
        assert_eq!(all.expect(200), json!({"revoked": 1}));
        let auditor = auditor(&server).await;
        for token in [&a, &b, &c] {
            told(&auditor, "token_revoked", token, &me, Some(REASON)).await;
            refused(&server, token).await;
        }
        told(&auditor, "token_revoked", &mine, &me, Some("revoked_by_owner")).await;
        assert_eq!(audited(&auditor, "action=token_revoked").await, 4);
        assert_eq!(second.get(&path_of(&left)).await.expect(200)["status"], "active");
        server.with_token(left["token"].as_str().unwrap()).get(SELF).await.expect(200);
        server.stop().await;
    }
}

#[tokio::test]
async fn administrators_delete_one_several_all_and_the_log_keeps_it_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (one, two) = (realm.person().await, realm.person().await);
        let (first, second) = (server.user(&one).await, server.user(&two).await);
        let (me, administrator) = administrator(&server).await;
        let (a, b, c) = (first.mint("a").await, first.mint("b").await, second.mint("c").await);
        let left = second.mint("left").await;

        let path = format!("{}/{}", of(&one), id_of(&a));
        administrator.delete(&path).await.expect(204);
        administrator.delete(&path).await.expect_problem(404, "not-found");
        let body = json!({"patIds": [id_of(&a), id_of(&c), UNKNOWN_TOKEN, id_of(&c)]});
        let answer = administrator.post(&format!("{USERS}/tokens/delete/bulk"), &body).await;
        assert_eq!(said(&answer.expect(200)), ["not_found", "deleted", "not_found", "not_found"]);
        let all = administrator.delete(&of(&one)).await.expect(200);
        assert_eq!(all, json!({"deleted": 1}));
        let auditor = auditor(&server).await;
        for token in [&a, &b, &c] {
            told(&auditor, "token_deleted", token, &me, None).await;
            refused(&server, token).await;
        }
        assert_eq!(audited(&auditor, "action=token_deleted").await, 3);
        assert_eq!(
            names(&administrator.get(&format!("{USERS}/tokens")).await.expect(200)),
            ["left"]
        );
        server.with_token(left["token"].as_str().unwrap()).get(SELF).await.expect(200);
        // The names are free again.
        first.mint("a").await;
        server.stop().await;
    }
}

fn said(answer: &Value) -> Vec<&str> {
    let results = answer["results"].as_array().unwrap();
    results.iter().map(|result| result["outcome"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_token_is_found_beside_its_own_user_only() {
    let server = TestServer::start().await;
    let (one, two) = (server.realm.person().await, server.realm.person().await);
    let first = server.user(&one).await;
    let (_, administrator) = administrator(&server).await;
    let minted = first.mint("paired").await;
    let two = two.id.as_str();
    for (user, token) in [
        (two, id_of(&minted)),
        (UNKNOWN_USER, id_of(&minted)),
        (&one.username, id_of(&minted)),
        ("%25", id_of(&minted)),
        ("%00", id_of(&minted)),
        (&one.id.to_uppercase(), id_of(&minted)),
        (&one.id, UNKNOWN_TOKEN),
        (&one.id, "self"),
        (&one.id, &id_of(&minted).to_uppercase()),
    ] {
        let path = format!("{USERS}/{user}/tokens/{token}");
        let revoked = administrator.post_empty(&format!("{path}/invalidate")).await;
        let revoked = revoked.expect_problem(404, "not-found");
        let deleted = administrator.delete(&path).await.expect_problem(404, "not-found");
        assert_eq!(revoked, deleted, "{path}");
    }
    assert_eq!(first.get(&path_of(&minted)).await.expect(200)["status"], "active");
    server.with_token(minted["token"].as_str().unwrap()).get(SELF).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn a_user_who_exists_nowhere_has_no_tokens() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (_, administrator) = administrator(&server).await;
        administrator.mint("mine").await;
        let long = "x".repeat(5_000);
        for user in
            [UNKNOWN_USER, "..%2f..", "%25", "%27%20OR%20%271%27=%271", "%F0%9F%98%80", &long]
        {
            let path = format!("{USERS}/{user}/tokens");
            let list = administrator.get(&path).await.expect(200);
            assert_eq!(list["pagination"]["total"], 0, "{user}");
            let revoked = administrator.post_empty(&format!("{path}/invalidate")).await.expect(200);
            assert_eq!(revoked, json!({"revoked": 0}));
            assert_eq!(administrator.delete(&path).await.expect(200), json!({"deleted": 0}));
        }
        for user in ["%00", "a%00b", "%ff"] {
            let path = format!("{USERS}/{user}/tokens");
            administrator.get(&path).await.expect_problem(404, "not-found");
            administrator.delete(&path).await.expect_problem(404, "not-found");
        }
        assert_eq!(names(&administrator.get(TOKENS).await.expect(200)), ["mine"]);
        server.stop().await;
    }
}

/// What the token's owner may see is asked at each call: a token says nothing about it.
#[tokio::test]
async fn a_token_of_an_administrator_reads_everybodys_and_changes_nothing() {
    let server = TestServer::start().await;
    let one = server.realm.person().await;
    let minted = server.user(&one).await.mint("theirs").await;
    let (me, administrator) = administrator(&server).await;
    let mine = administrator.mint("mine").await;
    let pat = server.with_token(mine["token"].as_str().unwrap());
    for path in [format!("{USERS}/tokens"), of(&one), of(&me)] {
        let list = without_secret(pat.get(&path).await.expect(200));
        assert_eq!(list, administrator.get(&path).await.expect(200));
    }
    let token = format!("{}/{}", of(&one), id_of(&minted));
    let body = json!({"patIds": [id_of(&minted)]});
    for (method, path) in [
        (Method::POST, format!("{token}/invalidate")),
        (Method::DELETE, token),
        (Method::POST, format!("{}/invalidate", of(&one))),
        (Method::DELETE, of(&one)),
        (Method::POST, format!("{USERS}/tokens/invalidate/bulk")),
        (Method::POST, format!("{USERS}/tokens/delete/bulk")),
    ] {
        let request = pat.request(method, &path);
        let request = if path.ends_with("/bulk") { request.json(&body) } else { request };
        let answer = pat.send(request).await;
        answer.expect_problem(403, "pat-not-allowed");
    }
    server.with_token(minted["token"].as_str().unwrap()).get(SELF).await.expect(200);

    server.realm.take_roles(&me, "hallpass", &["manage-tokens"]).await;
    until_refused(&pat, &format!("{USERS}/tokens")).await;
    server.stop().await;
}

async fn until_refused(pat: &Api, path: &str) {
    let begun = std::time::Instant::now();
    while pat.get(path).await.status == 200 {
        assert!(begun.elapsed().as_secs() < 2, "a role that is gone still counts");
    }
}
