//! Owners who come from a real LDAP directory, by way of Keycloak's user federation.

use serde_json::{Value, json};

use crate::lifecycle::{Holder, SWEEPING, Scene, user};
use crate::support::{
    Database, Fault, FaultProxy, LDAP_ADMIN, LDAP_PASSWORD, LDAP_SUFFIX, Ldap, PASSWORD, Person,
};

const FEDERATION: &str = "org.keycloak.storage.UserStorageProvider";
const MAPPER: &str = "org.keycloak.storage.ldap.mappers.LDAPStorageMapper";

/// A realm whose people come from a directory. Its group `readers` has the realm role `reader`.
struct Directory {
    ldap: Ldap,
    /// Of the federation provider, in Keycloak.
    id: String,
}

impl Directory {
    async fn join(scene: &Scene) -> Self {
        let ldap = Ldap::start().await;
        for uid in ["reader", "other"] {
            ldap.add_person(uid, PASSWORD).await;
        }
        ldap.add_group("readers", &["reader"]).await;
        let realm = scene.get("").await["id"].clone();
        let config = json!({
            "enabled": ["true"], "vendor": ["other"], "connectionUrl": [ldap.url()], "authType": ["simple"],
            "bindDn": [LDAP_ADMIN], "bindCredential": [LDAP_PASSWORD],
            "usersDn": [format!("ou=people,{LDAP_SUFFIX}")], "usernameLDAPAttribute": ["uid"],
            "rdnLDAPAttribute": ["uid"], "uuidLDAPAttribute": ["entryUUID"],
            "userObjectClasses": ["inetOrgPerson"], "editMode": ["READ_ONLY"], "importEnabled": ["true"],
            "pagination": ["false"], "connectionTimeout": ["2000"], "readTimeout": ["2000"],
            // By its cache Keycloak would not notice for a while what happens in the directory.
            "cachePolicy": ["NO_CACHE"],
        });
        let id = scene.component("ldap", FEDERATION, &realm, &config).await;
        let directory = Self { ldap, id };
        let parent = json!(directory.id);
        let groups = json!({
            "groups.dn": [format!("ou=groups,{LDAP_SUFFIX}")], "group.name.ldap.attribute": ["cn"],
            "group.object.classes": ["groupOfNames"], "preserve.group.inheritance": ["false"],
            "membership.ldap.attribute": ["member"], "membership.attribute.type": ["DN"],
            "membership.user.ldap.attribute": ["uid"], "mode": ["READ_ONLY"], "groups.path": ["/"],
            "user.roles.retrieve.strategy": ["LOAD_GROUPS_BY_MEMBER_ATTRIBUTE"],
            "drop.non.existing.groups.during.sync": ["false"],
        });
        scene.component("group-ldap-mapper", MAPPER, &parent, &groups).await;
        // What directories of other makers have a mapper of their own for.
        let enabled = json!({
            "ldap.attribute": ["employeeType"], "user.model.attribute": ["enabled"], "read.only": ["true"],
            "always.read.value.from.ldap": ["false"], "is.mandatory.in.ldap": ["false"],
        });
        scene.component("user-attribute-ldap-mapper", MAPPER, &parent, &enabled).await;
        directory.sync(scene).await;
        let role = scene.role("reader").await;
        let group = scene.get("groups?search=readers&exact=true").await;
        let group = group[0]["id"].as_str().expect("the group came with its member");
        scene.post(&format!("groups/{group}/role-mappings/realm"), &json!([role])).await;
        directory
    }

    /// As an administrator does it, with an event; by its own timer Keycloak does the same without one.
    async fn sync(&self, scene: &Scene) {
        let path = format!("user-storage/{}/sync?action=triggerFullSync", self.id);
        scene.post(&path, &Value::Null).await;
    }

    async fn set_enabled(&self, uid: &str, enabled: bool) {
        let change = format!("replace: employeeType\nemployeeType: {enabled}");
        self.ldap.modify(&format!("uid={uid},ou=people"), &change).await;
    }
}

impl Scene {
    async fn component(&self, kind: &str, of: &str, parent: &Value, config: &Value) -> String {
        let body = json!({"name": kind, "providerId": kind, "providerType": of, "parentId": parent,
            "config": config});
        self.post("components", &body).await;
        let found = self.get(&format!("components?name={kind}")).await;
        found[0]["id"].as_str().unwrap().to_owned()
    }

    /// Somebody of the directory, with a token: they log in with the password that the directory knows.
    async fn holder_from_directory(&self, uid: &str) -> Holder {
        let found = self.get(&format!("users?username={uid}&exact=true")).await;
        let id = found[0]["id"].as_str().unwrap().to_owned();
        self.holder_of(Person { id, username: uid.to_owned() }).await
    }

    async fn assert_still_suspended(&self, holder: &Holder, reason: &str) {
        self.wait_for(holder, "suspended").await;
        self.pat(holder).await.expect_problem(401, "unauthenticated");
        let log = self.audited(holder).await;
        assert_eq!(log[1..], [format!("token_suspended by hallpass, {reason}")], "{log:?}");
    }

    async fn assert_released(&self, holder: &Holder) {
        self.wait_for(holder, "active").await;
        self.assert_good(holder).await;
        let log = self.audited(holder).await;
        assert_eq!(log[2..], ["token_released by hallpass, owner_as_before"], "{log:?}");
    }
}

#[tokio::test]
#[ignore = "make soak"]
async fn while_the_directory_is_away_its_owners_are_suspended_and_good_again_when_it_is_back() {
    let scene = Scene::set_with(Database::sqlite, &SWEEPING).await;
    let mut directory = Directory::join(&scene).await;
    let holder = scene.holder_from_directory("reader").await;
    let local = scene.holder().await;
    directory.ldap.down().await;
    assert_eq!(scene.get(&user(&holder.person)).await["enabled"], false);

    // However many sweeps agree.
    let scene = scene.sweep_until_certain().await.sweep_until_certain().await;
    let (holder, local) = (scene.renewed(holder), scene.renewed(local));
    scene.assert_still_suspended(&holder, "owner_disabled").await;
    scene.assert_good(&local).await;
    directory.ldap.up().await;
    let scene = scene.sweep_anew(&SWEEPING).await;
    scene.assert_released(&scene.renewed(holder)).await;
    scene.server.stop().await;
}

#[tokio::test]
#[ignore = "make soak"]
async fn a_role_by_a_group_of_the_directory_that_is_taken_or_given_there_revokes() {
    let scene = Scene::set_with(Database::sqlite, &SWEEPING).await;
    let directory = Directory::join(&scene).await;
    let (holder, other) =
        (scene.holder_from_directory("reader").await, scene.holder_from_directory("other").await);
    let member = |uid: &str| format!("member: uid={uid},ou=people,{LDAP_SUFFIX}");
    let change = format!("delete: member\n{}", member("reader"));
    directory.ldap.modify("cn=readers,ou=groups", &change).await;
    // Nobody told Keycloak: the sweep finds it.
    let scene = scene.sweep_anew(&SWEEPING).await;
    scene.assert_revoked(&scene.renewed(holder), "roles_changed", "removed reader").await;
    let other = scene.renewed(other);
    scene.assert_good(&other).await;

    // An administrator synchronises: then there is an event.
    let change = format!("add: member\n{}", member("other"));
    directory.ldap.modify("cn=readers,ou=groups", &change).await;
    directory.sync(&scene).await;
    scene.assert_revoked(&other, "roles_changed", "added reader").await;
    scene.server.stop().await;
}

#[tokio::test]
#[ignore = "make soak"]
async fn who_is_deleted_in_the_directory_is_refused_and_their_tokens_are_kept() {
    let scene = Scene::set_with(Database::sqlite, &SWEEPING).await;
    let directory = Directory::join(&scene).await;
    let (holder, other) =
        (scene.holder_from_directory("reader").await, scene.holder_from_directory("other").await);
    directory.ldap.delete("uid=reader,ou=people").await;
    let scene = scene.sweep_until_certain().await.sweep_until_certain().await;
    assert!(!scene.admin.has(&format!("/{}/{}", scene.realm.name, user(&holder.person))).await);
    scene.assert_still_suspended(&scene.renewed(holder), "owner_deleted").await;
    scene.assert_good(&scene.renewed(other)).await;
    scene.server.stop().await;
}

#[tokio::test]
#[ignore = "make soak"]
async fn who_is_disabled_in_the_directory_is_suspended_until_they_are_enabled_there() {
    let scene = Scene::set_with(Database::sqlite, &SWEEPING).await;
    let directory = Directory::join(&scene).await;
    let (holder, other) =
        (scene.holder_from_directory("reader").await, scene.holder_from_directory("other").await);
    directory.set_enabled("reader", false).await;
    directory.sync(&scene).await;
    scene.assert_still_suspended(&holder, "owner_disabled").await;
    let scene = scene.sweep_until_certain().await;
    let holder = scene.renewed(holder);
    scene.assert_still_suspended(&holder, "owner_disabled").await;
    directory.set_enabled("reader", true).await;
    directory.sync(&scene).await;
    scene.assert_released(&holder).await;
    scene.assert_good(&scene.renewed(other)).await;
    scene.server.stop().await;
}

/// The user is read while the directory is there, and their roles when it is not: those of its groups are missing then.
#[tokio::test]
#[ignore = "make soak"]
async fn a_directory_that_goes_away_in_the_middle_of_a_look_revokes_nothing() {
    let proxy = FaultProxy::start();
    let behind = [SWEEPING[0], SWEEPING[1], ("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let scene = Scene::set_with(Database::sqlite, &behind).await;
    let mut directory = Directory::join(&scene).await;
    let holder = scene.holder_from_directory("reader").await;
    scene.wait_until_followed().await;

    let pattern = format!("GET *userId={}*", holder.person.id);
    let rule = proxy.on_nth(1, &pattern, Fault::HoldRequest);
    directory.sync(&scene).await;
    rule.wait_until_held().await;
    directory.ldap.down().await;
    rule.release();
    scene.assert_still_suspended(&holder, "owner_disabled").await;
    directory.ldap.up().await;
    directory.sync(&scene).await;
    scene.assert_released(&holder).await;
    scene.server.stop().await;
}
