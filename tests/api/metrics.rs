//! `/metrics`: what happens is counted, and nothing that a caller writes becomes a label.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::{Metrics, TestRealm, TestServer};

const TOKENS: &str = "/api/pat/v1/tokens";
/// The longest that a count of the tokens is good: where counting is slow, it is good for longer than ten seconds.
const REST: Duration = Duration::from_mins(10);

fn act(action: &str) -> String {
    format!("hallpass_acts_total{{action=\"{action}\"}}")
}

fn request(method: &str, route: &str, status: &str) -> String {
    format!(
        "hallpass_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
    )
}

fn tokens(status: &str) -> String {
    format!("hallpass_tokens{{status=\"{status}\"}}")
}

#[tokio::test]
async fn what_happens_to_tokens_is_counted() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let anonymous = server.anonymous();
    let at_start = Metrics::of(&anonymous).await;
    assert!(at_start.text.contains("hallpass_acts_total{action=\"token_created\"} 0\n"));
    assert!(at_start.text.contains("hallpass_tokens{status=\"active\"} 0\n"), "{}", at_start.text);

    let first = user.mint("first").await;
    let second = user.mint("second").await;
    let third = user.mint("third").await;
    user.post(TOKENS, &json!({"name": "first"})).await.expect_problem(409, "name-taken");
    let path = |token: &serde_json::Value, rest: &str| {
        format!("{TOKENS}/{}{rest}", token["patId"].as_str().unwrap())
    };
    user.post_empty(&path(&first, "/invalidate")).await.expect(200);
    user.post_empty(&path(&first, "/invalidate")).await.expect(200);
    user.delete(&path(&second, "")).await.expect(204);
    user.post(&path(&third, "/rotate"), &json!({})).await.expect(201);

    server.clock.advance(REST);
    let metrics = Metrics::of(&anonymous).await;
    for (series, expected) in [
        // A rotation makes a token, too.
        (act("token_created"), 4.0),
        (act("token_rotated"), 1.0),
        (act("token_revoked"), 1.0),
        (act("token_deleted"), 1.0),
        (act("token_abandoned"), 0.0),
        (request("POST", TOKENS, "2xx"), 3.0),
        (request("POST", TOKENS, "4xx"), 1.0),
        (request("POST", "/api/pat/v1/tokens/{patId}/invalidate", "2xx"), 2.0),
        (request("DELETE", "/api/pat/v1/tokens/{patId}", "2xx"), 1.0),
        (request("GET", "/metrics", "2xx"), 1.0),
        (tokens("active"), 1.0),
        (tokens("revoked"), 2.0),
        (tokens("suspended"), 0.0),
    ] {
        assert!(same(metrics.value(&series), expected), "{series}: {}", metrics.text);
    }
    let timed = format!(
        "hallpass_http_request_duration_seconds_count{{method=\"POST\",route=\"{TOKENS}\"}}"
    );
    assert!(same(metrics.value(&timed), 4.0), "{}", metrics.text);
    server.stop().await;
}

/// Counts are whole numbers.
fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.5
}

#[tokio::test]
async fn tokens_are_counted_once_in_ten_seconds_at_most() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    user.mint("first").await;
    let count = async || Metrics::of(&server.anonymous()).await.value(&tokens("active"));
    assert!(same(count().await, 1.0));
    user.mint("second").await;
    assert!(same(count().await, 1.0), "it is counted for each reader");
    server.clock.advance(REST);
    assert!(same(count().await, 2.0));
    server.stop().await;
}

#[tokio::test]
async fn calls_to_keycloak_are_counted_and_timed() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let before = Metrics::of(&server.anonymous()).await;
    user.mint("first").await;
    let after = Metrics::of(&server.anonymous()).await;
    // The owner is looked at before and after; the realm's events may have others looked at.
    let labels = "method=\"GET\",resource=\"users\"";
    let ok = format!("hallpass_keycloak_calls_total{{{labels},outcome=\"ok\"}}");
    assert!(after.value(&ok) - before.value(&ok) > 1.5, "{}", after.text);
    let timed = format!("hallpass_keycloak_call_duration_seconds_count{{{labels}}}");
    assert!(after.value(&timed) - before.value(&timed) > 1.5, "{}", after.text);
    let login = "hallpass_keycloak_calls_total{method=\"POST\",resource=\"token\",outcome=\"ok\"}";
    assert!(after.value(login) > 0.5, "{}", after.text);
    server.stop().await;
}

#[tokio::test]
async fn nothing_that_a_caller_writes_is_in_the_metrics() {
    let realm = TestRealm::shared().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let person = realm.person().await;
    let user = server.user(&person).await;
    let minted = user.mint("zebra-crossing").await;
    let (token, id) = (minted["token"].as_str().unwrap(), minted["patId"].as_str().unwrap());
    for path in [
        format!("/{token}"),
        format!("{TOKENS}/{token}"),
        format!("{TOKENS}?search=zebra-crossing"),
        format!("/problems/{id}"),
        "/docs/zebra-crossing".to_owned(),
        "/openapi.json".to_owned(),
    ] {
        user.get(&path).await;
    }
    for number in 0..50 {
        let method = Method::from_bytes(format!("ZEBRA{number}").as_bytes()).unwrap();
        user.send(user.request(method, &format!("{TOKENS}/zebra-{number}"))).await;
    }
    server.with_token(token).get(&format!("{TOKENS}/self")).await.expect(200);

    let metrics = Metrics::of(&server.anonymous()).await;
    for written in [token, id, &person.id, &person.username, &realm.name, "ZEBRA", "zebra"] {
        assert!(!metrics.text.contains(written), "{written}: {}", metrics.text);
    }
    let labels = [
        "action", "le", "method", "outcome", "reason", "resource", "result", "right", "route",
        "status", "version",
    ];
    assert_eq!(metrics.labels(), BTreeSet::from(labels));
    let document = serde_json::to_value(hallpass::http::document()).unwrap();
    let mut routes: BTreeSet<_> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    routes.extend([
        "/openapi.json",
        "/",
        "/docs/",
        "/docs/{file}",
        "/problems/{code}",
        "unmatched",
    ]);
    let unknown: Vec<_> = metrics.values_of("route").difference(&routes).copied().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(metrics.values_of("route").contains("unmatched"));
    server.stop().await;
}

#[tokio::test]
async fn each_decision_is_counted_by_its_result_and_what_is_followed_has_an_age() {
    let server = TestServer::start().await;
    let person = server.realm.person().await;
    let user = server.user(&person).await;
    let minted = user.mint("counted").await;
    let pat = server.with_token(minted["token"].as_str().unwrap());
    let result = |word: &str| format!("hallpass_validations_total{{result=\"{word}\"}}");
    let hits = "hallpass_validation_cache_total{outcome=\"hit\"}";
    let before = Metrics::of(&server.anonymous()).await;
    for _ in 0..3 {
        pat.get(&format!("{TOKENS}/self")).await.expect(200);
    }
    server.with_token("rubbish").get(TOKENS).await.expect_problem(401, "unauthenticated");
    let path = format!("{TOKENS}/{}/invalidate", minted["patId"].as_str().unwrap());
    user.post_empty(&path).await.expect(200);
    pat.get(&format!("{TOKENS}/self")).await.expect_problem(401, "unauthenticated");
    let after = Metrics::of(&server.anonymous()).await;
    let more = |name: &str| after.value(name) - before.value(name);
    // Three by the token, one by its owner.
    assert!((more(&result("good")) - 4.0).abs() < 0.5, "{}", after.text);
    assert!((more(&result("malformed")) - 1.0).abs() < 0.5, "{}", after.text);
    assert!((more(&result("revoked")) - 1.0).abs() < 0.5, "{}", after.text);
    assert!(more(hits) > 2.5, "{}", after.text);
    assert!(after.value("hallpass_held_owners").abs() < 0.5, "{}", after.text);

    // An event about them has them looked at.
    server.realm.give_roles(&person, "hallpass", &["read-audit"]).await;
    let begun = std::time::Instant::now();
    loop {
        let metrics = Metrics::of(&server.anonymous()).await;
        let ages = ["hallpass_event_lag_seconds", "hallpass_sweep_age_seconds"];
        if ages.iter().all(|age| metrics.value(age) < 30.0)
            && metrics.value("hallpass_owners_checked_total") > 0.5
        {
            break;
        }
        assert!(begun.elapsed().as_secs() < 30, "{}", metrics.text);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    server.stop().await;
}

/// The names of metrics in the table of the operator's guide.
fn documented() -> BTreeSet<String> {
    let guide = include_str!("../../docs/operations.md");
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `hallpass_"));
    let names = rows.map(|row| row.split_once('`').unwrap().0);
    names.map(|name| format!("hallpass_{}", name.split('{').next().unwrap())).collect()
}

#[tokio::test]
async fn the_operators_guide_names_each_metric_and_no_other() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    user.mint("first").await;
    // A request is counted when it is answered: the first reading is in the second.
    Metrics::of(&server.anonymous()).await;
    assert_eq!(Metrics::of(&server.anonymous()).await.families, documented());
    server.stop().await;
}
