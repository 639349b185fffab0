//! What is counted and measured, as Prometheus reads it.
//!
//! A service owns its [`Metrics`]: several in one process do not count for each other. A label's values are our own words
//! and route patterns, never a name, an id or anything else that a caller wrote: so there are only so many series.

mod requests;

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::time::{MissedTickBehavior, interval};

pub use requests::Requests;

/// The upper ends of the buckets of all durations, in seconds: from a cached validation to the longest wait.
const BUCKETS: [f64; 14] =
    [0.00025, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How often single durations are folded into their buckets; until then each takes 24 bytes.
const FOLD_INTERVAL: Duration = Duration::from_secs(2);
const BUILD_INFO: Family =
    Family { name: "hallpass_build_info", help: "Always 1; the label says which version runs." };
const METADATA: Metadata<'_> = Metadata::new(module_path!(), Level::INFO, None);

/// The name of a metric, and what it says.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// `hallpass_…`, by Prometheus's rules for names.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
}

/// Labels and their values.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// The metrics of one service. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Default for Metrics {
    fn default() -> Self {
        let builder = PrometheusBuilder::new();
        // It refuses an empty list, which ours is not.
        let builder = builder.set_buckets(&BUCKETS).unwrap_or_default();
        let recorder = builder.build_recorder();
        let metrics = Self { handle: recorder.handle(), recorder: Arc::new(recorder) };
        metrics.gauge(BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))]).set(1.0);
        metrics
    }
}

impl Metrics {
    /// The counter of this name and these labels: the same one whenever it is asked for. It begins at zero and is shown
    /// from now on.
    pub fn counter(&self, family: Family, labels: Labels<'_>) -> Counter {
        self.recorder.describe_counter(family.name.into(), None, family.help.into());
        self.recorder.register_counter(&key(family, labels), &METADATA)
    }

    /// The gauge of this name and these labels.
    pub fn gauge(&self, family: Family, labels: Labels<'_>) -> Gauge {
        self.recorder.describe_gauge(family.name.into(), None, family.help.into());
        self.recorder.register_gauge(&key(family, labels), &METADATA)
    }

    /// The histogram of durations, in seconds, of this name and these labels.
    pub fn durations(&self, family: Family, labels: Labels<'_>) -> Histogram {
        self.recorder.describe_histogram(family.name.into(), None, family.help.into());
        self.recorder.register_histogram(&key(family, labels), &METADATA)
    }

    /// All of them, in Prometheus's text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Keeps memory bounded where nobody reads them, until the end.
    pub async fn run(self, end: impl Future<Output = ()>) {
        let mut ticks = interval(FOLD_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                _ = ticks.tick() => self.handle.run_upkeep(),
            }
        }
    }
}

fn key(family: Family, labels: Labels<'_>) -> Key {
    let labels: Vec<_> =
        labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(family.name, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Family = Family { name: "hallpass_things_total", help: "Things." };
    const TIME: Family = Family { name: "hallpass_thing_seconds", help: "Times." };

    #[test]
    fn two_services_in_one_process_count_for_themselves() {
        let (one, other) = (Metrics::default(), Metrics::default());
        one.counter(COUNT, &[("kind", "a")]).increment(2);
        one.counter(COUNT, &[("kind", "a")]).increment(1);
        other.counter(COUNT, &[("kind", "a")]).increment(7);
        let text = one.render();
        assert!(text.contains("# HELP hallpass_things_total Things.\n"), "{text}");
        assert!(text.contains("# TYPE hallpass_things_total counter\n"), "{text}");
        assert!(text.contains("hallpass_things_total{kind=\"a\"} 3\n"), "{text}");
    }

    #[test]
    fn durations_are_a_histogram_in_seconds() {
        let metrics = Metrics::default();
        metrics.durations(TIME, &[]).record(Duration::from_millis(3));
        metrics.handle.run_upkeep();
        metrics.durations(TIME, &[]).record(Duration::from_mins(1));
        let text = metrics.render();
        for line in [
            "# TYPE hallpass_thing_seconds histogram",
            "hallpass_thing_seconds_bucket{le=\"0.0025\"} 0",
            "hallpass_thing_seconds_bucket{le=\"0.005\"} 1",
            "hallpass_thing_seconds_bucket{le=\"10\"} 1",
            "hallpass_thing_seconds_bucket{le=\"+Inf\"} 2",
            "hallpass_thing_seconds_sum 60.003",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
    }
}
