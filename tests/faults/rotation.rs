//! A rotation that is not issued after all: the old token is what it was.

use serde_json::{Value, json};

use super::{audited, quiet_server_behind, server_behind};
use crate::support::{Api, Fault, FaultProxy, TestRealm};

const TOKENS: &str = "/api/pat/v1/tokens";

async fn states(user: &Api) -> Vec<(String, Value)> {
    let list = user.get(TOKENS).await.expect(200);
    let tokens = list["tokens"].as_array().unwrap();
    tokens
        .iter()
        .map(|token| (token["status"].as_str().unwrap().to_owned(), token["rotatedTo"].clone()))
        .collect()
}

#[tokio::test]
async fn an_owner_who_changes_meanwhile_keeps_the_old_token_and_gets_no_successor() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let (server, person) = (quiet_server_behind(&proxy, &realm).await, realm.person().await);
    let user = server.user(&person).await;
    for grace in [0, 600] {
        let old = user.mint(&format!("{}-{grace}", person.username)).await;
        proxy.clear();
        // The roles at the preparation, the claims, and the roles again when the record is there.
        let rule = proxy.on_nth(3, "GET */generate-example*", Fault::HoldRequest);
        let path = format!("{TOKENS}/{}/rotate", old["patId"].as_str().unwrap());
        let body = json!({"graceSeconds": grace});
        let (answer, ()) = tokio::join!(user.post(&path, &body), async {
            rule.wait_until_held().await;
            realm.give_roles(&person, "hallpass", &["read-audit"]).await;
            rule.release();
        });
        answer.expect_problem(409, "owner-changed");
        proxy.clear();
        realm.take_roles(&person, "hallpass", &["read-audit"]).await;

        assert_eq!(states(&user).await, [("active".to_owned(), Value::Null)]);
        let itself = server.with_token(old["token"].as_str().unwrap());
        itself.get(&format!("{TOKENS}/self")).await.expect(200);
        let log = audited(&server, &format!("{}-{grace}", person.username)).await;
        let last = log.last().unwrap();
        assert_eq!(last, "token_abandoned: owner-changed", "{log:?}");
        // And it can be rotated as before.
        user.post(&path, &body).await.expect(201);
        assert_eq!(user.delete(TOKENS).await.expect(200)["deleted"], 2);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_token_that_is_ended_while_its_rotation_fails_stays_ended() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let (server, person) = (quiet_server_behind(&proxy, &realm).await, realm.person().await);
    let user = server.user(&person).await;
    for grace in [0, 600] {
        let old = user.mint(&format!("{}-ended-{grace}", person.username)).await;
        proxy.clear();
        let rule = proxy.on_nth(3, "GET */generate-example*", Fault::HoldRequest);
        let path = format!("{TOKENS}/{}/rotate", old["patId"].as_str().unwrap());
        let body = json!({"graceSeconds": grace});
        let (answer, ()) = tokio::join!(user.post(&path, &body), async {
            rule.wait_until_held().await;
            realm.give_roles(&person, "hallpass", &["read-audit"]).await;
            user.post_empty(&format!("{TOKENS}/invalidate")).await.expect(200);
            rule.release();
        });
        answer.expect_problem(409, "owner-changed");
        proxy.clear();
        realm.take_roles(&person, "hallpass", &["read-audit"]).await;
        assert!(states(&user).await.iter().all(|(status, _)| status == "revoked"));
        let itself = server.with_token(old["token"].as_str().unwrap());
        itself.get(&format!("{TOKENS}/self")).await.expect_problem(401, "unauthenticated");
        user.delete(TOKENS).await.expect(200);
    }
    server.stop().await;
}

#[tokio::test]
async fn while_keycloak_is_away_nothing_is_rotated() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let (server, person) = (server_behind(&proxy, &realm).await, realm.person().await);
    let user = server.user(&person).await;
    let old = user.mint(&person.username).await;
    let path = format!("{TOKENS}/{}/rotate", old["patId"].as_str().unwrap());
    for (nth, pattern) in
        [(1, "GET */users?*"), (2, "GET */users?*"), (2, "GET */generate-example*")]
    {
        proxy.clear();
        proxy.on_from(nth, pattern, Fault::status(503));
        user.post_empty(&path).await.expect_problem(503, "keycloak-unavailable");
        assert_eq!(states(&user).await, [("active".to_owned(), Value::Null)], "{nth} {pattern}");
    }
    proxy.clear();
    user.post_empty(&path).await.expect(201);
    server.stop().await;
}
