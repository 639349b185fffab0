//! Two replicas on one PostgreSQL.

use std::time::{Duration, Instant};

use hallpass::clock::Clock;
use hallpass::serve::Server;
use serde_json::{Value, json};
use tokio::join;

use super::agree::{assert_nothing_stuck, until_agreed};
use super::operation::Operation;
use super::{Account, HEALED, path, settings, unswept};
use crate::support::{Database, Fault, FaultProxy, TestRealm, TestServer};

/// So long each call of a change takes: all of them less than an operation may, and more than once around of the
/// other replica's reconciler.
const SLOWLY: Duration = Duration::from_millis(2500);
const ROUNDS: usize = 8;

struct Replicas {
    account: Account,
    one: TestServer,
    proxy: FaultProxy,
    other: Server,
    other_clock: Clock,
    other_proxy: FaultProxy,
    other_base: String,
}

impl Replicas {
    async fn start() -> Self {
        let realm = TestRealm::shared().await;
        let (proxy, other_proxy) = (FaultProxy::start(), FaultProxy::start());
        let account = Account::new(&realm).await;
        let extra = settings(&proxy);
        let start = TestServer::start_with(realm.clone(), Database::postgres, &extra);
        let one = Box::pin(unswept(&proxy, start)).await;
        let other_clock = Clock::system();
        let other_settings = realm.settings(&one.database, &settings(&other_proxy));
        // The first one follows the realm, this one only serves.
        let other = Server::start(other_settings, other_clock.clone()).await.unwrap();
        let other_base = format!("http://{}", other.address());
        Self { account, one, proxy, other, other_clock, other_proxy, other_base }
    }

    async fn stop(self) {
        assert_nothing_stuck(&self.account, self.one.base(), "at the end").await;
        self.one.stop().await;
        self.other.stop().await;
    }
}

#[tokio::test]
async fn the_reconciler_of_one_replica_leaves_alone_what_another_is_at_work_on() {
    let replicas = Box::pin(Replicas::start()).await;
    let (account, base) = (&replicas.account, replicas.one.base());
    let made = account.make(base, "slow").await;
    replicas.proxy.on("*", Fault::Delay(SLOWLY));
    let asked = Instant::now();
    let answer = Operation::ChangeScopes.request(account, base, "slow").send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    assert!(asked.elapsed() > Duration::from_secs(10), "{:?}", asked.elapsed());
    let touched = format!("* /admin/realms/{}/clients/{}*", account.realm.name, made.uuid);
    assert_eq!(replicas.other_proxy.count(&touched), 0, "{:?}", replicas.other_proxy.passed());
    replicas.proxy.clear();
    until_agreed((account, base), &made.id, "a slow change", HEALED).await;
    Box::pin(replicas.stop()).await;
}

/// A replica that was stopped for a while (or whose clock is slow) finds its operation taken over and ended, and the
/// next one begun: it must not end that one.
#[tokio::test]
async fn an_operation_that_was_taken_over_is_ended_once() {
    let replicas = Box::pin(Replicas::start()).await;
    let (account, base) = (&replicas.account, replicas.one.base());
    let made = account.make(base, "lost").await;
    replicas.proxy.on("*", Fault::Delay(SLOWLY));
    let change = tokio::spawn(Operation::ChangeScopes.request(account, base, "lost").send());
    // Its first write is done; what follows of it, after the other one's end, changes nothing more.
    let next_call = replicas.proxy.on("GET */client-scopes", Fault::Pass);
    next_call.wait_for_hits(2).await;
    replicas.other_clock.advance(HEALED);
    let other = account.member(&replicas.other_base);
    let began = Instant::now();
    // Refused while the first one is under way; taken once the other replica has ended it.
    let answer = loop {
        let next = json!({"description": "Next"});
        let answer = other.patch(&path(&made.id), &next).await;
        if answer.status != 409 {
            break answer;
        }
        assert!(began.elapsed() < HEALED, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let next = answer.expect(200);
    assert_eq!((&next["displayName"], &next["description"]), (&json!("After"), &json!("Next")));
    let late = change.await.unwrap().unwrap();
    assert_eq!(late.status(), 503);
    let problem: Value = late.json().await.unwrap();
    assert_eq!(problem["code"], "keycloak-unavailable", "{problem}");
    replicas.proxy.clear();
    until_agreed((account, base), &made.id, "taken over", HEALED).await;
    let record = other.get(&path(&made.id)).await.expect(200);
    assert_eq!(record["description"], "Next", "{record}");
    Box::pin(replicas.stop()).await;
}

#[tokio::test]
async fn of_two_changes_at_once_none_is_mixed_with_the_other() {
    let replicas = Box::pin(Replicas::start()).await;
    let account = &replicas.account;
    let one = account.member(replicas.one.base());
    let other = account.member(&replicas.other_base);
    let id = account.make(replicas.one.base(), "contended").await.id;
    let change = |text: &str| {
        json!({"displayName": text, "description": text,
               "redirectUris": [format!("https://{text}.example/cb")]})
    };
    for round in 0..ROUNDS {
        let (a, b) = (change(&format!("a{round}")), change(&format!("b{round}")));
        let path = path(&id);
        let (first, second) = join!(one.patch(&path, &a), other.patch(&path, &b));
        let mut taken = Vec::new();
        for (answer, wanted) in [(first, a), (second, b)] {
            if answer.status == 200 {
                taken.push(wanted);
            } else {
                answer.expect_problem(409, "client-busy");
            }
        }
        assert!(!taken.is_empty(), "round {round}: both were refused");
        until_agreed((account, &replicas.other_base), &id, "two changes", HEALED).await;
        let record = one.get(&path).await.expect(200);
        let is = |wanted: &Value| {
            wanted.as_object().unwrap().iter().all(|(name, value)| record[name] == *value)
        };
        assert!(taken.iter().any(is), "round {round}: {record}, taken {taken:?}");
    }
    Box::pin(replicas.stop()).await;
}

#[tokio::test]
async fn a_deletion_and_a_new_secret_at_once_leave_no_half() {
    let replicas = Box::pin(Replicas::start()).await;
    let (account, base) = (&replicas.account, replicas.one.base());
    let (one, other) = (account.member(base), account.member(&replicas.other_base));
    for round in 0..ROUNDS {
        let id = account.make(base, &format!("gone{round}")).await.id;
        let path = path(&id);
        let secret_path = format!("{path}/secret");
        let (deleted, renewed) = join!(one.delete(&path), other.post_empty(&secret_path));
        let (is_deleted, is_renewed) = (deleted.status == 204, renewed.status == 201);
        assert!(is_deleted || is_renewed, "round {round}: {deleted:?} {renewed:?}");
        if !is_deleted {
            deleted.expect_problem(409, "client-busy");
        }
        if !is_renewed {
            let (status, code) =
                if renewed.status == 404 { (404, "not-found") } else { (409, "client-busy") };
            renewed.expect_problem(status, code);
        }
        until_agreed((account, base), &id, "deleted and renewed", HEALED).await;
        assert_eq!(one.get(&path).await.status == 404, is_deleted, "round {round}");
    }
    Box::pin(replicas.stop()).await;
}
