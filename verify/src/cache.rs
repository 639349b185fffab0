//! The realm's keys, kept: fetched when they are needed, at most once a cool-down.
//!
//! 1. A known `kid` is answered from memory and never waits.
//! 2. An unknown one asks for a fetch. All who wait share the one under way, and after it nobody fetches
//!    again until the cool-down is over: a flood of invented `kid`s costs one fetch.
//! 3. A failed fetch leaves the last good set in place.
//! 4. A set past its age is renewed in the background while it still serves, so that a key which the
//!    realm withdrew goes away.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::Url;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{KeySet, KeySetError, VerificationKey};

const COOLDOWN: Duration = Duration::from_secs(10);
const MAX_AGE: Duration = Duration::from_secs(600);
const FETCH_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_BODY: usize = 256 * 1024;

/// The verification keys of one realm. Clones share everything.
///
/// Give it an HTTP client that follows no redirect: a JWK Set from elsewhere is not the realm's.
#[derive(Clone, Debug)]
pub struct JwksCache {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    url: Url,
    cooldown: Duration,
    max_age: Duration,
    known: RwLock<Option<Known>>,
    /// When the last fetch began; held while one is under way.
    fetching: Mutex<Option<Instant>>,
}

#[derive(Clone, Debug)]
struct Known {
    set: Arc<KeySet>,
    fetched_at: Instant,
}

/// Why there is no key for a `kid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The realm does not publish it, as far as we may ask.
    #[error("the key is unknown")]
    UnknownKid,
    /// No good set was ever seen.
    #[error("the realm's keys are not available")]
    Unavailable,
}

/// Why a fetch brought no good set.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer, or not in time.
    #[error("the JWK Set cannot be fetched")]
    Transport(#[from] reqwest::Error),
    /// An answer with this status.
    #[error("the JWK Set's address answers {0}")]
    Status(u16),
    /// Longer than any realm's set.
    #[error("the JWK Set is over {MAX_BODY} bytes")]
    TooLarge,
    /// Not a JWK Set.
    #[error(transparent)]
    Malformed(#[from] KeySetError),
    /// No key in it can verify a signature.
    #[error("the JWK Set has no usable key")]
    Empty,
}

impl JwksCache {
    /// A cache of the set at `url`; nothing is fetched yet.
    #[must_use]
    pub fn new(http: reqwest::Client, url: Url) -> Self {
        Self::with_times(http, url, COOLDOWN, MAX_AGE)
    }

    /// As [`JwksCache::new`], with another cool-down between fetches (10 seconds where nothing is said)
    /// and another age at which a set is renewed (10 minutes).
    #[must_use]
    pub fn with_times(
        http: reqwest::Client,
        url: Url,
        cooldown: Duration,
        max_age: Duration,
    ) -> Self {
        let known = RwLock::new(None);
        let fetching = Mutex::new(None);
        Self { shared: Arc::new(Shared { http, url, cooldown, max_age, known, fetching }) }
    }

    /// The key of this `kid`.
    pub async fn key(&self, kid: &str) -> Result<VerificationKey, KeyError> {
        if let Some(known) = self.known() {
            if known.fetched_at.elapsed() > self.shared.max_age {
                self.renew_in_background();
            }
            if let Some(key) = known.set.find(kid) {
                return Ok(key.clone());
            }
        }
        self.fetch_unless_cooling(kid).await;
        let known = self.known().ok_or(KeyError::Unavailable)?;
        known.set.find(kid).cloned().ok_or(KeyError::UnknownKid)
    }

    /// Fetches now, whatever the cool-down says: for a caller who waits for a key to appear.
    pub async fn refresh(&self) -> Result<Arc<KeySet>, FetchError> {
        let mut began = self.shared.fetching.lock().await;
        *began = Some(Instant::now());
        self.fetch().await
    }

    /// The last good set, where there is one.
    #[must_use]
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.known().map(|known| known.set)
    }

    fn known(&self) -> Option<Known> {
        self.shared.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn fetch_unless_cooling(&self, kid: &str) {
        let mut began = self.shared.fetching.lock().await;
        // Whoever held the lock may have fetched what we came for.
        let arrived = self.known().is_some_and(|known| known.set.find(kid).is_some());
        let cooling = began.is_some_and(|began| began.elapsed() < self.shared.cooldown);
        if arrived || cooling {
            return;
        }
        *began = Some(Instant::now());
        self.fetch_or_warn().await;
    }

    fn renew_in_background(&self) {
        let cache = self.clone();
        tokio::spawn(async move {
            // Not waiting: a fetch under way will do.
            let Ok(mut began) = cache.shared.fetching.try_lock() else { return };
            if began.is_some_and(|began| began.elapsed() < cache.shared.cooldown) {
                return;
            }
            *began = Some(Instant::now());
            cache.fetch_or_warn().await;
        });
    }

    async fn fetch_or_warn(&self) {
        if let Err(error) = self.fetch().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the realm's keys could not be fetched; the last good ones stay"
            );
        }
    }

    async fn fetch(&self) -> Result<Arc<KeySet>, FetchError> {
        let fetched_at = Instant::now();
        let body = self.download().await?;
        let set = KeySet::from_json(&body)?;
        if set.is_empty() {
            return Err(FetchError::Empty);
        }
        let set = Arc::new(set);
        let known = Known { set: Arc::clone(&set), fetched_at };
        *self.shared.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(set)
    }

    async fn download(&self) -> Result<Vec<u8>, FetchError> {
        let request = self.shared.http.get(self.shared.url.clone()).timeout(FETCH_TIMEOUT);
        let mut answer = request.send().await.map_err(reqwest::Error::without_url)?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}
