//! A caller of the API.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::http;

/// What was answered, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The answer as JSON, if it has this status.
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// A problem document of this status and code, well-formed in every respect.
    pub fn expect_problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        let page = format!("/problems/{code}");
        assert!(problem["type"].as_str().unwrap().ends_with(&page), "{problem}");
        assert!(!problem["title"].as_str().unwrap().is_empty(), "{problem}");
        assert_eq!(status == 401, self.headers.contains_key("www-authenticate"), "{self:?}");
        assert_eq!(
            matches!(status, 429 | 503) || code == "client-busy",
            self.headers.contains_key("retry-after"),
            "{self:?}"
        );
        problem
    }
}

#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Api {
    pub fn new(base: &str, token: Option<&str>) -> Self {
        Self { http: http(), base: base.to_owned(), token: token.map(str::to_owned) }
    }

    /// The same service, called with another credential.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// What it authenticates with.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A request before it is sent, for what the short forms cannot say.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { status, headers, text: answer.text().await.unwrap() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn post_empty(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Creates a token; answers its metadata with the JWT.
    pub async fn mint(&self, name: &str) -> Value {
        self.post("/api/pat/v1/tokens", &json!({"name": name})).await.expect(201)
    }
}

/// An answer for a snapshot: what differs from run to run is replaced by its field's name. `null` stays.
pub fn redacted(answer: &Value, fields: &[&str]) -> Value {
    let mut answer = answer.clone();
    for field in fields {
        if !answer[*field].is_null() {
            answer[*field] = format!("[{field}]").into();
        }
    }
    answer
}

/// A token's metadata but for its last use, which may be recorded between two reads by the token itself.
pub fn without_use(mut token: Value) -> Value {
    token["lastUsedAt"] = Value::Null;
    token["lastUsedIp"] = Value::Null;
    token
}

/// What differs from run to run in a token's metadata.
pub const TOKEN_VARIES: [&str; 7] =
    ["patId", "userId", "username", "createdAt", "expiresAt", "revokedAt", "token"];
