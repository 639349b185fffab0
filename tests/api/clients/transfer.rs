//! Handing a client on: to whom, and that the old owner's secret is worth nothing then.

use reqwest::Method;
use serde_json::json;

use super::{at, fields, in_keycloak, make, member, script};
use crate::support::{Admin, Answer, Api, TestRealm, TestServer, http, unique};

/// What Keycloak's token endpoint says to a script with this secret.
async fn log_in(realm: &TestRealm, id: &str, secret: &str) -> u16 {
    let url = format!("{}/protocol/openid-connect/token", realm.issuer());
    let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    http().post(url).form(&form).send().await.unwrap().status().as_u16()
}

async fn secret_of(api: &Api, id: &str) -> String {
    let answer = api.get(&format!("{}/secret", at(id))).await.expect(200);
    answer["clientSecret"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_is_handed_to_a_member_and_its_old_secret_is_refused() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    let server = TestServer::in_realm(realm.clone()).await;
    let (api, other) = (server.user(&person).await, server.user(&colleague).await);
    let id = format!("{account}_app");
    let made = make(&api, &script(&id)).await;
    let old = made["clientSecret"].as_str().unwrap().to_owned();
    assert_eq!(log_in(&realm, &id, &old).await, 200);

    let transfer = json!({"ownerId": colleague.id});
    let handed_on = api.post(&format!("{}/transfer", at(&id)), &transfer).await;
    assert_eq!(handed_on.headers["cache-control"], "no-store");
    let handed_on = handed_on.expect(200);
    assert_eq!(handed_on["owner"], json!({"id": colleague.id, "username": colleague.username}));
    assert_eq!(handed_on["accountId"], account);
    assert_eq!(log_in(&realm, &id, &old).await, 401);
    let new = secret_of(&other, &id).await;
    assert_eq!(log_in(&realm, &id, &new).await, 200);

    // So is one that was made anew.
    let renewed = other.post_empty(&format!("{}/secret", at(&id))).await.expect(201);
    assert_eq!(log_in(&realm, &id, &new).await, 401);
    assert_eq!(log_in(&realm, &id, renewed["clientSecret"].as_str().unwrap()).await, 200);
    // A list finds it by its new owner's name.
    let found =
        other.get(&format!("{}?search={}", super::CLIENTS, colleague.username)).await.expect(200);
    assert_eq!(super::ids(&found), [&id]);
    server.stop().await;
}

#[tokio::test]
async fn a_new_owner_is_named_by_id_or_by_user_name() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    let server = TestServer::in_realm(realm.clone()).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    let transfer = format!("{}/transfer", at(&id));
    let foreigner = member(&realm, &unique("globex")).await;
    for (body, wrong) in [
        (json!({"ownerUsername": foreigner.username}), "ownerUsername"),
        (json!({"ownerUsername": person.username}), "ownerUsername"),
        (json!({"ownerUsername": colleague.id}), "ownerUsername"),
        (
            json!({"ownerUsername": &colleague.username[..colleague.username.len() - 1]}),
            "ownerUsername",
        ),
        (json!({"ownerUsername": "*"}), "ownerUsername"),
        (json!({"ownerUsername": ""}), "ownerUsername"),
        (json!({"ownerUsername": "a\u{0}"}), "ownerUsername"),
        (json!({"ownerUsername": 7}), "ownerUsername"),
        (json!({"ownerId": colleague.username}), "ownerId"),
        (json!({"ownerId": colleague.id, "ownerUsername": colleague.username}), "ownerUsername"),
    ] {
        let problem = api.post(&transfer, &body).await.expect_problem(400, "invalid");
        assert!(fields(&problem).contains(&wrong), "{body}: {problem}");
    }
    // As people write it.
    let name = colleague.username.to_uppercase();
    let handed_on = api.post(&transfer, &json!({"ownerUsername": name})).await.expect(200);
    assert_eq!(handed_on["owner"], json!({"id": colleague.id, "username": colleague.username}));
    api.post(&transfer, &json!({"ownerId": person.id})).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn a_client_is_handed_to_nobody_who_could_not_have_it() {
    let realm = TestRealm::shared().await;
    let (account, elsewhere) = (unique("acme"), unique("globex"));
    let person = member(&realm, &account).await;
    let foreigner = member(&realm, &elsewhere).await;
    let attributes = json!({"attributes": {"account_id": [account]}, "enabled": false});
    let disabled = realm.person_with(&unique("disabled"), attributes).await;
    let nowhere = realm.person_with(&unique("nowhere"), json!({})).await;
    let gone = member(&realm, &account).await;
    Admin::log_in().await.delete(&format!("/{}/users/{}", realm.name, gone.id)).await;
    let server = TestServer::in_realm(realm.clone()).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    let before = in_keycloak(&realm, &id).await;

    let transfer = format!("{}/transfer", at(&id));
    let refused = |answer: Answer| {
        assert_eq!(fields(&answer.expect_problem(400, "invalid")), ["ownerId"]);
    };
    for owner in [
        &foreigner.id,
        &disabled.id,
        &nowhere.id,
        &gone.id,
        // Nobody hands something to themselves.
        &person.id,
        "00000000-0000-0000-0000-000000000000",
        "not-an-id",
        "",
        ".",
        "..",
        "../users",
        "a/b",
        "a?b=c",
        "a\u{0}b",
        "ünknown",
        &"x".repeat(300),
        &"x".repeat(20_000),
    ] {
        refused(api.post(&transfer, &json!({"ownerId": owner})).await);
    }
    for owner in [json!(7), json!(null), json!([person.id])] {
        refused(api.post(&transfer, &json!({"ownerId": owner})).await);
    }
    refused(api.post(&transfer, &json!({})).await);
    let problem = api.post(&transfer, &json!({"ownerId": person.id, "secret": "mine"})).await;
    assert_eq!(fields(&problem.expect_problem(400, "invalid")), ["secret"]);
    let request =
        api.request(Method::POST, &transfer).header("content-type", "text/plain").body("{}");
    api.send(request).await.expect_problem(415, "unsupported-media-type");
    assert_eq!(in_keycloak(&realm, &id).await, before);
    assert_eq!(api.get(&at(&id)).await.expect(200)["owner"]["id"], person.id);
    server.stop().await;
}
