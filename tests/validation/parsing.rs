//! Any text as a token: no endpoint fails over it, and none lets it pass.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use reqwest::Method;

use super::Scene;
use crate::support::INACTIVE;

/// Texts that look like tokens more or less.
fn tokens(good: &str) -> impl Strategy<Value = String> + use<> {
    let letters = "[A-Za-z0-9_=.-]{0,60}";
    let parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    let cut = good.to_owned();
    prop_oneof![
        letters,
        "[A-Za-z0-9_-]{1,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}",
        "\\PC{0,40}",
        Just(parts).prop_shuffle().prop_map(|parts| parts.join(".")),
        (0..good.len()).prop_map(move |at| cut[..at].to_owned()),
        (0..good.len(), "[A-Za-z0-9_.-]").prop_map({
            let good = good.to_owned();
            move |(at, letter)| format!("{}{letter}{}", &good[..at], &good[at + 1..])
        }),
    ]
}

#[tokio::test]
async fn no_text_as_a_token_breaks_an_endpoint_or_passes() {
    let scene = Scene::in_shared_realm().await;
    let minted = scene.user().await.mint("good").await;
    let good = minted["token"].as_str().unwrap();
    let anyone = scene.server.anonymous();
    let mut runner = TestRunner::deterministic();
    let strategy = tokens(good);
    for _ in 0..400 {
        let token = strategy.new_tree(&mut runner).unwrap().current();
        if token == good {
            continue;
        }
        let answer = scene.service.ask(&anyone, &token, &[]).await;
        // An empty one is no parameter at all.
        let expected = if token.is_empty() { 400 } else { 200 };
        assert_eq!(answer.status, expected, "{token:?}: {answer:?}");
        assert!(expected == 400 || answer.text == INACTIVE, "{token:?}: {answer:?}");
        let header = reqwest::header::HeaderValue::from_bytes(format!("Bearer {token}").as_bytes());
        if let Ok(header) = header {
            let request = anyone.request(Method::GET, "/forward-auth");
            let answer = anyone.send(request.header("authorization", header)).await;
            assert_eq!(answer.status, 401, "{token:?}: {answer:?}");
        }
    }
    assert!(scene.finds(good).await);
    scene.server.stop().await;
}
