//! What the realm publishes now: a look at its JWKS that is at most two seconds old.
//!
//! Readiness and every mint ask. The look is shared, so that a crowd costs Keycloak one small request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::verify::JwksCache;

const FRESH: Duration = Duration::from_secs(2);

/// Looks at the realm's JWKS. Clones share the look.
#[derive(Clone)]
pub struct PublishedKeys {
    jwks: JwksCache,
    last: Arc<Mutex<Option<Look>>>,
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
    /// Looks through this cache, which then has what was seen.
    #[must_use]
    pub fn new(jwks: JwksCache) -> Self {
        Self { jwks, last: Arc::default() }
    }

    /// Whether the realm shows the key of this `kid`.
    pub async fn look_for(&self, kid: &str) -> Publication {
        let answered = self.look().await;
        let shown = self.jwks.current().is_some_and(|keys| keys.find(kid).is_some());
        match (answered, shown) {
            (true, true) => Publication::Shown,
            (true, false) => Publication::Missing,
            (false, shown_before) => Publication::Away { shown_before },
        }
    }

    async fn look(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some(look) = *last
            && look.at.elapsed() < FRESH
        {
            return look.answered;
        }
        let answered = match self.jwks.refresh().await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "Keycloak's keys cannot be fetched"
                );
                false
            }
        };
        *last = Some(Look { at: Instant::now(), answered });
        answered
    }
}
