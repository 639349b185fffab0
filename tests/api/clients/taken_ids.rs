//! Ids that somebody else has: in the realm, or in the same moment.

use serde_json::json;

use super::{CLIENTS, at, ids, in_keycloak, make, make_at_once, manager, member, script, used};
use crate::support::{Admin, Database, TestRealm, TestServer, unique};

#[tokio::test]
async fn a_client_that_hallpass_did_not_make_is_never_touched() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, manager) = (member(&realm, &account).await, manager(&realm).await);
    let id = format!("{account}_x");
    let foreign = json!({
        "clientId": id, "name": "Somebody's", "redirectUris": ["https://x.example/*"], "secret": "theirs",
    });
    Admin::log_in().await.post(&format!("/{}/clients", realm.name), &foreign).await;
    let before = in_keycloak(&realm, &id).await.unwrap();

    let server = TestServer::in_realm(realm.clone()).await;
    let (api, managing) = (server.user(&person).await, server.user(&manager).await);
    api.post(CLIENTS, &script(&id)).await.expect_problem(409, "client-id-taken");
    assert_eq!(used(&api).await, 0);
    for caller in [&api, &managing] {
        assert_eq!(ids(&caller.get(&format!("{CLIENTS}?search={id}")).await.expect(200)), [""; 0]);
        // Nor is anything of Keycloak's own.
        for id in [&id, "account", "admin-cli", "hallpass", "realm-management"] {
            caller.get(&at(id)).await.expect_problem(404, "not-found");
            caller.delete(&at(id)).await.expect_problem(404, "not-found");
            caller.get(&format!("{}/secret", at(id))).await.expect_problem(404, "not-found");
            caller
                .patch(&at(id), &json!({"enabled": false}))
                .await
                .expect_problem(404, "not-found");
            let bulk = json!({"clientIds": [id]});
            let answer = caller.post(&format!("{CLIENTS}/delete/bulk"), &bulk).await.expect(200);
            assert_eq!(answer["results"][0]["outcome"], "not_found");
        }
    }
    assert_eq!(in_keycloak(&realm, &id).await.unwrap(), before);
    server.stop().await;
}

#[tokio::test]
async fn of_those_who_want_one_id_at_once_one_has_it() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (one, other) = (member(&realm, &account).await, member(&realm, &account).await);
    let server = TestServer::start_with(realm.clone(), Database::postgres, &[]).await;
    let replica = server.replica().await;
    let callers = [server.user(&one).await, replica.user(&other).await];
    for round in 0..3 {
        let id = format!("{account}_{round}");
        let answers = make_at_once(callers.clone().map(|api| (api, script(&id)))).await;
        let (made, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().map(|(_, answer)| answer).partition(|answer| answer.status == 201);
        assert_eq!(made.len(), 1, "{refused:?}");
        for answer in refused {
            answer.expect_problem(409, "client-id-taken");
        }
        let owner = &made[0].json()["owner"]["id"];
        assert_eq!(&callers[0].get(&at(&id)).await.expect(200)["owner"]["id"], owner);
        assert!(in_keycloak(&realm, &id).await.is_some());
    }
    assert_eq!(used(&callers[1]).await, 3);
    // Taken for good only while it is there.
    callers[0].delete(&at(&format!("{account}_0"))).await.expect(204);
    make(&callers[1], &script(&format!("{account}_0"))).await;
    replica.stop().await;
    server.stop().await;
}
