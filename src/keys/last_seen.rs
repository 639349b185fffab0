//! The realm's own keys as they were last seen, kept in the store: a start while Keycloak is away goes on with them.
//!
//! They are sealed, like the signing keys: whoever can write to the database alone must not name keys for the realm. What is
//! older than a day is not used.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::clock::{Clock, Timestamp};
use crate::seal::Sealer;
use crate::store::Store;
use crate::verify::JwksCache;

const USED_FOR: Duration = Duration::from_hours(24);
/// How often keys that do not change are written again, so that they stay young.
const WRITTEN_EVERY: Duration = Duration::from_hours(1);

/// Keeps what was seen. Clones share it.
#[derive(Clone)]
pub struct LastSeenKeys {
    store: Store,
    sealer: Arc<Sealer>,
    /// What is sealed opens only for this realm.
    context: Arc<str>,
    clock: Clock,
    written: Arc<Mutex<Option<Written>>>,
}

/// What was written last, and when.
struct Written {
    at: Timestamp,
    json: Arc<[u8]>,
}

#[derive(Serialize, Deserialize)]
struct Seen {
    at: i64,
    keys: String,
}

impl LastSeenKeys {
    pub(super) fn new(store: Store, sealer: Arc<Sealer>, issuer: &str, clock: Clock) -> Self {
        let context = format!("realm-keys\n{issuer}").into();
        Self { store, sealer, context, clock, written: Arc::default() }
    }

    /// Begins with what was kept, if anything was. What does not open, or is old, is as good as nothing.
    pub async fn restore(&self, jwks: &JwksCache) {
        let Ok(Some(sealed)) = self.store.find_realm_keys().await else { return };
        let opened = self.sealer.open(&sealed, &self.context);
        let seen = opened.ok().and_then(|json| serde_json::from_slice::<Seen>(&json).ok());
        let Some(Seen { at, keys }) = seen else { return };
        let (at, now) = (Timestamp::from_millis(at), self.clock.now());
        if now < at.plus(USED_FOR) {
            // The endpoint says more as soon as it answers.
            let _ = jwks.restore(keys.as_bytes());
        }
    }

    /// Keeps the cache's set, where it is another than the one that was kept, or that has become old.
    pub async fn keep(&self, jwks: &JwksCache) {
        let Some(json) = jwks.current_json() else { return };
        let now = self.clock.now();
        let mut written = self.written.lock().await;
        let is_young = |last: &Written| last.json == json && now < last.at.plus(WRITTEN_EVERY);
        if written.as_ref().is_some_and(is_young) {
            return;
        }
        let Ok(keys) = std::str::from_utf8(&json) else { return };
        let seen = Seen { at: now.millis(), keys: keys.to_owned() };
        let sealed = serde_json::to_vec(&seen)
            .ok()
            .and_then(|seen| self.sealer.seal(&seen, &self.context).ok());
        let Some(sealed) = sealed else { return };
        match self.store.put_realm_keys(&sealed).await {
            Ok(()) => *written = Some(Written { at: now, json }),
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the realm's keys are not kept for the next start"
            ),
        }
    }
}
