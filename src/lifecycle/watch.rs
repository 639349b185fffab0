//! Following the realm.
//!
//! 1. Admin events are read every `lifecycle.poll_interval`, with an overlap, since they are stamped before their
//!    commit; those that were seen are passed over. What an event is about is read anew and compared.
//! 2. Everything is looked at when the service starts and every `lifecycle.sweep_interval`.
//! 3. Interrupted operations are brought to an end at start and every few seconds.
//!
//! Each of them fails on its own, is said once, and is tried again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};

use crate::client::Clients;
use crate::clock::Timestamp;
use crate::config::Lifecycle;
use crate::error::Error;
use crate::keycloak::{Keycloak, Subject};

/// How long an event may take from its stamp to its commit, and how far the clocks may differ.
const OVERLAP: Duration = Duration::from_secs(15);
const PAGE: usize = 200;
const RECONCILE_INTERVAL: Duration = Duration::from_secs(5);

/// Follows the realm. Clones share the position.
#[derive(Clone)]
pub struct Watch {
    keycloak: Keycloak,
    clients: Clients,
    settings: Lifecycle,
    position: Arc<Mutex<Position>>,
}

/// How far the events were read.
struct Position {
    newest: Timestamp,
    /// The ids within the overlap, and their times.
    seen: HashMap<String, i64>,
}

impl Watch {
    /// From now on; what happened before is the first sweep's.
    #[must_use]
    pub fn new(keycloak: Keycloak, clients: Clients, settings: Lifecycle) -> Self {
        let position = Position { newest: clients.clock.now(), seen: HashMap::new() };
        Self { keycloak, clients, settings, position: Arc::new(Mutex::new(position)) }
    }

    /// Follows until `end`.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let following = async {
            tokio::join!(
                repeat("events cannot be followed", self.settings.poll_interval, || self.poll()),
                repeat("the realm cannot be swept", self.settings.sweep_interval, || self.sweep()),
                self.reconcile(),
            )
        };
        tokio::select! {
            _ = following => {}
            () = end => {}
        }
    }

    /// Reads new events, and looks at what they are about.
    pub async fn poll(&self) -> Result<(), Error> {
        let mut position = self.position.lock().await;
        let overlap = i64::try_from(OVERLAP.as_millis()).unwrap_or(i64::MAX);
        let from = Timestamp::from_millis(position.newest.millis().saturating_sub(overlap));
        let mut fresh = HashMap::new();
        let mut subjects = BTreeSet::new();
        let mut first = 0;
        loop {
            let page = self.keycloak.list_admin_events(from, first, PAGE).await?;
            first += page.len();
            let last = page.len() < PAGE;
            for event in page {
                if !position.seen.contains_key(&event.id) {
                    subjects.extend(event.subject());
                }
                fresh.insert(event.id, event.time);
            }
            if last {
                break;
            }
        }
        for subject in subjects {
            match subject {
                Subject::Client(uuid) => self.clients.observe_keycloak_client(&uuid).await?,
                Subject::User(user) => self.clients.observe_owner(&user).await?,
            }
        }
        // Only now: what failed on the way is read again.
        if let Some(newest) = fresh.values().max() {
            position.newest = position.newest.max(Timestamp::from_millis(*newest));
        }
        position.seen = fresh;
        Ok(())
    }

    async fn sweep(&self) -> Result<(), Error> {
        self.clients.sweep().await
    }

    async fn reconcile(&self) {
        repeat("operations cannot be ended", RECONCILE_INTERVAL, || self.clients.reconcile()).await;
    }
}

/// Does it again and again; says once that it fails, and once that it goes on.
async fn repeat<F: Future<Output = Result<(), Error>>>(
    complaint: &'static str,
    period: Duration,
    act: impl Fn() -> F,
) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let outcome = act().await;
        match &outcome {
            Ok(()) if failing => tracing::info!(complaint, "this works again"),
            Err(error) if !failing => tracing::error!(complaint, cause = error.chain(), %error),
            _ => {}
        }
        failing = outcome.is_err();
    }
}
