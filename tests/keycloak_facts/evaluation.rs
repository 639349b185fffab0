//! The evaluation of a client's mappers for a user who is away: what personal access tokens are made from.

use hallpass::config::Settings;
use hallpass::id::UserId;
use hallpass::keycloak::{Credentials, Keycloak, RealmClient, http_client};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::{Admin, Database, Person, TestRealm};

/// The realm as Hallpass's own service account sees it.
struct Eyes {
    realm: TestRealm,
    admin: Admin,
    keycloak: Keycloak,
    probe: RealmClient,
}

impl Eyes {
    async fn open() -> Self {
        let realm = TestRealm::own().await;
        let folder = tempfile::tempdir().unwrap();
        let Settings { keycloak: own, .. } = realm.settings(&Database::sqlite(&folder), &[]);
        let credentials = Credentials::Client {
            realm: realm.name.clone(),
            client_id: own.client_id.clone(),
            client_secret: own.client_secret.clone(),
        };
        let keycloak = Keycloak::new(http_client().unwrap(), own.realm.clone(), credentials);
        let probe = keycloak.find_client("hallpass-probe").await.unwrap().unwrap();
        Self { realm, admin: Admin::log_in().await, keycloak, probe }
    }

    fn path(&self, path: &str) -> String {
        format!("/{}{path}", self.realm.name)
    }

    async fn find_claims(&self, id: &str) -> Option<Map<String, Value>> {
        self.keycloak.evaluate_claims(&self.probe, &UserId::new(id), "openid").await.unwrap()
    }

    /// The realm roles that the probe's evaluation shows, but for those of everybody.
    async fn realm_roles(&self, person: &Person) -> Vec<String> {
        let claims = self.find_claims(&person.id).await.unwrap();
        let roles = claims["realm_access"]["roles"].as_array().unwrap().iter();
        let roles = roles.map(|role| role.as_str().unwrap());
        let mut roles: Vec<_> =
            roles.filter(|role| role.starts_with("test-")).map(str::to_owned).collect();
        roles.sort();
        roles
    }

    async fn role(&self, name: &str) -> Value {
        self.admin.post(&self.path("/roles"), &json!({"name": name})).await;
        self.admin.get(&self.path(&format!("/roles/{name}"))).await
    }

    async fn change_user(&self, person: &Person, members: Value) {
        let path = self.path(&format!("/users/{}", person.id));
        let mut user = self.admin.get(&path).await;
        user.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        self.admin.put(&path, &user).await;
    }
}

#[tokio::test]
async fn a_disabled_client_is_evaluated_also_for_a_disabled_user_but_not_for_nobody() {
    let eyes = Eyes::open().await;
    let person = eyes.realm.person().await;
    let uuid = eyes.admin.client_uuid(&eyes.realm.name, "hallpass-probe").await;
    let probe = eyes.admin.get(&eyes.path(&format!("/clients/{uuid}"))).await;
    assert_eq!(probe["enabled"], false);
    let claims = eyes.find_claims(&person.id).await.unwrap();
    assert_eq!(claims["azp"], "hallpass-probe");
    for protocol in ["typ", "jti", "sid", "exp", "iat", "iss"] {
        assert!(claims.contains_key(protocol), "{protocol}: {claims:?}");
    }

    // Keycloak does not look whether the user is enabled: Hallpass has to.
    eyes.change_user(&person, json!({"enabled": false})).await;
    assert!(eyes.find_claims(&person.id).await.is_some());
    assert!(eyes.find_claims("00000000-0000-4000-8000-000000000000").await.is_none());
}

#[tokio::test]
async fn an_evaluation_leaves_no_session() {
    let eyes = Eyes::open().await;
    let person = eyes.realm.person().await;
    eyes.find_claims(&person.id).await.unwrap();
    let path = eyes.path(&format!("/users/{}/sessions", person.id));
    assert_eq!(eyes.admin.get(&path).await, json!([]));
}

#[tokio::test]
async fn roles_are_shown_direct_through_groups_and_composites_until_they_are_taken() {
    let eyes = Eyes::open().await;
    let person = eyes.realm.person().await;
    let [direct, grouped, outer, inner] = [
        eyes.role("test-direct").await,
        eyes.role("test-grouped").await,
        eyes.role("test-outer").await,
        eyes.role("test-inner").await,
    ];
    assert_eq!(eyes.realm_roles(&person).await, Vec::<String>::new());

    let mappings = eyes.path(&format!("/users/{}/role-mappings/realm", person.id));
    eyes.admin.post(&mappings, &json!([direct, outer])).await;
    assert_eq!(eyes.realm_roles(&person).await, ["test-direct", "test-outer"]);

    let composites = eyes.path("/roles/test-outer/composites");
    eyes.admin.post(&composites, &json!([inner])).await;
    assert_eq!(eyes.realm_roles(&person).await, ["test-direct", "test-inner", "test-outer"]);

    eyes.admin.post(&eyes.path("/groups"), &json!({"name": "parent"})).await;
    let groups = eyes.admin.get(&eyes.path("/groups")).await;
    let parent = groups[0]["id"].as_str().unwrap();
    let children = eyes.path(&format!("/groups/{parent}/children"));
    eyes.admin.post(&children, &json!({"name": "child"})).await;
    let child = eyes.admin.get(&children).await[0]["id"].as_str().unwrap().to_owned();
    // The role is the parent group's, the person is in its child.
    let held = eyes.path(&format!("/groups/{parent}/role-mappings/realm"));
    eyes.admin.post(&held, &json!([grouped])).await;
    let membership = eyes.path(&format!("/users/{}/groups/{child}", person.id));
    eyes.admin.put(&membership, &Value::Null).await;
    assert_eq!(
        eyes.realm_roles(&person).await,
        ["test-direct", "test-grouped", "test-inner", "test-outer"]
    );

    eyes.admin.delete(&membership).await;
    eyes.admin.call(Method::DELETE, &composites, Some(&json!([inner]))).await;
    assert_eq!(eyes.realm_roles(&person).await, ["test-direct", "test-outer"]);
    eyes.admin.call(Method::DELETE, &mappings, Some(&json!([outer]))).await;
    assert_eq!(eyes.realm_roles(&person).await, ["test-direct"]);
    eyes.admin.delete(&eyes.path("/roles/test-direct")).await;
    assert_eq!(eyes.realm_roles(&person).await, Vec::<String>::new());
}

#[tokio::test]
async fn client_roles_are_shown_and_widen_the_audience() {
    let eyes = Eyes::open().await;
    let person = eyes.realm.person().await;
    eyes.realm.give_roles(&person, "hallpass", &["read-audit"]).await;
    let claims = eyes.find_claims(&person.id).await.unwrap();
    let mut roles = claims["resource_access"]["hallpass"]["roles"].as_array().unwrap().clone();
    roles.sort_by_key(Value::to_string);
    assert_eq!(roles, ["create-tokens", "read-audit"]);
    eyes.realm.take_roles(&person, "hallpass", &["read-audit"]).await;
    let claims = eyes.find_claims(&person.id).await.unwrap();
    assert_eq!(claims["resource_access"]["hallpass"]["roles"], json!(["create-tokens"]));

    let designated = eyes.keycloak.find_client("hallpass-pat").await.unwrap().unwrap();
    let id = UserId::new(person.id.as_str());
    let claims = eyes.keycloak.evaluate_claims(&designated, &id, "openid").await.unwrap().unwrap();
    let audience = claims["aud"].as_array().unwrap();
    assert!(audience.contains(&json!("hallpass")), "{claims:?}");
}

#[tokio::test]
async fn an_unknown_scope_is_ignored_in_silence() {
    let eyes = Eyes::open().await;
    let person = eyes.realm.person().await;
    let designated = eyes.keycloak.find_client("hallpass-pat").await.unwrap().unwrap();
    let id = UserId::new(person.id.as_str());
    let scope = "openid datahub-api nothing-of-the-kind";
    let claims = eyes.keycloak.evaluate_claims(&designated, &id, scope).await.unwrap().unwrap();
    let scopes: Vec<_> = claims["scope"].as_str().unwrap().split(' ').collect();
    assert!(scopes.contains(&"datahub-api"), "{scopes:?}");
    assert!(!scopes.contains(&"nothing-of-the-kind"), "{scopes:?}");
}
