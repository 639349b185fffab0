//! What failed, apart from everything else: it is tried again at growing intervals, and keeps nobody up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The second try comes so long after the first, the third twice as long after that.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// The more there are, the longer each of them waits: so often at most one of them is tried.
const APART: Duration = Duration::from_millis(20);
/// More are not remembered: the sweep finds them.
const MOST: usize = 10_000;

/// What failed, each with what is to be done. Clones share them. Moments are on a clock that never goes back.
#[derive(Clone)]
pub(super) struct Retries<K, V>(Arc<Mutex<BTreeMap<K, Retry<V>>>>);

/// Something that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry<V> {
    pub(super) what: V,
    /// When it failed first.
    pub(super) since: Duration,
    /// How often it failed since.
    pub(super) tries: u32,
    /// Whether somebody was told: for whoever tries to say.
    pub(super) is_told: bool,
    due: Duration,
}

impl<K, V> Default for Retries<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord + Clone, V: Clone> Retries<K, V> {
    /// It failed, now. `merge`: what was to be done about it, and what is now, become what is to be done.
    pub(super) fn note(&self, key: &K, what: V, now: Duration, merge: impl FnOnce(&mut V, V)) {
        let mut all = self.all();
        let rest = APART * u32::try_from(all.len()).unwrap_or(u32::MAX);
        if let Some(retry) = all.get_mut(key) {
            merge(&mut retry.what, what);
            let pause = FIRST * 2_u32.saturating_pow(retry.tries.min(8));
            retry.tries = retry.tries.saturating_add(1);
            retry.due = now + pause.min(LONGEST) + rest;
        } else if all.len() < MOST {
            let retry = Retry { what, since: now, tries: 1, is_told: false, due: now + FIRST };
            all.insert(key.clone(), retry);
        }
    }

    /// What is to be done about it changes, if it failed; answers whether it did.
    pub(super) fn amend(&self, key: &K, what: V, merge: impl FnOnce(&mut V, V)) -> bool {
        let mut all = self.all();
        let known = all.get_mut(key);
        let is_known = known.is_some();
        if let Some(retry) = known {
            merge(&mut retry.what, what);
        }
        is_known
    }

    /// It works; answers what was known of it.
    pub(super) fn end(&self, key: &K) -> Option<Retry<V>> {
        self.all().remove(key)
    }

    /// It failed before this process began, and somebody was told.
    pub(super) fn recall(&self, key: K, what: V, now: Duration) {
        let retry = Retry { what, since: now, tries: 1, is_told: true, due: now };
        self.all().entry(key).or_insert(retry).is_told = true;
    }

    /// Somebody was told of it.
    pub(super) fn tell(&self, key: &K) {
        if let Some(retry) = self.all().get_mut(key) {
            retry.is_told = true;
        }
    }

    /// It was not their fault: as if all of them had failed now, for the first time.
    pub(super) fn excuse(&self, now: Duration) {
        for retry in self.all().values_mut() {
            (retry.since, retry.tries, retry.due) = (now, 1, now + FIRST);
        }
    }

    /// Those that it is time for, as many as these, the first to fail first.
    pub(super) fn due(&self, now: Duration, most: usize) -> Vec<(K, V)> {
        let all = self.all();
        let mut due: Vec<_> = all.iter().filter(|(_, retry)| retry.due <= now).collect();
        due.sort_by_key(|(_, retry)| retry.due);
        due.into_iter().take(most).map(|(key, retry)| (key.clone(), retry.what.clone())).collect()
    }

    /// Those that failed more than once, for so long, and that nobody was told of.
    pub(super) fn untold(&self, now: Duration, patience: Duration) -> Vec<K> {
        let is_late = |retry: &Retry<V>| {
            !retry.is_told && retry.tries > 1 && now.saturating_sub(retry.since) >= patience
        };
        let all = self.all();
        all.iter().filter(|(_, retry)| is_late(retry)).map(|(key, _)| key.clone()).collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<K, Retry<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn due(retries: &Retries<u8, u8>, seconds: u64) -> Vec<(u8, u8)> {
        retries.due(at(seconds), 10)
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
        assert_eq!(retries.end(&1).unwrap().tries, 102);
        assert!(due(&retries, 100).is_empty() && retries.end(&1).is_none());
    }

    #[test]
    fn one_that_fails_for_long_is_told_of_once_unless_it_was_excused() {
        let retries = Retries::default();
        retries.note(&1, 0, at(0), |_, _| {});
        assert!(retries.untold(at(60), at(30)).is_empty(), "it failed once");
        retries.note(&1, 0, at(1), |_, _| {});
        assert_eq!(
            (retries.untold(at(29), at(30)), retries.untold(at(30), at(30))),
            (vec![], vec![1])
        );
        retries.tell(&1);
        assert!(retries.untold(at(90), at(30)).is_empty());
        retries.note(&2, 0, at(90), |_, _| {});
        retries.note(&2, 0, at(91), |_, _| {});
        retries.excuse(at(119));
        retries.note(&2, 0, at(120), |_, _| {});
        assert!(retries.untold(at(125), at(30)).is_empty());
        assert_eq!(retries.untold(at(149), at(30)), [2]);
        retries.recall(3, 0, at(150));
        assert_eq!(due(&retries, 150).len(), 3);
        assert!(retries.untold(at(900), at(30)).iter().all(|key| *key != 3));
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let retries = Retries::default();
        for key in 0..MOST + 5 {
            retries.note(&key, (), at(0), |(), ()| {});
        }
        assert_eq!(retries.due(at(1), usize::MAX).len(), MOST);
        retries.note(&0, (), at(1), |(), ()| {});
        let rested = at(1) + FIRST + APART * u32::try_from(MOST).unwrap();
        assert_eq!(retries.due(rested, usize::MAX).len(), MOST - 1);
        assert_eq!(retries.due(rested + FIRST, usize::MAX).len(), MOST);
    }
}
