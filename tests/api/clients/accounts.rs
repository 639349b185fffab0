//! Who sees whose: accounts whose names begin alike, administrators, people of no account, tokens.

use reqwest::Method;
use serde_json::{Value, json};

use super::{CLIENTS, QUOTA, at, ids, in_keycloak, make, manager, member, script, used};
use crate::support::{Admin, Api, LOGIN_CLIENT, TestRealm, TestServer, unique};

/// Everything that one could do to a client, by its id alone; nobody may see a difference to one that is not there.
async fn cannot_reach(api: &Api, id: &str, new_owner: &str) {
    api.get(&at(id)).await.expect_problem(404, "not-found");
    api.patch(&at(id), &json!({"description": "mine"})).await.expect_problem(404, "not-found");
    api.delete(&at(id)).await.expect_problem(404, "not-found");
    api.get(&format!("{}/secret", at(id))).await.expect_problem(404, "not-found");
    api.post_empty(&format!("{}/secret", at(id))).await.expect_problem(404, "not-found");
    let transfer = json!({"ownerId": new_owner});
    api.post(&format!("{}/transfer", at(id)), &transfer).await.expect_problem(404, "not-found");
    let bulk = json!({"clientIds": [id]});
    let answer = api.post(&format!("{CLIENTS}/delete/bulk"), &bulk).await.expect(200);
    assert_eq!(answer["results"], json!([{"clientId": id, "outcome": "not_found"}]));
    let found = api.get(&format!("{CLIENTS}?search={id}")).await.expect(200);
    assert_eq!(found["clients"], json!([]));
}

#[tokio::test]
async fn an_account_reaches_nothing_of_one_whose_name_begins_alike() {
    let realm = TestRealm::shared().await;
    let acme = unique("acme");
    let acme_eu = format!("{acme}_eu");
    let (of_acme, of_eu) = (member(&realm, &acme).await, member(&realm, &acme_eu).await);
    let server = TestServer::in_realm(realm.clone()).await;
    let (here, there) = (server.user(&of_acme).await, server.user(&of_eu).await);
    // Ids of the one account that read as if they were the other's.
    let (ours, theirs) = (format!("{acme_eu}_x"), format!("{acme_eu}_y"));
    let made = make(&here, &script(&ours)).await;
    assert_eq!(made["accountId"], acme);
    let made = make(&there, &script(&theirs)).await;
    assert_eq!(made["accountId"], acme_eu);
    // An id is one client's, whoever asks.
    there.post(CLIENTS, &script(&ours)).await.expect_problem(409, "client-id-taken");
    here.post(CLIENTS, &script(&theirs)).await.expect_problem(409, "client-id-taken");

    cannot_reach(&here, &theirs, &of_acme.id).await;
    cannot_reach(&there, &ours, &of_eu.id).await;
    for (api, account, id) in [(&here, &acme, &ours), (&there, &acme_eu, &theirs)] {
        let page = api.get(CLIENTS).await.expect(200);
        assert_eq!(ids(&page), [id]);
        assert_eq!(page["pagination"]["total"], 1);
        let quota = api.get(QUOTA).await.expect(200);
        assert_eq!(quota, json!({"accountId": account, "used": 1, "limit": 5}));
        assert!(in_keycloak(&realm, id).await.is_some());
        // What is theirs is theirs in every respect.
        api.patch(&at(id), &json!({"description": "ours"})).await.expect(200);
        api.get(&format!("{}/secret", at(id))).await.expect(200);
    }
    // Nor may it be handed over.
    let transfer = json!({"ownerId": of_eu.id});
    let refused = here.post(&format!("{}/transfer", at(&ours)), &transfer).await;
    refused.expect_problem(400, "invalid");
    there.delete(&at(&theirs)).await.expect(204);
    assert_eq!((used(&here).await, used(&there).await), (1, 0));
    server.stop().await;
}

#[tokio::test]
async fn members_manage_together_and_a_manager_everything_but_the_making() {
    let realm = TestRealm::shared().await;
    let (account, elsewhere) = (unique("acme"), unique("globex"));
    let (one, other) = (member(&realm, &account).await, member(&realm, &account).await);
    let foreigner = member(&realm, &elsewhere).await;
    let manager = manager(&realm).await;
    let server = TestServer::in_realm(realm.clone()).await;
    let (one_api, other_api) = (server.user(&one).await, server.user(&other).await);
    let (foreign, managing) = (server.user(&foreigner).await, server.user(&manager).await);
    let (id, foreign_id) = (format!("{account}_app"), format!("{elsewhere}_app"));
    make(&one_api, &script(&id)).await;
    make(&foreign, &script(&foreign_id)).await;

    let changed = other_api.patch(&at(&id), &json!({"description": "by a colleague"})).await;
    assert_eq!(changed.expect(200)["owner"]["id"], one.id);
    let first = other_api.get(&format!("{}/secret", at(&id))).await.expect(200);
    for (id, owner) in [(&id, &one), (&foreign_id, &foreigner)] {
        let page = managing.get(&format!("{CLIENTS}?search={id}")).await.expect(200);
        assert_eq!(ids(&page), [id]);
        let shown = managing.get(&at(id)).await.expect(200);
        assert_eq!(shown["owner"], json!({"id": owner.id, "username": owner.username}));
        managing.patch(&at(id), &json!({"description": "managed"})).await.expect(200);
        managing.post_empty(&format!("{}/secret", at(id))).await.expect(201);
    }
    let now = managing.get(&format!("{}/secret", at(&id))).await.expect(200);
    assert_ne!(now, first);
    managing
        .post(CLIENTS, &script(&format!("{account}_b")))
        .await
        .expect_problem(403, "missing-role");
    managing.get(QUOTA).await.expect_problem(403, "no-account");
    let bulk = json!({"clientIds": [id, foreign_id, id, "nobody_x", "a\u{0}b", ""]});
    let answer = managing.post(&format!("{CLIENTS}/delete/bulk"), &bulk).await.expect(200);
    let outcomes: Vec<_> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(
        outcomes,
        ["deleted", "deleted", "not_found", "not_found", "not_found", "not_found"]
    );
    assert!(in_keycloak(&realm, &id).await.is_none());
    for bad in [
        json!({}),
        json!({"clientIds": []}),
        json!({"clientIds": vec!["x"; 101]}),
        json!({"clientIds": [1]}),
        json!({"clientIds": "x"}),
    ] {
        managing.post(&format!("{CLIENTS}/delete/bulk"), &bad).await.expect_problem(400, "invalid");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_has_no_well_formed_account_has_no_clients() {
    let realm = TestRealm::own().await;
    let admin = Admin::log_in().await;
    // As bootstrap leaves it, the realm takes no malformed account; an operator may loosen that.
    let profile = format!("/{}/users/profile", realm.name);
    let mut loose = admin.get(&profile).await;
    for attribute in loose["attributes"].as_array_mut().unwrap() {
        if attribute["name"] == "account_id" {
            attribute["validations"] = json!({});
        }
    }
    admin.put(&profile, &loose).await;
    // And have a list in the token.
    let client = admin.client_uuid(&realm.name, LOGIN_CLIENT).await;
    let mappers = format!("/{}/clients/{client}/protocol-mappers/models", realm.name);
    let all = admin.get(&mappers).await;
    let mut mapper =
        all.as_array().unwrap().iter().find(|one| one["name"] == "account").unwrap().clone();
    mapper["config"]["multivalued"] = json!("true");
    let server = TestServer::in_realm(realm.clone()).await;
    let refuse = async |api: &Api| {
        for path in [CLIENTS, QUOTA, "/api/clients/v1/scopes", &at("acme_x")] {
            api.get(path).await.expect_problem(403, "no-account");
        }
        api.post(CLIENTS, &script("acme_x")).await.expect_problem(403, "no-account");
        api.delete(&at("acme_x")).await.expect_problem(403, "no-account");
        let bulk = json!({"clientIds": ["acme_x"]});
        api.post(&format!("{CLIENTS}/delete/bulk"), &bulk).await.expect_problem(403, "no-account");
    };
    for account in ["a b", "acme/../globex", "ä", "a%00", &"x".repeat(65)] {
        refuse(&server.user(&member(&realm, account).await).await).await;
    }
    let nowhere = realm.person_with(&unique("nowhere"), json!({})).await;
    realm.give_roles(&nowhere, "hallpass", &["create-api-clients"]).await;
    refuse(&server.user(&nowhere).await).await;
    let longest = member(&realm, &"x".repeat(64)).await;
    server.user(&longest).await.get(CLIENTS).await.expect(200);
    Admin::log_in()
        .await
        .put(&format!("{mappers}/{}", mapper["id"].as_str().unwrap()), &mapper)
        .await;
    let in_a_list = server.user(&member(&realm, "acme").await).await;
    refuse(&in_a_list).await;
    // Who is to mend it: the client that the token was issued to, or whoever keeps the users.
    let detail = async |api: &Api| {
        let problem = api.get(CLIENTS).await.expect_problem(403, "no-account");
        problem["detail"].as_str().unwrap().to_owned()
    };
    let lacks = format!("the client `{LOGIN_CLIENT}`, which it was issued to, lacks the mapper");
    assert!(detail(&in_a_list).await.contains(&lacks));
    let nobody = detail(&server.user(&nowhere).await).await;
    assert!(
        nobody.starts_with("You have no account") && !nobody.contains(LOGIN_CLIENT),
        "{nobody}"
    );
    server.stop().await;
}

#[tokio::test]
async fn without_a_role_nothing_is_seen() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let insider = member(&realm, &account).await;
    let colleague =
        realm.person_with(&unique("plain"), json!({"attributes": {"account_id": [account]}})).await;
    let server = TestServer::in_realm(realm).await;
    let id = format!("{account}_app");
    make(&server.user(&insider).await, &script(&id)).await;
    let plain = server.user(&colleague).await;
    let calls: [(Method, String, Value); 9] = [
        (Method::GET, CLIENTS.to_owned(), json!(null)),
        (Method::POST, CLIENTS.to_owned(), json!({})),
        (Method::GET, at(&id), json!(null)),
        (Method::PATCH, at(&id), json!({"status": "x"})),
        (Method::DELETE, at(&id), json!(null)),
        (Method::GET, format!("{}/secret", at(&id)), json!(null)),
        (Method::POST, format!("{}/transfer", at(&id)), json!({})),
        (Method::POST, format!("{CLIENTS}/delete/bulk"), json!({})),
        (Method::PUT, format!("/api/clients/v1/accounts/{account}/quota"), json!({})),
    ];
    for (method, path, body) in calls {
        let request = plain.request(method, &path);
        let request = if body.is_null() { request } else { request.json(&body) };
        plain.send(request).await.expect_problem(403, "missing-role");
    }
    // Nor by a token, which names no roles: Keycloak is asked.
    let minted = plain.mint("plain").await;
    let pat = server.with_token(minted["token"].as_str().unwrap());
    for path in [CLIENTS, QUOTA, "/api/clients/v1/scopes", &at(&id)] {
        pat.get(path).await.expect_problem(403, "missing-role");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_token_reads_what_its_owner_may_see_and_never_a_secret() {
    let realm = TestRealm::shared().await;
    let (account, elsewhere) = (unique("acme"), unique("globex"));
    let (person, foreigner) = (member(&realm, &account).await, member(&realm, &elsewhere).await);
    let manager = manager(&realm).await;
    let server = TestServer::in_realm(realm).await;
    let (api, foreign) = (server.user(&person).await, server.user(&foreigner).await);
    let (id, foreign_id) = (format!("{account}_app"), format!("{elsewhere}_app"));
    make(&api, &script(&id)).await;
    make(&foreign, &script(&foreign_id)).await;
    let pat = server.with_token(api.mint("reader").await["token"].as_str().unwrap());
    for path in [CLIENTS, QUOTA, "/api/clients/v1/scopes", &at(&id)] {
        assert_eq!(pat.get(path).await.expect(200), api.get(path).await.expect(200), "{path}");
    }
    pat.get(&at(&foreign_id)).await.expect_problem(404, "not-found");
    pat.get(&format!("{}/secret", at(&id))).await.expect_problem(403, "pat-not-allowed");
    pat.post_empty(&format!("{}/secret", at(&id))).await.expect_problem(403, "pat-not-allowed");
    pat.delete(&at(&id)).await.expect_problem(403, "pat-not-allowed");
    let managing = server.user(&manager).await;
    let pat = server.with_token(managing.mint("managing").await["token"].as_str().unwrap());
    pat.get(&at(&foreign_id)).await.expect(200);
    pat.get(&format!("{}/secret", at(&foreign_id))).await.expect_problem(403, "pat-not-allowed");
    server.stop().await;
}
