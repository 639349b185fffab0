//! `kill -9` anywhere while a token is made.

use serde_json::{Value, json};
use tokio::select;

use super::{SELDOM, quietly};
use crate::support::{Database, Fault, FaultProxy, Person, Process, TestRealm};

/// Kills a service while the n-th request of its first mint is held. False: it was done before that.
async fn killed_at(
    n: usize,
    fault: &Fault,
    name: &str,
    (realm, person, proxy): (&TestRealm, &Person, &FaultProxy),
    database: &Database,
    folder: &std::path::Path,
) -> bool {
    let mut extra = SELDOM.to_vec();
    extra.push(("HALLPASS_KEYCLOAK__URL", proxy.url()));
    let process = quietly(proxy, Process::serve(realm, database, folder, &extra)).await;
    let user = process.user(realm, person).await;
    let rule = proxy.on_nth(n, "*", fault.clone());
    let request = user.request(reqwest::Method::POST, "/api/pat/v1/tokens");
    let held = select! {
        () = rule.wait_until_held() => true,
        answer = request.json(&json!({"name": name})).send() => {
            assert_eq!(answer.unwrap().status(), 201);
            false
        }
    };
    process.kill().await;
    proxy.clear();
    held
}

/// The caller's tokens of this name, as the list shows them.
fn named<'a>(list: &'a Value, name: &str) -> Vec<&'a Value> {
    list["tokens"].as_array().unwrap().iter().filter(|token| token["name"] == name).collect()
}

async fn leaves_nothing_half_made(fault: Fault) {
    let realm = TestRealm::shared().await;
    let person = realm.person().await;
    let proxy = FaultProxy::start();
    let folder = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&folder);
    Process::prepare_store(&realm, &database).await;
    let keycloak = [("HALLPASS_KEYCLOAK__URL", proxy.url())];

    let mut left_records = 0;
    let mut n = 1;
    while killed_at(n, &fault, "victim", (&realm, &person, &proxy), &database, folder.path()).await
    {
        let process = Process::serve(&realm, &database, folder.path(), &keycloak).await;
        let user = process.user(&realm, &person).await;
        let list = user.get("/api/pat/v1/tokens").await.expect(200);
        // Nobody was given a token. Either there is no record, or its owner sees it and can delete it.
        for record in named(&list, "victim") {
            left_records += 1;
            let path = format!("/api/pat/v1/tokens/{}", record["patId"].as_str().unwrap());
            user.delete(&path).await.expect(204);
        }
        let minted = user.mint("victim").await;
        let pat = process.api(Some(minted["token"].as_str().unwrap()));
        pat.get("/api/pat/v1/tokens/self").await.expect(200);
        let path = format!("/api/pat/v1/tokens/{}", minted["patId"].as_str().unwrap());
        user.delete(&path).await.expect(204);
        process.stop().await;
        n += 1;
    }
    // Login, publication, twice the owner's state and roles, claims, clients: fewer were no mint.
    assert!(n > 8, "only {n} requests");
    // The second look at the owner is after the commit: its requests leave a record.
    assert!(left_records >= 2, "{left_records} of {n}");

    // The last round was answered before the kill: what was answered is durable.
    let process = Process::serve(&realm, &database, folder.path(), &keycloak).await;
    let list = process.user(&realm, &person).await.get("/api/pat/v1/tokens").await.expect(200);
    assert_eq!(named(&list, "victim").len(), 1);
    process.stop().await;
}

#[tokio::test]
async fn killed_before_any_request_of_a_mint_nothing_is_half_made() {
    leaves_nothing_half_made(Fault::HoldRequest).await;
}

#[tokio::test]
async fn killed_before_any_answer_of_a_mint_nothing_is_half_made() {
    leaves_nothing_half_made(Fault::HoldAnswer).await;
}
