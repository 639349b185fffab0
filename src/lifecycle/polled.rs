//! How far the events of the realm are dealt with: whoever leads shows by it that this leads to something.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::clock::Timestamp;

/// How far the events are dealt with. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Polled(Arc<Progress>);

#[derive(Default)]
struct Progress {
    /// When the newest reading began after which nothing was left to do.
    at: AtomicI64,
    steps: AtomicU64,
}

impl Polled {
    pub(super) fn get(&self) -> Option<Timestamp> {
        let millis = self.0.at.load(Ordering::Relaxed);
        (millis > 0).then(|| Timestamp::from_millis(millis))
    }

    /// Everything is dealt with that was read from then on.
    pub(super) fn set(&self, at: Timestamp) {
        self.0.at.store(at.millis(), Ordering::Relaxed);
        self.step();
    }

    /// Something was dealt with, though not all.
    pub(super) fn step(&self) {
        self.0.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Differs when something was dealt with since.
    pub(super) fn steps(&self) -> u64 {
        self.0.steps.load(Ordering::Relaxed)
    }
}
