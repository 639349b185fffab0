//! What operators do to a realm that shows in tokens.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Admin, Person, TestRealm};

pub(super) const DESIGNATED: &str = "hallpass-pat";

/// The designated client, as an operator shapes it.
pub(super) struct Designated {
    admin: Admin,
    path: String,
}

impl Designated {
    pub(super) async fn of(realm: &TestRealm) -> Self {
        let admin = Admin::log_in().await;
        let uuid = admin.client_uuid(&realm.name, DESIGNATED).await;
        Self { admin, path: format!("/{}/clients/{uuid}", realm.name) }
    }

    pub(super) async fn add_mapper(&self, name: &str, kind: &str, config: Value) {
        let mut all = json!({"access.token.claim": "true"});
        all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let mapper = json!({"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": all});
        self.admin.post(&format!("{}/protocol-mappers/models", self.path), &mapper).await;
    }

    pub(super) async fn add_claim(&self, claim: &str, kind: &str, value: &str) {
        let config = json!({"claim.name": claim, "claim.value": value, "jsonType.label": kind});
        self.add_mapper(claim, "oidc-hardcoded-claim-mapper", config).await;
    }

    /// What Keycloak says that an access token of this client would have.
    pub(super) async fn evaluate(&self, person: &Person) -> Value {
        let path = format!(
            "{}/evaluate-scopes/generate-example-access-token?scope=openid&userId={}",
            self.path, person.id
        );
        self.admin.get(&path).await
    }
}

/// New realm roles for `whose`: `users/{id}` or `groups/{id}`.
pub(super) async fn make_realm_roles(realm: &TestRealm, names: &[&str], whose: &str) {
    let admin = Admin::log_in().await;
    let mut roles = Vec::new();
    for name in names {
        admin.post(&format!("/{}/roles", realm.name), &json!({"name": name})).await;
        roles.push(admin.get(&format!("/{}/roles/{name}", realm.name)).await);
    }
    let path = format!("/{}/{whose}/role-mappings/realm", realm.name);
    admin.call(Method::POST, &path, Some(&roles.into())).await;
}

/// A new client with roles, which the person gets.
pub(super) async fn make_client_roles(
    realm: &TestRealm,
    person: &Person,
    client_id: &str,
    names: &[&str],
) {
    let admin = Admin::log_in().await;
    let client = json!({"clientId": client_id, "standardFlowEnabled": false});
    admin.post(&format!("/{}/clients", realm.name), &client).await;
    let uuid = admin.client_uuid(&realm.name, client_id).await;
    for name in names {
        let path = format!("/{}/clients/{uuid}/roles", realm.name);
        admin.post(&path, &json!({"name": name})).await;
    }
    realm.give_roles(person, client_id, names).await;
}
