//! The service notes what it sees in Keycloak while somebody changes the same API client.

use reqwest::Method;
use serde_json::json;

use super::{Account, path, settings, unswept};
use crate::support::{Database, Fault, FaultProxy, TestRealm, TestServer};

#[tokio::test]
async fn a_look_at_keycloaks_client_makes_no_change_of_it_busy() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let account = Account::new(&realm).await;
    let settings = settings(&proxy);
    let start = TestServer::start_with(realm.clone(), Database::sqlite, &settings);
    let server = Box::pin(unswept(&proxy, start)).await;
    let made = account.make(server.base(), "noticed").await;
    let api = account.member(server.base());

    // The record was read, Keycloak's client not yet.
    let rule = proxy.on_nth(1, &format!("GET */clients/{}", made.uuid), Fault::HoldRequest);
    let change = api.request(Method::PATCH, &path(&made.id)).json(&json!({"description": "After"}));
    let (answer, ()) = tokio::join!(api.send(change), async {
        rule.wait_until_held().await;
        let in_keycloak = format!("/{}/clients/{}", realm.name, made.uuid);
        let admin = account.keycloak().await;
        let mut client = admin.get(&in_keycloak).await;
        client["directAccessGrantsEnabled"] = json!(true);
        admin.put(&in_keycloak, &client).await;
        let shown = api.get(&path(&made.id)).await.expect(200);
        assert_eq!(shown["status"], "drifted", "{shown}");
        rule.release();
    });
    let changed = answer.expect(200);
    assert_eq!(changed["description"], "After");
    assert_eq!(changed["status"], "drifted", "{changed}");
    server.stop().await;
}
