//! The cache against a real endpoint: how often it asks, and what it keeps.

use std::time::Duration;

use axum::http::StatusCode;
use hallpass_verify::{CheckError, FetchError, JwksCache, KeyError, KeySetError, Rejection, check};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{
    Endpoint, NOW, OTHER_RSA, P256, RSA, header, jwks_json, payload, rules, skip, token_of,
};

const COOLDOWN: Duration = Duration::from_secs(10);
const MAX_AGE: Duration = Duration::from_mins(10);

fn cache(endpoint: &Endpoint) -> JwksCache {
    #[expect(clippy::disallowed_methods, reason = "a test needs none of the bounds of the product")]
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    JwksCache::new(http, endpoint.url.parse().unwrap())
}

async fn until(condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), holds).await.expect("the condition holds");
}

#[tokio::test]
async fn nothing_is_fetched_until_a_key_is_asked_for() {
    let endpoint = Endpoint::start(&jwks_json(&[&RSA.jwk("k")])).await;
    let cache = cache(&endpoint);
    assert!(cache.current().is_none());
    assert_eq!(endpoint.requests(), 0);
    assert_eq!(cache.key("k").await.unwrap().kid(), "k");
    assert_eq!(cache.current().unwrap().kids().collect::<Vec<_>>(), ["k"]);
    for _ in 0..100 {
        cache.clone().key("k").await.unwrap();
    }
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn a_thousand_unknown_names_cause_one_fetch() {
    let endpoint = Endpoint::start(&jwks_json(&[&RSA.jwk("k")])).await;
    let cache = cache(&endpoint);
    cache.key("k").await.unwrap();
    endpoint.arrived().await;
    skip(COOLDOWN).await;
    endpoint.hold(jwks_json(&[&RSA.jwk("k")]));
    let mut asking = JoinSet::new();
    for n in 0..1000 {
        let cache = cache.clone();
        asking.spawn(async move { cache.key(&format!("unknown-{n}")).await.map(|_| ()) });
    }
    endpoint.arrived().await;
    cache.key("k").await.unwrap();
    endpoint.release();
    for answer in asking.join_all().await {
        assert_eq!(answer, Err(KeyError::UnknownKid));
    }
    assert_eq!(endpoint.requests(), 2);
    assert_eq!(cache.key("unknown").await.unwrap_err(), KeyError::UnknownKid);
    assert_eq!(endpoint.requests(), 2);
    endpoint.serve(jwks_json(&[&RSA.jwk("k")]));
    skip(COOLDOWN).await;
    assert_eq!(cache.key("unknown").await.unwrap_err(), KeyError::UnknownKid);
    assert_eq!(endpoint.requests(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_of_an_empty_cache_cause_one_fetch() {
    let endpoint = Endpoint::start(&jwks_json(&[&RSA.jwk("k")])).await;
    let cache = cache(&endpoint);
    let mut asking = JoinSet::new();
    for n in 0..1000 {
        let cache = cache.clone();
        let kid = if n % 2 == 0 { "k" } else { "unknown" };
        asking.spawn(async move { (kid, cache.key(kid).await.map(|_| ())) });
    }
    for (kid, answer) in asking.join_all().await {
        assert_eq!(answer, if kid == "k" { Ok(()) } else { Err(KeyError::UnknownKid) });
    }
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn a_new_key_is_seen_after_the_cooldown() {
    let endpoint = Endpoint::start(&jwks_json(&[&RSA.jwk("k")])).await;
    let cache = cache(&endpoint).with_cooldown(Duration::from_secs(2));
    cache.key("k").await.unwrap();
    endpoint.serve(jwks_json(&[&RSA.jwk("k"), &P256.jwk("new")]));
    assert_eq!(cache.key("new").await.unwrap_err(), KeyError::UnknownKid);
    skip(Duration::from_secs(2)).await;
    assert!(cache.key("new").await.is_ok());
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test]
async fn an_empty_cache_and_no_endpoint_is_unavailable() {
    let endpoint = Endpoint::start("").await;
    endpoint.fail(StatusCode::SERVICE_UNAVAILABLE);
    let cache = cache(&endpoint);
    for _ in 0..5 {
        assert_eq!(cache.key("k").await.unwrap_err(), KeyError::Unavailable);
    }
    assert_eq!(endpoint.requests(), 1);
    let token = token_of(&payload());
    let answer = check(&cache, &token, &rules(), NOW).await;
    assert_eq!(answer, Err(CheckError::KeysUnavailable));
    endpoint.serve(jwks_json(&[&RSA.jwk("k")]));
    skip(COOLDOWN).await;
    assert!(check(&cache, &token, &rules(), NOW).await.is_ok());
}

#[tokio::test]
async fn the_last_good_set_stays() {
    let good = jwks_json(&[&RSA.jwk("k")]);
    let endpoint = Endpoint::start(&good).await;
    let cache = cache(&endpoint);
    cache.key("k").await.unwrap();

    endpoint.fail(StatusCode::INTERNAL_SERVER_ERROR);
    let status = cache.refresh().await.unwrap_err();
    assert!(matches!(status, FetchError::Status(StatusCode::INTERNAL_SERVER_ERROR)));
    endpoint.serve("<html>");
    let garbage = cache.refresh().await.unwrap_err();
    assert!(matches!(garbage, FetchError::KeySet(KeySetError::NotAnObject)));
    endpoint.serve("{\"keys\":[],\"padding\":\"".to_owned() + &" ".repeat(256 * 1024) + "\"}");
    assert!(matches!(cache.refresh().await.unwrap_err(), FetchError::TooLarge));
    endpoint.stop();
    skip(MAX_AGE * 1000).await;
    let down = cache.refresh().await.unwrap_err();
    assert!(!format!("{down:?}").contains("certs"), "{down:?}");

    assert!(cache.key("k").await.is_ok());
    assert_eq!(cache.key("unknown").await.unwrap_err(), KeyError::Unavailable);
    assert_eq!(cache.current().unwrap().kids().count(), 1);
}

#[tokio::test]
async fn a_silent_endpoint_is_given_up() {
    let endpoint = Endpoint::start("").await;
    endpoint.hold("");
    let cache = cache(&endpoint);
    let asking = tokio::spawn({
        let cache = cache.clone();
        async move { cache.refresh().await }
    });
    endpoint.arrived().await;
    skip(Duration::from_secs(3)).await;
    let answer = tokio::time::timeout(Duration::from_secs(2), asking).await;
    let error = answer.expect("given up after 3 s").unwrap().unwrap_err();
    assert!(matches!(error, FetchError::Request(cause) if cause.is_timeout()));
}

#[tokio::test]
async fn a_removed_key_vanishes_after_the_maximum_age() {
    let endpoint = Endpoint::start(&jwks_json(&[&RSA.jwk("old"), &P256.jwk("new")])).await;
    let cache = cache(&endpoint);
    cache.key("old").await.unwrap();
    endpoint.serve(jwks_json(&[&P256.jwk("new")]));
    skip(MAX_AGE / 2).await;
    assert!(cache.key("old").await.is_ok());
    assert_eq!(endpoint.requests(), 1);
    skip(MAX_AGE / 2).await;
    assert!(cache.key("new").await.is_ok(), "the old set serves while the new one is fetched");
    until(|| cache.current().unwrap().find("old").is_none()).await;
    assert_eq!(cache.key("old").await.unwrap_err(), KeyError::UnknownKid);
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test]
async fn an_old_set_is_fetched_once_per_cooldown() {
    let endpoint = Endpoint::start(&jwks_json(&[&RSA.jwk("k")])).await;
    let cache = cache(&endpoint).with_max_age(Duration::from_mins(1));
    cache.key("k").await.unwrap();
    endpoint.arrived().await;
    endpoint.hold("rubbish");
    skip(Duration::from_mins(1)).await;
    for _ in 0..100 {
        cache.key("k").await.unwrap();
    }
    endpoint.arrived().await;
    endpoint.release();
    // Waits for the fetch under way, and is told of its failure.
    assert_eq!(cache.key("unknown").await.unwrap_err(), KeyError::Unavailable);
    for _ in 0..100 {
        cache.key("k").await.unwrap();
    }
    // Would wait for a further fetch, if there were one.
    assert_eq!(cache.key("unknown").await.unwrap_err(), KeyError::Unavailable);
    assert_eq!(endpoint.requests(), 2);
    endpoint.serve(jwks_json(&[&RSA.jwk("k")]));
    skip(COOLDOWN).await;
    cache.key("k").await.unwrap();
    endpoint.arrived().await;
    assert_eq!(cache.key("unknown").await.unwrap_err(), KeyError::UnknownKid);
    assert_eq!(endpoint.requests(), 3);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_stop_the_fetch() {
    let endpoint = Endpoint::start("").await;
    endpoint.hold(jwks_json(&[&RSA.jwk("k")]));
    let cache = cache(&endpoint);
    let caller = tokio::spawn({
        let cache = cache.clone();
        async move { cache.key("k").await.map(|_| ()) }
    });
    endpoint.arrived().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    endpoint.release();
    assert!(cache.key("k").await.is_ok());
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn a_refresh_is_not_bound_by_the_cooldown() {
    let endpoint = Endpoint::start(&jwks_json(&[&RSA.jwk("k")])).await;
    let cache = cache(&endpoint);
    cache.key("k").await.unwrap();
    endpoint.serve(jwks_json(&[&P256.jwk("new")]));
    let set = cache.refresh().await.unwrap();
    assert_eq!(set.kids().collect::<Vec<_>>(), ["new"]);
    assert_eq!(cache.key("k").await.unwrap_err(), KeyError::UnknownKid);
    assert_eq!(endpoint.requests(), 2);
}

#[tokio::test]
async fn a_set_without_a_usable_key_takes_none_away() {
    let endpoint = Endpoint::start(&jwks_json(&[])).await;
    let cache = cache(&endpoint);
    assert_eq!(cache.key("k").await.unwrap_err(), KeyError::Unavailable);
    endpoint.serve(jwks_json(&[&RSA.jwk("k")]));
    cache.refresh().await.unwrap();
    let unusable = json!({"kid": "k", "kty": "oct", "k": "AA"});
    for set in [&[][..], &[&unusable], &[&json!(7)], &[&json!({})]] {
        endpoint.serve(jwks_json(set));
        assert!(matches!(cache.refresh().await.unwrap_err(), FetchError::Empty), "{set:?}");
        assert!(cache.holds("k") && cache.key("k").await.is_ok(), "{set:?}");
    }
    assert_eq!(cache.key("new").await.unwrap_err(), KeyError::Unavailable);
}

#[tokio::test]
async fn a_key_is_held_while_the_last_good_set_has_it() {
    let endpoint = Endpoint::start(&jwks_json(&[&RSA.jwk("k")])).await;
    let cache = cache(&endpoint);
    // Nothing is fetched for it.
    assert!(!cache.holds("k"));
    assert_eq!(endpoint.requests(), 0);
    cache.refresh().await.unwrap();
    assert!(cache.holds("k") && !cache.holds("other") && !cache.holds(""));
    endpoint.serve(jwks_json(&[&P256.jwk("other")]));
    cache.refresh().await.unwrap();
    assert!(cache.holds("other") && !cache.holds("k"));
    // It is looked at for each request; still an old set is fetched anew.
    endpoint.serve(jwks_json(&[&RSA.jwk("k")]));
    skip(MAX_AGE).await;
    assert!(cache.holds("other"));
    until(|| cache.holds("k")).await;
    assert!(!cache.holds("other"));
    assert_eq!(endpoint.requests(), 3);
}

#[tokio::test]
async fn an_answer_may_have_256_kib_and_not_a_byte_more() {
    const BOUND: usize = 256 * 1024;
    let endpoint = Endpoint::start("").await;
    let cache = cache(&endpoint);
    let set = jwks_json(&[&RSA.jwk("k")]);
    let padded = |length: usize| format!("{set}{}", " ".repeat(length - set.len()));
    endpoint.serve(padded(BOUND));
    assert!(cache.refresh().await.is_ok());
    endpoint.serve(padded(BOUND + 1));
    assert!(matches!(cache.refresh().await.unwrap_err(), FetchError::TooLarge));
    assert!(cache.holds("k"));
}

#[tokio::test]
async fn check_finds_the_key_and_spares_the_endpoint() {
    let ambiguous = [&RSA.jwk("k"), &RSA.jwk("twice"), &OTHER_RSA.jwk("twice")];
    let endpoint = Endpoint::start(&jwks_json(&ambiguous)).await;
    let cache = cache(&endpoint);
    let claims = payload().to_string();
    let signed = |alg: &str, kid: &str| {
        RSA.token("RS256", header(alg, kid).to_string().as_bytes(), claims.as_bytes())
    };
    let rows = [
        ("garbage".to_owned(), Rejection::Malformed),
        ("A".repeat(1_000_000), Rejection::TooLarge),
        (signed("none", "k"), Rejection::Algorithm),
        (signed("HS256", "k"), Rejection::Algorithm),
    ];
    for (token, rejection) in rows {
        assert_eq!(check(&cache, &token, &rules(), NOW).await, Err(rejection.into()));
    }
    assert_eq!(endpoint.requests(), 0);
    for kid in ["twice", "unknown", "../../certs"] {
        let answer = check(&cache, &signed("RS256", kid), &rules(), NOW).await;
        assert_eq!(answer, Err(Rejection::UnknownKey.into()), "{kid}");
    }
    let answer = check(&cache, &signed("ES256", "k"), &rules(), NOW).await;
    assert_eq!(answer, Err(Rejection::Algorithm.into()));
    let answer = check(&cache, &signed("RS256", "k"), &rules(), NOW + 3600).await;
    assert_eq!(answer, Err(Rejection::Expired.into()));
    assert_eq!(check(&cache, &signed("RS256", "k"), &rules(), NOW).await.unwrap().sub, "4f1c");
    assert_eq!(endpoint.requests(), 1);
}

#[tokio::test]
async fn a_set_of_an_earlier_process_serves_until_the_endpoint_answers() {
    let endpoint = Endpoint::start(&jwks_json(&[&RSA.jwk("k")])).await;
    let earlier = cache(&endpoint);
    assert!(earlier.current_json().is_none());
    earlier.refresh().await.unwrap();
    let json = earlier.current_json().unwrap();

    endpoint.fail(StatusCode::BAD_GATEWAY);
    let later = cache(&endpoint);
    assert!(matches!(later.restore(b"{}").unwrap_err(), FetchError::KeySet(KeySetError::NoKeys)));
    assert!(matches!(later.restore(jwks_json(&[]).as_bytes()).unwrap_err(), FetchError::Empty));
    later.restore(&json).unwrap();
    assert!(later.holds("k") && later.key("k").await.is_ok());
    // Nobody can tell whether there is another one by now.
    assert_eq!(later.key("new").await.unwrap_err(), KeyError::Unavailable);
    endpoint.serve(jwks_json(&[&P256.jwk("new")]));
    skip(COOLDOWN).await;
    assert!(later.key("new").await.is_ok());
    assert!(!later.holds("k"));
    // What is newer stays.
    later.restore(&json).unwrap();
    assert!(later.holds("new") && !later.holds("k"));
}
