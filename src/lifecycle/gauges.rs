//! How far the realm is followed, as Prometheus reads it: from the store, so that each process of several says the same; but
//! for the looks that a process still has before it.

use metrics::{Counter, Gauge};

use super::watch::Watch;
use crate::clock::{Clock, Timestamp};
use crate::store::Store;
use crate::telemetry::{Family, Metrics};

const EVENT_LAG: Family = Family {
    name: "hallpass_event_lag_seconds",
    help: "Time since the realm's events were last dealt with, all of them; NaN before the first time.",
};
const SWEEP_AGE: Family = Family {
    name: "hallpass_sweep_age_seconds",
    help: "Time since the last sweep began that looked at all owners; NaN before the first one.",
};
const HELD_OWNERS: Family = Family {
    name: "hallpass_held_owners",
    help: "Owners whose tokens the brake holds until a person decides.",
};
const PENDING: Family = Family {
    name: "hallpass_wide_changes_pending",
    help: "Changes that concern many owners and are not dealt with yet, by this process.",
};
const UNREADABLE_OWNERS: Family = Family {
    name: "hallpass_unreadable_owners",
    help: "Owners whose tokens are suspended because Keycloak does not answer about them.",
};
const OWNERS_CHECKED: Family = Family {
    name: "hallpass_owners_checked_total",
    help: "Looks at owners of tokens, by this process.",
};

/// How many owners were looked at: for whoever looks.
pub fn owners_checked(metrics: &Metrics) -> Counter {
    metrics.counter(OWNERS_CHECKED, &[])
}

/// The gauges. Clones share them.
#[derive(Clone)]
pub struct Gauges {
    store: Store,
    clock: Clock,
    event_lag: Gauge,
    sweep_age: Gauge,
    held_owners: Gauge,
    unreadable_owners: Gauge,
    pending: Gauge,
    watch: Watch,
}

impl Gauges {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(store: Store, clock: Clock, watch: Watch, metrics: &Metrics) -> Self {
        let gauge = |family| {
            let gauge = metrics.gauge(family, &[]);
            gauge.set(f64::NAN);
            gauge
        };
        let [event_lag, sweep_age, held_owners, unreadable_owners, pending] =
            [EVENT_LAG, SWEEP_AGE, HELD_OWNERS, UNREADABLE_OWNERS, PENDING].map(gauge);
        Self { store, clock, event_lag, sweep_age, held_owners, unreadable_owners, pending, watch }
    }

    /// Asks the store; NaN where it does not say.
    pub async fn refresh(&self) {
        let progress = self.store.find_progress().await.ok();
        let now = self.clock.now();
        self.pending.set(f64::from(self.watch.count_pending()));
        let age = |at: Option<Timestamp>| {
            at.map_or(f64::NAN, |at| seconds(now.millis().saturating_sub(at.millis())))
        };
        self.event_lag.set(age(progress.and_then(|progress| progress.polled_at)));
        self.sweep_age.set(age(progress.and_then(|progress| progress.swept_at)));
        let unreadable = self.store.count_unreadable_owners().await.ok();
        self.held_owners.set(count(progress.map(|progress| progress.held_owners)));
        self.unreadable_owners.set(count(unreadable));
    }
}

fn count(owners: Option<u64>) -> f64 {
    owners.map_or(f64::NAN, |owners| f64::from(u32::try_from(owners).unwrap_or(u32::MAX)))
}

fn seconds(millis: i64) -> f64 {
    let millis = u64::try_from(millis).unwrap_or_default();
    std::time::Duration::from_millis(millis).as_secs_f64()
}
