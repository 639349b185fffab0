//! `kill -9` of the service that follows the realm, while a call of it to Keycloak or the answer is on its way: a start on
//! the same store follows all of it, and does nothing twice.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::brake::{BRAKE, Readers};
use super::{EVENTS_ONLY, Holder, Scene, TOKENS, until, user, wait_until_calm};
use crate::support::{Api, Database, Fault, FaultProxy, Process, soak};

/// At how many of the calls a service is killed, at the others before or after; `make soak` does it at all of them.
const CALLS: usize = 3;
/// How often a service is killed at some moment or other; `make soak` does it a hundred times.
const KILLS: usize = 4;
/// What a service does about the changes takes about as long.
const SPREAD: u64 = 400;

/// As many owners as there are may change while nobody follows them.
const NO_BRAKE: [(&str, &str); 3] =
    [EVENTS_ONLY[0], EVENTS_ONLY[1], ("HALLPASS_LIFECYCLE__BRAKE", "100000")];

/// Other roles, disabled, deleted: one of each.
type Leavers = [Holder; 3];

impl Scene {
    async fn leavers(&self) -> Leavers {
        [self.holder().await, self.holder().await, self.holder().await]
    }

    async fn change(&self, [changed, disabled, deleted]: &Leavers) {
        self.realm.give_roles(&changed.person, "hallpass", &["read-audit"]).await;
        self.set_enabled(&disabled.person, false).await;
        self.delete(&user(&deleted.person), &serde_json::Value::Null).await;
    }

    /// The service is a process now, behind this proxy.
    async fn become_process(&mut self, proxy: &FaultProxy, extra: &[(&str, &str)]) -> Process {
        self.server.halt().await;
        let mut all = extra.to_vec();
        all.push(("HALLPASS_KEYCLOAK__URL", proxy.url()));
        let (database, folder) = (&self.server.database, self.server.folder.path());
        Process::serve(&self.realm, database, folder, &all).await
    }

    /// The same, and it has dealt with all that happened up to now: it does nothing until something happens.
    async fn become_calm_process(&mut self, proxy: &FaultProxy, extra: &[(&str, &str)]) -> Process {
        let markers = self.leavers().await;
        let swept = self.swept_at().await;
        let process = self.become_process(proxy, extra).await;
        until("a sweep has ended", async || self.swept_at().await > swept).await;
        // As in `wait_until_followed`.
        for marker in &markers {
            self.realm.give_roles(&marker.person, "hallpass", &["introspect-tokens"]).await;
            process.wait_until_is(marker, "revoked").await;
        }
        wait_until_calm(&process.api(None)).await;
        process
    }

    async fn revive(mut self, extra: &[(&str, &str)]) -> Self {
        self.server = self.server.restart(extra).await;
        self
    }

    /// The process learns of the changes, all by one look at the events, and is killed at the first call of this pattern.
    async fn kill_at(
        &self,
        (pattern, fault): (&str, Fault),
        proxy: &FaultProxy,
        leavers: &Leavers,
        process: Process,
    ) {
        proxy.down().await;
        self.change(leavers).await;
        let rule = proxy.on(pattern, fault);
        proxy.up();
        rule.wait_until_held().await;
        // Whom the held call does not concern is dealt with meanwhile: that must not be done again.
        if pattern.contains(&*leavers[0].person.id) {
            process.wait_until_gone(&leavers[1]).await;
            process.wait_until_gone(&leavers[2]).await;
        } else if leavers.iter().any(|holder| pattern.contains(&*holder.person.id)) {
            process.wait_until_is(&leavers[0], "revoked").await;
        }
        process.kill().await;
        proxy.clear();
    }
}

impl Process {
    async fn wait_until_gone(&self, holder: &Holder) {
        wait_until_gone(&self.api(holder.api.token()), holder).await;
    }

    async fn wait_until_is(&self, holder: &Holder, status: &str) {
        let api = self.api(holder.api.token());
        let path = format!("{TOKENS}/{}", holder.pat_id);
        until(status, async || api.get(&path).await.expect(200)["status"] == status).await;
    }
}

/// Waits until the owner finds the token no more.
async fn wait_until_gone(api: &Api, holder: &Holder) {
    let path = format!("{TOKENS}/{}", holder.pat_id);
    until("the token is deleted", async || api.get(&path).await.status == 404).await;
}

/// Everything happened to them that should, and once.
async fn assert_followed(scene: &Scene, leavers: Leavers) {
    let [changed, disabled, deleted] = leavers.map(|holder| scene.renewed(holder));
    scene.assert_revoked(&changed, "roles_changed", "added hallpass:read-audit").await;
    scene.assert_deleted(&disabled, "owner_disabled").await;
    scene.assert_deleted(&deleted, "owner_deleted").await;
    for holder in [&changed, &disabled, &deleted] {
        scene.assert_each_once(holder).await;
    }
}

impl Scene {
    async fn assert_each_once(&self, holder: &Holder) {
        let log = self.audited(holder).await;
        assert_eq!(log.iter().collect::<BTreeSet<_>>().len(), log.len(), "{log:?}");
    }
}

/// The calls by which a service learns of the changes.
fn calls_about([changed, disabled, deleted]: &Leavers) -> Vec<String> {
    vec![
        "GET */admin-events".to_owned(),
        "GET */events".to_owned(),
        format!("GET */users?search=id%3A{}*", changed.person.id),
        format!("GET *userId={}*", changed.person.id),
        format!("GET */users?search=id%3A{}*", disabled.person.id),
        format!("GET */users/{}", deleted.person.id),
    ]
}

async fn killed_at_each_call(fault: Fault, database: fn(&TempDir) -> Database, calls: &[usize]) {
    let (mut scene, proxy) = (Scene::set_with(database, &EVENTS_ONLY).await, FaultProxy::start());
    for call in calls {
        let (leavers, other) = (scene.leavers().await, scene.holder().await);
        let pattern = calls_about(&leavers).swap_remove(*call);
        let process = scene.become_calm_process(&proxy, &EVENTS_ONLY).await;
        scene.kill_at((&pattern, fault.clone()), &proxy, &leavers, process).await;
        scene = scene.revive(&EVENTS_ONLY).await;
        assert_followed(&scene, leavers).await;
        scene.assert_good(&scene.renewed(other)).await;
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn killed_before_any_call_of_a_look_nothing_is_missed_and_nothing_done_twice() {
    let calls = [0, 3, 4, 1, 2, 5];
    let some = &calls[..soak("HALLPASS_TEST_KILLED_CALLS", CALLS)];
    Box::pin(killed_at_each_call(Fault::HoldRequest, Database::sqlite, some)).await;
}

#[tokio::test]
async fn killed_before_any_answer_of_a_look_nothing_is_missed_and_nothing_done_twice() {
    let calls = [1, 2, 5, 0, 3, 4];
    let some = &calls[..soak("HALLPASS_TEST_KILLED_CALLS", CALLS)];
    Box::pin(killed_at_each_call(Fault::HoldAnswer, Database::sqlite, some)).await;
}

#[tokio::test]
async fn on_postgresql_too_nothing_is_missed_and_nothing_done_twice_after_a_kill() {
    Box::pin(killed_at_each_call(Fault::HoldAnswer, Database::postgres, &[3])).await;
}

/// No call is held: the kill comes at some moment or other of what a service does about the changes.
#[tokio::test]
async fn killed_at_any_moment_again_and_again_nothing_is_missed_and_nothing_done_twice() {
    let (mut scene, proxy) =
        (Scene::set_with(Database::sqlite, &NO_BRAKE).await, FaultProxy::start());
    let kills = soak("HALLPASS_TEST_KILLS", KILLS);
    let mut all = Vec::new();
    for _ in 0..kills {
        all.push(scene.leavers().await);
    }
    for (number, leavers) in all.iter().enumerate() {
        let process = scene.become_process(&proxy, &NO_BRAKE).await;
        scene.change(leavers).await;
        tokio::time::sleep(Duration::from_millis(number as u64 * 137 % SPREAD)).await;
        process.kill().await;
    }
    let scene = scene.revive(&NO_BRAKE).await;
    // Hundreds of calls with dead tokens would be limited: what became of each is read by its owner.
    for [changed, disabled, deleted] in all {
        let changed = scene.renewed(changed);
        let told = "token_revoked by hallpass, roles_changed: added hallpass:read-audit";
        scene.wait_for(&changed, "revoked").await;
        assert_eq!(scene.audited(&changed).await[1..], [told]);
        for holder in [disabled, deleted] {
            let holder = scene.renewed(holder);
            wait_until_gone(&holder.api, &holder).await;
            scene.assert_each_once(&holder).await;
        }
    }
    scene.server.stop().await;
}

/// No event tells of it: the sweep of the next start goes through all owners anew.
#[tokio::test]
async fn killed_in_a_sweep_the_next_one_finds_what_it_did_not_come_to_and_does_nothing_twice() {
    for fault in [Fault::HoldRequest, Fault::HoldAnswer] {
        let (mut scene, proxy) = (Scene::set().await, FaultProxy::start());
        let holders = scene.leavers().await;
        scene.wait_until_followed().await;
        scene.put("", &json!({"adminEventsEnabled": false})).await;
        for holder in &holders {
            scene.realm.give_roles(&holder.person, "hallpass", &["read-audit"]).await;
        }
        // Owners are looked at in the order of their ids: one is done, one is under way, one is to come.
        let mut ids: Vec<_> = holders.iter().map(|holder| &*holder.person.id).collect();
        ids.sort_unstable();
        let rule = proxy.on(&format!("GET *userId={}*", ids[1]), fault);
        let process = scene.become_process(&proxy, &EVENTS_ONLY).await;
        rule.wait_until_held().await;
        process.kill().await;
        proxy.clear();
        let scene = scene.revive(&EVENTS_ONLY).await;
        for holder in holders.map(|holder| scene.renewed(holder)) {
            // Once, or the audit log would say more.
            scene.assert_revoked(&holder, "roles_changed", "added hallpass:read-audit").await;
        }
        scene.server.stop().await;
    }
}

/// What is done under the brake takes two passes: a kill between them, and one of who decides.
#[tokio::test]
async fn killed_under_the_brake_all_are_held_once_and_a_killed_decision_is_brought_to_its_end() {
    let mut scene = Scene::set_with(Database::sqlite, &BRAKE).await;
    let proxy = FaultProxy::start();
    let mut readers = Readers::gather(&scene, 5).await;
    let process = scene.become_calm_process(&proxy, &BRAKE).await;
    // Eight are looked at at once: one of them is held, the others come to their end.
    let pattern = format!("GET *userId={}*", readers.holders[2].person.id);
    let rule = proxy.on(&pattern, Fault::HoldAnswer);
    readers.lose_role(&scene).await;
    rule.wait_until_held().await;
    process.wait_until_is(&readers.holders[4], "suspended").await;
    process.kill().await;
    proxy.clear();

    let scene = scene.revive(&BRAKE).await;
    readers.holders = readers.holders.into_iter().map(|holder| scene.renewed(holder)).collect();
    scene.wait_for_held(5).await;
    for holder in &readers.holders {
        let log = scene.audited(holder).await;
        assert_eq!(log[1..], ["token_suspended by hallpass, roles_changed"], "{log:?}");
    }

    // The decision breaks off in the middle, and is asked for again.
    let rule = proxy.on_from(3, "GET *userId=*", Fault::HoldAnswer);
    let (folder, keycloak) =
        (tempfile::tempdir().unwrap(), [("HALLPASS_KEYCLOAK__URL", proxy.url())]);
    let mut deciding = scene.admin_command(&folder, &["confirm"], &keycloak).spawn().unwrap();
    rule.wait_until_held().await;
    deciding.kill().await.unwrap();
    proxy.clear();
    scene.admin_tokens(&["confirm"]).await;
    scene.wait_for_held(0).await;
    for holder in &readers.holders {
        scene.wait_for(holder, "revoked").await;
        let log = scene.audited(holder).await;
        let told = "token_revoked by operator, roles_changed: removed reader";
        assert_eq!(log[1..], ["token_suspended by hallpass, roles_changed", told], "{log:?}");
    }
    scene.server.stop().await;
}

/// A process that was stopped, not ended, does not know that another one has taken over: it goes on where it was.
#[tokio::test]
async fn one_that_was_frozen_while_another_took_over_does_nothing_twice() {
    let mut scene = Scene::set_with(Database::postgres, &EVENTS_ONLY).await;
    let (leavers, proxy) = (scene.leavers().await, FaultProxy::start());
    let frozen = scene.become_calm_process(&proxy, &EVENTS_ONLY).await;
    proxy.down().await;
    scene.change(&leavers).await;
    let hold = |holder: &Holder| {
        proxy.on(&format!("GET */users?search=id%3A{}*", holder.person.id), Fault::HoldAnswer)
    };
    let rules: Vec<_> = leavers.iter().map(hold).collect();
    proxy.up();
    for rule in &rules {
        rule.wait_until_held().await;
    }
    frozen.signal("STOP").await;
    let scene = scene.revive(&EVENTS_ONLY).await;
    let leavers = leavers.map(|holder| scene.renewed(holder));
    scene.assert_deleted(&leavers[1], "owner_disabled").await;
    frozen.signal("CONT").await;
    proxy.clear();
    // It deals with what it had read; then it hears that it is another's turn.
    until("it has heard", async || frozen.written().contains("another process follows")).await;
    assert_followed(&scene, leavers).await;
    frozen.kill().await;
    scene.server.stop().await;
}
