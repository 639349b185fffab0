//! Changes of one client at the same time: one after the other, and all of them.

use serde_json::json;
use tokio::task::JoinSet;

use super::{CLIENTS, at, in_keycloak, make, member, script, used};
use crate::support::{DATABASES, Database, Fault, FaultProxy, TestRealm, TestServer, unique};

#[tokio::test]
async fn changes_at_the_same_time_wait_for_each_other() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let api = server.user(&person).await;
        let id = format!("{account}_{}", unique("app"));
        make(&api, &script(&id)).await;
        let changes = [
            json!({"displayName": "Reports"}),
            json!({"description": "What it is for"}),
            json!({"homeUrl": "https://x.example/home"}),
            json!({"redirectUris": ["https://x.example/cb"]}),
            json!({"webOrigins": ["https://x.example"]}),
            json!({"postLogoutRedirectUris": ["https://x.example/bye"]}),
            json!({"scopes": ["push-data"]}),
            json!({"capabilities": ["script", "web_app"], "redirectUris": ["https://x.example/cb"]}),
        ];
        let mut at_once = JoinSet::new();
        for change in changes.clone() {
            let (api, path) = (api.clone(), at(&id));
            at_once.spawn(async move { api.patch(&path, &change).await });
        }
        for answer in at_once.join_all().await {
            answer.expect(200);
        }
        let shown = api.get(&at(&id)).await.expect(200);
        for (name, value) in changes.iter().flat_map(|change| change.as_object().unwrap()) {
            if name == "capabilities" {
                assert_eq!(shown["capabilities"], json!(["web_app", "script"]));
            } else {
                assert_eq!(shown[name], *value, "{name}");
            }
        }
        assert_eq!(shown["status"], "active", "{shown}");
        // So do new secrets and removals.
        let mut at_once = JoinSet::new();
        for _ in 0..4 {
            let (api, path) = (api.clone(), format!("{}/secret", at(&id)));
            at_once.spawn(async move { api.post_empty(&path).await.expect(201) });
        }
        at_once.join_all().await;
        let path = at(&id);
        let (one, other) = tokio::join!(api.delete(&path), api.delete(&path));
        let mut outcomes = [one.status.as_u16(), other.status.as_u16()];
        outcomes.sort_unstable();
        assert_eq!(outcomes, [204, 404]);
        assert!(in_keycloak(&realm, &id).await.is_none());
        assert_eq!(used(&api).await, 0);
        server.stop().await;
    }
}

#[tokio::test]
async fn who_waited_in_vain_is_told_when_to_come_again() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let proxy = FaultProxy::start();
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server = TestServer::start_with(realm, Database::sqlite, &settings).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    proxy.on("PUT /admin/*/clients/*", Fault::CutAnswer);
    let change = json!({"description": "nobody knows"});
    api.patch(&at(&id), &change).await.expect_problem(503, "keycloak-unavailable");
    proxy.clear();
    // It is finished later; until then the client is busy.
    for answer in [
        api.patch(&at(&id), &json!({"description": "another"})).await,
        api.post_empty(&format!("{}/secret", at(&id))).await,
        api.delete(&at(&id)).await,
    ] {
        let wait = answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        answer.expect_problem(409, "client-busy");
    }
    let listed = api.get(CLIENTS).await.expect(200);
    assert_eq!(listed["pagination"]["total"], 1);
    server.stop().await;
}
