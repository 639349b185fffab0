//! What bootstrap made may do exactly what it should.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::Ground;
use crate::support::{decode_claims, http, service};

/// The service account of a bootstrapped realm, with a token of its own.
struct ServiceAccount {
    base: String,
    token: String,
}

impl ServiceAccount {
    async fn log_in(ground: &Ground, secret: &str) -> Self {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "hallpass"),
            ("client_secret", secret),
        ];
        let url = format!("{}/protocol/openid-connect/token", ground.issuer());
        let answer = http().post(url).form(&form).send().await.unwrap();
        let answer: Value = answer.error_for_status().unwrap().json().await.unwrap();
        let base =
            format!("{}/admin/realms/{}", service("HALLPASS_TEST_KEYCLOAK_URL"), ground.realm.name);
        Self { base, token: answer["access_token"].as_str().unwrap().to_owned() }
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> StatusCode {
        let request = http().request(method, format!("{}{path}", self.base));
        request.bearer_auth(&self.token).json(body).send().await.unwrap().status()
    }
}

fn names(roles: &[Value]) -> BTreeSet<&str> {
    roles.iter().filter_map(|role| role["name"].as_str()).collect()
}

#[tokio::test]
async fn the_service_account_holds_three_roles_and_can_do_what_they_say_and_no_more() {
    let ground = Ground::new().await;
    let secret = ground.bootstrap().await.outcome.client_secret.unwrap();
    let account = ServiceAccount::log_in(&ground, secret.expose_secret()).await;

    let user = ground.admin.get(&ground.path("/users?username=service-account-hallpass")).await;
    let user = user[0]["id"].as_str().unwrap();
    let held = ground.admin.get(&ground.path(&format!("/users/{user}/role-mappings"))).await;
    assert_eq!(held["realmMappings"], Value::Null, "{held}");
    let clients = held["clientMappings"].as_object().unwrap();
    assert_eq!(clients.keys().collect::<Vec<_>>(), ["realm-management"]);
    let roles = clients["realm-management"]["mappings"].as_array().unwrap();
    assert_eq!(names(roles), BTreeSet::from(["manage-clients", "view-events", "view-users"]));
    let claims = decode_claims(&account.token);
    assert!(claims.get("realm_access").is_none(), "{claims}");
    assert!(claims.get("resource_access").is_none(), "{claims}");

    let allowed = [
        "/users?max=1",
        "/clients?max=1",
        "/admin-events?max=1",
        "/events?max=1",
        "/client-scopes",
        "/groups",
    ];
    for path in allowed {
        assert_eq!(account.call(Method::GET, path, &Value::Null).await, 200, "{path}");
    }
    let mappings = format!("/users/{user}/role-mappings/realm");
    let role = ground.admin.get(&ground.path("/roles/offline_access")).await;
    let forbidden = [
        (Method::POST, "/users", json!({"username": "intruder"})),
        (Method::PUT, &format!("/users/{user}"), json!({"firstName": "X"})),
        (Method::DELETE, &format!("/users/{user}"), Value::Null),
        (Method::POST, &mappings, json!([role])),
        (Method::GET, "/components", Value::Null),
        (Method::GET, "/keys", Value::Null),
        (Method::PUT, "", json!({"displayName": "Theirs"})),
        (Method::DELETE, "", Value::Null),
        (Method::POST, "/roles", json!({"name": "theirs"})),
        (Method::POST, "/identity-provider/instances", json!({"alias": "x", "providerId": "oidc"})),
        (Method::PUT, "/users/profile", json!({"attributes": []})),
        (Method::POST, "/partial-export", Value::Null),
    ];
    for (method, path, body) in forbidden {
        assert_eq!(account.call(method.clone(), path, &body).await, 403, "{method} {path}");
    }
}

#[tokio::test]
async fn the_roles_of_hallpass_are_made_and_everybody_may_create_tokens() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let uuid = ground.admin.client_uuid(&ground.realm.name, "hallpass").await;
    let roles = ground.admin.get(&ground.path(&format!("/clients/{uuid}/roles"))).await;
    let people = [
        "create-api-clients",
        "create-tokens",
        "manage-api-clients",
        "manage-service-accounts",
        "manage-tokens",
        "read-audit",
    ];
    let all = people.into_iter().chain(["administrator", "introspect-tokens"]);
    assert_eq!(names(roles.as_array().unwrap()), all.collect());
    let path = format!("/clients/{uuid}/roles/administrator/composites");
    let parts = ground.admin.get(&ground.path(&path)).await;
    assert_eq!(names(parts.as_array().unwrap()), BTreeSet::from(people));

    assert_eq!(default_roles(&ground, &uuid).await, ["create-tokens"]);
}

#[tokio::test]
async fn without_the_default_role_nobody_has_it() {
    let ground = Ground::new().await;
    let options =
        hallpass::bootstrap::Options { default_role: Some(false), ..crate::support::options() };
    ground.bootstrap_with(options.clone()).await;
    let uuid = ground.admin.client_uuid(&ground.realm.name, "hallpass").await;
    assert_eq!(default_roles(&ground, &uuid).await, Vec::<String>::new());
    assert_eq!(ground.bootstrap_with(options).await.lines, Vec::<String>::new());
}

async fn default_roles(ground: &Ground, client: &str) -> Vec<String> {
    let realm = ground.admin.get(&ground.path("")).await;
    let id = realm["defaultRole"]["id"].as_str().unwrap();
    let path = format!("/roles-by-id/{id}/composites/clients/{client}");
    let roles = ground.admin.get(&ground.path(&path)).await;
    let roles = roles.as_array().unwrap();
    roles.iter().map(|role| role["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_signing_key_is_published_and_the_realm_goes_on_signing_with_its_own() {
    let ground = Ground::new().await;
    let jwks_url = ground.settings.realm.jwks_url();
    let before: Value = http().get(&jwks_url).send().await.unwrap().json().await.unwrap();
    let secret = ground.bootstrap().await.outcome.client_secret.unwrap();
    let kid = ground.active_kid().await.unwrap();

    let jwks: Value = http().get(&jwks_url).send().await.unwrap().json().await.unwrap();
    let shown = jwks["keys"].as_array().unwrap().iter().filter(|key| key["kid"] == kid.as_str());
    assert_eq!(shown.count(), 1, "{jwks}");
    assert_eq!(
        jwks["keys"].as_array().unwrap().len(),
        before["keys"].as_array().unwrap().len() + 1
    );

    let keys = ground.admin.get(&ground.path("/keys")).await;
    let ours = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid.as_str());
    assert_eq!(ours.unwrap()["status"], "PASSIVE");
    assert_ne!(keys["active"]["RS256"], kid.as_str());
    let account = ServiceAccount::log_in(&ground, secret.expose_secret()).await;
    let header = account.token.split('.').next().unwrap();
    assert!(!crate::support::decode_part(header)["kid"].as_str().unwrap().contains(&kid));
}

#[tokio::test]
async fn no_flow_of_the_clients_is_open_that_need_not_be() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let device = "oauth2.device.authorization.grant.enabled";
    for (client_id, open) in [
        ("hallpass", vec!["enabled", "standardFlowEnabled", "serviceAccountsEnabled"]),
        ("hallpass-cli", vec!["enabled", "publicClient", "consentRequired", device]),
        ("hallpass-pat", vec!["fullScopeAllowed"]),
        ("hallpass-probe", vec!["fullScopeAllowed"]),
    ] {
        let client = ground.client(client_id).await;
        for flag in [
            "enabled",
            "publicClient",
            "bearerOnly",
            "standardFlowEnabled",
            "implicitFlowEnabled",
            "directAccessGrantsEnabled",
            "serviceAccountsEnabled",
            "consentRequired",
            "fullScopeAllowed",
        ] {
            assert_eq!(client[flag], open.contains(&flag), "{client_id} {flag}");
        }
        let expected = if open.contains(&device) { "true" } else { "false" };
        assert_eq!(client["attributes"][device], expected, "{client_id}");
    }
    let own = ground.client("hallpass").await;
    assert_eq!(own["redirectUris"], json!(["http://localhost:8090/auth/callback"]));
    assert_eq!(own["attributes"]["pkce.code.challenge.method"], "S256");
}
