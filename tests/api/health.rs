//! `/readyz` where Keycloak answers and does not let Hallpass do its work.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Admin, Api, Database, Metrics, TestRealm, TestServer};

async fn until(anyone: &Api, status: &str) -> Value {
    let begun = Instant::now();
    loop {
        let health = anyone.get("/readyz").await.expect(200);
        if health["status"] == status {
            return health;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{health}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn right(anyone: &Api, name: &str) -> String {
    let series = format!("hallpass_keycloak_right{{right=\"{name}\"}}");
    Metrics::of(anyone).await.value(&series).to_string()
}

#[tokio::test]
async fn a_permission_that_is_missing_shows_and_is_seen_when_it_is_back() {
    let realm = TestRealm::own().await;
    let mut server = TestServer::in_realm(realm.clone()).await;
    let health = until(&server.anonymous(), "ok").await;
    assert!(health.get("reason").is_none(), "{health}");
    assert_eq!(right(&server.anonymous(), "view-users").await, "1");

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
        let health = until(&anyone, "degraded").await;
        assert_eq!((&health["keycloak"], &health["jwks"]), (&"failed".into(), &"ok".into()));
        assert!(health["reason"].as_str().unwrap().contains(&format!("`{name}`")), "{health}");
        assert_eq!(right(&anyone, name).await, "0");
        if name == "view-users" {
            let user = server.user(&person).await;
            let refused = user.post("/api/pat/v1/tokens", &serde_json::json!({"name": "x"})).await;
            assert_eq!(refused.status, 503, "{refused:?}");
        }
        admin.post(&roles, &role).await;
        until(&anyone, "ok").await;
        assert_eq!(right(&anyone, name).await, "1");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_client_secret_shows() {
    let wrong = [("HALLPASS_KEYCLOAK__CLIENT_SECRET", "not-the-secret")];
    let realm = TestRealm::shared().await;
    let server = TestServer::start_with(realm, Database::sqlite, &wrong).await;
    let anyone = server.anonymous();
    let health = until(&anyone, "degraded").await;
    assert_eq!(health["keycloak"], "failed");
    let reason = health["reason"].as_str().unwrap();
    assert!(reason.contains("login") && !reason.contains("not-the-secret"), "{health}");
    assert_eq!(right(&anyone, "login").await, "0");
    assert_eq!(right(&anyone, "view-users").await, "NaN");
    server.stop().await;
}
