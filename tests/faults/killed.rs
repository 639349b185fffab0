//! `kill -9` anywhere while a token is made.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::select;

use super::{CALLS, Call, KEYS, SELDOM};
use crate::support::{Database, Fault, FaultProxy, Person, Process, TestRealm};

const NAME: &str = "victim";

/// Kills a service while this call of a mint is held.
async fn killed_at(
    call: Call,
    fault: Fault,
    (realm, person, proxy): (&TestRealm, &Person, &FaultProxy),
    database: &Database,
    folder: &Path,
) {
    let mut extra = SELDOM.to_vec();
    extra.push(("HALLPASS_KEYCLOAK__URL", proxy.url()));
    let process = Process::serve(realm, database, folder, &extra).await;
    let user = process.user(realm, person).await;
    let rule = call.fails(proxy, fault);
    let request = user.request(Method::POST, "/api/pat/v1/tokens");
    select! {
        () = rule.wait_until_held() => {}
        answer = request.json(&json!({"name": NAME})).send() => panic!("{call:?}: {answer:?}"),
    }
    process.kill().await;
    proxy.clear();
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

    // The realm's keys are looked at beside the requests: no mint waits for them.
    for call in CALLS.into_iter().filter(|call| call.pattern != KEYS.pattern) {
        killed_at(call, fault.clone(), (&realm, &person, &proxy), &database, folder.path()).await;
        let process = Process::serve(&realm, &database, folder.path(), &keycloak).await;
        let user = process.user(&realm, &person).await;
        let list = user.get("/api/pat/v1/tokens").await.expect(200);
        // Nobody was given a token. There is no record, or its owner sees it and can delete it.
        let left = named(&list, NAME);
        assert_eq!(left.len(), usize::from(call.committed), "{call:?}: {list}");
        for record in left {
            let path = format!("/api/pat/v1/tokens/{}", record["patId"].as_str().unwrap());
            user.delete(&path).await.expect(204);
        }
        let minted = user.mint(NAME).await;
        // What was answered is there, however the process ends.
        process.kill().await;
        let process = Process::serve(&realm, &database, folder.path(), &keycloak).await;
        let pat = process.api(Some(minted["token"].as_str().unwrap()));
        pat.get("/api/pat/v1/tokens/self").await.expect(200);
        let path = format!("/api/pat/v1/tokens/{}", minted["patId"].as_str().unwrap());
        process.user(&realm, &person).await.delete(&path).await.expect(204);
        process.stop().await;
    }
}

#[tokio::test]
async fn killed_before_a_request_of_a_mint_nothing_is_half_made() {
    Box::pin(leaves_nothing_half_made(Fault::HoldRequest)).await;
}

#[tokio::test]
async fn killed_before_an_answer_of_a_mint_nothing_is_half_made() {
    Box::pin(leaves_nothing_half_made(Fault::HoldAnswer)).await;
}
