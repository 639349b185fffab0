//! What the realm publishes now: a look at its JWKS that is at most two seconds old.
//!
//! Readiness and every mint ask. The look is shared, so that a crowd costs Keycloak one small request. [`PublishedKeys::follow`]
//! asks all the time: a key that is taken from the realm is refused within seconds, not when the cache of keys is old.
//! While Keycloak is away, or answers something else than a set of keys, the last good set counts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep};

use super::{KeyOwner, KeyRing, LastSeenKeys};
use crate::keycloak::Keycloak;
use crate::verify::JwksCache;

const FRESH: Duration = Duration::from_secs(2);

/// Looks at the realm's JWKS. Clones share the look.
#[derive(Clone)]
pub struct PublishedKeys {
    jwks: JwksCache,
    last: Arc<Mutex<Option<Look>>>,
    /// Rung when somebody knows that the keys changed.
    changed: Arc<Notify>,
    last_seen: LastSeenKeys,
    keys: KeyRing,
    keycloak: Keycloak,
}

#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    answered: bool,
}

/// Whether the realm shows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// It does.
    Shown,
    /// It does not: what the key signs is refused everywhere.
    Missing,
    /// Keycloak is away. When it was last seen, it did or did not.
    Away {
        /// It showed the key when it was last seen.
        shown_before: bool,
    },
}

impl PublishedKeys {
    /// Looks through this cache, which then has what was seen; begins with what was last seen before. By the logins of
    /// this `keycloak` it is seen whether the realm signs with one of our `keys`.
    pub async fn new(
        jwks: JwksCache,
        last_seen: LastSeenKeys,
        keys: KeyRing,
        keycloak: Keycloak,
    ) -> Self {
        last_seen.restore(&jwks).await;
        Self { jwks, last: Arc::default(), changed: Arc::default(), last_seen, keys, keycloak }
    }

    /// Whether the realm shows the key of this `kid`.
    pub async fn look_for(&self, kid: &str) -> Publication {
        let answered = self.look().await;
        self.note_login();
        let shown = self.jwks.current().is_some_and(|keys| keys.find(kid).is_some());
        match (answered, shown) {
            (true, true) => Publication::Shown,
            (true, false) => Publication::Missing,
            (false, shown_before) => Publication::Away { shown_before },
        }
    }

    /// Looks again and again until the end; at least [`FRESH`] lies between two looks, unless the keys changed.
    pub async fn follow(self, every: Duration, end: impl Future<Output = ()>) {
        let looking = async {
            loop {
                tokio::select! {
                    () = sleep(every.max(FRESH)) => {}
                    () = self.changed.notified() => *self.last.lock().await = None,
                }
                self.look().await;
                if self.keys.misuse().is_to_ask() {
                    // What it says is noted with every other login.
                    let _ = self.keycloak.inspect_login().await;
                }
                self.note_login();
            }
        };
        tokio::select! {
            () = end => {}
            () = looking => {}
        }
    }

    fn note_login(&self) {
        if let Some(login) = self.keycloak.last_login() {
            let by_ours = self.keys.whose(&login.signature.kid) != KeyOwner::Others;
            self.keys.misuse().saw_login(login.issued_at, by_ours);
        }
    }

    /// The keys changed: has [`Self::follow`] look at once.
    pub fn look_soon(&self) {
        self.changed.notify_one();
    }

    async fn look(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some(look) = *last
            && look.at.elapsed() < FRESH
        {
            return look.answered;
        }
        // The cache says in the log why not.
        let answered = self.jwks.refresh().await.is_ok();
        if answered {
            self.last_seen.keep(&self.jwks).await;
        }
        *last = Some(Look { at: Instant::now(), answered });
        answered
    }
}
