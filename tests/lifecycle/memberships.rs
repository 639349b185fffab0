//! Roles by way of groups.

use serde_json::{Value, json};

use super::{Scene, user};

#[tokio::test]
async fn joining_and_leaving_a_group_with_a_role_revokes() {
    let scene = Scene::set().await;
    let role = scene.role("reader").await;
    let group = scene.group("readers").await;
    scene.post(&format!("groups/{group}/role-mappings/realm"), &json!([role])).await;
    scene.wait_until_followed().await;
    let (holder, other) = (scene.holder().await, scene.holder().await);
    let membership = format!("{}/groups/{group}", user(&holder.person));
    scene.put(&membership, &Value::Null).await;
    scene.assert_revoked(&holder, "roles_changed", "added reader").await;
    let again = scene.holder_of(holder.person.clone()).await;
    scene.delete(&membership, &Value::Null).await;
    scene.assert_revoked(&again, "roles_changed", "removed reader").await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn a_role_that_a_group_or_the_group_above_it_gets_revokes_the_members() {
    let scene = Scene::set().await;
    let (reader, writer) = (scene.role("reader").await, scene.role("writer").await);
    let above = scene.group("above").await;
    let below = scene.group_below(&above).await;
    let (person, other) = (scene.realm.person().await, scene.holder().await);
    scene.put(&format!("{}/groups/{below}", user(&person)), &Value::Null).await;

    let holder = scene.holder_of(person.clone()).await;
    scene.post(&format!("groups/{below}/role-mappings/realm"), &json!([reader])).await;
    scene.assert_revoked(&holder, "roles_changed", "added reader").await;
    let holder = scene.holder_of(person.clone()).await;
    scene.post(&format!("groups/{above}/role-mappings/realm"), &json!([writer])).await;
    scene.assert_revoked(&holder, "roles_changed", "added writer").await;
    let holder = scene.holder_of(person.clone()).await;
    scene.delete(&format!("groups/{below}/role-mappings/realm"), &json!([reader])).await;
    scene.assert_revoked(&holder, "roles_changed", "removed reader").await;
    // With the upper group the lower one goes.
    let holder = scene.holder_of(person).await;
    scene.delete(&format!("groups/{above}"), &Value::Null).await;
    scene.assert_revoked(&holder, "roles_changed", "removed writer").await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn a_group_that_is_moved_takes_its_members_and_those_below_along() {
    let scene = Scene::set().await;
    let (reader, writer) = (scene.role("reader").await, scene.role("writer").await);
    let (from, to) = (scene.group("from").await, scene.group("to").await);
    scene.post(&format!("groups/{from}/role-mappings/realm"), &json!([reader])).await;
    scene.post(&format!("groups/{to}/role-mappings/realm"), &json!([writer])).await;
    let moved = scene.group_below(&from).await;
    let lowest = scene.group_below(&moved).await;
    let (person, low) = (scene.realm.person().await, scene.realm.person().await);
    scene.put(&format!("{}/groups/{moved}", user(&person)), &Value::Null).await;
    scene.put(&format!("{}/groups/{lowest}", user(&low)), &Value::Null).await;
    scene.wait_until_followed().await;

    let other = scene.holder().await;
    for (path, told) in [
        (format!("groups/{to}/children"), "added writer; removed reader"),
        // To the top level.
        ("groups".to_owned(), "removed writer"),
        (format!("groups/{from}/children"), "added reader"),
    ] {
        let holders = [scene.holder_of(person.clone()).await, scene.holder_of(low.clone()).await];
        scene.post(&path, &json!({"id": moved, "name": "below"})).await;
        for holder in &holders {
            scene.assert_revoked(holder, "roles_changed", told).await;
        }
    }
    // The lowest group goes alone: nobody else loses anything by that.
    let holder = scene.holder_of(person).await;
    let last = scene.holder_of(low).await;
    scene.delete(&format!("groups/{lowest}"), &Value::Null).await;
    scene.assert_revoked(&last, "roles_changed", "removed reader").await;
    scene.assert_good(&holder).await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

impl Scene {
    async fn group_below(&self, above: &str) -> String {
        self.post(&format!("groups/{above}/children"), &json!({"name": "below"})).await;
        let found = self.get(&format!("groups/{above}/children")).await;
        found[0]["id"].as_str().unwrap().to_owned()
    }
}
