//! What happens to one owner beside what happens to many: the brake is not passed because of who happens to look first.

use serde_json::{Value, json};

use super::brake::{BRAKE, Readers};
use super::{Scene, user};
use crate::support::{Admin, Database, Fault, FaultProxy, TestRealm, TestServer};

/// A scene whose brake lets two owners pass, with its Keycloak behind this proxy.
async fn scene_behind(proxy: &FaultProxy) -> Scene {
    let realm = TestRealm::own().await;
    let extra = [&BRAKE[..], &[("HALLPASS_KEYCLOAK__URL", proxy.url())]].concat();
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &extra).await;
    let scene = Scene { realm, server, admin: Admin::log_in().await };
    scene.wait_until_started().await;
    scene
}

/// All of them are suspended by the change of the group, and wait for a person: nobody was looked at apart.
async fn assert_held(scene: &Scene, readers: &Readers) {
    scene.wait_for_held(readers.holders.len()).await;
    for holder in &readers.holders {
        let log = scene.audited(holder).await;
        assert_eq!(log[1..], ["token_suspended by hallpass, roles_changed"], "{log:?}");
    }
}

/// A look that an event of one's own asked for sees what the change of a group did, whose event nobody has read.
#[tokio::test]
async fn a_look_at_one_owner_that_sees_a_change_of_many_ends_nothing() {
    let proxy = FaultProxy::start();
    let scene = scene_behind(&proxy).await;
    let readers = Readers::gather(&scene, 3).await;
    let person = &readers.holders[0].person;
    let rule = proxy.on(&format!("GET *userId={}*", person.id), Fault::HoldRequest);
    scene.put(&user(person), &json!({"firstName": "Renamed"})).await;
    rule.wait_until_held().await;
    readers.lose_role(&scene).await;
    rule.release();
    assert_held(&scene, &readers).await;
    scene.server.stop().await;
}

/// The same of a look at few that another group's event asked for.
#[tokio::test]
async fn a_change_of_few_that_sees_a_change_of_many_ends_nothing() {
    let proxy = FaultProxy::start();
    let scene = scene_behind(&proxy).await;
    let readers = Readers::gather(&scene, 3).await;
    let person = &readers.holders[0].person;
    let few = scene.group("few").await;
    scene.put(&format!("{}/groups/{few}", user(person)), &Value::Null).await;
    scene.wait_until_followed().await;
    let rule = proxy.on(&format!("GET *userId={}*", person.id), Fault::HoldRequest);
    scene.put(&format!("groups/{few}"), &json!({"name": "renamed"})).await;
    rule.wait_until_held().await;
    readers.lose_role(&scene).await;
    rule.release();
    assert_held(&scene, &readers).await;
    scene.server.stop().await;
}

/// A sweep had passed all but one when the group changed: of that one alone it does not decide.
#[tokio::test]
async fn a_sweep_under_way_that_sees_the_rest_of_a_change_of_many_ends_nothing() {
    let proxy = FaultProxy::start();
    let mut scene = scene_behind(&proxy).await;
    let mut readers = Readers::gather(&scene, 3).await;
    let extra = [&BRAKE[..], &[("HALLPASS_KEYCLOAK__URL", proxy.url())]].concat();
    // Owners are looked at in the order of their ids.
    let last = readers.holders.iter().map(|holder| holder.person.id.clone()).max().unwrap();
    let rule = proxy.on(&format!("GET *userId={last}*"), Fault::HoldRequest);
    scene.server = scene.server.restart(&extra).await;
    readers.holders = readers.holders.into_iter().map(|holder| scene.renewed(holder)).collect();
    rule.wait_until_held().await;
    readers.lose_role(&scene).await;
    rule.release();
    assert_held(&scene, &readers).await;
    scene.server.stop().await;
}

/// Both happened while nobody followed.
#[tokio::test]
async fn after_a_restart_an_event_of_ones_own_passes_no_brake() {
    let mut scene = Scene::set_with(Database::sqlite, &BRAKE).await;
    scene.wait_until_started().await;
    let mut readers = Readers::gather(&scene, 3).await;
    for order in ["before", "after"] {
        scene.server.halt().await;
        let rename = json!({"firstName": "Renamed"});
        let path = user(&readers.holders[0].person);
        if order == "before" {
            scene.put(&path, &rename).await;
            readers.lose_role(&scene).await;
        } else {
            readers.lose_role(&scene).await;
            scene.put(&path, &rename).await;
        }
        scene.server = scene.server.restart(&BRAKE).await;
        readers.holders = readers.holders.into_iter().map(|holder| scene.renewed(holder)).collect();
        readers.assert_held_until_role_is_back(&scene).await;
    }
    scene.server.stop().await;
}

/// Who changed by themselves while something wide is looked at is refused at once, and not held with it.
#[tokio::test]
async fn a_change_of_one_beside_a_change_of_many_is_followed() {
    let proxy = FaultProxy::start();
    let scene = scene_behind(&proxy).await;
    let (readers, other) = (Readers::gather(&scene, 3).await, scene.holder().await);
    scene.wait_until_followed().await;
    // The look at many does not come to its end.
    let person = &readers.holders[0].person;
    let rule = proxy.on(&format!("GET *userId={}*", person.id), Fault::HoldRequest);
    readers.lose_role(&scene).await;
    rule.wait_until_held().await;
    scene.realm.give_roles(&other.person, "hallpass", &["read-audit"]).await;
    scene.wait_for(&other, "suspended").await;
    scene.assert_refused(&other).await;
    rule.release();
    scene.wait_for(&other, "revoked").await;
    let log = scene.audited(&other).await;
    let told = "token_revoked by hallpass, roles_changed: added hallpass:read-audit";
    assert_eq!(log[1..], ["token_suspended by hallpass, roles_changed", told], "{log:?}");
    assert_held(&scene, &readers).await;
    scene.server.stop().await;
}
