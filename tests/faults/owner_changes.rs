//! The owner changes while a token is made: between the first look at them and the second.

use serde_json::{Value, json};

use super::{audited, quiet_server_behind, recorded, server_behind};
use crate::support::{Admin, Answer, Fault, FaultProxy, Person, TestRealm, TestServer};

const FIRST_ROLES: (usize, &str) = (1, "GET */generate-example-access-token");
const OWNER_AGAIN: (usize, &str) = (2, "GET */users?*");
/// Between the two the claims are asked for in the same way.
const ROLES_AGAIN: (usize, &str) = (3, "GET */generate-example-access-token");

/// Mints; when the call is held, the change is made, and then the mint goes on.
async fn mint_while(
    (server, person, proxy): (&TestServer, &Person, &FaultProxy),
    (nth, pattern): (usize, &str),
    change: impl Future<Output = ()>,
) -> Answer {
    let rule = proxy.on_nth(nth, pattern, Fault::HoldRequest);
    let user = server.user(person).await;
    let body = json!({"name": person.username});
    let (answer, ()) = tokio::join!(user.post("/api/pat/v1/tokens", &body), async {
        rule.wait_until_held().await;
        change.await;
        rule.release();
    });
    proxy.clear();
    answer
}

/// Nothing is listed, and the audit log tells of it.
async fn assert_abandoned(server: &TestServer, person: &Person, code: &str) {
    let log = ["token_created".to_owned(), format!("token_abandoned: {code}")];
    assert_eq!(audited(server, &person.username).await, log);
    assert_eq!(recorded(server).await, 0);
}

async fn set_enabled(realm: &TestRealm, person: &Person, enabled: bool) {
    let path = format!("/{}/users/{}", realm.name, person.id);
    Admin::log_in().await.put(&path, &json!({"enabled": enabled})).await;
}

#[tokio::test]
async fn an_owner_who_is_disabled_meanwhile_gets_no_token() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let (server, person) = (server_behind(&proxy, &realm).await, realm.person().await);
    let user = server.user(&person).await;
    let answer =
        mint_while((&server, &person, &proxy), OWNER_AGAIN, set_enabled(&realm, &person, false));
    answer.await.expect_problem(403, "owner-disabled");
    assert_abandoned(&server, &person, "owner-disabled").await;

    // Enabled again, the name is free.
    set_enabled(&realm, &person, true).await;
    user.mint(&person.username).await;
    server.stop().await;
}

#[tokio::test]
async fn an_owner_who_is_deleted_meanwhile_gets_no_token() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let (server, person) = (server_behind(&proxy, &realm).await, realm.person().await);
    let path = format!("/{}/users/{}", realm.name, person.id);
    let answer = mint_while((&server, &person, &proxy), OWNER_AGAIN, async {
        Admin::log_in().await.delete(&path).await;
    });
    answer.await.expect_problem(403, "owner-disabled");
    assert_abandoned(&server, &person, "owner-disabled").await;
    server.stop().await;
}

#[tokio::test]
async fn an_owner_who_loses_a_role_meanwhile_gets_no_token() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let (server, person) = (quiet_server_behind(&proxy, &realm).await, realm.person().await);
    realm.give_roles(&person, "hallpass", &["read-audit"]).await;
    let answer = mint_while(
        (&server, &person, &proxy),
        ROLES_AGAIN,
        realm.take_roles(&person, "hallpass", &["read-audit"]),
    );
    answer.await.expect_problem(409, "owner-changed");
    assert_abandoned(&server, &person, "owner-changed").await;
    server.user(&person).await.mint(&person.username).await;
    server.stop().await;
}

#[tokio::test]
async fn a_token_that_is_deleted_while_it_is_made_is_not_answered() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let (server, person) = (quiet_server_behind(&proxy, &realm).await, realm.person().await);
    let user = server.user(&person).await;
    let answer = mint_while((&server, &person, &proxy), ROLES_AGAIN, async {
        assert_eq!(user.delete("/api/pat/v1/tokens").await.expect(200)["deleted"], 1);
    });
    answer.await.expect_problem(409, "owner-changed");
    let log = ["token_created", "token_deleted"];
    assert_eq!(audited(&server, &person.username).await, log);
    assert_eq!(recorded(&server).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn an_owner_who_gains_a_role_between_roles_and_claims_gets_no_token() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let (server, person) = (quiet_server_behind(&proxy, &realm).await, realm.person().await);
    // The roles are those from before, the claims those from after.
    let rule = proxy.on_nth(FIRST_ROLES.0, FIRST_ROLES.1, Fault::HoldAnswer);
    let user = server.user(&person).await;
    let body = json!({"name": person.username});
    let (answer, ()) = tokio::join!(user.post("/api/pat/v1/tokens", &body), async {
        rule.wait_until_held().await;
        realm.give_roles(&person, "hallpass", &["read-audit"]).await;
        rule.release();
    });
    answer.expect_problem(409, "owner-changed");
    assert_abandoned(&server, &person, "owner-changed").await;
    server.stop().await;
}

#[tokio::test]
async fn a_change_that_touches_no_role_does_not_stop_a_mint() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let (server, person) = (server_behind(&proxy, &realm).await, realm.person().await);
    let path = format!("/{}/users/{}", realm.name, person.id);
    let answer = mint_while((&server, &person, &proxy), OWNER_AGAIN, async {
        let admin = Admin::log_in().await;
        let mut user: Value = admin.get(&path).await;
        user["lastName"] = json!("Renamed");
        admin.put(&path, &user).await;
    });
    answer.await.expect(201);
    server.stop().await;
}
