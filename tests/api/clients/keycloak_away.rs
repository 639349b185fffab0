//! While Keycloak is away: what is read goes on, and what is made leaves nothing.

use serde_json::json;

use super::{CLIENTS, QUOTA, at, in_keycloak, make, member, script, used};
use crate::support::{Database, Fault, FaultProxy, TestRealm, TestServer, unique};

#[tokio::test]
async fn a_list_asks_keycloak_nothing_and_goes_on_without_it() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let proxy = FaultProxy::start();
    let sweep = proxy.on("GET /admin/*/clients", Fault::Pass);
    let poll = proxy.on("GET /admin/*/admin-events", Fault::Pass);
    // Nobody else asks Keycloak in between.
    let settings = [
        ("HALLPASS_KEYCLOAK__URL", proxy.url()),
        ("HALLPASS_LIFECYCLE__POLL_INTERVAL", "1h"),
        ("HALLPASS_LIFECYCLE__SWEEP_INTERVAL", "1h"),
    ];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    sweep.wait_for_hits(1).await;
    poll.wait_for_hits(1).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    let shown = api.get(&at(&id)).await.expect(200);

    proxy.clear();
    let listed = api.get(CLIENTS).await.expect(200);
    assert_eq!(listed["clients"], json!([shown]));
    api.get(QUOTA).await.expect(200);
    assert_eq!(proxy.passed(), [""; 0]);

    proxy.down().await;
    assert_eq!(api.get(CLIENTS).await.expect(200), listed);
    assert_eq!(api.get(&at(&id)).await.expect(200), shown);
    let second = script(&format!("{account}_two"));
    let away = "keycloak-unavailable";
    api.post(CLIENTS, &second).await.expect_problem(503, away);
    api.patch(&at(&id), &json!({"description": "x"})).await.expect_problem(503, away);
    api.get(&format!("{}/secret", at(&id))).await.expect_problem(503, away);
    api.get("/api/clients/v1/scopes").await.expect_problem(503, away);
    assert_eq!(used(&api).await, 1);

    proxy.up();
    assert!(in_keycloak(&realm, &format!("{account}_two")).await.is_none());
    assert_eq!(api.get(&at(&id)).await.expect(200), shown);
    make(&api, &second).await;
    api.delete(&at(&id)).await.expect(204);
    server.stop().await;
}
