//! Keycloak's admin API with everything allowed: how tests arrange a realm and look at it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{http, service};

/// An administrator of the realm `master`.
pub struct Admin {
    http: reqwest::Client,
    token: Mutex<String>,
}

impl Admin {
    pub async fn log_in() -> Self {
        let http = http();
        let token = Mutex::new(access_token(&http).await);
        Self { http, token }
    }

    /// For requests whose refusal is looked at.
    pub fn token(&self) -> String {
        self.token.lock().unwrap().clone()
    }

    /// Calls `path` below `/admin/realms`; panics unless Keycloak is content.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (mut status, mut text) = self.send(&method, path, body).await;
        if status == StatusCode::UNAUTHORIZED {
            // Keycloak's own token lives for a minute, some tests for longer.
            let token = fresh_token(&self.http).await;
            *self.token.lock().unwrap() = token;
            (status, text) = self.send(&method, path, body).await;
        }
        for pause in [100, 200, 400, 800, 1_600] {
            if status != StatusCode::INTERNAL_SERVER_ERROR {
                break;
            }
            // It walks the administrator's own roles and stumbles over those of a realm that is being deleted by another test.
            tokio::time::sleep(Duration::from_millis(pause)).await;
            (status, text) = self.send(&method, path, body).await;
        }
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, String) {
        let url = format!("{}/admin/realms{path}", service("HALLPASS_TEST_KEYCLOAK_URL"));
        let mut request = self.http.request(method.clone(), url).bearer_auth(self.token());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, None).await
    }

    /// Whether there is something at this path.
    pub async fn has(&self, path: &str) -> bool {
        let (status, text) = self.send(&Method::GET, path, None).await;
        assert!(status.is_success() || status == StatusCode::NOT_FOUND, "{path}: {status} {text}");
        status.is_success()
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

/// Keycloak's own tokens live for a minute, and each login costs it a slow hash: one is enough for half of that.
async fn access_token(http: &reqwest::Client) -> String {
    static LAST: Mutex<Option<(Instant, String)>> = Mutex::new(None);
    let last = LAST.lock().unwrap().clone();
    if let Some((_, token)) = last.filter(|(at, _)| at.elapsed() < Duration::from_secs(30)) {
        return token;
    }
    let token = fresh_token(http).await;
    *LAST.lock().unwrap() = Some((Instant::now(), token.clone()));
    token
}

async fn fresh_token(http: &reqwest::Client) -> String {
    let form = [
        ("grant_type", "password"),
        ("client_id", "admin-cli"),
        ("username", &service("HALLPASS_TEST_KEYCLOAK_ADMIN")),
        ("password", &service("HALLPASS_TEST_KEYCLOAK_ADMIN_PASSWORD")),
    ];
    let keycloak = service("HALLPASS_TEST_KEYCLOAK_URL");
    let url = format!("{keycloak}/realms/master/protocol/openid-connect/token");
    let answer = http.post(url).form(&form).send().await.unwrap();
    let answer: Value = answer.error_for_status().unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}
