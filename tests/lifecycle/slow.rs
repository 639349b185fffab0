//! Many at once of whom Keycloak does not answer, or not soon, and many events of one: others do not wait for them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::brake::{BRAKE, Readers};
use super::unreadable::{A_MINUTE, scene_behind};
use super::{EVENTS_ONLY, Scene, until, user};
use crate::support::{Database, Fault, FaultProxy, unique};

/// Less than Keycloak is waited for in one call: five of them would not be looked at in that time, one after the other.
const SOON: Duration = Duration::from_secs(4);
const SLOW: usize = 40;

impl Scene {
    /// Somebody gets a role, and their token is refused soon.
    async fn assert_followed_soon(&self) {
        let other = self.holder().await;
        let since = Instant::now();
        self.realm.give_roles(&other.person, "hallpass", &["read-audit"]).await;
        self.assert_revoked(&other, "roles_changed", "added hallpass:read-audit").await;
        let took = since.elapsed();
        println!("followed after {took:?}");
        assert!(took < SOON, "{took:?}");
    }
}

#[tokio::test]
async fn forty_owners_of_whom_keycloak_does_not_answer_hold_up_nobody() {
    let proxy = FaultProxy::start();
    let mut scene = scene_behind(&proxy).await;
    scene.wait_until_started().await;
    let ids = scene.mint_for(SLOW).await;
    let rule = proxy.on(&format!("GET *userId={}*", &ids[0][..24]), Fault::HoldRequest);
    // All of them, for the first time, and somebody else.
    scene.import(&ids).await;
    rule.wait_until_held().await;
    scene.assert_followed_soon().await;
    // They are known to be slow: it goes on so, and the position moves.
    rule.wait_for_hits(2 * SLOW).await;
    scene.assert_followed_soon().await;
    scene.wait_until_read().await;
    assert_eq!(scene.unreadable_owners().await, "0");
    scene.server.clock.advance(A_MINUTE);
    until("all of them are suspended", async || {
        scene.unreadable_owners().await == SLOW.to_string()
    })
    .await;
    scene.assert_followed_soon().await;

    // A sweep does not wait for each of them either.
    let other = scene.holder().await;
    scene.server.halt().await;
    scene.realm.give_roles(&other.person, "hallpass", &["read-audit"]).await;
    scene.delete("admin-events", &Value::Null).await;
    let before = scene.swept_at().await;
    let extra = [EVENTS_ONLY[0], EVENTS_ONLY[1], ("HALLPASS_KEYCLOAK__URL", proxy.url())];
    scene.server = scene.server.restart(&extra).await;
    let since = Instant::now();
    until("a sweep has ended", async || scene.swept_at().await > before).await;
    println!("swept after {:?}", since.elapsed());
    scene.wait_for(&scene.renewed(other), "revoked").await;
    proxy.clear();
    until("all can be looked at", async || scene.unreadable_owners().await == "0").await;
    scene.server.stop().await;
}

#[tokio::test]
async fn a_sweep_that_meets_forty_slow_owners_for_the_first_time_comes_to_its_end() {
    let proxy = FaultProxy::start();
    let mut scene = scene_behind(&proxy).await;
    let ids = scene.mint_for(SLOW).await;
    scene.import(&ids).await;
    scene.wait_until_started().await;
    scene.server.halt().await;
    let before = scene.swept_at().await;
    let rule = proxy.on(&format!("GET *userId={}*", &ids[0][..24]), Fault::HoldRequest);
    let extra = [EVENTS_ONLY[0], EVENTS_ONLY[1], ("HALLPASS_KEYCLOAK__URL", proxy.url())];
    scene.server = scene.server.restart(&extra).await;
    let since = Instant::now();
    rule.wait_until_held().await;
    until("a sweep has ended", async || scene.swept_at().await > before).await;
    println!("swept after {:?}", since.elapsed());
    scene.server.stop().await;
}

/// Each of them is looked at later on their own; yet it is one change.
#[tokio::test]
async fn a_change_of_many_who_cannot_be_looked_at_for_a_while_passes_no_brake() {
    let proxy = FaultProxy::start();
    let extra = [&BRAKE[..], &[("HALLPASS_KEYCLOAK__URL", proxy.url())]].concat();
    let scene = Scene::set_with(Database::sqlite, &extra).await;
    scene.wait_until_started().await;
    let readers = Readers::gather(&scene, 5).await;
    for unreadable in [3, 5] {
        let failing = &readers.holders[..unreadable];
        let rules: Vec<_> = failing
            .iter()
            .map(|holder| {
                proxy.on(&format!("GET *userId={}*", holder.person.id), Fault::status(500))
            })
            .collect();
        readers.lose_role(&scene).await;
        for rule in &rules {
            rule.wait_for_hits(2).await;
        }
        scene.wait_until_calm().await;
        proxy.clear();
        readers.assert_held_until_role_is_back(&scene).await;
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn of_many_events_of_one_owner_a_poll_makes_one_look() {
    const EVENTS: usize = 200;
    let proxy = FaultProxy::start();
    let scene = scene_behind(&proxy).await;
    scene.wait_until_started().await;
    let busy = scene.holder().await;
    scene.wait_until_followed().await;
    proxy.clear();
    let since = Instant::now();
    let mut changes = JoinSet::new();
    let path = format!("/{}/{}", scene.realm.name, user(&busy.person));
    for part in 0..4 {
        let path = path.clone();
        changes.spawn(async move {
            let admin = crate::support::Admin::log_in().await;
            for number in 0..EVENTS / 4 {
                let name = format!("Renamed {part} {number}");
                admin.put(&path, &json!({"firstName": name})).await;
            }
        });
    }
    scene.assert_followed_soon().await;
    changes.join_all().await;
    println!("{EVENTS} events in {:?}", since.elapsed());
    scene.wait_until_followed().await;
    let looks = proxy
        .passed_whole()
        .iter()
        .filter(|call| call.contains(&format!("userId={}", busy.person.id)))
        .count();
    // Each poll begins with this list; and once more, ten seconds after the last event.
    let polls = proxy.count("GET */events");
    println!("{looks} looks in {polls} polls");
    assert!(looks <= polls + 1, "{looks} looks in {polls} polls");
    scene.assert_good(&busy).await;
    scene.server.stop().await;
}

/// Whoever manages one group can do that.
#[tokio::test]
async fn a_group_that_changes_all_the_time_keeps_nobody_from_being_followed() {
    let scene = Scene::set().await;
    scene.wait_until_started().await;
    let (holder, group) = (scene.holder().await, scene.group("flapping").await);
    let path = format!("groups/{group}");
    scene.put(&format!("{}/{path}", user(&holder.person)), &Value::Null).await;
    scene.wait_until_followed().await;
    let flapping = async {
        loop {
            scene.put(&path, &json!({"name": unique("flapping")})).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let following = async {
        // Time for the group to be looked at: it is changed again by then.
        scene.assert_followed_soon().await;
        let role = scene.role("everyone").await;
        let defaults = scene.get(&format!("roles/default-roles-{}", scene.realm.name)).await;
        let composites = format!("roles-by-id/{}/composites", defaults["id"].as_str().unwrap());
        let since = Instant::now();
        scene.post(&composites, &json!([role])).await;
        scene.assert_revoked(&holder, "roles_changed", "added everyone").await;
        println!("everybody was looked at after {:?}", since.elapsed());
    };
    tokio::select! {
        () = flapping => unreachable!(),
        () = following => {}
    }
    scene.server.stop().await;
}
