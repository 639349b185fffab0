//! A realm's own client policies: what they reject, or make something else of, is not made at all.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Developer, REDIRECT_URI, document, web_app};
use crate::support::{Admin, TestRealm};

/// Clients that are made or changed by the admin API have to do with this executor from now on.
async fn demand(admin: &Admin, realm: &str, executor: &str, configuration: Value) {
    let executor = json!({"executor": executor, "configuration": configuration});
    let profiles = json!({"profiles": [{"name": "strict", "executors": [executor]}]});
    let condition = json!({
        "condition": "client-updater-context",
        "configuration": {"update-client-source": ["ByAuthenticatedUser"]},
    });
    let policies = json!({"policies": [
        {"name": "strict", "enabled": true, "conditions": [condition], "profiles": ["strict"]},
    ]});
    for (part, body) in [("profiles", profiles), ("policies", policies)] {
        let path = format!("/{realm}/client-policies/{part}");
        admin.call(Method::PUT, &path, Some(&body)).await;
    }
}

fn script() -> Value {
    json!({"capabilities": ["script"]})
}

async fn assert_nothing_is_left(developer: &Developer) {
    assert!(developer.in_keycloak("app").await.is_none());
    let listed = developer.api.get(super::CLIENTS).await.expect(200);
    assert_eq!(listed["pagination"]["total"], 0, "{listed}");
    assert_eq!(developer.used_quota().await, 0);
}

#[tokio::test]
async fn what_a_policy_rejects_leaves_nothing_and_says_why() {
    let developer = Developer::in_realm(TestRealm::own().await, &[]).await;
    let admin = Admin::log_in().await;
    let mut loopback = web_app();
    loopback["redirectUris"] = json!(["http://localhost:8000/cb"]);
    for (executor, configuration, fields, reason) in [
        ("secure-client-uris", json!({}), loopback, "Invalid redirectUris"),
        ("consent-required", json!({"auto-configure": false}), script(), "consent"),
        (
            "secure-client-authenticator",
            json!({"allowed-client-authenticators": ["client-jwt"]}),
            web_app(),
            "token_endpoint_auth_method",
        ),
    ] {
        demand(&admin, &developer.realm().name, executor, configuration).await;
        let answer = developer.try_create("app", fields).await;
        let problem = answer.expect_problem(400, "rejected-by-realm");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("The realm rejects this client: "), "{detail}");
        assert!(detail.contains(reason), "{executor}: {detail}");
        assert_nothing_is_left(&developer).await;
    }
    developer.server.stop().await;
}

#[tokio::test]
async fn what_satisfies_a_policy_is_made() {
    let developer = Developer::in_realm(TestRealm::own().await, &[]).await;
    let admin = Admin::log_in().await;
    demand(&admin, &developer.realm().name, "secure-client-uris", json!({})).await;
    developer.create("script", script()).await;
    let mut fields = web_app();
    fields["postLogoutRedirectUris"] = json!(["https://app.example/bye"]);
    developer.create("app", fields).await;
    // No address at all is written as `-`, which this policy takes for an address.
    let problem = developer.try_create("other", web_app()).await;
    let problem = problem.expect_problem(400, "rejected-by-realm");
    assert!(problem["detail"].as_str().unwrap().ends_with("Invalid postLogoutUris"), "{problem}");
    developer.server.stop().await;
}

#[tokio::test]
async fn what_a_policy_makes_something_else_of_is_not_kept() {
    let developer = Developer::in_realm(TestRealm::own().await, &[]).await;
    let admin = Admin::log_in().await;
    let auto = json!({"auto-configure": true});
    for (executor, configuration, fields, member) in [
        ("consent-required", auto.clone(), script(), "consentRequired"),
        ("pkce-enforcer", auto.clone(), script(), "attributes.pkce.code.challenge.method"),
        ("dpop-bind-enforcer", auto.clone(), web_app(), "attributes.dpop.bound.access.tokens"),
        (
            "holder-of-key-enforcer",
            auto,
            web_app(),
            "attributes.tls.client.certificate.bound.access.tokens",
        ),
        (
            "secure-signature-algorithm",
            json!({"default-algorithm": "PS256"}),
            web_app(),
            "attributes.access.token.signed.response.alg",
        ),
    ] {
        demand(&admin, &developer.realm().name, executor, configuration).await;
        let answer = developer.try_create("app", fields).await;
        let problem = answer.expect_problem(400, "rejected-by-realm");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(member), "{executor}: {detail}");
        assert_nothing_is_left(&developer).await;
    }
    developer.server.stop().await;
}

#[tokio::test]
async fn a_change_that_a_policy_rejects_changes_nothing() {
    let developer = Developer::in_realm(TestRealm::own().await, &[]).await;
    let admin = Admin::log_in().await;
    let mut fields = web_app();
    fields["postLogoutRedirectUris"] = json!(["https://app.example/bye"]);
    let client = developer.create("app", fields).await;
    let before = document::of(&admin, &client).await;
    demand(&admin, &developer.realm().name, "secure-client-uris", json!({})).await;
    let path = developer.path("app");
    let change = json!({
        "displayName": "Changed", "scopes": [], "redirectUris": [REDIRECT_URI, "http://localhost/cb"],
    });
    let answer = developer.api.patch(&path, &change).await;
    answer.expect_problem(400, "rejected-by-realm");
    assert_eq!(document::of(&admin, &client).await, before);
    let shown = developer.api.get(&path).await.expect(200);
    assert_eq!((&shown["status"], &shown["displayName"]), (&json!("active"), &Value::Null));

    // Nothing stays under way: the next change is made.
    let change = json!({"displayName": "Changed", "scopes": []});
    let changed = developer.api.patch(&path, &change).await.expect(200);
    assert_eq!(
        (&changed["status"], &changed["displayName"]),
        (&json!("active"), &json!("Changed"))
    );
    developer.server.stop().await;
}
