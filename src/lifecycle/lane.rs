//! Where looks wait for their turn to ask Keycloak, so that slow ones do not hold up the others.
//!
//! 1. A lane lets a few looks ask at a time.
//! 2. A look that takes longer than [`PROMPT`] is late: it gives its place to the next one, and whoever waits for the lane
//!    does not wait for it.
//! 3. [`MOST_LATE`] looks of all lanes may be late at a time. Beyond that a late look keeps its place: then Keycloak itself is
//!    slow, and is not asked more at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

/// How long a look may hold its place against the others. Most take some 10 ms.
const PROMPT: Duration = Duration::from_millis(250);
/// How long a lane may not move.
const PATIENCE: Duration = Duration::from_secs(2);
/// Looks that gave up their places and are still under way.
const MOST_LATE: usize = 64;

/// The looks of all lanes that are late. Clones share them.
#[derive(Clone)]
pub(super) struct Late(Arc<Semaphore>);

impl Default for Late {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_LATE)))
    }
}

impl Late {
    /// For a lane that nobody waits for: its late looks keep their places.
    pub(super) fn none() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

/// A lane. Clones share its places.
#[derive(Clone)]
pub(super) struct Lane {
    places: Arc<Semaphore>,
    late: Late,
    /// Dropped with the last look that is neither over nor late.
    waited_for: mpsc::Sender<()>,
}

/// Whoever waits for the looks of a lane.
pub(super) struct Waiter {
    places: Arc<Semaphore>,
    late: Late,
    waited_for: mpsc::Receiver<()>,
}

/// A look's place, until it leaves it.
pub(super) struct Place(Mutex<Option<OwnedSemaphorePermit>>);

impl Place {
    /// The look asks Keycloak no more: the next one may.
    pub(super) fn leave(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Lane {
    /// A lane of so many places.
    pub(super) fn new(places: usize, late: &Late) -> (Self, Waiter) {
        let places = Arc::new(Semaphore::new(places));
        let (sender, receiver) = mpsc::channel(1);
        let late = late.clone();
        let waiter = Waiter { places: places.clone(), late: late.clone(), waited_for: receiver };
        (Self { places, late, waited_for: sender }, waiter)
    }

    /// Looks when there is a place. `None`: the lane was closed before.
    pub(super) async fn run<L: Future>(
        self,
        look: impl FnOnce(Arc<Place>) -> L,
    ) -> Option<L::Output> {
        let Self { places, late, waited_for } = self;
        let permit = places.acquire_owned().await.ok()?;
        let place = Arc::new(Place(Mutex::new(Some(permit))));
        let mut look = Box::pin(look(place.clone()));
        if let Ok(over) = timeout(PROMPT, look.as_mut()).await {
            return Some(over);
        }
        let _late = late.0.try_acquire_owned().inspect(|_| place.leave());
        drop(waited_for);
        Some(look.await)
    }
}

impl Waiter {
    /// Waits until each look is over or late. Each [`Lane`] outside of a look has to be dropped before.
    pub(super) async fn until_over(mut self) {
        let _ = self.waited_for.recv().await;
    }

    /// The same; but where the lane does not move, since so many are late, it is closed after some time.
    pub(super) async fn until_over_or_stuck(mut self) {
        while timeout(PATIENCE, self.waited_for.recv()).await.is_err() {
            if self.late.0.available_permits() == 0 {
                self.places.close();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinHandle;
    use tokio::time::{Instant, sleep};

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(5);

    /// Starts looks of these durations, in their order, and waits; answers how long that took, and the lane's looks.
    async fn run(durations: Vec<Duration>) -> (Duration, Vec<JoinHandle<Option<()>>>) {
        let begun = Instant::now();
        let (lane, waiter) = Lane::new(8, &Late::default());
        let start = |duration| tokio::spawn(lane.clone().run(move |_| sleep(duration)));
        let looks = durations.into_iter().map(start).collect();
        drop(lane);
        waiter.until_over_or_stuck().await;
        (begun.elapsed(), looks)
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_those_that_are_late() {
        let mut durations = vec![LONG; 40];
        durations.extend([SHORT; 8]);
        let (waited, looks) = run(durations).await;
        assert!(waited < PROMPT * 6, "{waited:?}");
        assert!(looks[40..].iter().all(JoinHandle::is_finished));
        for look in looks {
            assert!(look.await.unwrap().is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_prompt_are_waited_for_however_many_they_are() {
        let (waited, looks) = run(vec![SHORT; 4_000]).await;
        assert!(waited >= SHORT * 500, "{waited:?}");
        assert!(looks.iter().all(JoinHandle::is_finished));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_in_which_nothing_moves_is_closed() {
        let (waited, looks) = run(vec![LONG; 200]).await;
        assert!(waited <= LONG, "{waited:?}");
        let mut never = 0;
        for look in looks {
            never += usize::from(look.await.unwrap().is_none());
        }
        assert_eq!(never, 200 - MOST_LATE - 8);
    }
}
