//! What happens while Hallpass or Keycloak is away is followed afterwards; one owner who fails keeps nobody else.

use std::time::Duration;

use serde_json::{Value, json};

use super::{EVENTS_ONLY, Holder, SWEEPING, Scene, user};
use crate::support::{Admin, DATABASES, Database, Fault, FaultProxy, TestRealm, TestServer};

/// A scene whose Keycloak is behind this proxy.
async fn scene_behind(proxy: &FaultProxy) -> Scene {
    let realm = TestRealm::own().await;
    let mut extra = EVENTS_ONLY.to_vec();
    extra.push(("HALLPASS_KEYCLOAK__URL", proxy.url()));
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &extra).await;
    Scene { realm, server, admin: Admin::log_in().await }
}

/// Other roles, disabled, deleted.
async fn change(scene: &Scene, [changed, disabled, deleted]: &[Holder; 3]) {
    scene.realm.give_roles(&changed.person, "hallpass", &["read-audit"]).await;
    scene.set_enabled(&disabled.person, false).await;
    scene.delete(&user(&deleted.person), &Value::Null).await;
}

async fn assert_followed(scene: &Scene, [changed, disabled, deleted]: &[Holder; 3]) {
    scene.assert_revoked(changed, "roles_changed", "added hallpass:read-audit").await;
    scene.assert_deleted(disabled, "owner_disabled").await;
    scene.assert_deleted(deleted, "owner_deleted").await;
}

#[tokio::test]
async fn what_happens_while_hallpass_is_stopped_is_followed_at_its_start_on_both_databases() {
    for database in DATABASES {
        let mut scene = Scene::set_with(database, &EVENTS_ONLY).await;
        let holders = [scene.holder().await, scene.holder().await, scene.holder().await];
        let other = scene.holder().await;
        scene.wait_until_followed().await;
        scene.server.halt().await;
        change(&scene, &holders).await;
        scene.server = scene.server.restart(&EVENTS_ONLY).await;
        let holders = holders.map(|holder| scene.renewed(holder));
        let other = scene.renewed(other);
        // Disabled and deleted for certain: only the events say so, a first sweep would suspend.
        assert_followed(&scene, &holders).await;
        scene.assert_good(&other).await;
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn what_happens_while_keycloak_cannot_be_reached_is_followed_when_it_can() {
    let proxy = FaultProxy::start();
    let scene = scene_behind(&proxy).await;
    let holders = [scene.holder().await, scene.holder().await, scene.holder().await];
    let other = scene.holder().await;
    scene.wait_until_followed().await;
    proxy.down().await;
    change(&scene, &holders).await;
    // A token is what the store says, until Keycloak can be asked.
    scene.assert_good(&other).await;
    for holder in holders.iter().chain([&other]) {
        scene.wait_for(holder, "active").await;
    }
    proxy.up();
    assert_followed(&scene, &holders).await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn an_owner_who_cannot_be_looked_at_keeps_their_tokens_until_they_can_and_keeps_nobody_else()
{
    let proxy = FaultProxy::start();
    let scene = scene_behind(&proxy).await;
    let faults = [
        ("GET */users*", Fault::status(500)),
        ("GET */users*", Fault::Answer(200, "{}".to_owned())),
        // As a gateway before Keycloak says that it knows no way.
        ("GET */users*", Fault::Answer(404, "<html>no such page</html>".to_owned())),
        ("GET */users*", Fault::Answer(404, r#"{"error":"Not Found"}"#.to_owned())),
        ("GET *userId=", Fault::Answer(200, "{}".to_owned())),
        (
            "GET *userId=",
            Fault::Answer(200, r#"{"azp":"hallpass-probe","realm_access":[]}"#.to_owned()),
        ),
        ("GET *userId=", Fault::CutAnswer),
    ];
    for (call, fault) in faults {
        let (failing, other) = (scene.holder().await, scene.holder().await);
        let rule = proxy.on(&format!("{call}{}*", failing.person.id), fault);
        scene.realm.give_roles(&failing.person, "hallpass", &["read-audit"]).await;
        rule.wait_for_hits(1).await;
        scene.realm.give_roles(&other.person, "hallpass", &["read-audit"]).await;
        scene.assert_revoked(&other, "roles_changed", "added hallpass:read-audit").await;
        rule.wait_for_hits(rule.hits() + 2).await;
        assert_eq!(scene.wait_for(&failing, "active").await["revokedAt"], Value::Null);
        assert_eq!(scene.audited(&failing).await.len(), 1);
        proxy.clear();
        scene.assert_revoked(&failing, "roles_changed", "added hallpass:read-audit").await;
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn nobody_is_gone_because_a_list_of_users_is_empty() {
    let proxy = FaultProxy::start();
    let scene = scene_behind(&proxy).await;
    let holder = scene.holder().await;
    let pattern = format!("GET */users?*{}*", holder.person.id);
    proxy.on(&pattern, Fault::Answer(200, "[]".to_owned()));
    scene.realm.give_roles(&holder.person, "hallpass", &["read-audit"]).await;
    scene.assert_revoked(&holder, "roles_changed", "added hallpass:read-audit").await;
    scene.server.stop().await;
}

#[tokio::test]
async fn what_happens_before_the_first_events_could_be_read_is_followed_at_the_next_start() {
    let proxy = FaultProxy::start();
    let rule = proxy.on("GET */*events", Fault::status(500));
    let mut scene = scene_behind(&proxy).await;
    let holders = [scene.holder().await, scene.holder().await, scene.holder().await];
    change(&scene, &holders).await;
    rule.wait_for_hits(rule.hits() + 2).await;
    scene.server.halt().await;
    proxy.clear();
    // It is long ago by then.
    scene.server.clock.advance(Duration::from_mins(1));
    scene.server = scene.server.restart(&EVENTS_ONLY).await;
    assert_followed(&scene, &holders.map(|holder| scene.renewed(holder))).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn what_happens_while_events_are_switched_off_is_found_by_sweeps_though_they_are_on_again() {
    let scene = Scene::set_with(Database::sqlite, &SWEEPING).await;
    let holders = [scene.holder().await, scene.holder().await, scene.holder().await];
    let other = scene.holder().await;
    scene.wait_until_followed().await;
    let set_events = async |on: bool| {
        let body = json!({"adminEventsEnabled": on, "eventsEnabled": on});
        scene.put("", &body).await;
    };
    set_events(false).await;
    // Switching them off is itself a change of the realm, for which everybody is looked at.
    scene.wait_until_read().await;
    scene.wait_until_calm().await;
    change(&scene, &holders).await;
    set_events(true).await;
    // Events of what comes next say nothing of it.
    scene.wait_until_followed().await;
    for holder in &holders {
        scene.wait_for(holder, "active").await;
    }
    let scene = scene.sweep_until_certain().await;
    assert_followed(&scene, &holders.map(|holder| scene.renewed(holder))).await;
    scene.assert_good(&scene.renewed(other)).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn an_event_that_is_told_again_changes_nothing() {
    let mut scene = Scene::set().await;
    let holder = scene.holder().await;
    scene.realm.give_roles(&holder.person, "hallpass", &["read-audit"]).await;
    scene.set_enabled(&holder.person, false).await;
    scene.set_enabled(&holder.person, true).await;
    scene.wait_until_followed().await;
    let again = scene.holder_of(holder.person.clone()).await;
    // As if nothing had ever been read: all events come once more.
    scene.server.halt().await;
    for source in ["admin_events", "user_events"] {
        let sql = format!("UPDATE followed_events SET position = 0 WHERE source = '{source}'");
        assert_eq!(scene.server.execute(sql).await, 1);
    }
    scene.server = scene.server.restart(&EVENTS_ONLY).await;
    scene.wait_until_followed().await;
    scene.assert_good(&again).await;
    assert_eq!(scene.audited(&again).await.len(), 1);
    scene.server.stop().await;
}
