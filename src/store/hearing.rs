//! How this process hears of changes that it or another one committed.
//!
//! 1. [`Store::hear`] reads the changes after the last one that it saw: every 250 ms, and after each commit of this
//!    process that numbered one. What is remembered of the tokens in them is forgotten.
//! 2. What is remembered counts only while the last good look *began* at most 750 ms ago. Longer than that, the database
//!    is asked for each request: so nothing is older than a second, however the connection fails.
//! 3. Other changes wait for the service's loop, which follows them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::statuses::Statuses;
use super::{Change, ChangeKind, Standing, Store, StoreError, TokenRecord};
use crate::id::{PatId, UserId};

/// How old the beginning of the last good look may be.
const FRESH: Duration = Duration::from_millis(750);
/// How long the answer to a change waits until it is heard here; after that nothing is taken from memory.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) struct Hearing {
    statuses: Statuses,
    /// The number of the last change that was seen; `None` before the first look.
    seen: tokio::sync::Mutex<Option<i64>>,
    /// When the last good look began, in milliseconds after `birth`; 0: never, or it does not count any more.
    began: AtomicU64,
    birth: Instant,
    waiting: Mutex<Vec<Change>>,
}

impl Hearing {
    pub(super) fn new() -> Self {
        Self {
            statuses: Statuses::new(),
            seen: tokio::sync::Mutex::new(None),
            began: AtomicU64::new(0),
            birth: Instant::now(),
            waiting: Mutex::default(),
        }
    }

    fn is_fresh(&self) -> bool {
        let began = self.began.load(Ordering::Acquire);
        began != 0 && self.since_birth().saturating_sub(began) <= millis(FRESH)
    }

    /// Never 0.
    fn since_birth(&self) -> u64 {
        millis(self.birth.elapsed()) + 1
    }

    fn take_in(&self, change: Change) {
        match change.kind {
            Some(ChangeKind::TokenEnded | ChangeKind::TokenSuspended) => {
                match PatId::parse(&change.subject) {
                    Some(id) => self.statuses.forget(id),
                    // It is about some token, and nobody knows which.
                    None => self.statuses.forget_all(),
                }
            }
            // A newer version may know a kind that ends tokens.
            None => self.statuses.forget_all(),
            Some(ChangeKind::KeySwitched | ChangeKind::ClientChanged) => {
                self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(change);
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Store {
    /// Reads the changes that are new, and forgets what they make untrue.
    pub async fn hear(&self) -> Result<(), StoreError> {
        let hearing = &self.hearing;
        let mut seen = hearing.seen.lock().await;
        let began = hearing.since_birth();
        let mut last = if let Some(last) = *seen {
            last
        } else {
            let last = self.last_change().await?;
            // Read before anybody listened.
            hearing.statuses.forget_all();
            last
        };
        loop {
            let changes = self.list_changes_after(last).await?;
            let Some(newest) = changes.last().map(|change| change.number) else { break };
            for change in changes {
                hearing.take_in(change);
            }
            last = newest;
            *seen = Some(last);
        }
        *seen = Some(last);
        hearing.began.store(began, Ordering::Release);
        Ok(())
    }

    /// After a commit that numbered changes, before anybody is told of it.
    pub(super) async fn hear_own(&self) {
        if !matches!(timeout(PATIENCE, self.hear()).await, Ok(Ok(()))) {
            self.hearing.began.store(0, Ordering::Release);
        }
    }

    /// The changes that were heard and not taken yet, but for those of tokens: they are followed already.
    #[must_use]
    pub fn take_heard(&self) -> Vec<Change> {
        std::mem::take(&mut *self.hearing.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The token's standing: from memory, where that is true for certain.
    pub async fn get_standing(&self, id: PatId) -> Result<Standing, StoreError> {
        let Hearing { statuses, .. } = &*self.hearing;
        if self.hearing.is_fresh()
            && let Some(standing) = statuses.find(id)
        {
            return Ok(standing);
        }
        let ticket = statuses.ticket(id);
        // Boxed: what is seldom done would be moved about with what is done for each request.
        let standing = Box::pin(self.read_standing(id)).await?;
        statuses.keep(id, standing, ticket);
        Ok(standing)
    }

    /// The owner's token of this id, whose standing is remembered.
    pub async fn find_token_to_remember(
        &self,
        owner: &UserId,
        id: PatId,
    ) -> Result<Option<TokenRecord>, StoreError> {
        let statuses = &self.hearing.statuses;
        let ticket = statuses.ticket(id);
        let found = self.find_token(owner, id).await?;
        if let Some(record) = &found {
            statuses.keep(id, record.standing(), ticket);
        }
        Ok(found)
    }

    /// Remembers that a token is revoked for good, whatever else its record says.
    pub fn note_ended_for_good(&self, id: PatId) {
        let statuses = &self.hearing.statuses;
        statuses.keep(id, Standing::Revoked, statuses.ticket(id));
    }
}
