//! `/readyz` where Keycloak answers and does not let Hallpass do its work.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Admin, Api, Database, Metrics, TestRealm, TestServer};

/// Waits for this status, and for a reason with this text: on a busy machine Keycloak may seem away for a moment.
async fn until(anyone: &Api, status: &str, reason: &str) -> Value {
    let begun = Instant::now();
    loop {
        let health = anyone.get("/readyz").await.json();
        let said = health["reason"].as_str().unwrap_or_default();
        if health["status"] == status && said.contains(reason) {
            return health;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{health}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until the metric of a right has this value.
async fn until_right(anyone: &Api, name: &str, wanted: &str) {
    let series = format!("hallpass_keycloak_right{{right=\"{name}\"}}");
    let begun = Instant::now();
    loop {
        let value = Metrics::of(anyone).await.value(&series).to_string();
        if value == wanted {
            return;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{name}: {value}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_shows_and_is_seen_when_it_is_back() {
    let realm = TestRealm::own().await;
    let mut server = TestServer::in_realm(realm.clone()).await;
    let health = until(&server.anonymous(), "ok", "").await;
    assert!(health.get("reason").is_none(), "{health}");
    until_right(&server.anonymous(), "view-users", "1").await;

    let (admin, person) = (Admin::log_in().await, realm.person().await);
    let hallpass = admin.client_uuid(&realm.name, "hallpass").await;
    let management = admin.client_uuid(&realm.name, "realm-management").await;
    let account = format!("/{}/clients/{hallpass}/service-account-user", realm.name);
    let account = admin.get(&account).await["id"].as_str().unwrap().to_owned();
    let roles = format!("/{}/users/{account}/role-mappings/clients/{management}", realm.name);
    let held = admin.get(&roles).await;
    for name in ["view-users", "view-events", "manage-clients"] {
        let of_name = |role: &&Value| role["name"] == name;
        let role: Vec<_> = held.as_array().unwrap().iter().filter(of_name).cloned().collect();
        let role = Value::Array(role);
        admin.call(reqwest::Method::DELETE, &roles, Some(&role)).await;
        // The token of before still has it.
        server = server.restart(&[]).await;
        let anyone = server.anonymous();
        let health = until(&anyone, "degraded", &format!("`{name}`")).await;
        assert_eq!((&health["keycloak"], &health["jwks"]), (&"failed".into(), &"ok".into()));
        until_right(&anyone, name, "0").await;
        if name == "view-users" {
            let user = server.user(&person).await;
            let refused = user.post("/api/pat/v1/tokens", &serde_json::json!({"name": "x"})).await;
            assert_eq!(refused.status, 503, "{refused:?}");
        }
        admin.post(&roles, &role).await;
        until(&anyone, "ok", "").await;
        until_right(&anyone, name, "1").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_client_secret_shows() {
    let wrong = [("HALLPASS_KEYCLOAK__CLIENT_SECRET", "not-the-secret")];
    let realm = TestRealm::shared().await;
    let server = TestServer::start_with(realm, Database::sqlite, &wrong).await;
    let anyone = server.anonymous();
    let health = until(&anyone, "degraded", "login").await;
    assert_eq!(health["keycloak"], "failed");
    let reason = health["reason"].as_str().unwrap();
    assert!(reason.contains("login") && !reason.contains("not-the-secret"), "{health}");
    until_right(&anyone, "login", "0").await;
    until_right(&anyone, "view-users", "NaN").await;
    server.stop().await;
}
