//! A mint beside what it cannot do without: its calls to Keycloak, one signature, one commit.

use std::time::{Duration, Instant};

use hallpass::audit::{Act, Actor, Event};
use hallpass::clock::Clock;
use hallpass::id::{PatId, UserId};
use hallpass::names::Names;
use hallpass::store::{NewToken, Restrictions, Store};

use crate::release::{QUIET, Release};
use crate::support::{DATABASES, Database, Metrics, Process, TestRealm, unique};
use crate::{Report, median};

/// No more than one person may make at once.
const MINTS: u32 = 100;
const TARGET: f64 = 1.0;

pub async fn measure(report: &mut Report) {
    report.section(
        "Minting",
        "By one person over HTTP, one after the other, medians; Keycloak is warm. The calls to Keycloak are the service's own count \
         of the same mints, and some are made at the same time, so that their sum may be more than the mint; a signature and a commit of the same records are measured alone.",
        "| database | a mint, ms | calls to Keycloak, ms | signature, ms | commit, ms | ratio | target |\n|---|---:|---:|---:|---:|---:|---:|",
    );
    for (name, database) in ["SQLite", "PostgreSQL"].into_iter().zip(DATABASES) {
        let realm = TestRealm::own().await;
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        Process::prepare_store(&realm, &database).await;
        let hallpass = Release::serve(&realm, &database, folder.path(), QUIET).await;
        let hallpass = hallpass.until_at_rest().await;
        // Who is new to Hallpass, and what is cold in Keycloak, is not what is measured.
        mints(&realm, &hallpass).await;
        let (took, calls) = mints(&realm, &hallpass).await;
        hallpass.stop().await;
        let (signature, commit) = (signatures(&realm), commits(&database).await);
        let ratio = took.as_secs_f64() / (calls + signature + commit).as_secs_f64();
        let [took, calls, signature, commit] =
            [took, calls, signature, commit].map(|time| time.as_secs_f64() * 1e3);
        let row = format!(
            "| {name} | {took:.1} | {calls:.1} | {signature:.1} | {commit:.1} | {ratio:.2} | ≤ {TARGET} |"
        );
        report.row(&row, ratio <= TARGET);
    }
}

/// A mint, and the calls to Keycloak of each, in the mean: the service counts only their sum.
async fn mints(realm: &TestRealm, hallpass: &Release) -> (Duration, Duration) {
    let person = realm.person().await;
    let api = hallpass.api(&realm.access_token(&person).await);
    let before = calls(hallpass).await;
    let mut times = Vec::new();
    for _ in 0..MINTS {
        let name = unique("mint");
        let began = Instant::now();
        api.mint(&name).await;
        times.push(began.elapsed());
    }
    let calls = calls(hallpass).await.saturating_sub(before);
    (median(times), calls / MINTS)
}

/// How long all calls to Keycloak took that a mint makes; those of the watcher are of other resources.
async fn calls(hallpass: &Release) -> Duration {
    let metrics = Metrics::of(&hallpass.anonymous()).await;
    let sums = metrics.text.lines().filter(|line| {
        line.starts_with("hallpass_keycloak_call_duration_seconds_sum") && !line.contains("events")
    });
    let seconds = sums.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    Duration::from_secs_f64(seconds.sum())
}

fn signatures(realm: &TestRealm) -> Duration {
    let signer = realm.signing_key().into_signer().unwrap();
    let input = "x".repeat(1_200);
    let sign = || {
        let began = Instant::now();
        signer.sign(&input).unwrap();
        began.elapsed()
    };
    median((0..MINTS).map(|_| sign()).collect())
}

async fn commits(database: &Database) -> Duration {
    let store = Store::open(&database.url()).await.unwrap();
    let owner = UserId::new(unique("owner"));
    let mut times = Vec::new();
    for number in 0..MINTS {
        let now = Clock::system().now();
        let token = NewToken {
            pat_id: PatId::new(now),
            user_id: owner.clone(),
            names: Names { username: "owner".to_owned(), ..Names::default() },
            name: format!("token-{number}"),
            description: None,
            kid: "kid".to_owned(),
            owner_roles: "[]".to_owned(),
            authority_claims: None,
            created_at: now,
            expires_at: now.plus(Duration::from_hours(24)),
            chain: None,
            restrictions: Restrictions::default(),
        };
        let subject = (token.pat_id.to_string(), token.name.clone());
        let event = Event::new(Act::TokenCreated, subject, &owner, &Actor::operator(), now);
        let began = Instant::now();
        store.create_token(&token, 0, &event).await.unwrap();
        times.push(began.elapsed());
    }
    store.close().await;
    median(times)
}
