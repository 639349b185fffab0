//! When and from where tokens were last used: noted in memory, written in batches, never in a request's way.
//!
//! A token is written once a minute at most. A crash loses one batch; a store that is away loses nothing, as long as
//! there are not too many.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::{MissedTickBehavior, interval};

use crate::clock::{Clock, Timestamp};
use crate::id::PatId;
use crate::store::{Store, StoreError, TokenUse};

/// How often what is due is written.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a token is not written again.
const REST: Duration = Duration::from_mins(1);
/// How many uses are written in one transaction. With fewer, each costs more: an order by last use has a page of the database
/// for every few of them, which is written again in each transaction.
const BATCH: usize = 1000;
/// How many tokens are noted at most, while the store is away.
const MAX_WAITING: usize = 100_000;

/// The uses that are not recorded yet. Clones share them.
#[derive(Clone)]
pub struct Uses {
    store: Store,
    clock: Clock,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Default)]
struct Noted {
    waiting: HashMap<PatId, TokenUse, RandomState>,
    /// When tokens were last written, for as long as they rest.
    written: HashMap<PatId, Timestamp, RandomState>,
}

impl Uses {
    /// Nothing was used yet.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, noted: Arc::default() }
    }

    /// Notes a use.
    pub fn note(&self, pat_id: PatId, address: IpAddr) {
        let used = TokenUse { pat_id, at: self.clock.now(), address };
        let mut noted = self.noted();
        if noted.waiting.len() < MAX_WAITING || noted.waiting.contains_key(&pat_id) {
            noted.waiting.insert(pat_id, used);
        }
    }

    /// Whether a use of this token is not recorded yet. If not, whoever reads the record after this sees all uses.
    #[must_use]
    pub fn is_waiting(&self, pat_id: PatId) -> bool {
        self.noted().waiting.contains_key(&pat_id)
    }

    /// Writes what is due, again and again, until the end.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let mut ticks = interval(WRITE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(end);
        let mut failing = false;
        loop {
            tokio::select! {
                () = &mut end => return,
                _ = ticks.tick() => {}
            }
            let outcome = self.write(self.take_due()).await;
            if let Err(error) = &outcome
                && !failing
            {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "uses of tokens wait for the store"
                );
            }
            failing = outcome.is_err();
        }
    }

    /// Writes everything, due or not: before the end.
    pub async fn write_all(&self) -> Result<(), StoreError> {
        let all = self.noted().waiting.values().copied().collect();
        self.write(all).await
    }

    fn take_due(&self) -> Vec<TokenUse> {
        let now = self.clock.now();
        let mut noted = self.noted();
        noted.written.retain(|_, at| at.plus(REST) > now);
        let due = noted.waiting.values().filter(|used| !noted.written.contains_key(&used.pat_id));
        let mut due: Vec<_> = due.copied().collect();
        // Tokens that were made one after the other stand on the same pages of the database.
        due.sort_unstable_by_key(|used| used.pat_id);
        due
    }

    async fn write(&self, uses: Vec<TokenUse>) -> Result<(), StoreError> {
        for batch in uses.chunks(BATCH) {
            self.store.record_uses(batch).await?;
            let mut noted = self.noted();
            for used in batch {
                noted.written.insert(used.pat_id, used.at);
                // One that came meanwhile waits on.
                if noted.waiting.get(&used.pat_id) == Some(used) {
                    noted.waiting.remove(&used.pat_id);
                }
            }
        }
        Ok(())
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
