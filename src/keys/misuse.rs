//! Whether the realm signs its own tokens with a key of ours. It should only publish it.
//!
//! 1. The realm's tokens show it: those for Hallpass's own account, and those of its users, which are refused here.
//! 2. From then on nothing is minted: what is signed by that key may be a token of the realm, good everywhere.
//! 3. Minting goes on when a later login of our own account is signed by another key. A user's token from before that one says
//!    nothing new.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::Gauge;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::telemetry::{Family, Metrics};

const MISUSED: Family = Family {
    name: "hallpass_signing_key_misused",
    help: "1 while the realm itself signs with the key of personal access tokens, so that none is minted; else 0.",
};
/// How often a login is made to see whether all is well again.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What was seen. Clones share it.
#[derive(Clone)]
pub struct Misuse {
    state: Arc<Mutex<State>>,
    gauge: Gauge,
}

#[derive(Default)]
struct State {
    misused: bool,
    /// When the newest login was made that was signed by another key, by the realm's clock.
    well_at: Option<Timestamp>,
    asked: Option<Instant>,
}

impl Misuse {
    /// Nothing was seen yet; whoever reads these metrics is told.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let gauge = metrics.gauge(MISUSED, &[]);
        gauge.set(0.0);
        Self { state: Arc::default(), gauge }
    }

    /// Whether the realm signs with a key of ours.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        self.lock().misused
    }

    /// A token of the realm for a user, made at this time, is signed by a key of ours.
    pub fn saw_token(&self, issued_at: Timestamp) {
        let mut state = self.lock();
        if state.well_at.is_none_or(|well| issued_at > well) {
            self.set(&mut state, true);
        }
    }

    /// A login of our own account was made at this time, and signed by a key of ours or by another one.
    pub fn saw_login(&self, issued_at: Timestamp, by_ours: bool) {
        let mut state = self.lock();
        if by_ours {
            self.set(&mut state, true);
        } else if state.well_at.is_none_or(|well| issued_at > well) {
            state.well_at = Some(issued_at);
            self.set(&mut state, false);
        }
    }

    /// Whether it is time to log in again to see whether all is well.
    #[must_use]
    pub fn is_to_ask(&self) -> bool {
        let mut state = self.lock();
        let due = state.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY);
        let is_to_ask = state.misused && due;
        if is_to_ask {
            state.asked = Some(Instant::now());
        }
        is_to_ask
    }

    fn set(&self, state: &mut State, misused: bool) {
        if state.misused != misused {
            state.misused = misused;
            self.gauge.set(if misused { 1.0 } else { 0.0 });
            if misused {
                tracing::error!(
                    "the realm signs its own tokens with Hallpass's key: nothing is minted"
                );
            } else {
                tracing::info!("the realm signs with another key again: minting goes on");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seen_until_a_later_login_shows_another_key() {
        let at = Timestamp::from_seconds;
        let misuse = Misuse::new(&Metrics::default());
        assert!(!misuse.is_seen() && !misuse.is_to_ask());
        misuse.saw_login(at(10), false);
        misuse.saw_token(at(10));
        assert!(!misuse.is_seen(), "from before the login");
        misuse.saw_token(at(11));
        assert!(misuse.is_seen());
        assert!(misuse.is_to_ask() && !misuse.is_to_ask());
        misuse.saw_login(at(10), false);
        assert!(misuse.is_seen(), "the login is from before");
        misuse.saw_login(at(12), true);
        misuse.saw_login(at(13), false);
        assert!(!misuse.is_seen());
        misuse.saw_token(at(13));
        assert!(!misuse.is_seen());
        misuse.saw_login(at(14), true);
        assert!(misuse.is_seen());
    }
}
