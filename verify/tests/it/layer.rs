//! The layer before a real service: what passes, what is answered to everything else, and how often Hallpass is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Router};
use hallpass_verify::{Introspection, JwksCache, TokenLayer, Verified};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::{
    AUDIENCE, Endpoint, ISSUER, NOW, OTHER_RSA, RSA, header, jwks_json, payload, payload_with,
    skip, token_of,
};

#[expect(clippy::disallowed_methods, reason = "a test needs none of the bounds of the product")]
fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.no_proxy().build().unwrap()
}

async fn keys() -> (Endpoint, JwksCache) {
    let endpoint = Endpoint::start(&jwks_json(&[&RSA.jwk("k")])).await;
    let cache = JwksCache::new(http(), endpoint.url.parse().unwrap());
    (endpoint, cache)
}

fn for_audience(keys: JwksCache) -> TokenLayer {
    TokenLayer::for_audience(keys, ISSUER, AUDIENCE).with_clock(|| NOW)
}

fn introspection(endpoint: &Endpoint) -> Introspection {
    Introspection::new(http(), endpoint.url.parse().unwrap(), "datahub", "secret")
}

/// A service that says whose token it got, and counts its calls.
struct Guarded {
    url: String,
    http: reqwest::Client,
    calls: Arc<AtomicUsize>,
}

impl Guarded {
    async fn start(layer: TokenLayer) -> Self {
        let calls = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&calls);
        let whose = move |Extension(token): Extension<Verified>| async move {
            counted.fetch_add(1, Ordering::Relaxed);
            format!("{} {}", token.sub, token.jti)
        };
        let shown = async |headers: HeaderMap| format!("{headers:?}");
        let app = Router::new().route("/", get(whose)).route("/shown", get(shown)).layer(layer);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, http: http(), calls }
    }

    async fn send(&self, values: &[&str]) -> (u16, HeaderMap, String) {
        let mut request = self.http.get(&self.url);
        for value in values {
            request = request.header(AUTHORIZATION, *value);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.text().await.unwrap())
    }

    /// The status, and the challenge after the name of what is protected.
    async fn answer(&self, values: &[&str]) -> (u16, String) {
        let (status, headers, text) = self.send(values).await;
        let challenge = headers.get("www-authenticate").map_or("", |value| value.to_str().unwrap());
        assert_eq!(!challenge.is_empty(), matches!(status, 400 | 401 | 403), "{headers:?}");
        assert_eq!(status == 503, headers.contains_key("retry-after"), "{headers:?}");
        assert!(status == 200 || text.is_empty(), "{text}");
        let rest = challenge.strip_prefix("Bearer realm=\"datahub\"").unwrap_or(challenge);
        (status, rest.trim_start_matches(", ").to_owned())
    }

    async fn status(&self, token: &str) -> u16 {
        self.answer(&[&format!("Bearer {token}")]).await.0
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

const INVALID: &str = "error=\"invalid_token\"";

#[tokio::test]
async fn a_good_token_passes_with_its_claims() {
    let (_keys, cache) = keys().await;
    let service = Guarded::start(for_audience(cache)).await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let value = format!("{scheme} {}", token_of(&payload()));
        assert_eq!(service.send(&[&value]).await.2, "4f1c 0190");
    }
    assert_eq!(service.calls(), 3);
}

#[tokio::test]
async fn what_is_no_good_token_is_answered_as_the_rfc_says_and_never_passes() {
    let (_keys, cache) = keys().await;
    let service = Guarded::start(for_audience(cache)).await;
    let good = format!("Bearer {}", token_of(&payload()));
    for (values, status, challenge) in [
        (&[][..], 401, ""),
        (&["Basic dTpw"], 401, ""),
        (&["Bearer"], 400, "error=\"invalid_request\""),
        (&["Bearer  "], 400, "error=\"invalid_request\""),
        (&["Bearer a b"], 400, "error=\"invalid_request\""),
        (&["Bearer é"], 400, "error=\"invalid_request\""),
        (&[&good, &good], 400, "error=\"invalid_request\""),
        (&[&good, "Basic dTpw"], 400, "error=\"invalid_request\""),
        (&["Bearer abc"], 401, INVALID),
    ] {
        assert_eq!(service.answer(values).await, (status, challenge.to_owned()), "{values:?}");
    }
    let signed = header("RS256", "k").to_string();
    let forged = OTHER_RSA.token("RS256", signed.as_bytes(), payload().to_string().as_bytes());
    let tokens = [
        ("expired", token_of(&payload_with(&json!({"exp": NOW})))),
        ("not begun", token_of(&payload_with(&json!({"nbf": NOW + 31})))),
        ("another issuer", token_of(&payload_with(&json!({"iss": "https://sso.test/realms/x"})))),
        ("another audience", token_of(&payload_with(&json!({"aud": ["other"]})))),
        ("an access token", token_of(&payload_with(&json!({"typ": "Bearer"})))),
        ("bound to its sender", token_of(&payload_with(&json!({"cnf": {"jkt": "x"}})))),
        ("another key's signature", forged),
    ];
    for (what, token) in tokens {
        let value = format!("Bearer {token}");
        assert_eq!(service.answer(&[&value]).await, (401, INVALID.to_owned()), "{what}");
    }
    assert_eq!(service.calls(), 0);
}

#[tokio::test]
async fn a_token_ends_when_its_time_has_come() {
    let (_keys, cache) = keys().await;
    let now = Arc::new(AtomicI64::new(NOW));
    let read = Arc::clone(&now);
    let layer = for_audience(cache).with_clock(move || read.load(Ordering::Relaxed));
    let service = Guarded::start(layer).await;
    let token = token_of(&payload_with(&json!({"exp": NOW + 60})));
    assert_eq!(service.status(&token).await, 200);
    now.store(NOW + 59, Ordering::Relaxed);
    assert_eq!(service.status(&token).await, 200);
    now.store(NOW + 60, Ordering::Relaxed);
    assert_eq!(service.status(&token).await, 401);
}

#[tokio::test]
async fn any_audience_is_taken_where_the_service_says_so() {
    let (_keys, cache) = keys().await;
    let layer = TokenLayer::for_any_audience(cache, ISSUER).with_clock(|| NOW);
    let service = Guarded::start(layer).await;
    assert_eq!(service.status(&token_of(&payload_with(&json!({"aud": "other"})))).await, 200);
    assert_eq!(service.status(&token_of(&payload_with(&json!({"iss": "x"})))).await, 401);
}

#[tokio::test]
async fn a_good_token_without_a_required_scope_or_role_is_told_so() {
    let (_keys, cache) = keys().await;
    let layer = for_audience(cache)
        .with_scope("read")
        .with_scope("write")
        .with_realm_role("reader")
        .with_client_role("reports", "viewer");
    let service = Guarded::start(layer).await;
    let complete = json!({
        "scope": "openid write read",
        "realm_access": {"roles": ["other", "reader"]},
        "resource_access": {"reports": {"roles": ["viewer"]}},
    });
    assert_eq!(service.status(&token_of(&payload_with(&complete))).await, 200);
    for (member, value) in [
        ("scope", json!(null)),
        ("scope", json!("read")),
        ("scope", json!("read writer")),
        ("scope", json!(["read", "write"])),
        ("realm_access", json!(null)),
        ("realm_access", json!({"roles": ["reader2"]})),
        ("realm_access", json!({"roles": "reader"})),
        ("realm_access", json!(["reader"])),
        ("resource_access", json!({"reports": {"roles": ["reader"]}})),
        ("resource_access", json!({"other": {"roles": ["viewer"]}})),
    ] {
        let mut incomplete = complete.clone();
        incomplete[member] = value;
        let token = format!("Bearer {}", token_of(&payload_with(&incomplete)));
        let expected = "error=\"insufficient_scope\", scope=\"read write\"";
        assert_eq!(service.answer(&[&token]).await, (403, expected.to_owned()), "{incomplete}");
    }
    assert_eq!(service.calls(), 1);
}

#[tokio::test]
async fn without_the_realms_keys_nobody_can_tell() {
    let (keys, cache) = keys().await;
    keys.fail(StatusCode::BAD_GATEWAY);
    let service = Guarded::start(for_audience(cache.clone())).await;
    let token = token_of(&payload());
    let (status, headers, _) = service.send(&[&format!("Bearer {token}")]).await;
    assert_eq!((status, &headers["retry-after"]), (503, &"10".parse().unwrap()));
    // What is hopeless in itself is refused without them.
    assert_eq!(service.status("abc").await, 401);
    keys.serve(jwks_json(&[&RSA.jwk("k")]));
    cache.refresh().await.unwrap();
    assert_eq!(service.status(&token).await, 200);
    // And once they are known, the realm may go away.
    keys.stop();
    assert_eq!(service.status(&token).await, 200);
}

#[tokio::test]
async fn what_is_refused_offline_is_not_asked_about() {
    let (_keys, cache) = keys().await;
    let hallpass = Endpoint::start("{\"active\":true}").await;
    let layer = for_audience(cache).with_realm_role("reader");
    let service = Guarded::start(layer.with_introspection(introspection(&hallpass))).await;
    service.status("abc").await;
    service.status(&token_of(&payload_with(&json!({"exp": NOW})))).await;
    service.status(&token_of(&payload_with(&json!({"realm_access": null})))).await;
    assert_eq!(hallpass.requests(), 0);
    assert_eq!(service.status(&token_of(&payload())).await, 200);
    assert_eq!(hallpass.requests(), 1);
}

#[tokio::test]
async fn an_answer_serves_for_a_second_and_no_longer() {
    let (_keys, cache) = keys().await;
    let hallpass = Endpoint::start("{\"active\":true}").await;
    let layer = for_audience(cache).with_introspection(introspection(&hallpass));
    let service = Guarded::start(layer).await;
    let token = token_of(&payload());
    assert_eq!(service.status(&token).await, 200);
    hallpass.serve("{\"active\":false}");
    skip(Duration::from_secs(1)).await;
    assert_eq!(service.answer(&[&format!("Bearer {token}")]).await, (401, INVALID.to_owned()));
    hallpass.serve("{\"active\":true}");
    // Another token is another question, though its `jti` is the same.
    let twin = token_of(&payload_with(&json!({"other": 1})));
    assert_eq!(service.status(&twin).await, 200);
    assert_eq!(service.status(&token).await, 401);
    assert_eq!(hallpass.requests(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_at_once_ask_once() {
    let (_keys, cache) = keys().await;
    let hallpass = Endpoint::start("").await;
    hallpass.hold("{\"active\":true}");
    let layer = for_audience(cache).with_introspection(introspection(&hallpass));
    let service = Arc::new(Guarded::start(layer).await);
    let token = token_of(&payload());
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        let (service, token) = (Arc::clone(&service), token.clone());
        asking.spawn(async move { service.status(&token).await });
    }
    hallpass.arrived().await;
    // Whoever asks once more is answered at once: on a machine so slow that the second is over.
    hallpass.serve("{\"active\":true}");
    hallpass.release();
    assert!(asking.join_all().await.iter().all(|status| *status == 200));
    assert!(hallpass.requests() < 5, "{}", hallpass.requests());
}

#[tokio::test]
async fn a_hallpass_that_does_not_answer_lets_nobody_in() {
    let (_keys, cache) = keys().await;
    let hallpass = Endpoint::start("{\"active\":true}").await;
    let layer = for_audience(cache).with_introspection(introspection(&hallpass));
    let service = Guarded::start(layer).await;
    let token = token_of(&payload());
    let wrong: [&dyn Fn(); 9] = [
        &|| hallpass.fail(StatusCode::INTERNAL_SERVER_ERROR),
        &|| hallpass.fail(StatusCode::UNAUTHORIZED),
        &|| hallpass.fail(StatusCode::NO_CONTENT),
        &|| hallpass.fail(StatusCode::TEMPORARY_REDIRECT),
        &|| hallpass.serve(""),
        &|| hallpass.serve("{}"),
        &|| hallpass.serve("{\"active\":\"true\"}"),
        &|| hallpass.serve("<html>"),
        &|| hallpass.serve(format!("{{\"active\":true,\"x\":\"{}\"}}", "x".repeat(70_000))),
    ];
    for (number, answer) in wrong.iter().enumerate() {
        answer();
        let (status, headers, _) = service.send(&[&format!("Bearer {token}")]).await;
        assert_eq!(status, 503, "{number}");
        assert_eq!(headers["retry-after"], "1", "{number}");
        skip(Duration::from_secs(1)).await;
    }
    assert_eq!(service.calls(), 0);
    hallpass.serve("{\"active\":true}");
    assert_eq!(service.status(&token).await, 200);
    skip(Duration::from_secs(1)).await;
    hallpass.stop();
    assert_eq!(service.status(&token).await, 503);
}

#[tokio::test]
async fn a_service_that_logs_its_requests_does_not_log_tokens() {
    let (_keys, cache) = keys().await;
    let mut service = Guarded::start(for_audience(cache)).await;
    service.url.push_str("shown");
    let token = token_of(&payload());
    let (status, _, shown) = service.send(&[&format!("Bearer {token}")]).await;
    assert_eq!(status, 200);
    assert!(shown.contains("authorization") && !shown.contains(&token[..20]), "{shown}");
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let (_keys, cache) = keys().await;
    let hallpass = Endpoint::start("").await;
    let introspection = Introspection::new(http(), hallpass.url.parse().unwrap(), "me", "s3cr3t");
    let shown = format!("{:?}", for_audience(cache).with_introspection(introspection));
    assert!(shown.contains("datahub") && !shown.contains("s3cr3t"), "{shown}");
}
