//! Each call that a mint makes to Keycloak fails in each way: nothing is half-made, and the answer comes in time.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::{
    CALLS, CLAIMS, Call, KEYS, LOGIN, OWNER, OWNER_AGAIN, PROBE_CLIENT, ROLES, ROLES_AGAIN,
    audited, call, recorded, server_behind,
};
use crate::support::{Answer, Fault, FaultProxy, TestRealm};

/// From the request to the answer, whatever Keycloak does.
const BOUND: Duration = Duration::from_secs(10);

/// What a fault at this call comes to.
type Expected = (u16, &'static str);
const AWAY: Expected = (503, "keycloak-unavailable");
const REFUSED: Expected = (503, "keycloak-refused");

/// Mints while the call has the fault, from its n-th occurrence on.
async fn mint_with(
    (realm, access_token): (TestRealm, String),
    call: Call,
    fault: Fault,
    (status, code): Expected,
) {
    let proxy = FaultProxy::start();
    let server = server_behind(&proxy, &realm).await;
    let user = server.with_token(&access_token);
    if call.pattern != KEYS.pattern {
        user.get("/api/pat/v1/tokens").await.expect(200);
    }
    let rule = call.fails(&proxy, fault.clone());

    let name = "half";
    let asked = Instant::now();
    let answer = user.post("/api/pat/v1/tokens", &json!({"name": name})).await;
    let took = asked.elapsed();
    let what = format!("{call:?} {fault:?} after {took:?}: {answer:?}");
    assert!(rule.hits() >= call.nth, "the call was not made: {what}");
    assert!(took < BOUND, "{what}");
    assert_is(answer, status, code, &what);

    // The record, where there was one, was taken back; its name is free as soon as Keycloak is back.
    let log = if call.committed {
        vec!["token_created".to_owned(), format!("token_abandoned: {code}")]
    } else {
        Vec::new()
    };
    assert_eq!(audited(&server, name).await, log, "{what}");
    proxy.clear();
    assert_eq!(recorded(&server).await, 0, "{what}");
    server.stop().await;
}

fn assert_is(answer: Answer, status: u16, code: &str, what: &str) {
    assert_eq!(answer.status.as_u16(), status, "{what}");
    answer.expect_problem(status, code);
}

/// Some at once: what hangs costs waiting only, what does not costs work.
async fn mint_with_each(at_once: usize, cases: impl IntoIterator<Item = (Call, Fault, Expected)>) {
    let realm = TestRealm::shared().await;
    let access_token = realm.access_token(&realm.person().await).await;
    let mut running = JoinSet::new();
    for (call, fault, expected) in cases {
        running.spawn(mint_with((realm.clone(), access_token.clone()), call, fault, expected));
        if running.len() >= at_once {
            running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

/// These faults at every call, and those at one or two, where the reading of the answer is the same.
fn cases(
    everywhere: &[Fault],
    calls: impl IntoIterator<Item = Call>,
    (some_calls, more): (&[Call], &[Fault]),
    expected: Expected,
) -> Vec<(Call, Fault, Expected)> {
    let case = |call: Call, fault: &Fault| (call, fault.clone(), expected);
    let every =
        calls.into_iter().flat_map(|call| everywhere.iter().map(move |fault| case(call, fault)));
    let some = some_calls.iter().flat_map(|call| more.iter().map(move |fault| case(*call, fault)));
    every.chain(some).collect()
}

/// All calls but the one for the public keys, which needs no login.
fn calls_of_the_service_account() -> impl Iterator<Item = Call> {
    CALLS.into_iter().filter(|call| call.pattern != KEYS.pattern)
}

#[tokio::test]
async fn a_call_that_breaks_is_keycloak_away() {
    let everywhere = [Fault::CutRequest, Fault::CutHalfWay, Fault::status(500)];
    let more = [Fault::CutAnswer, Fault::Garbage, Fault::status(429), Fault::status(302)];
    mint_with_each(4, cases(&everywhere, CALLS, (&[LOGIN, ROLES_AGAIN], &more), AWAY)).await;
}

#[tokio::test]
async fn a_call_that_is_refused_is_keycloak_refusing() {
    let html = Fault::Answer(200, "<html>".to_owned());
    let other = |body: serde_json::Value| Fault::Answer(200, body.to_string());
    let everywhere = [Fault::status(401), html.clone()];
    let more = [Fault::status(403), Fault::status(400), other(json!(null)), other(json!([7]))];
    let calls = calls_of_the_service_account();
    let mut cases = cases(&everywhere, calls, (&[LOGIN, ROLES_AGAIN], &more), REFUSED);
    cases.push((OWNER_AGAIN, other(json!({"username": 7})), REFUSED));
    cases.push((ROLES, other(json!({"realm_access": 7})), REFUSED));
    // Public keys that are refused, or none at all, are keys that are away.
    cases.extend([401, 404].map(|status| (KEYS, Fault::status(status), AWAY)));
    cases.push((KEYS, html, AWAY));
    mint_with_each(4, cases).await;
}

#[tokio::test]
async fn only_keycloaks_own_word_says_that_an_owner_is_gone() {
    let of_keycloak = |text: &str| Fault::Answer(404, json!({"error": text}).to_string());
    // Something else is missing: a proxy's own page, a path, the realm, what bootstrap made.
    let everywhere = [Fault::status(404)];
    let more = [
        Fault::Answer(404, "<html>".to_owned()),
        of_keycloak("HTTP 404 Not Found"),
        of_keycloak("Realm not found."),
    ];
    let calls = calls_of_the_service_account();
    let mut cases = cases(&everywhere, calls, (&[LOGIN, OWNER_AGAIN], &more), REFUSED);
    cases.push((LOGIN, of_keycloak("Something else"), REFUSED));
    cases.push((ROLES, of_keycloak("Could not find client"), REFUSED));
    // A list that is not found says nothing of a user.
    cases.extend([OWNER, OWNER_AGAIN].map(|call| (call, of_keycloak("User not found"), REFUSED)));
    mint_with_each(4, cases).await;
}

#[tokio::test]
async fn a_call_that_hangs_ends_in_time() {
    let once = (&[ROLES_AGAIN][..], &[Fault::HoldAnswer][..]);
    mint_with_each(3, cases(&[Fault::HoldRequest], CALLS, once, AWAY)).await;
}

#[tokio::test]
async fn calls_that_are_all_slow_end_in_time() {
    let slow = Fault::Delay(Duration::from_secs(2));
    let everything = call("*", 2, false);
    mint_with_each(1, [(everything, slow, AWAY)]).await;
}

#[tokio::test]
async fn one_call_that_breaks_once_is_repeated() {
    let realm = TestRealm::shared().await;
    let person = realm.person().await;
    let cases = [
        (OWNER, Fault::CutRequest),
        (PROBE_CLIENT, Fault::CutAnswer),
        (ROLES, Fault::CutHalfWay),
        (CLAIMS, Fault::status(503)),
        (OWNER_AGAIN, Fault::CutHalfWay),
        (ROLES_AGAIN, Fault::Garbage),
    ];
    for (call, fault) in cases {
        let proxy = FaultProxy::start();
        let server = server_behind(&proxy, &realm).await;
        let rule = proxy.on_nth(call.nth, call.pattern, fault);
        server.user(&person).await.mint("repeated").await;
        assert!(rule.hits() > call.nth, "{call:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_crowd_that_waits_for_one_login_is_answered_in_time() {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let server = server_behind(&proxy, &realm).await;
    let user = server.user(&realm.person().await).await;
    LOGIN.fails(&proxy, Fault::HoldRequest);
    let asked = Instant::now();
    let mut crowd = JoinSet::new();
    for n in 0..12 {
        let user = user.clone();
        let body = json!({"name": format!("crowd-{n}")});
        crowd.spawn(async move { user.post("/api/pat/v1/tokens", &body).await });
    }
    while let Some(answer) = crowd.join_next().await {
        answer.unwrap().expect_problem(503, "keycloak-unavailable");
        assert!(asked.elapsed() < BOUND, "{:?}", asked.elapsed());
    }
    proxy.clear();
    server.stop().await;
}
