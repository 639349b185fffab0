//! What an administrator stopped, its owner cannot start again: not by a change, nor by making it anew.

use serde_json::{Value, json};

use super::secrets::audited;
use super::{CLIENTS, at, change_in_console, in_keycloak, make, manager, member, script};
use crate::support::{Answer, Api, Database, TestRealm, TestServer, unique};

async fn start(settings: &[(&str, &str)]) -> (TestServer, Api, Api, String) {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, manager) = (member(&realm, &account).await, manager(&realm).await);
    let server = TestServer::start_with(realm, Database::sqlite, settings).await;
    let (api, managing) = (server.user(&person).await, server.user(&manager).await);
    (server, api, managing, account)
}

async fn is_enabled(server: &TestServer, id: &str) -> Value {
    in_keycloak(&server.realm, id).await.unwrap()["enabled"].clone()
}

fn blocked(answer: Answer) {
    answer.expect_problem(403, "client-blocked");
}

#[tokio::test]
async fn an_owner_sees_that_a_client_is_blocked_and_cannot_undo_it() {
    let (server, api, managing, account) = start(&[]).await;
    let id = format!("{account}_app");
    let body = json!({"clientId": id, "capabilities": ["web_app"], "redirectUris": ["https://x.example/cb"]});
    assert_eq!(make(&api, &body).await["blocked"], false);
    api.patch(&at(&id), &json!({"blocked": true})).await.expect_problem(403, "missing-role");
    api.patch(&at(&id), &json!({"blocked": false, "description": "unchanged is no change"}))
        .await
        .expect(200);

    let stopped = managing.patch(&at(&id), &json!({"blocked": true})).await.expect(200);
    assert_eq!((&stopped["blocked"], &stopped["enabled"]), (&json!(true), &json!(true)));
    assert_eq!(stopped["status"], "active", "it is as Hallpass wrote it");
    assert_eq!(is_enabled(&server, &id).await, false);
    let listed = api.get(&format!("{CLIENTS}?search={id}")).await.expect(200);
    assert_eq!(listed["clients"], json!([stopped]));
    assert_eq!(api.get(&at(&id)).await.expect(200), stopped);

    // Nothing that its owner does starts it.
    for undo in [json!({"blocked": false}), json!({"blocked": null, "enabled": true})] {
        api.patch(&at(&id), &undo).await.expect_problem(403, "missing-role");
    }
    for change in [
        json!({"enabled": true}),
        json!({"enabled": false}),
        json!({"enabled": null}),
        json!({"redirectUris": ["https://x.example/mended"], "description": "mended"}),
        stopped_as_shown(&api, &id).await,
    ] {
        assert_eq!(api.patch(&at(&id), &change).await.expect(200)["blocked"], true, "{change}");
        assert_eq!(is_enabled(&server, &id).await, false, "{change}");
    }
    api.post_empty(&format!("{}/secret", at(&id))).await.expect(201);
    assert_eq!(is_enabled(&server, &id).await, false);
    // Nor could it be made again: it stays, with its id.
    blocked(api.delete(&at(&id)).await);
    blocked(api.post(&format!("{CLIENTS}/delete/bulk"), &json!({"clientIds": [id]})).await);
    api.post(CLIENTS, &body).await.expect_problem(409, "client-id-taken");
    for wrong in [json!("yes"), json!(1), json!([])] {
        let wrong = json!({"blocked": wrong});
        let problem = managing.patch(&at(&id), &wrong).await.expect_problem(400, "invalid");
        assert_eq!(super::fields(&problem), ["blocked"]);
    }

    // What its owner chose meanwhile holds afterwards.
    api.patch(&at(&id), &json!({"enabled": false})).await.expect(200);
    let free = managing.patch(&at(&id), &json!({"blocked": false})).await.expect(200);
    assert_eq!((&free["blocked"], &free["enabled"]), (&json!(false), &json!(false)));
    assert_eq!(is_enabled(&server, &id).await, false);
    api.patch(&at(&id), &json!({"enabled": true})).await.expect(200);
    assert_eq!(is_enabled(&server, &id).await, true);
    managing.patch(&at(&id), &json!({"blocked": true})).await.expect(200);
    managing.delete(&at(&id)).await.expect(204);
    let log = audited(&server.database, &id).await;
    let count = |act: &str| log.iter().filter(|(found, _)| found == act).count();
    assert_eq!(["client_blocked", "client_unblocked"].map(count), [2, 1], "{log:?}");
    server.stop().await;
}

/// A client's answer, to be sent back as it is.
async fn stopped_as_shown(api: &Api, id: &str) -> Value {
    api.get(&at(id)).await.expect(200)
}

#[tokio::test]
async fn what_was_disabled_in_the_console_its_owner_does_not_enable() {
    let (server, api, managing, account) = start(&[]).await;
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    change_in_console(&server.realm, &id, json!({"enabled": false})).await;
    let shown = api.get(&at(&id)).await.expect(200);
    assert_eq!((&shown["enabled"], &shown["status"]), (&json!(false), &json!("drifted")));
    assert_eq!(shown["driftedFields"], json!(["enabled"]));
    for enabled in [json!(true), json!(null)] {
        blocked(api.patch(&at(&id), &json!({"enabled": enabled})).await);
    }
    // Said as it is, it does not become the owner's choice, which they could take back.
    for change in [json!({"enabled": false}), json!({"description": "new"}), shown] {
        api.patch(&at(&id), &change).await;
        blocked(api.patch(&at(&id), &json!({"enabled": true})).await);
        assert_eq!(is_enabled(&server, &id).await, false);
    }
    blocked(api.delete(&at(&id)).await);
    let free = managing.patch(&at(&id), &json!({"enabled": true})).await.expect(200);
    assert_eq!((&free["enabled"], &free["status"]), (&json!(true), &json!("active")));
    assert_eq!(is_enabled(&server, &id).await, true);
    api.delete(&at(&id)).await.expect(204);
    server.stop().await;
}

#[tokio::test]
async fn under_domo_an_administrator_blocks_as_well_and_nothing_else_changes() {
    let (server, api, managing, _) = start(&[("HALLPASS_CLIENTS__PROFILE", "domo")]).await;
    let body = json!({"displayName": "Reports", "description": "For", "capabilities": ["script"]});
    let made = make(&api, &body).await;
    let id = made["clientId"].as_str().unwrap();
    api.patch(&at(id), &json!({"blocked": true})).await.expect_problem(409, "not-editable");
    let more = json!({"blocked": true, "enabled": false});
    managing.patch(&at(id), &more).await.expect_problem(409, "not-editable");
    let stopped = managing.patch(&at(id), &json!({"blocked": true})).await.expect(200);
    assert_eq!(stopped["blocked"], true);
    assert_eq!(is_enabled(&server, id).await, false);
    blocked(api.delete(&at(id)).await);
    managing.patch(&at(id), &json!({"blocked": false})).await.expect(200);
    assert_eq!(is_enabled(&server, id).await, true);
    api.delete(&at(id)).await.expect(204);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_is_blocked_is_never_made_so() {
    let (server, api, managing, account) = start(&[]).await;
    let mut body = script(&format!("{account}_app"));
    for (caller, value) in [(&api, true), (&api, false), (&managing, true)] {
        body["blocked"] = json!(value);
        let answer = caller.post(CLIENTS, &body).await;
        if std::ptr::eq(caller, &raw const managing) {
            answer.expect_problem(403, "missing-role");
        } else {
            let problem = answer.expect_problem(400, "invalid");
            assert_eq!(super::fields(&problem), ["blocked"]);
        }
    }
    server.stop().await;
}
