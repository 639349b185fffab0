//! A list of events, read on from where it was left: each event is given out once, as far as one process lives.
//!
//! 1. What was stamped more than [`OVERLAP`] before a complete reading began, by Keycloak's own clock, was seen by it and
//!    is never read again. What was stamped later is remembered: an event is stamped before its commit, and by one of
//!    several clocks.
//! 2. A quiet list costs one call: it asks for what follows the last of the events that are known. Where their number is
//!    not what it was, one came in between, and all of them are read anew; where more follow than one page holds, those are.
//! 3. Then each page begins with the stamp by which the last one ended. Events of one stamp have no order, so two calls may
//!    give one of them out twice and another never: they are read in one call, however many they are.
//! 4. A page that cannot be read is halved, down to one event. That one is passed over, and may concern everybody.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::keycloak::{EventId, EventKind, Keycloak, KeycloakError, RealmEvent, Subject};
use crate::store::{Store, StoreError};

/// How far two of Keycloak's clocks may differ, and how long an event may take from its stamp to its commit: half of it each.
const OVERLAP: Duration = Duration::from_secs(30);
/// A position in the store stands for events stamped up to so long before it, to every version of Hallpass.
const NOTED_EARLIER: Duration = Duration::from_secs(15);
/// A position is written when it is so much newer: a restart reads that much again.
const NOTED_EVERY: Duration = Duration::from_secs(10);
/// How many events one call asks for.
const PAGE: usize = 200;
/// So many of one stamp are read in one call.
const LARGEST_PAGE: usize = 12_800;
/// What happened long ago is dealt with after so many events, before more are read.
const AT_ONCE: usize = 2_000;
/// So often what follows the events that are known is read, before all are read anew.
const READINGS_ON: usize = 3;
/// After so many in a row that cannot be read it is the list that cannot.
const MOST_PASSED: usize = 3;
/// Seconds since the epoch in the year 2286.
const NEVER: i64 = 9_999_999_999;

/// How far one list of events was read.
pub(super) struct Feed {
    kind: EventKind,
    /// What was stamped before it is never read again. `None`: not read from the store yet.
    floor: Option<Timestamp>,
    /// When the newest complete reading began.
    read_at: Option<Timestamp>,
    /// What the store says.
    noted: Option<Timestamp>,
    /// The events that are known from the floor on, and their stamps.
    seen: HashMap<EventId, i64>,
    /// How many events one call asks for: no more than could be read the last time.
    page: usize,
}

/// What one reading led to. What it gave out counts, though it failed later.
pub(super) struct Reading {
    pub(super) subjects: Vec<Subject>,
    /// Whether there is nothing more to read.
    pub(super) is_whole: Result<bool, Error>,
}

/// Where events are read from, and what need not be told of.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) keycloak: &'a Keycloak,
    /// By which we act ourselves; that changes nobody's roles.
    pub(super) own_client: Option<&'a str>,
}

impl Feed {
    /// From where the store says; what happened before the first start is the sweep's.
    pub(super) fn new(kind: EventKind) -> Self {
        Self { kind, floor: None, read_at: None, noted: None, seen: HashMap::new(), page: PAGE }
    }

    /// What the new events are about, oldest first. What fails on the way is read again.
    pub(super) async fn read(&mut self, source: Source<'_>, store: &Store) -> Reading {
        let mut subjects = Vec::new();
        let is_whole = self.read_into(&mut subjects, source, store).await;
        Reading { subjects, is_whole }
    }

    async fn read_into(
        &mut self,
        subjects: &mut Vec<Subject>,
        source: Source<'_>,
        store: &Store,
    ) -> Result<bool, Error> {
        let begun = source.keycloak.now().await?;
        let floor = self.begin(store, begun).await?;
        match self.read_on(begun, floor, subjects, source).await {
            Ok(true) => {
                self.complete(begun);
                return Ok(true);
            }
            Err(error) if !self.is_answered(source).await => return Err(error.into()),
            Ok(false) | Err(_) => {}
        }
        let Some(found) = self.read_from(begun, floor, subjects, source).await? else {
            return Ok(false);
        };
        // What was known and is there no more was deleted.
        self.seen.retain(|id, _| found.contains(id));
        self.complete(begun);
        Ok(true)
    }

    /// Reads what follows the events that are known; `false`: that is not all, or something came in between.
    async fn read_on(
        &mut self,
        begun: Timestamp,
        floor: Timestamp,
        subjects: &mut Vec<Subject>,
        source: Source<'_>,
    ) -> Result<bool, KeycloakError> {
        for _ in 0..READINGS_ON {
            let first = self.seen.len().saturating_sub(1);
            let page = source.keycloak.list_events(self.kind, floor, first, self.page).await?;
            let (rows, is_last) = (first + page.len(), page.len() < self.page);
            let last = page.last().map_or(floor, |event| Timestamp::from_millis(event.time));
            self.take(page, subjects, source);
            if is_last && self.seen.len() == rows {
                self.page = (self.page * 2).min(PAGE);
                return Ok(true);
            }
            // What happened long ago is read a part at a time.
            if is_last || self.read_at.is_none() {
                return Ok(false);
            }
            self.read_from(begun, last, subjects, source).await?;
        }
        Ok(false)
    }

    /// Reads all events from a moment on, and answers which there are; `None`: there are more.
    async fn read_from(
        &mut self,
        begun: Timestamp,
        moment: Timestamp,
        subjects: &mut Vec<Subject>,
        source: Source<'_>,
    ) -> Result<Option<HashSet<EventId>>, KeycloakError> {
        let (mut found, mut taken) = (HashSet::new(), 0);
        let mut place = Place::at(moment, self.page);
        loop {
            let Place { from, first, max, .. } = place;
            let page = match source.keycloak.list_events(self.kind, from, first, max).await {
                Ok(page) => {
                    place.passed = 0;
                    self.page = max.min(PAGE);
                    page
                }
                Err(error) => {
                    if !self.is_answered(source).await {
                        return Err(error);
                    }
                    match place.narrow() {
                        Narrowed::Page => continue,
                        Narrowed::Passed(event) => vec![event],
                        Narrowed::Nothing => return Err(error),
                    }
                }
            };
            taken += page.len();
            found.extend(page.iter().map(|event| event.id));
            let goes_on = place.advance(&page);
            self.take(page, subjects, source);
            if !goes_on {
                return Ok(Some(found));
            }
            // Far behind: nothing more comes in before that.
            if place.from.plus(OVERLAP) < begun && place.first == 0 {
                self.floor = Some(place.from);
                self.forget();
                found.retain(|id| self.seen.contains_key(id));
                if taken >= AT_ONCE {
                    return Ok(None);
                }
            }
        }
    }

    /// Whether Keycloak gives out lists of events at all: one from a year that has not come.
    async fn is_answered(&self, Source { keycloak, .. }: Source<'_>) -> bool {
        keycloak.list_events(self.kind, Timestamp::from_seconds(NEVER), 0, 1).await.is_ok()
    }

    fn take(&mut self, page: Vec<RealmEvent>, subjects: &mut Vec<Subject>, source: Source<'_>) {
        for RealmEvent { id, time, subjects: mut about, by_client } in page {
            if source.own_client.is_some() && by_client.as_deref() == source.own_client {
                about.retain(|subject| !matches!(subject, Subject::Owners(_)));
            }
            if self.seen.insert(id, time).is_none() {
                subjects.extend(about);
            }
        }
    }

    fn complete(&mut self, begun: Timestamp) {
        let floor = begun.minus(OVERLAP);
        // Else two clocks take turns, or a stamp of the future was believed once.
        let was_set_back = self.read_at.is_some_and(|last| begun < last.minus(OVERLAP));
        self.floor = self.floor.filter(|known| *known > floor && !was_set_back).or(Some(floor));
        self.read_at = Some(begun);
        self.forget();
    }

    /// Forgets what is never read again.
    fn forget(&mut self) {
        let floor = self.floor.map_or(i64::MIN, Timestamp::millis);
        self.seen.retain(|_, time| *time >= floor);
    }

    /// All that was given out is dealt with: a restart goes on from here.
    pub(super) async fn settle(&mut self, store: &Store) -> Result<(), StoreError> {
        let Some(position) = self.floor.map(|floor| floor.plus(NOTED_EARLIER)) else {
            return Ok(());
        };
        if self.noted.is_none_or(|noted| position >= noted.plus(NOTED_EVERY)) {
            store.note_followed(self.source(), position).await?;
            self.noted = Some(position);
        }
        Ok(())
    }

    async fn begin(&mut self, store: &Store, begun: Timestamp) -> Result<Timestamp, StoreError> {
        if let Some(floor) = self.floor {
            return Ok(floor);
        }
        let latest = begun.minus(NOTED_EARLIER);
        let noted = match store.find_followed(self.source()).await? {
            Some(noted) if noted <= latest => noted,
            // Whatever comes before the first events can be read: they are read from here. Or a clock was wrong: what has
            // not happened yet is not dealt with.
            _ => {
                store.begin_to_follow(self.source(), latest).await?;
                latest
            }
        };
        self.noted = Some(noted);
        Ok(*self.floor.insert(noted.minus(NOTED_EARLIER)))
    }

    const fn source(&self) -> &'static str {
        match self.kind {
            EventKind::Admin => "admin_events",
            EventKind::User => "user_events",
        }
    }
}

/// Where the next page begins, and how long it is.
struct Place {
    from: Timestamp,
    first: usize,
    max: usize,
    /// Pages do not grow until the next stamp: one of this size could not be read.
    is_wary: bool,
    /// How many could not be read in a row.
    passed: usize,
}

/// What is done about a page that cannot be read.
enum Narrowed {
    /// A shorter one may be.
    Page,
    /// It was one event: this stands for it.
    Passed(RealmEvent),
    /// Too many were passed over.
    Nothing,
}

impl Place {
    const fn at(from: Timestamp, max: usize) -> Self {
        Self { from, first: 0, max, is_wary: false, passed: 0 }
    }

    /// Goes on after a page; `false`: it was the last one.
    fn advance(&mut self, page: &[RealmEvent]) -> bool {
        if page.len() < self.max {
            return false;
        }
        let last = page.last().map_or(self.from, |event| Timestamp::from_millis(event.time));
        if last > self.from {
            let max = (self.max * 2).min(PAGE);
            *self = Self { from: last, first: 0, max, is_wary: false, passed: self.passed };
        } else if self.first == 0 && self.max < LARGEST_PAGE && !self.is_wary {
            self.max = (self.max * 2).min(LARGEST_PAGE);
        } else {
            self.first += page.len();
        }
        true
    }

    fn narrow(&mut self) -> Narrowed {
        self.is_wary = true;
        if self.max > 1 {
            self.max /= 2;
            return Narrowed::Page;
        }
        self.passed += 1;
        if self.passed > MOST_PASSED {
            return Narrowed::Nothing;
        }
        tracing::error!("an event cannot be read: it is passed over, and all owners are looked at");
        Narrowed::Passed(RealmEvent::unread(self.from, self.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(times: &[i64]) -> Vec<RealmEvent> {
        let number = |at: usize, time: i64| RealmEvent {
            time,
            ..RealmEvent::unread(Timestamp::from_millis(time), at)
        };
        times.iter().enumerate().map(|(at, time)| number(at, *time)).collect()
    }

    /// What a list of these stamps, in their order, gives out where events of `bad` numbers cannot be read.
    fn read(times: &[i64], bad: &[usize]) -> Option<(HashSet<EventId>, usize, usize)> {
        let all = events(times);
        let (mut found, mut calls, mut passed) = (HashSet::new(), 0, 0);
        let mut place = Place::at(Timestamp::from_millis(0), PAGE);
        loop {
            calls += 1;
            assert!(calls < 10_000, "it does not end");
            let begin = times.partition_point(|time| *time < place.from.millis()) + place.first;
            let page = begin.min(all.len())..(begin + place.max).min(all.len());
            let mut page = if bad.iter().any(|bad| page.contains(bad)) {
                match place.narrow() {
                    Narrowed::Page => continue,
                    Narrowed::Passed(event) => {
                        passed += 1;
                        vec![event]
                    }
                    Narrowed::Nothing => return None,
                }
            } else {
                place.passed = 0;
                all[page].to_vec()
            };
            // Those of one stamp in any order.
            page.sort_by_key(|event| (event.time, calls % 2 == 0, event.id));
            found.extend(page.iter().filter(|event| all.contains(event)).map(|event| event.id));
            if !place.advance(&page) {
                return Some((found, calls, passed));
            }
        }
    }

    #[test]
    fn every_event_is_given_out_however_many_have_one_stamp() {
        let spread: Vec<i64> = (0..1_000).collect();
        let tied = vec![5; 3_000];
        let mixed: Vec<i64> = (0..3_000).map(|number| number / 700).collect();
        let one_more = vec![9; PAGE];
        for times in [&[][..], &[1], &spread, &tied, &mixed, &one_more] {
            let (found, calls, passed) = read(times, &[]).unwrap();
            assert_eq!((found.len(), passed), (times.len(), 0));
            assert!(calls <= 2 + times.len() / PAGE * 3, "{calls} calls for {}", times.len());
        }
    }

    #[test]
    fn an_event_that_cannot_be_read_is_passed_over_and_no_other() {
        let times: Vec<i64> = (0..1_000).map(|number| number / 3).collect();
        for bad in [&[0][..], &[1], &[2], &[500], &[999], &[10, 20, 30, 40, 50], &[7, 8, 9]] {
            let (found, _, passed) = read(&times, bad).unwrap();
            assert!(passed >= bad.len(), "{passed} {bad:?}");
            assert!(found.len() >= times.len() - bad.len(), "{bad:?}");
        }
        let every: Vec<usize> = (0..1_000).collect();
        assert!(read(&times, &every).is_none());
    }
}
