//! A bootstrap that ends anywhere is finished by the next one.

use std::panic::resume_unwind;

use hallpass::bootstrap::{BootstrapError, Mode, Removal, Report, bootstrap, remove};
use hallpass::clock::Clock;
use hallpass::keycloak::KeycloakError;
use tokio::task::{JoinError, LocalSet, spawn_local};

use super::Ground;
use super::snapshot::assert_same;
use crate::support::{Fault, FaultProxy, administrator, bootstrap_settings_by, options};

const INTERRUPTED: &str = "interrupted";
const REMOVAL: Removal = Removal { mode: Mode::Apply, without_store: false };

/// Lets one change happen and ends the run before the second: as a crash would, without a word.
fn one_change() -> Report {
    let mut announced = 0;
    Box::new(move |_| {
        announced += 1;
        if announced == 2 {
            resume_unwind(Box::new(INTERRUPTED));
        }
    })
}

async fn run_to_its_end<T: 'static>(
    run: impl Future<Output = T> + 'static,
) -> Result<T, JoinError> {
    LocalSet::new().run_until(async { spawn_local(run).await }).await
}

/// `None`: it was interrupted, by us or by a Keycloak that did not answer in time.
fn finished<T>(run: Result<Result<T, BootstrapError>, JoinError>) -> Option<T> {
    match run {
        Ok(Err(BootstrapError::Keycloak(KeycloakError::Unavailable(_)))) => None,
        Ok(ended) => Some(ended.unwrap_or_else(|error| panic!("{error}"))),
        Err(ended) => {
            let word = ended.into_panic().downcast::<&str>();
            assert_eq!(word.map(|word| *word).ok(), Some(INTERRUPTED));
            None
        }
    }
}

#[tokio::test]
async fn runs_that_end_after_each_single_change_make_the_same_realm_and_take_it_back() {
    let ground = Ground::new().await;
    let before = ground.snapshot().await;

    let mut interrupted = 0;
    loop {
        let (settings, key) = (ground.settings.clone(), ground.encryption_key.clone());
        let run = run_to_its_end(async move {
            let (keycloak, clock) = (administrator(&settings), Clock::system());
            bootstrap(&keycloak, &settings, &key, &clock, &options(), one_change()).await
        });
        if let Some(finished) = finished(Box::pin(run).await) {
            assert!(finished.changes <= 1, "{finished:?}");
            break;
        }
        interrupted += 1;
        assert!(interrupted < 100, "it never ends");
    }
    assert!(interrupted > 20, "{interrupted}");
    assert_eq!(ground.bootstrap().await.lines, Vec::<String>::new());
    let providers = ground.providers().await;
    assert_eq!(providers.len(), 1, "one key, however often it was interrupted");
    let kid = ground.active_kid().await.unwrap();
    assert_eq!(providers[0]["name"], format!("hallpass-{kid}"));

    for run in 0.. {
        assert!(run < 100, "it never ends");
        let settings = ground.settings.clone();
        let run = run_to_its_end(async move {
            let (keycloak, clock) = (administrator(&settings), Clock::system());
            remove(&keycloak, &settings, &clock, REMOVAL, one_change()).await
        });
        if let Some(removed) = finished(run.await) {
            assert!(removed.changes <= 1, "{removed:?}");
            break;
        }
    }
    assert_same(&before, &ground.snapshot().await);
}

#[tokio::test]
async fn a_key_that_was_made_but_not_published_is_the_one_that_is_used() {
    let ground = Ground::new().await;
    let kid = ground.put_pending_key().await.kid().to_owned();
    let done = ground.bootstrap().await;
    assert!(!done.lines.contains(&"make a signing key".to_owned()), "{:?}", done.lines);
    assert_eq!(ground.active_kid().await.unwrap(), kid);
    assert_eq!(ground.providers().await.len(), 1);
}

#[tokio::test]
async fn a_key_that_was_published_but_not_taken_into_use_is_the_one_that_is_used() {
    let ground = Ground::new().await;
    let key = ground.put_pending_key().await;
    let id = hallpass::id::new_keycloak_id().unwrap();
    administrator(&ground.settings).create_key_provider(&id, &key.provider()).await.unwrap();
    let done = ground.bootstrap().await;
    assert!(!done.lines.iter().any(|line| line.starts_with("publish")), "{:?}", done.lines);
    assert_eq!(ground.active_kid().await.unwrap(), key.kid());
    assert_eq!(ground.providers().await.len(), 1);
}

#[tokio::test]
async fn a_key_that_the_realm_lost_is_published_again() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let kid = ground.active_kid().await.unwrap();
    let provider = ground.providers().await.remove(0);
    let path = format!("/components/{}", provider["id"].as_str().unwrap());
    ground.admin.delete(&ground.path(&path)).await;
    let done = ground.bootstrap().await;
    assert_eq!(done.lines, [format!("publish signing key {kid} as a passive key")]);
    assert_eq!(ground.active_kid().await.unwrap(), kid);
}

#[tokio::test]
async fn role_mappings_survive_a_keycloak_that_fails_once_at_each() {
    let (mut ground, proxy) = (Ground::new().await, FaultProxy::start());
    let url = proxy.url().to_owned();
    ground.settings = bootstrap_settings_by(url, &ground.realm.name, &ground.database);
    let patterns =
        ["POST */role-mappings/*", "DELETE */role-mappings/*", "POST */scope-mappings/*"];
    let failures = patterns.map(|pattern| proxy.on_nth(1, pattern, Fault::status(500)));
    ground.bootstrap().await;
    assert!(failures.iter().all(|failure| failure.hits() >= 2), "each came again");
    assert_eq!(ground.bootstrap().await.outcome.changes, 0);
}
