//! From a revocation at one replica to the refusal at it and at another.

use std::time::{Duration, Instant};

use crate::Report;
use crate::release::{QUIET, Release};
use crate::support::{Database, Process, TestRealm, passes};

const TRIALS: usize = 50;
const TARGET: Duration = Duration::from_millis(500);

pub async fn measure(report: &mut Report) {
    report.section(
        "Revocation",
        "Two replicas on one PostgreSQL, a token that both have seen. From the request for its revocation to the answer, and from \
         the answer of one replica to the first refusal by the other, 50 times. The one that answered refuses from then on.",
        "| what | median, s | maximum, s | target, s |\n|---|---:|---:|---:|",
    );
    let realm = TestRealm::own().await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let database = Database::postgres(&folders[0]);
    Process::prepare_store(&realm, &database).await;
    let here = Release::serve(&realm, &database, folders[0].path(), QUIET).await;
    let there = Release::serve(&realm, &database, folders[1].path(), QUIET).await;
    let (mut answered, mut refused) = (Vec::new(), Vec::new());
    let user = here.api(&realm.access_token(&realm.person().await).await);
    let (at_one, at_other) = (here.anonymous(), there.anonymous());
    for number in 0..TRIALS {
        let minted = user.mint(&format!("token-{number}")).await;
        let (token, id) = (minted["token"].as_str().unwrap(), minted["patId"].as_str().unwrap());
        assert!(passes(&at_one, token).await && passes(&at_other, token).await);
        let began = Instant::now();
        user.post_empty(&format!("/api/pat/v1/tokens/{id}/invalidate")).await.expect(200);
        answered.push(began.elapsed());
        let began = Instant::now();
        assert!(!passes(&at_one, token).await, "{number}");
        while passes(&at_other, token).await {
            assert!(began.elapsed() < Duration::from_secs(30), "{number} is never refused");
        }
        refused.push(began.elapsed());
    }
    report.change("the answer", answered, TARGET);
    report.change("refused by another replica", refused, TARGET);
    here.stop().await;
    there.stop().await;
}
