//! Keycloak's workflows change users, and tell nobody: sweeps find what they did. An older one than 26.6
//! has none.

use serde_json::{Value, json};

use super::{SWEEPING, Scene, until, user};
use crate::support::{Database, Person, http, keycloak_is_at_least};

impl Scene {
    /// Runs a workflow of this one step for this person.
    async fn run_workflow(&self, person: &Person, step: &Value) {
        let name = step["uses"].as_str().unwrap();
        let body = json!({"name": name, "enabled": true, "steps": [step]});
        self.post("workflows", &body).await;
        // Keycloak would answer in YAML.
        let url =
            format!("{}/workflows", self.realm.issuer().replace("/realms/", "/admin/realms/"));
        let request = http().get(url).bearer_auth(self.admin.token());
        let answer = request.header("Accept", "application/json").send().await.unwrap();
        let all: Value = answer.json().await.unwrap();
        let found = all.as_array().unwrap().iter().find(|workflow| workflow["name"] == name);
        let id = found.unwrap_or_else(|| panic!("{all}"))["id"].as_str().unwrap();
        self.post(&format!("workflows/{id}/activate/USERS/{}", person.id), &Value::Null).await;
    }

    /// How many events of administrators there are.
    async fn events_of_administrators(&self) -> usize {
        self.get("admin-events?max=1000").await.as_array().unwrap().len()
    }
}

#[tokio::test]
async fn a_role_that_a_workflow_grants_and_a_user_whom_it_disables_are_found_by_sweeps() {
    if !keycloak_is_at_least(26, 6) {
        return;
    }
    let scene = Scene::set_with(Database::sqlite, &SWEEPING).await;
    scene.role("reader").await;
    let (granted, disabled) = (scene.holder().await, scene.holder().await);
    let other = scene.holder().await;
    scene.wait_until_followed().await;

    let before = scene.events_of_administrators().await;
    let grant = json!({"uses": "grant-role", "with": {"role": ["reader"]}});
    scene.run_workflow(&granted.person, &grant).await;
    scene.run_workflow(&disabled.person, &json!({"uses": "disable-user"})).await;
    until("the workflows have run", async || {
        let roles = scene.get(&format!("{}/role-mappings/realm", user(&granted.person))).await;
        let has_role = roles.as_array().unwrap().iter().any(|role| role["name"] == "reader");
        has_role && scene.get(&user(&disabled.person)).await["enabled"] == false
    })
    .await;
    assert_eq!(scene.events_of_administrators().await, before, "a workflow tells of itself now");

    let scene = scene.sweep_anew(&SWEEPING).await;
    let (granted, disabled) = (scene.renewed(granted), scene.renewed(disabled));
    scene.assert_revoked(&granted, "roles_changed", "added reader").await;
    // Nobody says that it is for good, until a second sweep agrees.
    scene.wait_for(&disabled, "suspended").await;
    let scene = scene.sweep_until_certain().await;
    scene.assert_deleted(&scene.renewed(disabled), "owner_disabled").await;
    scene.assert_good(&scene.renewed(other)).await;
    scene.server.stop().await;
}
