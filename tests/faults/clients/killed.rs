//! `kill -9` while a call to Keycloak, or its answer, is on its way; then a start on the same store.

use std::time::Instant;

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::agree::{assert_nothing_stuck, until_agreed};
use super::operation::{Call, Operation};
use super::{Account, HEALED, Made, settings, unswept};
use crate::support::{Database, Fault, FaultProxy, Process, TestRealm};

/// A client whose operation was interrupted, and where.
struct Victim {
    operation: Operation,
    at: String,
    id: String,
    made: Option<Made>,
}

/// What a killed service left behind.
struct Left {
    account: Account,
    database: Database,
    folder: TempDir,
    victims: Vec<Victim>,
}

/// The calls at which the operations are interrupted, and how.
type Points = fn(&[Call]) -> Vec<(Call, Fault)>;

fn every_call_and_answer(calls: &[Call]) -> Vec<(Call, Fault)> {
    let faults = [Fault::HoldRequest, Fault::HoldAnswer];
    faults.iter().flat_map(|fault| calls.iter().map(|call| (call.clone(), fault.clone()))).collect()
}

fn answer_of_the_last_change(calls: &[Call]) -> Vec<(Call, Fault)> {
    let last = calls.iter().rfind(|call| !call.reads()).unwrap();
    vec![(last.clone(), Fault::HoldAnswer)]
}

/// Starts a service, brings each operation to each point, each with a client of its own, and kills the service.
async fn interrupt(
    realm: &TestRealm,
    database: fn(&TempDir) -> Database,
    operations: &[Operation],
    points: Points,
) -> Left {
    let (account, proxy) = (Account::new(realm).await, FaultProxy::start());
    let folder = tempfile::tempdir().unwrap();
    let database = database(&folder);
    Process::prepare_store(realm, &database).await;
    let extra = settings(&proxy);
    let serve = Process::serve(realm, &database, folder.path(), &extra);
    let process = unswept(&proxy, serve).await;
    let base = process.base().to_owned();

    let mut planned = Vec::new();
    for operation in operations {
        let calls = operation.record(&account, &base, &proxy).await;
        for (call, fault) in points(&calls) {
            let name = format!("{operation:?}-{}", planned.len());
            let made = operation.prepare(&account, &base, &name).await;
            planned.push((*operation, call, fault, name, made));
        }
    }
    let (mut victims, mut requests) = (Vec::new(), Vec::new());
    for (operation, call, fault, name, made) in planned {
        let at = format!("{operation:?} {fault:?} {call:?}");
        let rule = proxy.on_nth(call.nth, &call.pattern_for(made.as_ref()), fault);
        requests.push(tokio::spawn(operation.request(&account, &base, &name).send()));
        rule.wait_until_held().await;
        victims.push(Victim { operation, at, id: account.client_id(&name), made });
    }
    process.kill().await;
    proxy.clear();
    for request in requests {
        request.abort();
    }
    Left { account, database, folder, victims }
}

/// Starts on what was left, and waits until everything is whole again.
async fn heals(left: Left) {
    let Left { account, database, folder, victims } = left;
    let extra = [("HALLPASS_CLIENTS__QUOTA", "1000")];
    let process = Process::serve(&account.realm, &database, folder.path(), &extra).await;
    let (base, began) = (process.base(), Instant::now());
    for Victim { operation, at, id, made } in &victims {
        let left = HEALED.saturating_sub(began.elapsed());
        until_agreed((&account, base), id, at, left).await;
        if let Some(made) = made {
            operation.assert_whole(&account, base, made).await;
        }
    }
    let what = format!("{:?}", victims[0].operation);
    assert_nothing_stuck(&account, base, &what).await;
    process.stop().await;
}

#[tokio::test]
async fn killed_at_any_call_of_any_operation_record_and_keycloak_agree_again() {
    let realm = TestRealm::shared().await;
    let mut healing = JoinSet::new();
    for operation in Operation::ALL {
        let left = interrupt(&realm, Database::sqlite, &[operation], every_call_and_answer).await;
        healing.spawn(heals(left));
    }
    healing.join_all().await;
}

#[tokio::test]
async fn on_postgresql_a_killed_service_s_operations_are_ended_when_their_leases_are_over() {
    let realm = TestRealm::shared().await;
    let points = answer_of_the_last_change;
    heals(interrupt(&realm, Database::postgres, &Operation::ALL, points).await).await;
}
