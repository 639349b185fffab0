//! The realm's keys, kept fresh without letting callers flood the realm.
//!
//! 1. A known `kid` is answered from memory, whatever else goes on.
//! 2. An unknown `kid` may be a new key: it causes one fetch per cool-down; whoever else asks
//!    meanwhile waits for it.
//! 3. A set older than the maximum age is still used, and fetched anew in the background: so a
//!    removed key vanishes.
//! 4. While the endpoint is away, answers rubbish or a set without a single usable key, the last good
//!    set stays: only a whole answer that lacks a key takes the key away.
//!
//! A fetch runs in a task of its own: a caller who hangs up neither stops it nor spends the
//! cool-down for nothing.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::{Response, StatusCode};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

use crate::key_set::{KeySet, KeySetError, VerificationKey};

const DEFAULT_COOLDOWN: Duration = Duration::from_secs(10);
const DEFAULT_MAX_AGE: Duration = Duration::from_mins(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_BODY: usize = 256 * 1024;

/// Why there is no key to check with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The realm publishes no such key.
    #[error("the realm publishes no such key")]
    UnknownKid,
    /// No key set is at hand, or the key is not in it and the latest fetch failed: it may exist.
    #[error("the realm's keys could not be fetched")]
    Unavailable,
}

/// Why a fetch gave no key set. Names no address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The endpoint could not be reached, or not in time.
    #[error("the key endpoint could not be reached")]
    Request(#[source] reqwest::Error),
    /// The endpoint answered with another status than 200.
    #[error("the key endpoint answered {0}")]
    Status(StatusCode),
    /// The answer is longer than 256 KiB.
    #[error("the key endpoint's answer is too large")]
    TooLarge,
    /// The answer is not a key set.
    #[error("the key endpoint's answer is not a key set")]
    KeySet(#[source] KeySetError),
    /// The answer has no key that can check a signature. No realm is without one.
    #[error("the key endpoint's answer has no usable key")]
    Empty,
    /// The runtime is shutting down.
    #[error("the fetch of the keys was interrupted")]
    Interrupted,
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error.without_url())
    }
}

/// The keys that a realm publishes at an address. Clones share them. Needs a Tokio runtime.
#[derive(Debug, Clone)]
pub struct JwksCache {
    shared: Arc<Shared>,
    cooldown: Duration,
    max_age: Duration,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    url: Url,
    state: RwLock<State>,
    /// Held while a fetch is under way.
    flight: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    good: Option<Good>,
    last_attempt: Option<Instant>,
    last_attempt_failed: bool,
}

#[derive(Debug)]
struct Good {
    set: Arc<KeySet>,
    /// As it was answered.
    json: Arc<[u8]>,
    /// `None`: it is from before this process.
    since: Option<Instant>,
}

impl JwksCache {
    /// An empty cache of the key set at `url`. Nothing is fetched until a key is asked for. Each
    /// request is bounded to 3 s and 256 KiB; whether redirects and proxies are followed is up to
    /// `http`.
    #[must_use]
    pub fn new(http: reqwest::Client, url: Url) -> Self {
        let flight = Arc::new(Mutex::new(()));
        let shared = Shared { http, url, state: RwLock::default(), flight };
        Self { shared: Arc::new(shared), cooldown: DEFAULT_COOLDOWN, max_age: DEFAULT_MAX_AGE }
    }

    /// The time from the end of a fetch in which callers cause no other; 10 s unless set. Set it
    /// before cloning.
    #[must_use]
    pub fn with_cooldown(mut self, cooldown: Duration) -> Self {
        self.cooldown = cooldown;
        self
    }

    /// The age from which a set is fetched anew when used; 10 min unless set. Set it before
    /// cloning.
    #[must_use]
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// The key that `kid` names. A known one is returned without waiting; an unknown one waits for
    /// at most one fetch.
    pub async fn key(&self, kid: &str) -> Result<VerificationKey, KeyError> {
        if let Some(key) = self.known(kid) {
            return Ok(key);
        }
        let flight = self.shared.clone_flight().lock_owned().await;
        // The fetch that was under way may have brought the key, or have begun the cool-down.
        if let Some(key) = self.known(kid) {
            return Ok(key);
        }
        if self.is_cooling_down() {
            return Err(self.shared.missing());
        }
        // Its failure is logged there and shows in `missing`.
        let _ = self.spawn_fetch(flight).await;
        self.known(kid).ok_or_else(|| self.shared.missing())
    }

    /// Fetches the keys now, whatever the cool-down: for a caller who knows that they changed. On
    /// failure the last good set stays.
    pub async fn refresh(&self) -> Result<Arc<KeySet>, FetchError> {
        let flight = self.shared.clone_flight().lock_owned().await;
        self.spawn_fetch(flight).await.unwrap_or(Err(FetchError::Interrupted))
    }

    /// Begins with a set that an earlier process saw, as [`Self::current_json`] gave it: it serves until the endpoint
    /// answers. Changes nothing where there is a set already.
    pub fn restore(&self, json: &[u8]) -> Result<(), FetchError> {
        let set = Arc::new(usable(json)?);
        let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
        state.good.get_or_insert_with(|| Good { set, json: json.into(), since: None });
        Ok(())
    }

    /// The last good set as the endpoint answered it, for whoever keeps it. Causes no fetch.
    #[must_use]
    pub fn current_json(&self) -> Option<Arc<[u8]>> {
        self.shared.read(|state| state.good.as_ref().map(|good| Arc::clone(&good.json)))
    }

    /// The last good set, however old; `None` before the first. Causes no fetch.
    #[must_use]
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.shared.read(|state| state.good.as_ref().map(|good| Arc::clone(&good.set)))
    }

    /// Whether the last good set has the key that `kid` names. Never waits; a set that is old is fetched anew in the
    /// background, as it is for [`Self::key`].
    #[must_use]
    pub fn holds(&self, kid: &str) -> bool {
        self.look(kid, |_| ()).is_some()
    }

    fn known(&self, kid: &str) -> Option<VerificationKey> {
        self.look(kid, VerificationKey::clone)
    }

    /// What `take` takes of the key in the last good set, where it stands: this is asked for each request.
    fn look<T>(&self, kid: &str, take: impl FnOnce(&VerificationKey) -> T) -> Option<T> {
        let (found, is_old) = self.shared.read(|state| {
            let good = state.good.as_ref()?;
            let is_old = good.since.is_none_or(|since| since.elapsed() >= self.max_age);
            Some((good.set.find(kid).map(take), is_old))
        })?;
        if is_old {
            self.renew();
        }
        found
    }

    fn renew(&self) {
        // Taken: a fetch is under way.
        if let Ok(flight) = self.shared.clone_flight().try_lock_owned() {
            // Looked at with the lock held, or a fetch that ended just now would be followed by a
            // second.
            if !self.is_cooling_down() {
                self.spawn_fetch(flight);
            }
        }
    }

    fn is_cooling_down(&self) -> bool {
        let last = self.shared.read(|state| state.last_attempt);
        last.is_some_and(|last| last.elapsed() < self.cooldown)
    }

    fn spawn_fetch(
        &self,
        flight: OwnedMutexGuard<()>,
    ) -> JoinHandle<Result<Arc<KeySet>, FetchError>> {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let fetched = shared.fetch().await;
            let outcome = shared.record(fetched);
            drop(flight);
            outcome
        })
    }
}

impl Shared {
    async fn fetch(&self) -> Result<(KeySet, Vec<u8>), FetchError> {
        let request = self.http.get(self.url.clone()).timeout(REQUEST_TIMEOUT);
        let answer = request.send().await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = read_body(answer).await?;
        Ok((usable(&body)?, body))
    }

    /// The cool-down begins at the end of a fetch: callers who waited for a slow one must not start
    /// the next.
    fn record(
        &self,
        outcome: Result<(KeySet, Vec<u8>), FetchError>,
    ) -> Result<Arc<KeySet>, FetchError> {
        let now = Instant::now();
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.last_attempt = Some(now);
        let failed_before = std::mem::replace(&mut state.last_attempt_failed, outcome.is_err());
        match outcome {
            Ok((set, json)) => {
                let set = Arc::new(set);
                state.good =
                    Some(Good { set: Arc::clone(&set), json: json.into(), since: Some(now) });
                Ok(set)
            }
            // Said once: whoever asks again and again would fill the log with it.
            Err(error) if failed_before => Err(error),
            Err(error) => {
                let kept = state.good.is_some();
                drop(state);
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(error = cause, kept, "the realm's keys could not be fetched");
                Err(error)
            }
        }
    }

    fn missing(&self) -> KeyError {
        self.read(|state| {
            if state.good.is_none() || state.last_attempt_failed {
                KeyError::Unavailable
            } else {
                KeyError::UnknownKid
            }
        })
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn clone_flight(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.flight)
    }
}

fn usable(json: &[u8]) -> Result<KeySet, FetchError> {
    let set = KeySet::from_json(json).map_err(FetchError::KeySet)?;
    if set.is_empty() { Err(FetchError::Empty) } else { Ok(set) }
}

async fn read_body(mut answer: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
