//! What was found out about tokens, by the SHA-256 of the whole token: another spelling is another token.
//!
//! 1. Good ones: the outcome of the signature and what was prepared from the claims. Never whether the token is good
//!    *now*: that is asked each time.
//! 2. Refused ones, apart and for seconds, so that rubbish cannot drive out what is good. Only final verdicts: never an
//!    unknown key or a failed call.
//! 3. Several requests with the same new token have it checked once.

use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::OnceCell;

use super::Refusal;
use super::reason::Reason;
use super::token::Token;
use crate::clock::Timestamp;
use crate::verify::DigestedToken;

/// Bytes of prepared tokens; some twenty thousand of a usual size.
const MAX_GOOD: u64 = 64 * 1024 * 1024;
const USUAL: usize = 20_000;
/// Nothing of a token changes; but no verdict of ours lasts for ever.
const GOOD_FOR: Duration = Duration::from_mins(5);
/// Refused tokens, a hundred bytes each.
const MAX_REFUSED: usize = 10_000;
const REFUSED_FOR: Duration = Duration::from_secs(5);

type Outcome = Result<Arc<Token>, Refusal>;

#[derive(Clone)]
pub(super) struct TokenCache(Arc<Parts>);

struct Parts {
    good: Cache<Hash, Known<Arc<Token>>, ByBytes>,
    refused: Cache<Hash, Known<Reason>>,
    under_way: Mutex<UnderWay>,
}

type UnderWay = HashMap<Hash, Arc<OnceCell<Outcome>>, RandomState>;

/// What was found out, and when it counts: not before it was, either, where somebody puts the clock back.
#[derive(Clone)]
struct Known<T> {
    what: T,
    at: Range<Timestamp>,
    /// The generation of keys that it was found under: a key that was a stranger's may be ours by now.
    generation: u64,
}

impl<T> Known<T> {
    fn counts(self, now: Now) -> Option<T> {
        (self.generation == now.generation && self.at.contains(&now.time)).then_some(self.what)
    }
}

/// A moment of the service.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) time: Timestamp,
    /// Of the keys.
    pub(super) generation: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Hash, Known<Arc<Token>>> for ByBytes {
    fn weight(&self, _: &Hash, known: &Known<Arc<Token>>) -> u64 {
        known.what.weight
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Hash([u8; 32]);

impl Hash {
    pub(super) fn of(token: &DigestedToken<'_>) -> Self {
        Self(token.sha256())
    }
}

/// How full the caches are. What does not count any more is among it until it is driven out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// How many tokens are prepared.
    pub good: usize,
    /// Their bytes, roughly.
    pub good_bytes: u64,
    /// How many refused ones are remembered.
    pub refused: usize,
    /// How many are being checked.
    pub under_way: usize,
}

impl TokenCache {
    pub(super) fn new() -> Self {
        Self(Arc::new(Parts {
            good: Cache::with_weighter(USUAL, MAX_GOOD, ByBytes),
            refused: Cache::new(MAX_REFUSED),
            under_way: Mutex::default(),
        }))
    }

    pub(super) fn find(&self, hash: &Hash, now: Now) -> Option<Arc<Token>> {
        self.0.good.get(hash)?.counts(now)
    }

    pub(super) fn find_refused(&self, hash: &Hash, now: Now) -> Option<Reason> {
        self.0.refused.get(hash)?.counts(now)
    }

    /// What `check` finds out, which is run once for all who ask meanwhile.
    pub(super) async fn find_out(
        &self,
        hash: Hash,
        now: Now,
        check: impl Future<Output = Result<Token, Refusal>>,
    ) -> Outcome {
        // Dropped after the cell: when who runs the check hangs up, another one does, and the last one leaves nothing.
        let _leave = Leave(&self.0, hash);
        let cell = self.0.under_way().entry(hash).or_default().clone();
        let run = async {
            let outcome = check.await.map(Arc::new);
            self.remember(hash, &outcome, now);
            // Whoever comes later finds it there; what is not to be remembered is found out anew.
            self.0.under_way().remove(&hash);
            outcome
        };
        cell.get_or_init(|| run).await.clone()
    }

    fn remember(&self, hash: Hash, outcome: &Outcome, now: Now) {
        let Now { time, generation } = now;
        match outcome {
            Ok(token) => {
                let at = time..time.plus(GOOD_FOR);
                self.0.good.insert(hash, Known { what: token.clone(), at, generation });
            }
            Err(Refusal::Because(reason)) if is_final(*reason) => {
                let at = time..time.plus(REFUSED_FOR);
                self.0.refused.insert(hash, Known { what: *reason, at, generation });
            }
            Err(_) => {}
        }
    }

    pub(super) fn fill(&self) -> Fill {
        Fill {
            good: self.0.good.len(),
            good_bytes: self.0.good.weight(),
            refused: self.0.refused.len(),
            under_way: self.0.under_way().len(),
        }
    }
}

impl Parts {
    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a check out of the table when it is dropped, unless somebody waits for it.
struct Leave<'a>(&'a Parts, Hash);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut under_way = self.0.under_way();
        if under_way.get(&self.1).is_some_and(|cell| Arc::strong_count(cell) == 1) {
            under_way.remove(&self.1);
        }
    }
}

/// Whether it will be so for as long as it is remembered. A key may be published, and a token from the future begin.
const fn is_final(reason: Reason) -> bool {
    !matches!(reason, Reason::UnknownKey | Reason::NotYetValid)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use tokio::task::{JoinError, JoinHandle, yield_now};

    use super::*;

    const NOW: Now = Now { time: Timestamp::from_seconds(100), generation: 1 };

    /// A cache, and a check that ends when it may.
    #[derive(Clone)]
    struct Scene {
        tokens: TokenCache,
        runs: Arc<AtomicUsize>,
        may_end: Arc<Semaphore>,
    }

    impl Scene {
        fn new() -> Self {
            let (runs, may_end) = (Arc::default(), Arc::new(Semaphore::new(0)));
            Self { tokens: TokenCache::new(), runs, may_end }
        }

        /// Begins to ask about the token, and goes on when it waits.
        async fn ask(&self, reason: Reason) -> JoinHandle<Outcome> {
            let scene = self.clone();
            let asked = tokio::spawn(async move {
                let check = async {
                    scene.runs.fetch_add(1, Ordering::Relaxed);
                    scene.may_end.acquire().await.unwrap().forget();
                    Err(reason.into())
                };
                scene.tokens.find_out(Hash::of(&DigestedToken::new("token")), NOW, check).await
            });
            for _ in 0..4 {
                yield_now().await;
            }
            asked
        }

        fn so_far(&self) -> (usize, usize) {
            (self.runs.load(Ordering::Relaxed), self.tokens.fill().under_way)
        }
    }

    fn is_cancelled(outcome: Result<Outcome, JoinError>) -> bool {
        outcome.is_err_and(|error| error.is_cancelled())
    }

    fn is(outcome: &Outcome, expected: Reason) -> bool {
        matches!(outcome, Err(Refusal::Because(reason)) if *reason == expected)
    }

    #[tokio::test]
    async fn a_check_is_run_once_for_all_who_ask_meanwhile() {
        for (reason, remembered) in [(Reason::Signature, 1), (Reason::UnknownKey, 0)] {
            let scene = Scene::new();
            let mut asked = Vec::new();
            for _ in 0..10 {
                asked.push(scene.ask(reason).await);
            }
            assert_eq!(scene.so_far(), (1, 1));
            scene.may_end.add_permits(1);
            for one in asked {
                assert!(is(&one.await.unwrap(), reason));
            }
            assert_eq!(scene.so_far(), (1, 0));
            assert_eq!(scene.tokens.fill().refused, remembered);
            // What is not remembered is found out anew.
            scene.may_end.add_permits(1);
            assert!(is(&scene.ask(reason).await.await.unwrap(), reason));
            assert_eq!(scene.so_far(), (2, 0));
        }
    }

    #[tokio::test]
    async fn when_who_runs_a_check_hangs_up_another_one_does_and_the_last_one_leaves_nothing() {
        let scene = Scene::new();
        let (first, second) = (scene.ask(Reason::Claims).await, scene.ask(Reason::Claims).await);
        first.abort();
        assert!(is_cancelled(first.await));
        for _ in 0..4 {
            yield_now().await;
        }
        assert_eq!(scene.so_far(), (2, 1));
        let third = scene.ask(Reason::Claims).await;
        second.abort();
        assert!(is_cancelled(second.await));
        scene.may_end.add_permits(1);
        assert!(is(&third.await.unwrap(), Reason::Claims));
        assert_eq!(scene.so_far(), (3, 0));
        let alone = scene.ask(Reason::Claims).await;
        alone.abort();
        assert!(is_cancelled(alone.await));
        assert_eq!(scene.so_far().1, 0);
    }

    #[test]
    fn what_was_found_out_counts_for_a_while_and_under_the_same_keys() {
        let known = Known { what: (), at: NOW.time..NOW.time.plus(GOOD_FOR), generation: 1 };
        let counts = |seconds, generation| {
            let time = Timestamp::from_seconds(seconds);
            known.clone().counts(Now { time, generation }).is_some()
        };
        assert!(counts(100, 1) && counts(399, 1));
        assert!(!counts(99, 1) && !counts(400, 1) && !counts(100, 2));
    }
}
