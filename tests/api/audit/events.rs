//! What each act leaves, and who may read it.

use serde_json::{Value, json};

use super::{CLIENTS, EVENTS, TOKENS, actions, events, member, reader};
use crate::support::{
    Answer, Api, DATABASES, Database, Person, Process, TestRealm, TestServer, claims_of, unique,
};

fn request_id(answer: &Answer) -> String {
    answer.headers["x-request-id"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_did_what_from_where_in_which_request_is_there_when_the_credential_is_gone() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (account, reader) = (unique("acme"), reader(&server).await);
        let person = member(&realm, &account).await;
        let user = server.user(&person).await;

        let minted = user.post(TOKENS, &json!({"name": "told"})).await;
        let created_in = request_id(&minted);
        let minted = minted.expect(201);
        let pat_id = minted["patId"].as_str().unwrap();
        let pat = server.with_token(minted["token"].as_str().unwrap());
        let revoked = pat.post_empty(&format!("{TOKENS}/{pat_id}/invalidate")).await;
        let deleted = user.delete(&format!("{TOKENS}/{pat_id}")).await;
        let client_id = format!("{account}_told");
        let made = json!({"clientId": client_id, "capabilities": ["script"]});
        user.post(CLIENTS, &made).await.expect(201);
        user.delete(&format!("{CLIENTS}/{client_id}")).await.expect(204);

        let told = events(&reader, &format!("credentialId={pat_id}&direction=asc")).await;
        let by_person = "access_token".to_owned();
        for (event, (action, answer, credential, reason)) in told.iter().zip([
            ("token_created", created_in, by_person.clone(), Value::Null),
            (
                "token_revoked",
                request_id(&revoked),
                format!("pat:{pat_id}"),
                json!("revoked_by_owner"),
            ),
            ("token_deleted", request_id(&deleted), by_person, Value::Null),
        ]) {
            let mut expected = json!({
                "action": action, "credentialId": pat_id, "credentialName": "told", "ownerId": person.id,
                "actorId": person.id, "actorName": person.username, "actorCredential": credential,
                "address": "127.0.0.1", "requestId": answer, "reason": reason,
            });
            // The two that no answer of the act shows.
            for own in ["eventId", "occurredAt"] {
                expected[own] = event[own].clone();
                assert!(event[own].is_string(), "{event}");
            }
            assert_eq!(*event, expected);
        }
        assert_eq!(told.len(), 3);
        let told =
            events(&reader, &format!("credentialId={client_id}&ownerId={}", person.id)).await;
        assert_eq!(actions(&told), ["client_deleted", "client_created"], "newest first");
        server.stop().await;
    }
}

#[tokio::test]
async fn an_impersonated_session_reads_with_the_role_and_a_pat_never() {
    let server = TestServer::start().await;
    let person = server.realm.person().await;
    let before = server.user(&person).await;
    before.get(EVENTS).await.expect_problem(403, "missing-role");
    server.realm.give_roles(&person, "hallpass", &["read-audit"]).await;
    let impersonated = server.realm.impersonated_access_token(&person).await;
    assert!(
        claims_of(&impersonated)["impersonator"].is_object()
            || !claims_of(&impersonated)["impersonator"].is_null()
    );
    server.with_token(&impersonated).get(EVENTS).await.expect(200);

    let user = server.user(&person).await;
    user.get(EVENTS).await.expect(200);
    let minted = user.mint("reader").await;
    let pat = server.with_token(minted["token"].as_str().unwrap());
    pat.get(EVENTS).await.expect_problem(403, "pat-not-allowed");
    let narrow = format!(
        "UPDATE tokens SET roles = '[\"hallpass:read-audit\"]' WHERE pat_id = '{}'",
        minted["patId"].as_str().unwrap()
    );
    assert_eq!(server.execute(narrow).await, 1);
    pat.get(EVENTS).await.expect_problem(403, "pat-not-allowed");
    server.anonymous().get(EVENTS).await.expect_problem(401, "unauthenticated");
    server.stop().await;
}

/// The fields of a line, and the members of an answer that say the same.
const FIELDS: [(&str, &str); 9] = [
    ("event_id", "eventId"),
    ("action", "action"),
    ("credential_id", "credentialId"),
    ("owner_id", "ownerId"),
    ("actor_id", "actorId"),
    ("actor_credential", "actorCredential"),
    ("address", "address"),
    ("request_id", "requestId"),
    ("reason", "reason"),
];

/// Everything that a caller can do and that leaves an event, and some that leaves none.
async fn do_each_act(user: &Api, admin: &Api, account: &str, colleague: &Person) {
    let minted = user.mint("logged").await;
    let token = format!("{TOKENS}/{}", minted["patId"].as_str().unwrap());
    user.post(TOKENS, &json!({"name": "logged"})).await.expect_problem(409, "name-taken");
    for _ in 0..2 {
        user.post_empty(&format!("{token}/invalidate")).await.expect(200);
    }
    user.delete(&token).await.expect(204);
    user.delete(&token).await.expect_problem(404, "not-found");
    let client_id = format!("{account}_logged");
    let client = format!("{CLIENTS}/{client_id}");
    let made = json!({"clientId": client_id, "capabilities": ["script"]});
    user.post(CLIENTS, &made).await.expect(201);
    user.patch(&client, &json!({"description": "new"})).await.expect(200);
    user.get(&format!("{client}/secret")).await.expect(200);
    user.post_empty(&format!("{client}/secret")).await.expect(201);
    user.post(&format!("{client}/transfer"), &json!({"ownerId": colleague.id})).await.expect(200);
    admin
        .put(&format!("/api/clients/v1/accounts/{account}/quota"), &json!({"limit": 3}))
        .await
        .expect(200);
    for blocked in [true, false] {
        admin.patch(&client, &json!({"blocked": blocked})).await.expect(200);
    }
    admin.delete(&client).await.expect(204);
}

/// The lines of a real process tell the same as the table: each act once, none that was not done.
#[tokio::test]
async fn each_event_is_one_structured_line_of_the_log() {
    let realm = TestRealm::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&folder);
    Process::prepare_store(&realm, &database).await;
    let json = [("HALLPASS_TELEMETRY__LOG_FORMAT", "json")];
    let process = Process::serve(&realm, &database, folder.path(), &json).await;
    let account = unique("acme");
    let (owner, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    let manager = realm.person().await;
    realm.give_roles(&manager, "hallpass", &["manage-api-clients", "read-audit"]).await;
    let user = process.user(&realm, &owner).await;
    let admin = process.user(&realm, &manager).await;

    do_each_act(&user, &admin, &account, &colleague).await;
    let told = events(&admin, "limit=100&direction=asc").await;
    assert_eq!(
        actions(&told),
        [
            "token_created",
            "token_revoked",
            "token_deleted",
            "client_created",
            "client_updated",
            "client_secret_read",
            "client_secret_regenerated",
            "client_transferred",
            "quota_set",
            "client_blocked",
            "client_unblocked",
            "client_deleted",
        ]
    );
    let written = process.stop().await;
    let lines: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .filter(|line: &Value| line["target"] == "hallpass::audit")
        .collect();
    assert_eq!(lines.len(), told.len(), "{written}");
    for (line, event) in lines.iter().zip(&told) {
        assert_eq!(line["level"], "INFO");
        for (field, member) in FIELDS {
            assert_eq!(line[field], event[member], "{field}: {line} {event}");
        }
    }
}
