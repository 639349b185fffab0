//! What is still to be looked at because an event concerns many owners, and whether such an event may be the cause of what
//! a look finds.
//!
//! What one event does to few owners ends at once, what it does to many waits for a person. A look that finds a change
//! cannot tell which event made it. So whoever is about to end tokens for a cause that concerns few has the events read on
//! first ([`Agenda::has_wide`]): a change that a look can see has its event in the list. Where something wide turns out to
//! be pending the tokens are suspended only, and decided about after it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::credential::EndReason;
use crate::id::UserId;
use crate::keycloak::Wide;

/// So long events may take to be read before it counts as unknown what they say.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many groups and roles are looked at one by one.
const MOST_NARROW: usize = 100;

/// Who is about to end tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// The look at many that is under way.
    Many,
    /// Somebody beside it: a sweep, or a look at one owner.
    Beside,
}

/// Clones share it.
#[derive(Clone, Default)]
pub(super) struct Agenda(Arc<Shared>);

#[derive(Default)]
struct Shared {
    asked: Mutex<Asked>,
    woken: Notify,
    /// How many rounds found an owner whose tokens they suspended and did not decide about yet.
    weighed: Mutex<HashMap<UserId, usize>>,
    reading: Reading,
}

/// Readings of events, numbered as they begin.
struct Reading {
    begun: AtomicU64,
    ended: watch::Sender<u64>,
    wanted: Notify,
}

impl Default for Reading {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), ended: watch::Sender::new(0), wanted: Notify::new() }
    }
}

#[derive(Default)]
pub(super) struct Asked {
    /// Groups and roles, in the order of their events.
    pub(super) narrow: VecDeque<Wide>,
    pub(super) everybody: bool,
    /// Everybody, in case an event did not name all whom it concerns.
    pub(super) rest: bool,
    /// Who had events of their own while nobody followed.
    pub(super) missed: BTreeSet<UserId>,
    /// Those of whom one cause is to end tokens as soon as nothing wide is pending.
    pub(super) deferred: BTreeSet<UserId>,
    /// Whose suspended tokens are to end, and why, since a look at many could see them only later.
    pub(super) spared: BTreeMap<UserId, EndReason>,
    pub(super) under_way: Option<UnderWay>,
}

/// What kind of look is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnderWay {
    /// At those whom one event concerns.
    Wide,
    /// At some, each for a reason of their own.
    Apart,
}

impl Asked {
    pub(super) fn has_wide(&self) -> bool {
        self.everybody || !self.narrow.is_empty()
    }
}

impl Agenda {
    /// Asks for a look, soon. However often the same is asked for meanwhile, one look more is enough.
    pub(super) fn ask(&self, wide: Wide) {
        let mut asked = self.asked();
        match wide {
            Wide::Everybody => asked.everybody = true,
            Wide::Rest => asked.rest = true,
            // A queue that others fill has an end: everybody is more than each of them.
            _ if asked.narrow.len() >= MOST_NARROW => asked.everybody = true,
            narrow if asked.narrow.contains(&narrow) => {}
            narrow => asked.narrow.push_back(narrow),
        }
        self.0.woken.notify_one();
    }

    /// Asks for a look at users of whom events tell that happened while nobody followed. Something wide may have happened
    /// to them since: what that asks for comes first, so that its brake holds them too.
    pub(super) fn ask_for_missed(&self, users: impl IntoIterator<Item = UserId>) {
        self.asked().missed.extend(users);
        self.0.woken.notify_one();
    }

    /// The suspended tokens of these owners end for one cause, as soon as nothing wide is pending that holds them.
    pub(super) fn defer(&self, owners: impl IntoIterator<Item = UserId>) {
        self.asked().deferred.extend(owners);
        self.0.woken.notify_one();
    }

    /// The suspended tokens of an owner are to end for this reason, together with those whom the same look at many could see
    /// only later.
    pub(super) fn spare(&self, owner: UserId, reason: EndReason) {
        if self.asked().spared.insert(owner.clone(), reason).is_none() {
            self.weigh(owner);
        }
        self.0.woken.notify_one();
    }

    /// Whether everything that was asked for was looked at, but for owners who could not be.
    pub(super) fn is_done(&self) -> bool {
        self.count() == 0
    }

    /// Whether nothing at all is to be done.
    pub(super) fn is_idle(&self) -> bool {
        self.is_done() && self.asked().spared.is_empty()
    }

    /// How much was asked for and not looked at, but for owners who could not be.
    pub(super) fn count(&self) -> u32 {
        let asked = self.asked();
        let single = [
            asked.everybody,
            asked.rest,
            !asked.missed.is_empty(),
            !asked.deferred.is_empty(),
            asked.under_way.is_some(),
        ];
        let single = single.into_iter().filter(|is_asked| *is_asked).count();
        u32::try_from(asked.narrow.len() + single).unwrap_or(u32::MAX)
    }

    /// Waits until something is asked for.
    pub(super) async fn woken(&self) {
        self.0.woken.notified().await;
    }

    pub(super) fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something wide happened up to now that is not looked at yet; also where nobody can tell.
    pub(super) async fn has_wide(&self, asker: Asker) -> bool {
        let pending = || {
            let agenda = self.asked();
            let is_under_way = agenda.under_way == Some(UnderWay::Wide);
            agenda.has_wide() || (is_under_way && asker == Asker::Beside)
        };
        pending() || !self.read_on().await || pending()
    }

    /// Has the events read anew; `false`: that takes too long.
    async fn read_on(&self) -> bool {
        let reading = &self.0.reading;
        let mut ended = reading.ended.subscribe();
        // What has begun by now may have passed over the newest.
        let next = reading.begun.load(Ordering::SeqCst) + 1;
        reading.wanted.notify_one();
        timeout(PATIENCE, ended.wait_for(|ended| *ended >= next)).await.is_ok()
    }

    /// Waits until somebody wants the events to be read.
    pub(super) async fn reading_wanted(&self) {
        self.0.reading.wanted.notified().await;
    }

    /// A reading begins; answers its number.
    pub(super) fn begin_reading(&self) -> u64 {
        self.0.reading.begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// It has ended, and what it found is asked for; or it failed: then what is known is all there is.
    pub(super) fn end_reading(&self, number: u64) {
        self.0.reading.ended.send_replace(number);
    }

    /// A round suspended this owner's tokens, and will decide about them.
    pub(super) fn weigh(&self, owner: UserId) {
        *self.weighed().entry(owner).or_default() += 1;
    }

    /// A round decides about these owners no more.
    pub(super) fn weigh_no_more<'o>(&self, owners: impl IntoIterator<Item = &'o UserId>) {
        let mut weighed = self.weighed();
        for owner in owners {
            if let Some(rounds) = weighed.get_mut(owner) {
                *rounds = rounds.saturating_sub(1);
                if *rounds == 0 {
                    weighed.remove(owner);
                }
            }
        }
    }

    /// Whether a round is to decide about this owner.
    pub(super) fn is_weighed(&self, owner: &UserId) -> bool {
        self.weighed().contains_key(owner)
    }

    fn weighed(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.0.weighed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that answers each wish for a reading; the events that it finds are these.
    async fn with_reader(agenda: &Agenda, found: &[Wide], asker: Asker) -> bool {
        let reader = async {
            loop {
                agenda.reading_wanted().await;
                let number = agenda.begin_reading();
                for wide in found {
                    agenda.ask(wide.clone());
                }
                agenda.end_reading(number);
            }
        };
        tokio::select! {
            has = agenda.has_wide(asker) => has,
            () = reader => unreachable!(),
        }
    }

    #[tokio::test]
    async fn something_wide_is_pending_from_its_event_on_until_it_was_looked_at() {
        let group = Wide::Group("g".to_owned());
        for (wide, counts) in [(group, true), (Wide::Everybody, true), (Wide::Rest, false)] {
            for asker in [Asker::Many, Asker::Beside] {
                let agenda = Agenda::default();
                assert!(!with_reader(&agenda, &[], asker).await);
                // Its event was not read before somebody asks.
                assert_eq!(
                    with_reader(&agenda, std::slice::from_ref(&wide), asker).await,
                    counts,
                    "{wide:?}"
                );
                assert!(!agenda.is_done());
            }
        }
        let agenda = Agenda::default();
        for (under_way, asker, has) in [
            (UnderWay::Wide, Asker::Beside, true),
            (UnderWay::Wide, Asker::Many, false),
            (UnderWay::Apart, Asker::Beside, false),
        ] {
            agenda.asked().under_way = Some(under_way);
            assert_eq!(with_reader(&agenda, &[], asker).await, has, "{under_way:?} {asker:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_events_are_read_something_wide_may_have_happened() {
        assert!(Agenda::default().has_wide(Asker::Many).await);
        // One that had begun before may have passed over the newest.
        let agenda = Agenda::default();
        let number = agenda.begin_reading();
        let (has, ()) =
            tokio::join!(agenda.has_wide(Asker::Many), async { agenda.end_reading(number) });
        assert!(has);
    }

    #[test]
    fn an_owner_is_weighed_as_long_as_one_round_does() {
        let (agenda, owner) = (Agenda::default(), UserId::new("a"));
        agenda.weigh(owner.clone());
        agenda.weigh(owner.clone());
        agenda.weigh_no_more([&owner]);
        assert!(agenda.is_weighed(&owner));
        agenda.weigh_no_more([&owner]);
        assert!(!agenda.is_weighed(&owner));
        agenda.weigh_no_more([&owner]);
    }
}
