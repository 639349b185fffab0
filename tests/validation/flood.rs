//! A flood of rubbish: bounded memory, a good token that does not feel it, and how long a refusal is remembered.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass::app::App;
use hallpass::clock::{Clock, Timestamp};
use hallpass::decide::{Accepts, Fill, Presented, Reason, Refusal};
use hallpass::id::RequestId;
use hallpass::principal::Origin;

use crate::support::{Database, TestRealm, TestServer, soak};

/// How many rubbish tokens; `make soak` sends ten million.
const RUBBISH: usize = 48_000;
/// How often the good token is shown in the calm and in the flood.
const SHOWN: usize = 8_000;
/// How often changes are heard of.
const BETWEEN: Duration = Duration::from_millis(250);
/// What the process may grow by after the first tenth of the flood, in bytes.
const GROWTH: usize = 16 * 1024 * 1024;

/// The service's parts without its edge: what a network and a scheduler add would hide what is looked at.
struct Bench {
    app: App,
    origin: Origin,
}

impl Bench {
    async fn beside(server: &TestServer) -> Self {
        let settings = server.realm.settings(&server.database, &[]);
        let app = App::build(settings, Clock::system()).await.unwrap();
        let origin = Origin {
            address: [192, 0, 2, 1].into(),
            request_id: RequestId::new(Timestamp::from_millis(0)),
        };
        Self { app, origin }
    }

    async fn decide(&self, token: &str) -> Result<(), Refusal> {
        let presented = Presented {
            token,
            accepts: Accepts::Pats,
            from: Some(self.origin.address),
            service: None,
            origin: &self.origin,
        };
        self.app.decider.decide(presented).await.map(drop)
    }

    /// How long the decision on a good token takes.
    async fn time(&self, good: &str) -> Duration {
        let began = Instant::now();
        let decision = self.decide(good).await;
        let took = began.elapsed();
        assert!(decision.is_ok(), "{:?}", decision.err());
        took
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Unique rubbish: no token, a foreign key, our key with another signature each time.
fn rubbish(good: &str, n: usize) -> [(String, Reason); 3] {
    let (header, rest) = good.split_once('.').unwrap();
    let (payload, _) = rest.split_once('.').unwrap();
    let mut signature = [7; 256];
    signature[100..108].copy_from_slice(&n.to_be_bytes());
    let signature = URL_SAFE_NO_PAD.encode(signature);
    let foreign = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"RS256","kid":"k{n}"}}"#));
    [
        (format!("rubbish-{n}"), Reason::Malformed),
        (format!("{foreign}.{payload}.{signature}"), Reason::NotAPat),
        (format!("{header}.{payload}.{signature}"), Reason::Signature),
    ]
}

/// In bytes, as the system counts it.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn rubbish_costs_bounded_memory_and_a_good_token_does_not_feel_it() {
    let realm = TestRealm::shared().await;
    let server = TestServer::start_with(realm.clone(), Database::postgres, &[]).await;
    let minted = server.user(&realm.person().await).await.mint("good").await;
    let good = minted["token"].as_str().unwrap();
    // Whatever rubbish does to the machine it does in both; only in one it comes to the same caches.
    let (calm, flooded) = (Bench::beside(&server).await, Bench::beside(&server).await);
    let mut times = [Vec::new(), Vec::new()];
    let all = soak("HALLPASS_TEST_RUBBISH", RUBBISH);
    let (mut sent, mut early, mut heard) = (0, None, None::<Instant>);
    for n in 0..SHOWN {
        for (bench, times) in [&calm, &flooded].into_iter().zip(&mut times) {
            if heard.is_none_or(|heard| heard.elapsed() > BETWEEN) {
                // As the service does it four times a second.
                calm.app.store.hear().await.unwrap();
                flooded.app.store.hear().await.unwrap();
                heard = Some(Instant::now());
            }
            for _ in 0..all / SHOWN / 6 {
                for (token, reason) in rubbish(good, sent) {
                    let refused = flooded.decide(&token).await;
                    let is_so = matches!(refused, Err(Refusal::Because(found)) if found == reason);
                    assert!(is_so, "{refused:?} and not {reason}");
                }
                sent += 1;
            }
            times.push(bench.time(good).await);
        }
        if n == SHOWN / 10 {
            early = Some(resident());
        }
    }
    let [before, during] = times.map(median);
    assert!(during <= before * 2, "{during:?} in the flood, {before:?} beside it");
    let Fill { good: kept, good_bytes, refused, under_way } = flooded.app.decider.fill();
    assert_eq!((kept, under_way), (1, 0), "rubbish is among the good ones");
    assert!(good_bytes < 8 * 1024, "{good_bytes}");
    // A hundred bytes each, and far fewer than there were.
    assert!((1..=10_000).contains(&refused), "{refused} are remembered");
    // Beside other tests the process grows by theirs.
    if all > RUBBISH {
        let grown = resident().saturating_sub(early.unwrap());
        println!("{before:?} in the calm, {during:?} in the flood, grown by {grown} bytes");
        assert!(grown <= GROWTH, "it grew by {grown} bytes");
    }
    for bench in [calm, flooded] {
        bench.app.store.close().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_is_remembered_as_long_as_the_keys_are_what_they_were() {
    let server = TestServer::start_with(TestRealm::shared().await, Database::postgres, &[]).await;
    let minted = server.user(&server.realm.person().await).await.mint("stranger").await;
    let (token, id) = (minted["token"].as_str().unwrap(), minted["patId"].as_str().unwrap());
    let owner = minted["userId"].as_str().unwrap();
    let bench = Bench::beside(&server).await;
    let unknown =
        async || matches!(bench.decide(token).await, Err(Refusal::Because(Reason::Unknown)));
    let give = async |owner: &str| {
        let sql = format!("UPDATE tokens SET user_id = '{owner}' WHERE pat_id = '{id}'");
        assert_eq!(server.execute(sql).await, 1);
    };
    give("somebody").await;
    assert!(unknown().await);
    give(owner).await;
    assert!(unknown().await, "it was looked up again");
    bench.app.decider.renew();
    bench.decide(token).await.unwrap();
    bench.app.store.close().await;
    server.stop().await;
}
