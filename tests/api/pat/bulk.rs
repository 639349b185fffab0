//! `POST …/tokens/invalidate/bulk` and `POST …/tokens/delete/bulk`, by owners and administrators.

use serde_json::{Value, json};

use super::{
    SELF, TOKENS, USERS, administrator, audited, auditor, id_of, path_of, record_tokens, user,
};
use crate::support::{Api, DATABASES, TestRealm, TestServer};

const INVALIDATE: &str = "/api/pat/v1/tokens/invalidate/bulk";
const DELETE: &str = "/api/pat/v1/tokens/delete/bulk";
const INVALIDATE_USERS: &str = "/api/pat/v1/users/tokens/invalidate/bulk";
const DELETE_USERS: &str = "/api/pat/v1/users/tokens/delete/bulk";
const UNKNOWN: &str = "01890000-0000-7000-8000-000000000000";

async fn outcomes(user: &Api, path: &str, ids: &[&str]) -> Vec<String> {
    let answer = user.post(path, &json!({"patIds": ids})).await.expect(200);
    let results = answer["results"].as_array().unwrap();
    let echoed: Vec<_> = results.iter().map(id_of).collect();
    assert_eq!(echoed, ids, "each as it was sent, in its order");
    results.iter().map(|result| result["outcome"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_entry_has_its_outcome_in_order_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (owner, someone) = (user(&server).await, user(&server).await);
        let (a, b, c) = (owner.mint("a").await, owner.mint("b").await, owner.mint("c").await);
        let before = owner.post_empty(&format!("{}/invalidate", path_of(&c))).await.expect(200);
        let theirs = someone.mint("theirs").await;
        let untouched = someone.get(&path_of(&theirs)).await.expect(200);
        let shouted = id_of(&b).to_uppercase();
        let ids = [
            id_of(&a),
            id_of(&theirs),
            "nonsense",
            id_of(&a),
            id_of(&c),
            UNKNOWN,
            &shouted,
            "",
            "\0%_'🚀",
            id_of(&b),
        ];

        let revoked = outcomes(&owner, INVALIDATE, &ids).await;
        let (yes, none) = ("revoked", "not_found");
        let already = "already_revoked";
        assert_eq!(revoked, [yes, none, none, already, already, none, none, none, none, yes]);
        assert_eq!(
            owner.get(&path_of(&c)).await.expect(200),
            before,
            "a second one changes nothing"
        );
        for token in [&a, &b] {
            let now = owner.get(&path_of(token)).await.expect(200);
            assert_eq!(
                (&now["status"], &now["revokedReason"]),
                (&json!("revoked"), &json!("revoked_by_owner"))
            );
            let pat = server.with_token(token["token"].as_str().unwrap());
            pat.get(SELF).await.expect_problem(401, "unauthenticated");
        }

        let deleted = outcomes(&owner, DELETE, &ids).await;
        let gone = "deleted";
        assert_eq!(deleted, [gone, none, none, none, gone, none, none, none, none, gone]);
        assert_eq!(owner.get(TOKENS).await.expect(200)["pagination"]["total"], 0);
        assert_eq!(someone.get(&path_of(&theirs)).await.expect(200), untouched);
        server.with_token(theirs["token"].as_str().unwrap()).get(SELF).await.expect(200);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_list_of_ids_has_1_to_1000_texts() {
    let server = TestServer::start().await;
    let (_, administrator) = administrator(&server).await;
    let too_many = vec![UNKNOWN; 1001];
    let size = "must have 1 to 1000 entries";
    let texts = "must be a list of texts";
    for path in [INVALIDATE, DELETE, INVALIDATE_USERS, DELETE_USERS] {
        for (body, field, message) in [
            (json!({}), "patIds", "is required"),
            (json!({"patIds": null}), "patIds", "is required"),
            (json!({"patIds": []}), "patIds", size),
            (json!({"patIds": too_many}), "patIds", size),
            (json!({"patIds": UNKNOWN}), "patIds", texts),
            (json!({"patIds": [UNKNOWN, 7]}), "patIds", texts),
            (json!({"patIds": [null]}), "patIds", texts),
            (json!({"patIds": [[UNKNOWN]]}), "patIds", texts),
            (json!({"patIds": {"0": UNKNOWN}}), "patIds", texts),
            (
                json!({"patIds": [UNKNOWN], "force": true}),
                "force",
                "is not a field of this request",
            ),
        ] {
            let problem = administrator.post(path, &body).await.expect_problem(400, "invalid");
            assert_eq!(problem["errors"], json!([{"field": field, "message": message}]), "{path}");
        }
        let long = json!({"patIds": vec!["x".repeat(100); 1000]});
        administrator.post(path, &long).await.expect_problem(413, "body-too-large");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_thousand_end_in_one_request_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let person = realm.person().await;
        let owner = server.user(&person).await;
        let (_, administrator) = administrator(&server).await;
        for (caller, revoke, delete) in
            [(&owner, INVALIDATE, DELETE), (&administrator, INVALIDATE_USERS, DELETE_USERS)]
        {
            let ids = record_tokens(&server, &person, 1000).await;
            let ids: Vec<_> = ids.iter().map(String::as_str).collect();
            assert_eq!(outcomes(caller, revoke, &ids).await, ["revoked"; 1000]);
            assert_eq!(outcomes(caller, revoke, &ids).await, ["already_revoked"; 1000]);
            let revoked = owner.get(&format!("{TOKENS}?status=revoked")).await.expect(200);
            assert_eq!(revoked["pagination"]["total"], 1000);
            assert_eq!(outcomes(caller, delete, &ids).await, ["deleted"; 1000]);
            assert_eq!(outcomes(caller, delete, &ids).await, ["not_found"; 1000]);
        }
        for action in ["token_revoked", "token_deleted"] {
            assert_eq!(
                audited(&auditor(&server).await, &format!("action={action}")).await,
                2000,
                "one event each"
            );
        }
        assert_eq!(owner.get(TOKENS).await.expect(200)["pagination"]["total"], 0);
        server.stop().await;
    }
}

/// The database refuses the second event of one kind, so that the store fails halfway.
#[tokio::test]
async fn where_the_store_fails_halfway_nothing_has_ended_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let person = realm.person().await;
        let owner = server.user(&person).await;
        let (_, administrator) = administrator(&server).await;
        let minted = [owner.mint("first").await, owner.mint("second").await];
        let ids: Vec<_> = minted.iter().map(id_of).collect();
        let before = owner.get(TOKENS).await.expect(200);
        let of_user = format!("{USERS}/{}/tokens", person.id);
        let once =
            "CREATE UNIQUE INDEX once ON audit_events (action) WHERE action <> 'token_created'";
        server.execute(once.to_owned()).await;

        let body = json!({"patIds": ids});
        for answer in [
            owner.post(INVALIDATE, &body).await,
            owner.post(DELETE, &body).await,
            owner.post_empty(&format!("{TOKENS}/invalidate")).await,
            owner.delete(TOKENS).await,
            administrator.post(INVALIDATE_USERS, &body).await,
            administrator.post(DELETE_USERS, &body).await,
            administrator.post_empty(&format!("{of_user}/invalidate")).await,
            administrator.delete(&of_user).await,
        ] {
            answer.expect_problem(503, "store-unavailable");
        }
        assert_eq!(owner.get(TOKENS).await.expect(200), before);
        assert_eq!(
            audited(&auditor(&server).await, &format!("ownerId={}", person.id)).await,
            2,
            "nor is it told"
        );
        assert_good(&server, &minted).await;

        server.execute("DROP INDEX once".to_owned()).await;
        assert_eq!(outcomes(&owner, INVALIDATE, &ids).await, ["revoked"; 2]);
        assert_eq!(outcomes(&administrator, DELETE_USERS, &ids).await, ["deleted"; 2]);
        server.stop().await;
    }
}

async fn assert_good(server: &TestServer, minted: &[Value]) {
    for token in minted {
        server.with_token(token["token"].as_str().unwrap()).get(SELF).await.expect(200);
    }
}

/// Each order of the two would do: who waits for the successor is ended with it, or by its own entry.
#[tokio::test]
async fn a_successor_takes_its_predecessor_with_it_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let owner = user(&server).await;
        let rotated = async |name: &str| {
            let old = owner.mint(name).await;
            let path = format!("{}/rotate", path_of(&old));
            let new = owner.post(&path, &json!({"graceSeconds": 3_600})).await.expect(201);
            assert_good(&server, &[old.clone(), new.clone()]).await;
            (old, new)
        };
        for (name, path, outcome) in [("r", INVALIDATE, "revoked"), ("d", DELETE, "deleted")] {
            let (old, new) = rotated(&format!("{name}-new")).await;
            assert_eq!(outcomes(&owner, path, &[id_of(&new)]).await, [outcome]);
            assert_refused(&server, &[&old, &new]).await;
            let ended = owner.get(&path_of(&old)).await.expect(200);
            assert_eq!(
                (&ended["status"], &ended["revokedReason"]),
                (&json!("revoked"), &json!("rotated"))
            );

            let (old, new) = rotated(&format!("{name}-both")).await;
            let both = [id_of(&new), id_of(&old)];
            assert_eq!(outcomes(&owner, path, &both).await, [outcome; 2]);
            assert_refused(&server, &[&old, &new]).await;

            let (old, new) = rotated(&format!("{name}-old")).await;
            assert_eq!(outcomes(&owner, path, &[id_of(&old)]).await, [outcome]);
            // In this order: to use what was replaced and has ended burns the family.
            assert_good(&server, &[new]).await;
            assert_refused(&server, &[&old]).await;
        }
        server.stop().await;
    }
}

async fn assert_refused(server: &TestServer, minted: &[&Value]) {
    for token in minted {
        let pat = server.with_token(token["token"].as_str().unwrap());
        pat.get(SELF).await.expect_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn of_many_revocations_at_once_each_token_has_one_on_both_databases() {
    const COUNT: usize = 300;
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let person = realm.person().await;
        let owner = server.user(&person).await;
        let (_, administrator) = administrator(&server).await;
        let ids = record_tokens(&server, &person, COUNT).await;
        let forwards: Vec<_> = ids.iter().map(String::as_str).collect();
        let backwards: Vec<_> = forwards.iter().copied().rev().collect();
        let answers = tokio::join!(
            outcomes(&owner, INVALIDATE, &forwards),
            outcomes(&owner, INVALIDATE, &backwards),
            outcomes(&administrator, INVALIDATE_USERS, &forwards),
            outcomes(&administrator, INVALIDATE_USERS, &backwards),
        );
        let said: Vec<_> = [answers.0, answers.1, answers.2, answers.3].concat();
        assert_eq!(said.iter().filter(|outcome| *outcome == "revoked").count(), COUNT);
        assert_eq!(said.iter().filter(|outcome| *outcome == "already_revoked").count(), 3 * COUNT);
        let auditor = auditor(&server).await;
        assert_eq!(audited(&auditor, "action=token_revoked").await, COUNT as u64);
        server.stop().await;
    }
}
