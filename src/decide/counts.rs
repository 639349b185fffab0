//! How many decisions there were, by their result.

use std::sync::Arc;

use metrics::Counter;

use super::{Reason, Refusal};
use crate::telemetry::{Family, Metrics};

const VALIDATIONS: Family = Family {
    name: "hallpass_validations_total",
    help: "Credentials decided about, by result: good, failed (nobody could tell), or why they were refused.",
};
const REMEMBERED: Family = Family {
    name: "hallpass_validation_cache_total",
    help: "Credentials looked for among those whose signature was found to hold: hit or miss.",
};

/// The counters, made once. Clones count together.
#[derive(Clone)]
pub struct Counts {
    good: Counter,
    failed: Counter,
    /// In the order of [`Reason::ALL`].
    refused: Arc<[Counter]>,
    hit: Counter,
    miss: Counter,
}

impl Counts {
    /// None yet.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let result = |word| metrics.counter(VALIDATIONS, &[("result", word)]);
        let remembered = |word| metrics.counter(REMEMBERED, &[("outcome", word)]);
        Self {
            good: result("good"),
            failed: result("failed"),
            refused: Reason::ALL.iter().map(|reason| result(reason.code())).collect(),
            hit: remembered("hit"),
            miss: remembered("miss"),
        }
    }

    pub(super) fn decided<T>(&self, decision: &Result<T, Refusal>) {
        let counter = match decision {
            Ok(_) => &self.good,
            // The reasons are numbered in the order of the list.
            Err(Refusal::Because(reason)) => &self.refused[*reason as usize],
            Err(Refusal::Failed(_)) => &self.failed,
        };
        counter.increment(1);
    }

    pub(super) fn remembered(&self, hit: bool) {
        if hit { self.hit.increment(1) } else { self.miss.increment(1) }
    }
}
