//! The main way: created, shown, changed, its secret renewed, deleted; on each database.

use serde_json::json;

use crate::support::{DATABASES, TestRealm, TestServer};

const CLIENTS: &str = "/api/clients/v1/clients";

#[tokio::test]
async fn a_client_is_created_shown_changed_and_deleted() {
    let realm = TestRealm::shared().await;
    let person = realm.person().await;
    realm.give_roles(&person, "hallpass", &["create-api-clients"]).await;
    let account = person.username.replace('-', "");
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let user = server.user(&person).await;
        let id = format!("{account}_app");
        let body = json!({
            "clientId": id, "displayName": "Reports", "description": "Shows reports",
            "capabilities": ["web_app", "script"], "scopes": ["datahub-api"],
            "redirectUris": ["https://reports.example/cb"], "webOrigins": ["+"],
        });
        let made = user.post(CLIENTS, &body).await.expect(201);
        let secret = made["clientSecret"].as_str().unwrap().to_owned();
        assert_eq!(made["status"], "active", "{made}");
        assert_eq!(made["owner"], json!({"id": person.id, "username": person.username}));
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(&made[name], value, "{name}");
        }

        let path = format!("{CLIENTS}/{id}");
        let shown = user.get(&path).await.expect(200);
        assert_eq!(shown["status"], "active", "{shown}");
        assert!(shown.get("clientSecret").is_none());
        let read = user.get(&format!("{path}/secret")).await.expect(200);
        assert_eq!(read["clientSecret"], secret.as_str());
        let listed = user.get(CLIENTS).await.expect(200);
        assert_eq!(listed["clients"], json!([shown]));
        assert_eq!(user.get("/api/clients/v1/quota").await.expect(200)["used"], 1);

        let change =
            json!({"displayName": null, "scopes": ["push-data"], "capabilities": ["web_app"]});
        let changed = user.patch(&path, &change).await.expect(200);
        assert_eq!(changed["displayName"], json!(null));
        assert_eq!(changed["scopes"], json!(["push-data"]));
        assert_eq!(changed["status"], "active", "{changed}");

        let renewed = user.post_empty(&format!("{path}/secret")).await.expect(201);
        assert_ne!(renewed["clientSecret"], secret.as_str());
        assert_eq!(user.delete(&path).await.status, 204);
        user.get(&path).await.expect_problem(404, "not-found");
        assert_eq!(user.get("/api/clients/v1/quota").await.expect(200)["used"], 0);
        server.stop().await;
    }
}
