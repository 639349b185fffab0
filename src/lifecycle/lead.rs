//! One process of several follows the realm, and another takes over when it is gone.
//!
//! Who follows gives a sign of life in the store every [`BEAT`]. The others look every [`LOOK`]; who sees the same sign for
//! [`PATIENCE`], by their own clock, takes over. Who cannot give a sign for [`GIVE_UP`] stops before that, and who does not
//! reach Keycloak lets another try. No work rests on there being one alone: what two do is done once.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::id::uuid_at;
use crate::store::{Store, StoreError};

use super::polled::Polled;

const BEAT: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(7);
const GIVE_UP: Duration = Duration::from_secs(5);
/// Who has dealt with no event for so long lets another try, and stands back as long.
const FRUITLESS: Duration = Duration::from_secs(30);

/// This process among those that could follow the realm.
pub(super) struct Lead {
    store: Store,
    process: String,
    polled: Polled,
    /// How long the lead may come to nothing.
    patience: Duration,
}

impl Lead {
    pub(super) fn new(store: Store, clock: &Clock, polled: Polled, poll: Duration) -> Self {
        let patience = FRUITLESS.max(poll * 3);
        Self { store, process: uuid_at(clock.now()).to_string(), polled, patience }
    }

    /// Waits until this process leads; answers its first sign of life.
    pub(super) async fn wait(&self) -> i64 {
        let (mut seen, mut failing) = (None, false);
        loop {
            match self.try_take(&mut seen).await {
                Ok(Some(beat)) => return beat,
                Ok(None) => failing = false,
                Err(error) => {
                    if !failing {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(error, "it cannot be told who follows the realm");
                    }
                    failing = true;
                }
            }
            sleep(LOOK).await;
        }
    }

    async fn try_take(&self, seen: &mut Option<(i64, Instant)>) -> Result<Option<i64>, StoreError> {
        let follower = self.store.find_follower().await?;
        let since = match *seen {
            Some((beat, since)) if beat == follower.beat => since,
            _ => seen.insert((follower.beat, Instant::now())).1,
        };
        // Nobody else serves from a file that this process serves from.
        let is_free = follower.process.is_none() || !self.store.is_shared();
        if is_free || since.elapsed() >= PATIENCE {
            return self.store.follow_realm(&self.process, follower.beat, None).await;
        }
        Ok(None)
    }

    /// Gives signs of life, until another leads or soon may, or it comes to nothing.
    pub(super) async fn keep(&self, mut beat: i64) {
        let mut given = Instant::now();
        let (mut steps, mut fruitful) = (self.polled.steps(), Instant::now());
        loop {
            sleep(BEAT).await;
            let begun = Instant::now();
            if self.polled.steps() != steps {
                (steps, fruitful) = (self.polled.steps(), begun);
            }
            if self.store.is_shared() && fruitful.elapsed() >= self.patience {
                tracing::warn!("events cannot be followed from here: another process may try");
                self.leave().await;
                sleep(FRUITLESS).await;
                return;
            }
            match self.store.follow_realm(&self.process, beat, self.polled.get()).await {
                Ok(Some(next)) => (beat, given) = (next, begun),
                Ok(None) => {
                    tracing::warn!("another process follows the realm now");
                    return;
                }
                Err(_) if given.elapsed() >= GIVE_UP => {
                    tracing::error!("the store is away: another process may follow the realm");
                    return;
                }
                Err(_) => {}
            }
        }
    }

    /// Gives the lead away, if it is this process's: another need not wait.
    pub(super) async fn leave(&self) {
        // Without it they wait a little longer.
        let _ = self.store.leave_realm(&self.process).await;
    }
}
