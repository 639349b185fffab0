//! How many tokens there are of each status: counted when somebody wants to know, and not too often.

use std::sync::Arc;
use std::time::Duration;

use metrics::Gauge;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::clock::Clock;
use crate::store::{Store, TokenStatus};
use crate::telemetry::{Family, Metrics};

const TOKENS: Family = Family {
    name: "hallpass_tokens",
    help: "Personal access tokens in the store, by status; NaN while the store does not say.",
};
/// Whoever asks waits no longer for the store.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a count is good at least, and at most.
const REST: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(10));
/// In a large store counting takes a while; it rests so many times as long, and costs a hundredth of a core at most.
const SHARE: u32 = 100;

/// The tokens, counted. Clones share the count.
#[derive(Clone)]
pub struct Census {
    store: Store,
    clock: Clock,
    gauges: Arc<[(TokenStatus, Gauge)]>,
    /// Until when the last count is good.
    rests_until: Arc<Mutex<Option<Duration>>>,
}

impl Census {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(store: Store, clock: Clock, metrics: &Metrics) -> Self {
        let gauge = |status: TokenStatus| {
            let gauge = metrics.gauge(TOKENS, &[("status", status.name())]);
            gauge.set(f64::NAN);
            (status, gauge)
        };
        let gauges = TokenStatus::ALL.into_iter().map(gauge).collect();
        Self { store, clock, gauges, rests_until: Arc::default() }
    }

    /// Counts, unless the last count is still good. Who comes while somebody counts waits for that.
    pub async fn refresh(&self) {
        let mut rests_until = self.rests_until.lock().await;
        if rests_until.is_some_and(|end| self.clock.passed() < end) {
            return;
        }
        let begun = Instant::now();
        let counted = timeout(PATIENCE, self.count()).await.is_ok_and(|counted| counted);
        if !counted {
            self.gauges.iter().for_each(|(_, gauge)| gauge.set(f64::NAN));
        }
        let (least, most) = REST;
        let rest = (begun.elapsed() * SHARE).clamp(least, most);
        *rests_until = Some(self.clock.passed() + if counted { rest } else { least });
    }

    /// Whether the store said all of them.
    async fn count(&self) -> bool {
        let now = self.clock.now();
        for (status, gauge) in self.gauges.iter() {
            match self.store.count_tokens(*status, now).await {
                Ok(count) => gauge.set(f64::from(u32::try_from(count).unwrap_or(u32::MAX))),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "the tokens cannot be counted");
                    return false;
                }
            }
        }
        true
    }
}
