//! Owners who only seem to be gone: suspended until it is certain, or until they are back.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Holder, Scene, user};
use crate::support::{DATABASES, Database, PASSWORD, Person, unique};

/// Nothing but the looks at each start, which here are an interval apart by the server's clock.
const STARTS_ONLY: [(&str, &str); 2] =
    [("HALLPASS_LIFECYCLE__POLL_INTERVAL", "24h"), ("HALLPASS_LIFECYCLE__SWEEP_INTERVAL", "1h")];

impl Scene {
    /// A realm that tells of nothing.
    async fn silent(database: fn(&tempfile::TempDir) -> Database) -> Self {
        let scene = Self::set_with(database, &STARTS_ONLY).await;
        scene.put("", &json!({"adminEventsEnabled": false, "eventsEnabled": false})).await;
        // Not even of this change of the realm, which would have everybody looked at.
        scene.delete("admin-events", &Value::Null).await;
        scene.delete("events", &Value::Null).await;
        scene
    }

    async fn sweep_after(mut self, time: Duration) -> Self {
        self.server.clock.advance(time);
        self.server = self.server.restart(&STARTS_ONLY).await;
        self
    }

    /// Puts somebody with the same id in the person's place, who comes from this directory.
    async fn put_in_place(&self, holder: &Holder, directory: &str) {
        let person = &holder.person;
        let body = json!({"ifResourceExists": "OVERWRITE", "users": [{
            "id": person.id, "username": person.username, "enabled": true,
            "email": format!("{}@example.org", person.username), "firstName": "Test", "lastName": "Person",
            "realmRoles": [format!("default-roles-{}", self.realm.name)], "federationLink": directory,
        }]});
        let outcome = self.post("partialImport", &body).await;
        assert_eq!(outcome["overwritten"], 1, "{outcome}");
    }

    /// An LDAP directory that is switched off, and its id.
    async fn directory(&self) -> String {
        let realm = self.get("").await;
        let config = json!({
            "enabled": ["false"], "connectionUrl": ["ldap://127.0.0.1:9"], "vendor": ["other"],
            "usersDn": ["ou=people"], "usernameLDAPAttribute": ["uid"], "rdnLDAPAttribute": ["uid"],
            "uuidLDAPAttribute": ["entryUUID"], "userObjectClasses": ["person"], "editMode": ["READ_ONLY"],
            "authType": ["none"], "importEnabled": ["true"],
        });
        let body = json!({"name": "ldap", "providerId": "ldap", "parentId": realm["id"],
            "providerType": "org.keycloak.storage.UserStorageProvider", "config": config});
        self.post("components", &body).await;
        let found = self.get("components?name=ldap").await;
        found[0]["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn without_events_a_second_sweep_makes_it_certain_on_both_databases() {
    for database in DATABASES {
        let scene = Scene::silent(database).await;
        let (disabled, deleted, other) =
            (scene.holder().await, scene.holder().await, scene.holder().await);
        let changed = scene.holder().await;
        scene.set_enabled(&disabled.person, false).await;
        scene.delete(&user(&deleted.person), &Value::Null).await;
        scene.realm.give_roles(&changed.person, "hallpass", &["read-audit"]).await;

        let scene = scene.sweep_after(Duration::ZERO).await;
        scene
            .assert_revoked(&scene.renewed(changed), "roles_changed", "added hallpass:read-audit")
            .await;
        let (disabled, deleted) = (scene.renewed(disabled), scene.renewed(deleted));
        for (holder, reason) in [(&disabled, "owner_disabled"), (&deleted, "owner_deleted")] {
            scene.wait_for(holder, "suspended").await;
            let log = scene.audited(holder).await;
            assert_eq!(log[1..], [format!("token_suspended by hallpass, {reason}")], "{log:?}");
        }
        // A start a moment later is no second opinion.
        let scene = scene.sweep_after(Duration::from_mins(1)).await;
        let marker = scene.marker().await;
        let scene = scene.sweep_after(Duration::from_mins(1)).await;
        scene.wait_for(&scene.renewed(marker), "revoked").await;
        let (disabled, deleted) = (scene.renewed(disabled), scene.renewed(deleted));
        scene.wait_for(&disabled, "suspended").await;
        scene.wait_for(&deleted, "suspended").await;

        let scene = scene.sweep_after(Duration::from_mins(31)).await;
        scene.assert_deleted(&scene.renewed(disabled), "owner_disabled").await;
        scene.assert_deleted(&scene.renewed(deleted), "owner_deleted").await;
        scene.assert_good(&scene.renewed(other)).await;
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn an_event_without_details_makes_certain_what_a_sweep_doubted() {
    let scene = Scene::silent(Database::sqlite).await;
    let (holder, other) = (scene.holder().await, scene.holder().await);
    scene.set_enabled(&holder.person, false).await;
    let scene = scene.sweep_after(Duration::ZERO).await;
    let holder = scene.renewed(holder);
    scene.wait_for(&holder, "suspended").await;

    scene.put("", &json!({"adminEventsEnabled": true, "adminEventsDetailsEnabled": false})).await;
    let scene = scene.sweep_anew(&super::EVENTS_ONLY).await;
    let (holder, other) = (scene.renewed(holder), scene.renewed(other));
    scene.wait_for(&holder, "suspended").await;
    scene.put(&user(&holder.person), &json!({"firstName": "Renamed"})).await;
    scene.assert_deleted(&holder, "owner_disabled").await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn who_is_back_before_it_is_certain_has_their_tokens_back_or_revoked_with_other_roles() {
    let scene = Scene::silent(Database::sqlite).await;
    let (back, changed) = (scene.holder().await, scene.holder().await);
    scene.set_enabled(&back.person, false).await;
    scene.set_enabled(&changed.person, false).await;
    let scene = scene.sweep_after(Duration::ZERO).await;
    let (back, changed) = (scene.renewed(back), scene.renewed(changed));
    scene.wait_for(&back, "suspended").await;
    scene.wait_for(&changed, "suspended").await;
    scene.set_enabled(&back.person, true).await;
    scene.set_enabled(&changed.person, true).await;
    scene.realm.give_roles(&changed.person, "hallpass", &["read-audit"]).await;
    // Suspended is suspended, until somebody looked.
    scene.assert_refused(&back).await;

    let scene = scene.sweep_after(Duration::from_mins(31)).await;
    let (back, changed) = (scene.renewed(back), scene.renewed(changed));
    scene.wait_for(&back, "active").await;
    scene.assert_good(&back).await;
    assert_eq!(scene.audited(&back).await[2], "token_released by hallpass, owner_as_before");
    assert_eq!(scene.wait_for(&changed, "revoked").await["revokedReason"], "roles_changed");

    // The doubt is over: the next one begins anew.
    scene.set_enabled(&back.person, false).await;
    let scene = scene.sweep_after(Duration::from_mins(31)).await;
    scene.wait_for(&scene.renewed(back), "suspended").await;
    scene.server.stop().await;
}

#[tokio::test]
async fn who_comes_from_a_directory_that_is_away_is_suspended_until_it_is_back() {
    let scene = Scene::silent(Database::sqlite).await;
    let holder = scene.holder().await;
    let directory = scene.directory().await;
    scene.put_in_place(&holder, &directory).await;
    assert_eq!(scene.get(&user(&holder.person)).await["enabled"], false);

    let mut scene = scene.sweep_after(Duration::ZERO).await;
    let mut holder = scene.renewed(holder);
    for _ in 0..3 {
        scene.wait_for(&holder, "suspended").await;
        let marker = scene.marker().await;
        scene = scene.sweep_after(Duration::from_mins(31)).await;
        scene.wait_for(&scene.renewed(marker), "revoked").await;
        holder = scene.renewed(holder);
    }
    scene.wait_for(&holder, "suspended").await;
    scene.post(&format!("user-storage/{directory}/unlink-users"), &Value::Null).await;
    assert_eq!(scene.get(&user(&holder.person)).await["enabled"], true);
    let scene = scene.sweep_after(Duration::ZERO).await;
    let holder = scene.renewed(holder);
    scene.wait_for(&holder, "active").await;
    scene.assert_good(&holder).await;
    scene.server.stop().await;
}

impl Scene {
    /// Somebody whom the next sweep comes to last, and whose token it revokes: ids are looked at in their order.
    async fn marker(&self) -> Holder {
        let username = unique("marker");
        let number: u32 = username.rsplit('-').next().unwrap().parse().unwrap();
        let id = format!("ffffffff-ffff-4fff-bfff-{number:012x}");
        let body = json!({"ifResourceExists": "FAIL", "users": [{
            "id": id, "username": username, "enabled": true, "emailVerified": true,
            "email": format!("{username}@example.org"), "firstName": "Test", "lastName": "Marker",
            "realmRoles": [format!("default-roles-{}", self.realm.name)],
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": false}],
        }]});
        let outcome = self.post("partialImport", &body).await;
        assert_eq!(outcome["added"], 1, "{outcome}");
        let marker = self.holder_of(Person { id, username }).await;
        self.realm.give_roles(&marker.person, "hallpass", &["introspect-tokens"]).await;
        marker
    }
}
