//! The caller hangs up while Keycloak is at work.

use std::time::{Duration, Instant};

use super::agree::{assert_nothing_stuck, until_agreed};
use super::operation::Operation;
use super::{Account, path, settings, unswept};
use crate::support::{Database, Fault, FaultProxy, TestRealm, TestServer};

/// Less than a lease: what is done by then, the reconciler did not do.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test]
async fn an_operation_whose_caller_hangs_up_comes_to_its_end() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let account = Account::new(&realm).await;
    let extra = settings(&proxy);
    let server =
        Box::pin(unswept(&proxy, TestServer::start_with(realm, Database::sqlite, &extra))).await;
    let base = server.base();
    for operation in Operation::ALL {
        let what = format!("{operation:?}");
        let calls = operation.record(&account, base, &proxy).await;
        let call = calls.iter().find(|call| !call.reads()).unwrap();
        let made = operation.prepare(&account, base, &what).await;
        let id = account.client_id(&what);
        let rule = proxy.on_nth(call.nth, &call.pattern_for(made.as_ref()), Fault::HoldAnswer);
        let request = tokio::spawn(operation.request(&account, base, &what).send());
        rule.wait_until_held().await;
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        rule.release();

        let began = Instant::now();
        while !is_done(operation, &account, base, &id).await {
            assert!(began.elapsed() < SOON, "{what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        until_agreed((&account, base), &id, &what, SOON).await;
        if let Some(made) = made {
            operation.assert_whole(&account, base, &made).await;
        }
    }
    assert_nothing_stuck(&account, base, "after all").await;
    server.stop().await;
}

async fn is_done(operation: Operation, account: &Account, base: &str, id: &str) -> bool {
    let api = account.administrator(base);
    let answer = api.get(&path(id)).await;
    if operation == Operation::Delete {
        return answer.status == 404;
    }
    let record = answer.expect(200);
    match operation {
        Operation::Create => record["status"] == "active",
        Operation::Change | Operation::ChangeScopes => record["displayName"] == "After",
        Operation::Transfer => record["owner"]["id"] == account.other_member.id.as_str(),
        // The next one is taken as soon as this one is over.
        Operation::Regenerate => {
            api.post_empty(&format!("{}/secret", path(id))).await.status == 201
        }
        Operation::Delete => unreachable!(),
    }
}
