//! Quotas: exact, also under parallel creation and between replicas.

use serde_json::{Value, json};

use super::secrets::audited;
use super::{
    CLIENTS, QUOTA, at, fields, in_keycloak, make, make_at_once, manager, member, script, used,
};
use crate::support::{
    Admin, Answer, Api, Database, Fault, FaultProxy, TestRealm, TestServer, unique,
};

fn of(account: &str) -> String {
    format!("/api/clients/v1/accounts/{account}/quota")
}

#[tokio::test]
async fn a_quota_is_set_raised_and_lowered() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, manager) = (member(&realm, &account).await, manager(&realm).await);
    let server = TestServer::in_realm(realm.clone()).await;
    let (api, managing) = (server.user(&person).await, server.user(&manager).await);
    let id = |n: u32| format!("{account}_{n}");
    let quota = |used: u32, limit: u32| json!({"accountId": account, "used": used, "limit": limit});
    assert_eq!(managing.get(&of(&account)).await.expect(200), quota(0, 5));
    let refused = |answer: Answer| answer.expect_problem(409, "quota-reached");

    let set = managing.put(&of(&account), &json!({"limit": 1})).await.expect(200);
    assert_eq!(set, quota(0, 1));
    make(&api, &script(&id(1))).await;
    refused(api.post(CLIENTS, &script(&id(2))).await);
    assert!(in_keycloak(&realm, &id(2)).await.is_none());
    managing.put(&of(&account), &json!({"limit": 2})).await.expect(200);
    make(&api, &script(&id(2))).await;
    // Fewer than there are: they stay, and there are no more.
    managing.put(&of(&account), &json!({"limit": 0})).await.expect(200);
    assert_eq!(api.get(QUOTA).await.expect(200), quota(2, 0));
    refused(api.post(CLIENTS, &script(&id(3))).await);
    api.patch(&at(&id(1)), &json!({"description": "still ours"})).await.expect(200);
    api.delete(&at(&id(1))).await.expect(204);
    refused(api.post(CLIENTS, &script(&id(1))).await);
    assert_eq!(managing.get(&of(&account)).await.expect(200), quota(1, 0));
    for bad in [
        json!({}),
        json!({"limit": -1}),
        json!({"limit": 1.5}),
        json!({"limit": "3"}),
        json!({"limit": null}),
        json!({"limit": 4_294_967_296_u64}),
    ] {
        let problem = managing.put(&of(&account), &bad).await.expect_problem(400, "invalid");
        assert_eq!(fields(&problem), ["limit"], "{bad}");
    }
    let problem = managing.put(&of(&account), &json!({"limit": 1, "used": 0})).await;
    assert_eq!(fields(&problem.expect_problem(400, "invalid")), ["used"]);
    for nowhere in ["a%20b", &"x".repeat(65), "%00"] {
        managing.put(&of(nowhere), &json!({"limit": 1})).await.expect_problem(404, "not-found");
    }
    managing.put(&of(&account), &json!({"limit": u32::MAX})).await.expect(200);
    make(&api, &script(&id(4))).await;
    server.stop().await;
}

#[tokio::test]
async fn a_quota_is_the_default_again_and_accounts_that_nobody_has_are_not_there() {
    let realm = TestRealm::shared().await;
    let account = unique("Acme");
    let (person, manager) = (member(&realm, &account).await, manager(&realm).await);
    let server = TestServer::in_realm(realm.clone()).await;
    let (api, managing) = (server.user(&person).await, server.user(&manager).await);
    let quota = |used: u32, limit: u32| json!({"accountId": account, "used": used, "limit": limit});
    api.delete(&of(&account)).await.expect_problem(403, "missing-role");
    managing.put(&of(&account), &json!({"limit": 1})).await.expect(200);
    make(&api, &script(&format!("{account}_1"))).await;
    assert_eq!(api.get(QUOTA).await.expect(200), quota(1, 1));
    for _ in 0..2 {
        managing.delete(&of(&account)).await.expect(204);
        assert_eq!(api.get(QUOTA).await.expect(200), quota(1, 5));
    }
    make(&api, &script(&format!("{account}_2"))).await;
    let limits: Vec<_> = audited(&server.database, &account).await;
    assert_eq!(limits.len(), 3, "{limits:?}");

    for nobodys in
        [unique("nobodys"), account.to_lowercase(), format!("{account}x"), account[1..].to_owned()]
    {
        managing.get(&of(&nobodys)).await.expect_problem(404, "not-found");
        managing.put(&of(&nobodys), &json!({"limit": 1})).await.expect_problem(404, "not-found");
        managing.delete(&of(&nobodys)).await.expect_problem(404, "not-found");
    }
    // One whose people are gone has its clients still.
    Admin::log_in().await.delete(&format!("/{}/users/{}", realm.name, person.id)).await;
    assert_eq!(managing.get(&of(&account)).await.expect(200), quota(2, 5));
    server.stop().await;
}

/// Twenty at once over these callers: five are made, and Keycloak has these five.
async fn twenty_at_once(realm: &TestRealm, account: &str, callers: &[Api]) {
    let ids: Vec<_> = (0..20).map(|n| format!("{account}_{n}")).collect();
    let wanted = ids.iter().zip(callers.iter().cycle()).map(|(id, api)| (api.clone(), script(id)));
    let mut made = 0;
    for (body, answer) in make_at_once(wanted).await {
        let id = body["clientId"].as_str().unwrap();
        let there = in_keycloak(realm, id).await;
        if answer.status == 201 {
            made += 1;
            assert!(there.is_some(), "{id}");
        } else {
            answer.expect_problem(409, "quota-reached");
            assert!(there.is_none(), "{id}");
        }
    }
    assert_eq!(made, 5);
    assert_eq!(used(&callers[0]).await, 5);
    let listed: Value = callers[0].get(&format!("{CLIENTS}?limit=100")).await.expect(200);
    assert_eq!(listed["pagination"]["total"], 5);
}

#[tokio::test]
async fn of_twenty_at_once_five_are_made() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let server = TestServer::in_realm(realm.clone()).await;
    twenty_at_once(&realm, &account, &[server.user(&person).await]).await;
    server.stop().await;
}

#[tokio::test]
async fn of_twenty_at_once_at_two_replicas_five_are_made() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let server = TestServer::start_with(realm.clone(), Database::postgres, &[]).await;
    let replica = server.replica().await;
    let callers = [server.user(&person).await, replica.user(&person).await];
    twenty_at_once(&realm, &account, &callers).await;
    replica.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn a_creation_that_fails_gives_its_place_back() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let proxy = FaultProxy::start();
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url()), ("HALLPASS_CLIENTS__QUOTA", "1")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    let creation = "POST /admin/*/clients";
    for (fault, status, code) in [
        (Fault::status(500), 503, "keycloak-unavailable"),
        (Fault::status(403), 503, "keycloak-refused"),
        (Fault::status(409), 409, "client-id-taken"),
        (
            Fault::Answer(400, r#"{"errorMessage": "not here"}"#.to_owned()),
            400,
            "rejected-by-realm",
        ),
        // It was made, and nobody heard of it: it is taken back.
        (Fault::CutAnswer, 503, "keycloak-unavailable"),
    ] {
        proxy.on(creation, fault.clone());
        let problem = api.post(CLIENTS, &script(&id)).await.expect_problem(status, code);
        assert_eq!(used(&api).await, 0, "{fault:?}: {problem}");
        assert!(in_keycloak(&realm, &id).await.is_none(), "{fault:?}");
        proxy.clear();
    }
    make(&api, &script(&id)).await;
    api.post(CLIENTS, &script(&format!("{id}2"))).await.expect_problem(409, "quota-reached");
    server.stop().await;
}

/// People make themselves as large as their realm's profile lets them.
#[tokio::test]
async fn the_size_of_a_member_stops_no_quota() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let manager = manager(&realm).await;
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    let managing = server.user(&manager).await;
    let member = |account: &str, notes: usize| {
        let attributes = json!({"account_id": [account], "notes": ["x".repeat(notes)]});
        json!({"id": unique("u"), "username": unique("u"), "attributes": attributes})
    };
    let large = 9 << 20;
    for (sizes, has_it, is_anybodys) in [
        (&[large, 1][..], true, true),
        (&[1, large], true, true),
        (&[large], true, true),
        (&[1], false, false),
        (&[], true, false),
    ] {
        let account = unique("acme");
        let theirs = if has_it { account.clone() } else { account.to_uppercase() };
        let members: Vec<_> = sizes.iter().map(|size| member(&theirs, *size)).collect();
        proxy.clear();
        proxy.on("GET */users?q=*", Fault::Answer(200, json!(members).to_string()));
        let answer = managing.put(&of(&account), &json!({"limit": 1})).await;
        if is_anybodys {
            answer.expect(200);
        } else {
            answer.expect_problem(404, "not-found");
        }
    }
    server.stop().await;
}
