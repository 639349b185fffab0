//! Roles that are given and taken, directly and by way of other roles.

use serde_json::json;

use super::{Scene, user};
use crate::support::{DATABASES, unique};

#[tokio::test]
async fn a_realm_role_given_or_taken_revokes_on_both_databases() {
    for database in DATABASES {
        let scene = Scene::set_with(database, &super::EVENTS_ONLY).await;
        let role = scene.role("reader").await;
        let (holder, other) = (scene.holder().await, scene.holder().await);
        let mapping = format!("{}/role-mappings/realm", user(&holder.person));
        scene.post(&mapping, &json!([role])).await;
        scene.assert_revoked(&holder, "roles_changed", "added reader").await;

        let again = scene.holder_of(holder.person.clone()).await;
        scene.delete(&mapping, &json!([role])).await;
        scene.assert_revoked(&again, "roles_changed", "removed reader").await;
        // One that was revoked is what it was.
        scene.assert_revoked(&holder, "roles_changed", "added reader").await;
        scene.assert_good(&other).await;
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn a_client_role_given_or_taken_revokes() {
    let scene = Scene::set().await;
    let (holder, other) = (scene.holder().await, scene.holder().await);
    scene.realm.give_roles(&holder.person, "hallpass", &["read-audit", "manage-tokens"]).await;
    let added = "added hallpass:manage-tokens, hallpass:read-audit";
    scene.assert_revoked(&holder, "roles_changed", added).await;
    let again = scene.holder_of(holder.person.clone()).await;
    scene.realm.take_roles(&holder.person, "hallpass", &["read-audit"]).await;
    scene.assert_revoked(&again, "roles_changed", "removed hallpass:read-audit").await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn every_token_of_the_owner_is_revoked_narrowed_and_in_grace_alike() {
    let scene = Scene::set().await;
    let holder = scene.holder().await;
    let body = json!({"name": "narrowed", "scopes": ["email"]});
    let narrowed = holder.api.post(super::TOKENS, &body).await.expect(201);
    let rotate = format!("{}/{}/rotate", super::TOKENS, holder.pat_id);
    let successor = holder.api.post(&rotate, &json!({"graceSeconds": 3600})).await.expect(201);
    scene.assert_good(&holder).await;

    scene.realm.give_roles(&holder.person, "hallpass", &["read-audit"]).await;
    for token in [&narrowed, &successor] {
        let of = |name: &str| token[name].as_str().unwrap().to_owned();
        let (pat_id, token) = (of("patId"), of("token"));
        let (person, api) = (holder.person.clone(), holder.api.clone());
        let holder = super::Holder { person, api, pat_id, token };
        scene.assert_revoked(&holder, "roles_changed", "added hallpass:read-audit").await;
    }
    let replaced = scene.wait_for(&holder, "revoked").await;
    assert_eq!(replaced["revokedReason"], "roles_changed");
    scene.server.stop().await;
}

/// Hallpass passes over the events of its own acts; but with a client its roles are gone.
#[tokio::test]
async fn a_client_with_roles_that_hallpass_deletes_revokes_on_both_databases() {
    for database in DATABASES {
        let scene = Scene::set_with(database, &super::EVENTS_ONLY).await;
        let account = json!({"attributes": {"account_id": ["acme"]}});
        let maker = scene.realm.person_with(&unique("maker"), account).await;
        scene.realm.give_roles(&maker, "hallpass", &["create-api-clients"]).await;
        let maker = scene.server.user(&maker).await;
        let clients = "/api/clients/v1/clients";
        for id in ["acme_reports", "acme_plain"] {
            let body = json!({"clientId": id, "capabilities": ["script"]});
            maker.post(clients, &body).await.expect(201);
        }
        let uuid = scene.admin.client_uuid(&scene.realm.name, "acme_reports").await;
        let roles = format!("clients/{uuid}/roles");
        scene.post(&roles, &json!({"name": "reader"})).await;
        let (direct, other) = (scene.realm.person().await, scene.holder().await);
        scene.realm.give_roles(&direct, "acme_reports", &["reader"]).await;
        // Also by way of a composite of the realm.
        let role = scene.get(&format!("{roles}/reader")).await;
        let composite = scene.role("composite").await;
        scene.post("roles/composite/composites", &json!([role])).await;
        let indirect = scene.realm.person().await;
        let mapping = format!("{}/role-mappings/realm", user(&indirect));
        scene.post(&mapping, &json!([composite])).await;
        scene.wait_until_followed().await;
        let holders = [scene.holder_of(direct).await, scene.holder_of(indirect).await];

        assert_eq!(maker.delete(&format!("{clients}/acme_plain")).await.status, 204);
        scene.wait_until_followed().await;
        for holder in &holders {
            scene.assert_good(holder).await;
        }
        assert_eq!(maker.delete(&format!("{clients}/acme_reports")).await.status, 204);
        for holder in &holders {
            scene.assert_revoked(holder, "roles_changed", "removed acme_reports:reader").await;
        }
        scene.assert_good(&other).await;
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn a_composite_that_gets_or_loses_a_role_revokes_its_members() {
    let scene = Scene::set().await;
    let (outer, inner) = (scene.role("outer").await, scene.role("inner").await);
    let (member, other) = (scene.realm.person().await, scene.holder().await);
    scene.post(&format!("{}/role-mappings/realm", user(&member)), &json!([outer])).await;
    scene.wait_until_followed().await;
    let holder = scene.holder_of(member.clone()).await;
    scene.post("roles/outer/composites", &json!([inner])).await;
    scene.assert_revoked(&holder, "roles_changed", "added inner").await;

    let again = scene.holder_of(member).await;
    let by_id = format!("roles-by-id/{}/composites", outer["id"].as_str().unwrap());
    scene.delete(&by_id, &json!([inner])).await;
    scene.assert_revoked(&again, "roles_changed", "removed inner").await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn a_role_that_is_deleted_or_renamed_revokes_those_who_had_it() {
    let scene = Scene::set().await;
    scene.post("clients", &json!({"clientId": "jobs"})).await;
    let client = scene.admin.client_uuid(&scene.realm.name, "jobs").await;
    let roles = format!("clients/{client}/roles");
    scene.post(&roles, &json!({"name": "deploy"})).await;
    let (realm_role, client_role) =
        (scene.role("reader").await, scene.get(&format!("{roles}/deploy")).await);
    let (person, other) = (scene.realm.person().await, scene.holder().await);
    let mappings = format!("{}/role-mappings", user(&person));
    scene.post(&format!("{mappings}/realm"), &json!([realm_role])).await;
    scene.post(&format!("{mappings}/clients/{client}"), &json!([client_role])).await;

    let holder = scene.holder_of(person.clone()).await;
    scene.put("roles/reader", &json!({"name": "viewer"})).await;
    scene.assert_revoked(&holder, "roles_changed", "added viewer; removed reader").await;
    let holder = scene.holder_of(person.clone()).await;
    scene.delete("roles/viewer", &json!(null)).await;
    scene.assert_revoked(&holder, "roles_changed", "removed viewer").await;
    let holder = scene.holder_of(person).await;
    scene.delete(&format!("{roles}/deploy"), &json!(null)).await;
    scene.assert_revoked(&holder, "roles_changed", "removed jobs:deploy").await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn a_composite_of_composites_passes_on_what_it_gets_and_loses() {
    let scene = Scene::set().await;
    scene.post("clients", &json!({"clientId": "jobs"})).await;
    let client = scene.admin.client_uuid(&scene.realm.name, "jobs").await;
    let roles = format!("clients/{client}/roles");
    scene.post(&roles, &json!({"name": "run"})).await;
    let run = scene.get(&format!("{roles}/run")).await;
    let (outer, middle) = (scene.role("outer").await, scene.role("middle").await);
    let (inner, other) = (scene.role("inner").await, scene.holder().await);
    scene.post("roles/outer/composites", &json!([middle])).await;
    scene.post("roles/middle/composites", &json!([run])).await;
    let member = scene.realm.person().await;
    scene.post(&format!("{}/role-mappings/realm", user(&member)), &json!([outer])).await;
    scene.wait_until_followed().await;

    let holder = scene.holder_of(member.clone()).await;
    scene.post(&format!("{roles}/run/composites"), &json!([inner])).await;
    scene.assert_revoked(&holder, "roles_changed", "added inner").await;
    let holder = scene.holder_of(member.clone()).await;
    scene.delete(&format!("{roles}/run/composites"), &json!([inner])).await;
    scene.assert_revoked(&holder, "roles_changed", "removed inner").await;
    let holder = scene.holder_of(member.clone()).await;
    let by_id = format!("roles-by-id/{}/composites", middle["id"].as_str().unwrap());
    scene.delete(&by_id, &json!([run])).await;
    scene.assert_revoked(&holder, "roles_changed", "removed jobs:run").await;
    let holder = scene.holder_of(member).await;
    scene.delete("roles/outer/composites", &json!([middle])).await;
    scene.assert_revoked(&holder, "roles_changed", "removed middle").await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn a_role_that_is_renamed_or_deleted_by_its_id_revokes_those_who_had_it() {
    let scene = Scene::set().await;
    // Paths write such a name in more than one way.
    let role = scene.role("on call ü").await;
    let by_id = format!("roles-by-id/{}", role["id"].as_str().unwrap());
    let (person, other) = (scene.realm.person().await, scene.holder().await);
    scene.post(&format!("{}/role-mappings/realm", user(&person)), &json!([role])).await;
    scene.wait_until_followed().await;

    let holder = scene.holder_of(person.clone()).await;
    let inner = scene.role("inner").await;
    scene.post("roles/on call ü/composites", &json!([inner])).await;
    scene.assert_revoked(&holder, "roles_changed", "added inner").await;
    let holder = scene.holder_of(person.clone()).await;
    scene.put(&by_id, &json!({"name": "standby"})).await;
    scene.assert_revoked(&holder, "roles_changed", "added standby; removed on call ü").await;
    let holder = scene.holder_of(person).await;
    scene.delete(&by_id, &json!(null)).await;
    scene.assert_revoked(&holder, "roles_changed", "removed inner, standby").await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn a_new_default_role_revokes_everybody_who_has_the_defaults() {
    let scene = Scene::set().await;
    let role = scene.role("everyone").await;
    let holders = [scene.holder().await, scene.holder().await];
    let defaults = scene.get(&format!("roles/default-roles-{}", scene.realm.name)).await;
    let path = format!("roles-by-id/{}/composites", defaults["id"].as_str().unwrap());
    scene.post(&path, &json!([role])).await;
    for holder in &holders {
        scene.assert_revoked(holder, "roles_changed", "added everyone").await;
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn a_client_that_is_deleted_takes_its_roles_along() {
    let scene = Scene::set().await;
    scene.post("clients", &json!({"clientId": "billing"})).await;
    let client = scene.admin.client_uuid(&scene.realm.name, "billing").await;
    scene.post(&format!("clients/{client}/roles"), &json!({"name": "pay"})).await;
    let person = scene.realm.person().await;
    scene.realm.give_roles(&person, "billing", &["pay"]).await;
    let (holder, other) = (scene.holder_of(person).await, scene.holder().await);
    scene.delete(&format!("clients/{client}"), &json!(null)).await;
    scene.assert_revoked(&holder, "roles_changed", "removed billing:pay").await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}
