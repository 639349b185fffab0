//! What is looked at on its own, apart from everything else: looks that are under way, and those that failed and are made
//! again at growing intervals. They keep nobody up.
//!
//! 1. A look begins ([`Retries::begin`], [`Retries::take_due`]), and ends well or fails. One that ends in neither way, since
//!    it panicked or never got its turn, is made again.
//! 2. What happens meanwhile is noted with it ([`Retries::amend`]), and leads to one look more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The second try comes so long after the first, the third twice as long after that.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// The more there are that fail, the longer each of them waits: so often at most one of them is tried.
const APART: Duration = Duration::from_millis(20);
/// More are not remembered: the sweep finds them.
const MOST: usize = 10_000;

/// Looks, each with what it is about. Clones share them. Moments are on a clock that never goes back.
pub(super) struct Retries<K, V>(Arc<Mutex<BTreeMap<K, Retry<V>>>>);

/// A look that is under way or is to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry<V> {
    pub(super) what: V,
    /// When it failed first.
    pub(super) since: Duration,
    /// How often it failed since, and when the last time.
    pub(super) tries: u32,
    failed_at: Duration,
    /// Whether somebody was told: for whoever tries to say.
    pub(super) is_told: bool,
    due: Duration,
    is_under_way: bool,
    /// Something happened since it began.
    is_renewed: bool,
}

impl<V> Retry<V> {
    const fn new(what: V, since: Duration, due: Duration) -> Self {
        let (tries, is_told, is_under_way, is_renewed) = (0, false, false, false);
        let failed_at = since;
        Self { what, since, tries, failed_at, is_told, due, is_under_way, is_renewed }
    }

    const fn is_failing(&self) -> bool {
        self.tries > 0
    }
}

/// A look that has begun. Dropped before it is over, it is made again.
pub(super) struct Begun<K: Ord, V> {
    retries: Retries<K, V>,
    key: K,
    is_over: bool,
}

impl<K: Ord, V> Begun<K, V> {
    /// What is looked at.
    pub(super) const fn key(&self) -> &K {
        &self.key
    }

    /// It ended or failed, which is noted next.
    pub(super) fn over(mut self) {
        self.is_over = true;
    }
}

impl<K: Ord, V> Drop for Begun<K, V> {
    fn drop(&mut self) {
        if !self.is_over
            && let Some(retry) = self.retries.all().get_mut(&self.key)
        {
            retry.is_under_way = false;
        }
    }
}

impl<K, V> Default for Retries<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> Clone for Retries<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Retries<K, V> {
    fn all(&self) -> MutexGuard<'_, BTreeMap<K, Retry<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone, V: Clone> Retries<K, V> {
    /// A first look begins.
    pub(super) fn begin(&self, key: &K, what: V, now: Duration) -> Begun<K, V> {
        let mut all = self.all();
        if all.len() < MOST {
            let retry = all.entry(key.clone()).or_insert(Retry::new(what, now, now + FIRST));
            retry.is_under_way = true;
        }
        drop(all);
        self.begun(key)
    }

    fn begun(&self, key: &K) -> Begun<K, V> {
        Begun { retries: self.clone(), key: key.clone(), is_over: false }
    }

    /// It failed, now. `merge`: what it was about, and what it is about now, become what it is about.
    pub(super) fn note(&self, key: &K, what: V, now: Duration, merge: impl FnOnce(&mut V, V)) {
        let mut all = self.all();
        let failing = match all.get(key) {
            Some(known) if known.is_failing() => {
                all.values().filter(|one| one.is_failing()).count()
            }
            _ => 0,
        };
        let rest = APART * u32::try_from(failing).unwrap_or(u32::MAX);
        if let Some(retry) = all.get_mut(key) {
            merge(&mut retry.what, what);
            if !retry.is_failing() {
                retry.since = now;
            }
            let pause = FIRST * 2_u32.saturating_pow(retry.tries.min(8));
            (retry.tries, retry.failed_at) = (retry.tries.saturating_add(1), now);
            retry.due = now + pause.min(LONGEST) + rest;
            (retry.is_under_way, retry.is_renewed) = (false, false);
        } else if all.len() < MOST {
            let retry = Retry { tries: 1, ..Retry::new(what, now, now + FIRST) };
            all.insert(key.clone(), retry);
        }
    }

    /// Something happened that a look which is under way or is to be made will see; answers whether there is one.
    pub(super) fn amend(&self, key: &K, what: V, merge: impl FnOnce(&mut V, V)) -> bool {
        self.amend_if(key, what, merge, |_| true)
    }

    /// The same, where the last look failed.
    pub(super) fn amend_failing(&self, key: &K, what: V, merge: impl FnOnce(&mut V, V)) -> bool {
        self.amend_if(key, what, merge, Retry::is_failing)
    }

    fn amend_if(
        &self,
        key: &K,
        what: V,
        merge: impl FnOnce(&mut V, V),
        is_meant: impl FnOnce(&Retry<V>) -> bool,
    ) -> bool {
        let mut all = self.all();
        let Some(retry) = all.get_mut(key).filter(|retry| is_meant(retry)) else { return false };
        merge(&mut retry.what, what);
        retry.is_renewed = retry.is_under_way;
        true
    }

    /// It works; answers what was known of it. What happened meanwhile is looked at next.
    pub(super) fn end(&self, key: &K, now: Duration) -> Option<Retry<V>> {
        let mut all = self.all();
        let known = all.remove(key)?;
        if known.is_renewed {
            all.insert(key.clone(), Retry::new(known.what.clone(), now, now));
        }
        Some(known)
    }

    /// It failed before this process began, and somebody was told.
    pub(super) fn recall(&self, key: K, what: V, now: Duration) {
        let retry = Retry { tries: 1, ..Retry::new(what, now, now) };
        self.all().entry(key).or_insert(retry).is_told = true;
    }

    /// Somebody was told of it.
    pub(super) fn tell(&self, key: &K) {
        if let Some(retry) = self.all().get_mut(key) {
            retry.is_told = true;
        }
    }

    /// It was not their fault: as if none of them had failed yet.
    pub(super) fn excuse(&self, now: Duration) {
        for retry in self.all().values_mut().filter(|retry| retry.is_failing()) {
            (retry.since, retry.tries, retry.due) = (now, 0, now + FIRST);
        }
    }

    /// Begins those that it is time for, as many as these: first those that failed seldom, then those that nobody was told
    /// of, and the earliest first.
    pub(super) fn take_due(&self, now: Duration, most: usize) -> Vec<(V, Begun<K, V>)> {
        let mut all = self.all();
        let is_due = |retry: &Retry<V>| !retry.is_under_way && retry.due <= now;
        let mut due: Vec<_> = all.iter_mut().filter(|(_, retry)| is_due(retry)).collect();
        due.sort_by_key(|(_, retry)| (retry.is_told, retry.tries > 1, retry.due));
        let taken = due.into_iter().take(most).map(|(key, retry)| {
            retry.is_under_way = true;
            (retry.what.clone(), self.begun(key))
        });
        taken.collect()
    }

    /// Whether there are such that failed, and that nobody was told of.
    pub(super) fn has_untold(&self, is_meant: impl Fn(&Retry<V>) -> bool) -> bool {
        self.all().values().any(|retry| retry.is_failing() && !retry.is_told && is_meant(retry))
    }

    /// Those that failed more than once, for so long and after this moment, too, and that nobody was told of. No look at them
    /// begins meanwhile.
    pub(super) fn take_untold(
        &self,
        now: Duration,
        patience: Duration,
        after: Duration,
    ) -> Vec<(V, Begun<K, V>)> {
        let is_late = |retry: &Retry<V>| {
            let failed_for = now.saturating_sub(retry.since);
            let is_failing = retry.tries > 1 && retry.failed_at >= after;
            !retry.is_told && is_failing && failed_for >= patience
        };
        let mut all = self.all();
        let late = all.iter_mut().filter(|(_, retry)| !retry.is_under_way && is_late(retry));
        let taken = late.map(|(key, retry)| {
            retry.is_under_way = true;
            (retry.what.clone(), self.begun(key))
        });
        taken.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What it is time for. All of it fails, but is not noted.
    fn due(retries: &Retries<u8, u8>, seconds: u64) -> Vec<(u8, u8)> {
        let due = retries.take_due(at(seconds), 10).into_iter();
        due.map(|(what, begun)| (*begun.key(), what)).collect()
    }

    #[test]
    fn what_fails_again_waits_longer_and_what_works_is_forgotten() {
        let retries = Retries::default();
        retries.note(&1, 10, at(0), |_, _| {});
        assert_eq!((due(&retries, 0), due(&retries, 1)), (vec![], vec![(1, 10)]));
        retries.note(&1, 20, at(1), |was, is| *was += is);
        assert_eq!((due(&retries, 2), due(&retries, 4)), (vec![], vec![(1, 30)]));
        assert!(retries.amend(&1, 5, |was, is| *was = is) && !retries.amend(&2, 5, |_, _| {}));
        for _ in 0..100 {
            retries.note(&1, 5, at(4), |_, _| {});
        }
        assert_eq!((due(&retries, 33), due(&retries, 35)), (vec![], vec![(1, 5)]));
        assert_eq!(retries.end(&1, at(35)).unwrap().tries, 102);
        assert!(due(&retries, 100).is_empty() && retries.end(&1, at(100)).is_none());
    }

    #[test]
    fn what_happens_during_a_look_leads_to_another_one() {
        let retries = Retries::default();
        let begun = retries.begin(&1, 10, at(0));
        assert!(!retries.amend_failing(&1, 1, |_, _| {}), "it has not failed");
        assert!(retries.amend(&1, 1, |was, is| *was += is));
        assert!(due(&retries, 9).is_empty(), "it is under way");
        begun.over();
        assert!(retries.end(&1, at(9)).is_some());
        assert_eq!(due(&retries, 9), [(1, 11)]);
        // Nothing happened during this one.
        for (_, begun) in retries.take_due(at(9), 10) {
            begun.over();
            assert!(retries.end(&1, at(9)).is_some());
        }
        assert!(retries.end(&1, at(9)).is_none());
        // A look that fails sees it with the next try.
        drop(retries.begin(&2, 20, at(0)));
        assert_eq!((due(&retries, 0), due(&retries, 1)), (vec![], vec![(2, 20)]));
        retries.begin(&2, 0, at(1)).over();
        retries.amend(&2, 1, |was, is| *was += is);
        retries.note(&2, 0, at(1), |_, _| {});
        assert!(retries.amend_failing(&2, 1, |was, is| *was += is));
        assert_eq!(due(&retries, 2), [(2, 22)]);
        assert!(!retries.end(&2, at(2)).unwrap().is_renewed);
    }

    #[test]
    fn those_that_are_tried_for_the_second_time_go_first() {
        let retries = Retries::default();
        for (key, tries) in [(1, 3), (2, 1), (3, 2), (4, 1)] {
            for _ in 0..tries {
                retries.note(&key, 0, at(u64::from(10 - key)), |_, _| {});
            }
        }
        retries.recall(5, 0, at(0));
        let keys: Vec<_> = due(&retries, 900).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [4, 2, 3, 1, 5]);
        assert_eq!(retries.take_due(at(900), 2).len(), 2);
    }

    #[test]
    fn one_that_fails_for_long_is_told_of_once_unless_it_was_excused() {
        let retries = Retries::default();
        let untold = |seconds| {
            let untold = retries.take_untold(at(seconds), at(30), at(1)).into_iter();
            untold.map(|(_, begun)| *begun.key()).collect::<Vec<u8>>()
        };
        retries.note(&1, 0, at(0), |_, _| {});
        assert!(untold(60).is_empty(), "it failed once");
        retries.note(&1, 0, at(1), |_, _| {});
        assert_eq!((untold(29), untold(30)), (vec![], vec![1]));
        assert!(retries.take_untold(at(30), at(30), at(2)).is_empty(), "it did not fail since");
        retries.tell(&1);
        assert!(untold(90).is_empty() && !retries.has_untold(|_| true));
        retries.note(&2, 0, at(90), |_, _| {});
        retries.note(&2, 0, at(91), |_, _| {});
        assert!(retries.has_untold(|it| it.tries == 2) && !retries.has_untold(|it| it.what == 1));
        retries.excuse(at(119));
        for seconds in [120, 121] {
            retries.note(&2, 0, at(seconds), |_, _| {});
        }
        assert_eq!((untold(149), untold(150)), (vec![], vec![2]));
        retries.recall(3, 0, at(150));
        assert_eq!(due(&retries, 152).len(), 3);
        assert!(!untold(900).contains(&3));
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let retries = Retries::default();
        for key in 0..MOST + 5 {
            retries.note(&key, (), at(0), |(), ()| {});
        }
        let count = |now| retries.take_due(now, usize::MAX).len();
        assert_eq!(count(at(1)), MOST);
        retries.note(&0, (), at(1), |(), ()| {});
        let rested = at(1) + FIRST + APART * u32::try_from(MOST).unwrap();
        assert_eq!((count(rested), count(rested + FIRST)), (MOST - 1, MOST));
        // One that is not remembered is looked at all the same.
        retries.begin(&(MOST + 1), (), at(1)).over();
        assert!(retries.end(&(MOST + 1), at(1)).is_none());
    }
}
