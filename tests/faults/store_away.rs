//! The store is away: 503, never "good"; it comes back by itself, and an end comes in time.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Api, Line, Metrics, ProxiedStore};

const BOUND: Duration = Duration::from_secs(10);

/// Everything that needs the store says so, in time.
async fn assert_unavailable(user: &Api, pat: &Api, pat_id: &str) {
    let list = "/api/pat/v1/tokens";
    let one = format!("{list}/{pat_id}");
    let (invalidate, body) = (format!("{one}/invalidate"), json!({"name": "while-away"}));
    let asked = Instant::now();
    let reads = tokio::join!(user.get(list), user.get(&one), pat.get("/api/pat/v1/tokens/self"));
    assert!(asked.elapsed() < BOUND, "{:?}", asked.elapsed());
    let asked = Instant::now();
    let changes =
        tokio::join!(user.post(list, &body), user.post_empty(&invalidate), user.delete(&one));
    assert!(asked.elapsed() < BOUND, "{:?}", asked.elapsed());
    for answer in [reads.0, reads.1, reads.2, changes.0, changes.1, changes.2] {
        let problem = answer.expect_problem(503, "store-unavailable");
        let text = problem.to_string().to_lowercase();
        for inner in ["postgres", "sqlx", "select", "pool", "127.0.0.1"] {
            assert!(!text.contains(inner), "{text}");
        }
    }
}

async fn goes_and_comes_back(away: Line) {
    let ProxiedStore { realm, proxy, process, folder: _folder } = ProxiedStore::serve().await;
    let user = process.user(&realm, &realm.person().await).await;
    let minted = user.mint("before").await;
    let pat = process.api(Some(minted["token"].as_str().unwrap()));
    let own = "/api/pat/v1/tokens/self";
    pat.get(own).await.expect(200);

    proxy.set(away);
    assert_unavailable(&user, &pat, minted["patId"].as_str().unwrap()).await;
    let health = process.api(None).get("/readyz").await.expect(503);
    assert_eq!((&health["status"], &health["store"]), (&json!("unavailable"), &json!("failed")));
    process.api(None).get("/livez").await;
    let metrics = Metrics::of(&process.api(None)).await;
    assert!(metrics.value("hallpass_tokens{status=\"active\"}").is_nan(), "{}", metrics.text);

    proxy.set(Line::Open);
    let back = Instant::now();
    while pat.get(own).await.status != 200 {
        assert!(back.elapsed() < BOUND, "{:?}", back.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    user.mint("after").await;
    process.stop().await;
}

#[tokio::test]
async fn a_store_that_is_cut_off_is_never_good_and_comes_back() {
    Box::pin(goes_and_comes_back(Line::Cut)).await;
}

#[tokio::test]
async fn a_store_that_falls_silent_is_never_good_and_comes_back() {
    Box::pin(goes_and_comes_back(Line::Silent)).await;
}

#[tokio::test]
async fn a_service_whose_store_is_silent_still_ends_in_time() {
    let ProxiedStore { realm, proxy, process, folder: _folder } = ProxiedStore::serve().await;
    let user = process.user(&realm, &realm.person().await).await;
    user.mint("before").await;
    proxy.set(Line::Silent);
    user.get("/api/pat/v1/tokens").await.expect_problem(503, "store-unavailable");
    let asked = Instant::now();
    process.terminate().await;
    let (status, written) = process.ended().await;
    assert!(asked.elapsed() < BOUND, "{:?}: {written}", asked.elapsed());
    assert!(status.success(), "{status}: {written}");
}
