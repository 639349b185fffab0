//! Keycloak's admin API with everything allowed: how tests arrange a realm and look at it.

use reqwest::Method;
use serde_json::Value;

use super::{http, service};

/// An administrator of the realm `master`.
pub struct Admin {
    http: reqwest::Client,
    token: String,
}

impl Admin {
    pub async fn log_in() -> Self {
        let http = http();
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", &service("HALLPASS_TEST_KEYCLOAK_ADMIN")),
            ("password", &service("HALLPASS_TEST_KEYCLOAK_ADMIN_PASSWORD")),
        ];
        let url = format!(
            "{}/realms/master/protocol/openid-connect/token",
            service("HALLPASS_TEST_KEYCLOAK_URL")
        );
        let answer = http.post(url).form(&form).send().await.unwrap();
        let answer: Value = answer.error_for_status().unwrap().json().await.unwrap();
        Self { http, token: answer["access_token"].as_str().unwrap().to_owned() }
    }

    /// For Keycloak's endpoints that answer no JSON.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Calls `path` below `/admin/realms`; panics unless Keycloak is content.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/admin/realms{path}", service("HALLPASS_TEST_KEYCLOAK_URL"));
        let mut request = self.http.request(method.clone(), url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Value {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Value {
        self.call(Method::DELETE, path, None).await
    }

    /// Keycloak's id of the client.
    pub async fn client_uuid(&self, realm: &str, client_id: &str) -> String {
        let found = self.get(&format!("/{realm}/clients?clientId={client_id}")).await;
        found[0]["id"].as_str().unwrap_or_else(|| panic!("no client {client_id}")).to_owned()
    }
}
