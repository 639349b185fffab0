//! Many events of one moment: none is missed, nobody is looked at more often than needed, and then it is quiet.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{EVENTS_ONLY, Scene, until};
use crate::support::{Database, FaultProxy, soak};

/// `make soak` does it with two thousand.
const PEOPLE: usize = 120;
/// Looks after an event: at once, with the next events, and ten seconds later.
const LOOKS: usize = 3;

/// Ids of users that no other test has: they are Keycloak's, and not of a realm.
fn ids(count: usize) -> Vec<String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let (process, call) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let id = |number| format!("{process:08x}-{call:04x}-4000-8000-{number:012x}");
    (0..count).map(id).collect()
}

impl Scene {
    /// Tokens of people who are yet to come, with the roles that they will have; answers their ids.
    pub(super) async fn mint_for(&self, count: usize) -> Vec<String> {
        let model = self.holder().await;
        let ids = ids(count);
        let mut people = String::new();
        for (number, id) in ids.iter().enumerate() {
            // Rows of `VALUES` may be more than the terms of a `UNION`.
            let separator = if number == 0 { "VALUES " } else { ", " };
            write!(people, "{separator}({number}, '{id}')").unwrap();
        }
        let rows = format!(
            "INSERT INTO tokens (pat_id, user_id, username, name, kid, owner_roles, created_at, expires_at, search_text) \
             SELECT '01900000-0000-7000-8000-' || (100000000000 + column1), column2, 'bulk', 'bulk', kid, owner_roles, \
             created_at, expires_at, 'bulk' FROM ({people}), tokens WHERE pat_id = '{}'",
            model.pat_id
        );
        assert_eq!(self.server.execute(rows).await, count as u64);
        ids
    }

    /// All of them come at once: one call, as many events, of few stamps.
    pub(super) async fn import(&self, ids: &[String]) {
        let person = |id: &String| {
            json!({"id": id, "username": id, "enabled": true, "email": format!("{id}@example.org"),
                "firstName": "Test", "lastName": "Person",
                "realmRoles": [format!("default-roles-{}", self.realm.name)]})
        };
        let users: Vec<_> = ids.iter().map(person).collect();
        let body = json!({"ifResourceExists": "FAIL", "users": users});
        assert_eq!(self.post("partialImport", &body).await["added"], ids.len());
    }
}

#[tokio::test]
async fn of_many_who_change_at_once_each_is_looked_at_three_times_and_then_it_is_quiet() {
    let proxy = FaultProxy::start();
    let extra = [EVENTS_ONLY[0], EVENTS_ONLY[1], ("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let scene = Scene::set_with(Database::sqlite, &extra).await;
    scene.wait_until_followed().await;
    scene.delete("admin-events", &Value::Null).await;
    let ids = scene.mint_for(soak("HALLPASS_TEST_BULK", PEOPLE)).await;
    proxy.clear();
    scene.import(&ids).await;

    let looks = || {
        let mut looks = BTreeMap::new();
        for call in proxy.passed_whole() {
            if let Some((_, id)) = call.split_once("userId=") {
                *looks.entry(id[..36].to_owned()).or_insert(0) += 1;
            }
        }
        ids.iter().map(|id| looks.get(id).copied().unwrap_or(0)).collect::<Vec<usize>>()
    };
    // As long as it takes, if only it goes on.
    let all = LOOKS * ids.len();
    for wanted in (0..all).step_by(100).chain([all]) {
        let enough = async || looks().iter().sum::<usize>() >= wanted;
        until(&format!("of {all} looks {wanted} are done"), enough).await;
    }
    let lists = || proxy.count("GET */admin-events") + proxy.count("GET */events");
    // The last looks are still under way: a poll ends with them, and the next one reads both lists.
    let polled = lists();
    until("the last looks have ended", async || lists() >= polled + 4).await;
    // Long after their stamps, too, and after the last of what may have been asked for.
    let (before, calls) = (lists(), proxy.passed().len());
    until("events were read a while longer", async || lists() >= before + 100).await;
    assert_eq!(looks(), vec![LOOKS; ids.len()]);
    // What is asked for at rest: one call for each list, and now and then a login or what is swept. The realm's keys are
    // looked at by the clock.
    let rest = proxy.passed().split_off(calls);
    let at_rest = |call: &str| call.ends_with("events") || call.ends_with("/certs");
    let others: Vec<_> = rest.iter().filter(|call| !at_rest(call)).collect();
    assert!(others.len() <= 5, "beside {} calls at rest: {others:?}", rest.len() - others.len());
    scene.server.stop().await;
}

#[tokio::test]
async fn a_clock_of_the_host_that_is_wrong_loses_no_event() {
    let mut scene = Scene::set().await;
    let (before, after) = (scene.holder().await, scene.holder().await);
    // An hour ahead of Keycloak's, from before the first start on.
    scene.server.clock.advance(Duration::from_hours(1));
    scene.server.halt().await;
    scene.server.execute("DELETE FROM followed_events".to_owned()).await;
    scene.server = scene.server.restart(&EVENTS_ONLY).await;
    let (before, after) = (scene.renewed(before), scene.renewed(after));
    scene.wait_until_followed().await;
    scene.set_enabled(&before.person, false).await;
    scene.assert_deleted(&before, "owner_disabled").await;
    // And as a version before noted it.
    scene.server.halt().await;
    let later = scene.server.clock.now().millis();
    let noted = format!("UPDATE followed_events SET position = {later}");
    assert_eq!(scene.server.execute(noted).await, 2);
    scene.server = scene.server.restart(&EVENTS_ONLY).await;
    let after = scene.renewed(after);
    scene.set_enabled(&after.person, false).await;
    scene.assert_deleted(&after, "owner_disabled").await;
    scene.server.stop().await;
}

/// A list that grows fast is read on from its end. Each call from the beginning would read half a minute of it anew.
#[tokio::test]
async fn of_a_list_that_grows_fast_each_page_is_read_once() {
    const BURSTS: usize = 5;
    const BURST: usize = 250;
    let proxy = FaultProxy::start();
    let extra = [EVENTS_ONLY[0], EVENTS_ONLY[1], ("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let scene = Scene::set_with(Database::sqlite, &extra).await;
    scene.wait_until_started().await;
    proxy.clear();
    for _ in 0..BURSTS {
        scene.import(&ids(BURST)).await;
        scene.wait_until_read().await;
    }
    let calls: Vec<_> =
        proxy.passed_whole().into_iter().filter(|call| call.contains("/admin-events?")).collect();
    // What follows is asked for, and then everything since the same moment.
    let since = |call: &str| call.split_once("&direction").unwrap().0.to_owned();
    let is_anew = |pair: &&[String]| {
        let from_the_end = !pair[0].contains("&first=0&");
        from_the_end && pair[1].contains("&first=0&") && since(&pair[0]) == since(&pair[1])
    };
    let anew = calls.windows(2).filter(is_anew).count();
    println!("{} calls, {anew} of them read the list anew", calls.len());
    assert!(anew < BURSTS, "{anew} calls");
    scene.server.stop().await;
}
