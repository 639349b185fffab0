//! A list of events, read on from where it was left: each event is given out once, as far as one process lives.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::keycloak::{EventKind, Keycloak, RealmEvent, Subject};
use crate::store::{Store, StoreError};

/// How long an event may take from its stamp to its commit, and how far the clocks may differ.
const OVERLAP: Duration = Duration::from_secs(15);
/// With what administrators sent, an event can be large.
const PAGE: usize = 50;

/// How far one list of events was read.
pub(super) struct Feed {
    kind: EventKind,
    /// `None`: not read from the store yet.
    newest: Option<Timestamp>,
    /// Up to when the store says that events are dealt with.
    noted: Option<Timestamp>,
    /// The ids within the overlap, and their times.
    seen: HashMap<String, i64>,
}

impl Feed {
    /// From where the store says; what happened before the first start is the sweep's.
    pub(super) fn new(kind: EventKind) -> Self {
        Self { kind, newest: None, noted: None, seen: HashMap::new() }
    }

    /// What the new events are about, oldest first. What fails on the way is read again. `own_client`: by which we act
    /// ourselves; that changes nobody's roles.
    pub(super) async fn read(
        &mut self,
        keycloak: &Keycloak,
        store: &Store,
        own_client: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Subject>, Error> {
        let newest = self.begin(store, now).await?;
        let overlap = i64::try_from(OVERLAP.as_millis()).unwrap_or(i64::MAX);
        let from = Timestamp::from_millis(newest.millis().saturating_sub(overlap).max(0));
        let (mut fresh, mut subjects, mut first) = (HashMap::new(), Vec::new(), 0);
        loop {
            let page = keycloak.list_events(self.kind, from, first, PAGE).await?;
            first += page.len();
            let last = page.len() < PAGE;
            for RealmEvent { id, time, subjects: mut about, by_client } in page {
                if own_client.is_some() && by_client.as_deref() == own_client {
                    about.retain(|subject| !matches!(subject, Subject::Owners(_)));
                }
                if !self.seen.contains_key(&id) {
                    subjects.extend(about);
                }
                fresh.insert(id, time);
            }
            if last {
                break;
            }
        }
        // One stamp of a clock that is wrong must not hide what comes after it.
        let latest = now.plus(OVERLAP).millis();
        let last = fresh.values().map(|time| *time.min(&latest)).max().map(Timestamp::from_millis);
        self.newest = last.map_or(Some(newest), |last| Some(last.max(newest)));
        self.seen = fresh;
        Ok(subjects)
    }

    /// All that was given out is dealt with: a restart goes on from here.
    pub(super) async fn settle(&mut self, store: &Store) -> Result<(), StoreError> {
        if let Some(newest) = self.newest.filter(|newest| self.noted != Some(*newest)) {
            store.note_followed(self.source(), newest).await?;
            self.noted = Some(newest);
        }
        Ok(())
    }

    async fn begin(&mut self, store: &Store, now: Timestamp) -> Result<Timestamp, StoreError> {
        if let Some(newest) = self.newest {
            return Ok(newest);
        }
        let noted = if let Some(noted) = store.find_followed(self.source()).await? {
            noted
        } else {
            // Whatever comes before the first events can be read: they are read from here.
            store.note_followed(self.source(), now).await?;
            now
        };
        self.noted = Some(noted);
        Ok(*self.newest.insert(noted))
    }

    const fn source(&self) -> &'static str {
        match self.kind {
            EventKind::Admin => "admin_events",
            EventKind::User => "user_events",
        }
    }
}
