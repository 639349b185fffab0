//! The store goes away right after Keycloak did its part.

use hallpass::clock::Clock;
use hallpass::serve::Server;

use super::agree::{assert_nothing_stuck, find_in_keycloak, until_agreed};
use super::operation::Operation;
use super::{Account, HEALED, settings, unswept};
use crate::support::{Database, Fault, FaultProxy, Line, Process, TcpProxy, TestRealm};

#[tokio::test]
async fn what_keycloak_did_before_the_store_went_away_is_finished_or_undone() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let account = Account::new(&realm).await;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::postgres(&folder);
    Process::prepare_store(&realm, &database).await;
    let mut url: url::Url = database.url_text().parse().unwrap();
    let line =
        TcpProxy::before(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())).await;
    url.set_port(Some(line.port())).unwrap();
    let mut extra = settings(&proxy);
    extra.push(("HALLPASS_STORE__URL", url.as_str()));
    let clock = Clock::system();
    let start = Server::start(realm.settings(&database, &extra), clock.clone());
    let server = unswept(&proxy, start).await.unwrap();
    let base = format!("http://{}", server.address());

    let mut victims = Vec::new();
    for operation in Operation::ALL {
        let name = format!("{operation:?}");
        let calls = operation.record(&account, &base, &proxy).await;
        let call = calls.iter().rfind(|call| !call.reads()).unwrap();
        let made = operation.prepare(&account, &base, &name).await;
        let rule = proxy.on_nth(call.nth, &call.pattern_for(made.as_ref()), Fault::HoldAnswer);
        let api = account.member(&base);
        let request = operation.request(&account, &base, &name);
        let request = tokio::spawn(async move { api.send(request).await });
        rule.wait_until_held().await;
        line.set(Line::Cut);
        rule.release();
        request.await.unwrap().expect_problem(503, "store-unavailable");
        line.set(Line::Open);
        if operation == Operation::Create {
            let id = account.client_id(&name);
            assert!(find_in_keycloak(&account, &id).await.is_some(), "Keycloak made it");
        }
        victims.push((operation, name, made));
    }
    clock.advance(HEALED);
    for (operation, name, made) in &victims {
        until_agreed((&account, &base), &account.client_id(name), name, HEALED).await;
        if let Some(made) = made {
            operation.assert_whole(&account, &base, made).await;
        }
    }
    assert_nothing_stuck(&account, &base, "after all").await;
    server.stop().await;
}
