//! What is no change of roles revokes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Scene, user};

#[tokio::test]
async fn edits_logins_and_roles_of_keycloaks_own_clients_revoke_nothing() {
    let scene = Scene::set().await;
    let holder = scene.holder().await;
    let path = user(&holder.person);
    let mut edited = scene.get(&path).await;
    edited["email"] = json!(format!("new-{}", edited["email"].as_str().unwrap()));
    edited["lastName"] = json!("Renamed");
    scene.put(&path, &edited).await;
    scene.realm.access_token(&holder.person).await;
    scene.realm.give_roles(&holder.person, "realm-management", &["view-users"]).await;
    scene.realm.give_roles(&holder.person, "account", &["delete-account"]).await;
    scene.realm.take_roles(&holder.person, "realm-management", &["view-users"]).await;
    scene.keycloak(Method::POST, &format!("{path}/logout"), &Value::Null).await;
    // A role and a group of which the owner has nothing.
    let (outer, inner) = (scene.role("outer").await, scene.role("inner").await);
    scene.post("roles/outer/composites", &json!([inner])).await;
    let group = scene.group("empty").await;
    scene.post(&format!("groups/{group}/role-mappings/realm"), &json!([outer])).await;
    // And a group that has no role.
    let group = scene.group("plain").await;
    scene.put(&format!("{path}/groups/{group}"), &Value::Null).await;

    scene.wait_until_followed().await;
    scene.assert_good(&holder).await;
    assert_eq!(scene.audited(&holder).await.len(), 1);
    scene.server.stop().await;
}

#[tokio::test]
async fn an_administrators_logout_and_a_moved_not_before_revoke_nothing() {
    let scene = Scene::set().await;
    let holder = scene.holder().await;
    scene.put("", &json!({"notBefore": scene.server.clock.now().seconds()})).await;
    scene.post("logout-all", &Value::Null).await;
    scene.wait_until_followed().await;
    scene.assert_good(&holder).await;
    assert_eq!(scene.audited(&holder).await.len(), 1);
    scene.server.stop().await;
}
