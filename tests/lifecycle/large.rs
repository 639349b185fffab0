//! What one person makes large, as large as Keycloak takes it, keeps nobody from being followed, and them neither.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Holder, Scene, user};
use crate::support::{http, keycloak_is_at_least, unique};

/// A client of the account console's kind: its tokens may edit their owner's account.
const ACCOUNT_CLIENT: &str = "account-editor";
/// Together a little less than Keycloak takes in one request.
const VALUES: usize = 4_250;
const VALUE: usize = 2_000;

impl Scene {
    /// People may edit an attribute of many values, as a realm's own profile may say.
    async fn let_people_write(&self) {
        let mut profile = self.get("users/profile").await;
        let permissions = json!({"view": ["admin", "user"], "edit": ["admin", "user"]});
        let attribute = json!({"name": "notes", "multivalued": true, "permissions": permissions});
        profile["attributes"].as_array_mut().unwrap().push(attribute);
        self.put("users/profile", &profile).await;
        let client = json!({"clientId": ACCOUNT_CLIENT, "publicClient": true,
            "directAccessGrantsEnabled": true, "standardFlowEnabled": false});
        self.post("clients", &client).await;
    }

    /// Does it as they would, through Keycloak's account API.
    async fn write_much(&self, holder: &Holder) {
        let token = self.realm.access_token_from(&holder.person, ACCOUNT_CLIENT).await;
        let url = format!("{}/account/", self.realm.issuer());
        let call = |method: Method| {
            http().request(method, &url).bearer_auth(&token).header("Accept", "application/json")
        };
        let mut account: Value = call(Method::GET).send().await.unwrap().json().await.unwrap();
        let value = |number: usize| format!("{number:0VALUE$}");
        account["attributes"]["notes"] = (0..VALUES).map(value).collect();
        let answer = call(Method::POST).json(&account).send().await.unwrap();
        assert_eq!(answer.status(), 204, "{}", answer.text().await.unwrap());
    }
}

#[tokio::test]
async fn a_person_with_as_many_attributes_as_keycloak_takes_is_followed_and_so_are_others() {
    // 26.4 puts all attributes into each list of users: such a person cannot be read there, and is suspended.
    if !keycloak_is_at_least(26, 5) {
        return;
    }
    let scene = Scene::set().await;
    scene.let_people_write().await;
    let (large, other) = (scene.holder().await, scene.holder().await);
    scene.wait_until_followed().await;
    scene.write_much(&large).await;
    scene.realm.give_roles(&large.person, "hallpass", &["read-audit"]).await;
    scene.assert_revoked(&large, "roles_changed", "added hallpass:read-audit").await;

    let again = scene.holder_of(large.person.clone()).await;
    // As the console does it: all of the person is sent, and all of it is in the event.
    let mut sent = scene.get(&user(&large.person)).await;
    assert!(sent.to_string().len() > VALUES * VALUE);
    sent["enabled"] = false.into();
    scene.put(&user(&large.person), &sent).await;
    scene.assert_deleted(&again, "owner_disabled").await;
    scene.realm.give_roles(&other.person, "hallpass", &["read-audit"]).await;
    scene.assert_revoked(&other, "roles_changed", "added hallpass:read-audit").await;
    scene.server.stop().await;
}

/// Some hundred kilobytes of roles, which each look reads; and a token of a few bytes.
#[tokio::test]
async fn a_person_with_thousands_of_roles_is_followed_and_so_are_others() {
    const ROLES: usize = 2_000;
    let scene = Scene::set().await;
    let name = |number: usize| format!("{number:0200}");
    let roles = (0..ROLES).map(|number| json!({"name": name(number)}));
    let all: Vec<_> = (0..ROLES).map(name).collect();
    let many = json!({"name": "many", "composite": true, "composites": {"realm": all}});
    let roles: Vec<_> = roles.chain([many]).collect();
    let import = json!({"ifResourceExists": "FAIL", "roles": {"realm": roles}});
    scene.post("partialImport", &import).await;
    let person = scene.realm.person().await;
    let mapping = format!("{}/role-mappings/realm", user(&person));
    let many = scene.get("roles/many").await;
    scene.post(&mapping, &json!([many])).await;
    let api = scene.server.user(&person).await;
    let narrowed = json!({"name": unique("token"), "roles": ["hallpass:create-tokens"]});
    let minted = api.post(super::TOKENS, &narrowed).await.expect(201);
    let text = |name: &str| minted[name].as_str().unwrap().to_owned();
    let holder = Holder { person, api, pat_id: text("patId"), token: text("token") };
    scene.wait_until_followed().await;
    scene.assert_good(&holder).await;
    let other = scene.holder().await;
    scene.delete(&mapping, &json!([many])).await;
    scene.realm.give_roles(&other.person, "hallpass", &["read-audit"]).await;
    scene.assert_revoked(&other, "roles_changed", "added hallpass:read-audit").await;
    scene.wait_for(&holder, "revoked").await;
    // What the log says of it is bounded.
    let log = scene.audited(&holder).await;
    assert!(log[1].contains(" and 1951 more") && log[1].len() < 8_000, "{}", log[1].len());
    scene.server.stop().await;
}

#[tokio::test]
async fn an_event_as_large_as_keycloak_takes_it_concerns_whom_it_says_and_stops_nobody() {
    let scene = Scene::set().await;
    let (role, group) = (scene.role("reader").await, scene.group("managed").await);
    let (member, other) = (scene.holder().await, scene.holder().await);
    scene.wait_until_followed().await;
    // Whoever manages one group can do that: Keycloak ignores the path, and records it.
    let path = "p".repeat(VALUES * VALUE);
    scene.put(&format!("groups/{group}"), &json!({"name": unique("g"), "path": path})).await;
    scene.put(&format!("{}/groups/{group}", user(&member.person)), &Value::Null).await;
    scene.post(&format!("groups/{group}/role-mappings/realm"), &json!([role])).await;
    scene.put(&format!("groups/{group}"), &json!({"name": unique("g"), "path": path})).await;
    scene.assert_revoked(&member, "roles_changed", "added reader").await;
    scene.assert_good(&other).await;
    scene.wait_until_followed().await;
    scene.server.stop().await;
}
