//! How this process hears of changes that it or another one committed.
//!
//! 1. [`Store::hear`] reads the changes after the last one that it saw: every 250 ms, and after each commit of this
//!    process that numbered one. What is remembered of the tokens in them is forgotten.
//! 2. What is remembered counts only while the last good look *began* at most 750 ms ago. Longer than that, the database
//!    is asked for each request: so nothing is older than a second, however the connection fails.
//! 3. At a start, the standing of all live tokens is read in the background.
//! 4. Other changes wait for the service's loop, which follows them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::statuses::{MAX_REMEMBERED, OwnerSaid, Plain, Status, Statuses};
use super::{Change, ChangeKind, Standing, Store, StoreError, TokenRecord};
use crate::clock::Timestamp;
use crate::id::{PatId, UserId};

/// How old the beginning of the last good look may be.
const FRESH: Duration = Duration::from_millis(750);
/// How long the answer to a change waits until it is heard here; after that nothing is taken from memory.
const PATIENCE: Duration = Duration::from_millis(500);
/// How many tokens are read at a time.
const PAGE: u32 = 1000;

pub(super) struct Hearing {
    statuses: Statuses,
    /// The number of the last change that was seen; `None` before the first look.
    seen: tokio::sync::Mutex<Option<i64>>,
    /// When the last good look began, in milliseconds after `birth`; 0: never, or it does not count any more.
    began: AtomicU64,
    birth: Instant,
    waiting: Mutex<Vec<Change>>,
    /// How often the owner of a token among these was renamed.
    renamings: Box<[AtomicU32]>,
}

/// Into so many the tokens are parted: a person who is renamed makes few others' tokens be prepared again.
const RENAMINGS: usize = 4096;

/// By the random end of the id; its beginning is a time.
fn renaming_of(id: PatId) -> usize {
    usize::try_from(id.bits() & u128::from(u32::MAX)).unwrap_or_default() % RENAMINGS
}

impl Hearing {
    pub(super) fn new() -> Self {
        Self {
            statuses: Statuses::new(),
            seen: tokio::sync::Mutex::new(None),
            began: AtomicU64::new(0),
            birth: Instant::now(),
            waiting: Mutex::default(),
            renamings: (0..RENAMINGS).map(|_| AtomicU32::new(0)).collect(),
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
            Some(
                kind @ (ChangeKind::TokenEnded
                | ChangeKind::TokenSuspended
                | ChangeKind::TokenOwnerRenamed),
            ) => match PatId::parse(&change.subject) {
                Some(id) => {
                    self.statuses.forget(id);
                    if kind == ChangeKind::TokenOwnerRenamed {
                        // Only now: who sees the new number finds nothing older.
                        self.renamings[renaming_of(id)].fetch_add(1, Ordering::AcqRel);
                    }
                }
                // It is about some token, and nobody knows which.
                None => self.statuses.forget_all(),
            },
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
            && let Some(status) = statuses.find(id)
        {
            return Ok(status.standing());
        }
        let ticket = statuses.ticket(id);
        // Boxed: what is seldom done would be moved about with what is done for each request.
        let status = Box::pin(self.read_status(id)).await?;
        statuses.keep(id, status, ticket);
        Ok(status.standing())
    }

    /// The owner's token of this id, whose standing is remembered, and the roles that the owner had at its issue, as
    /// canonical JSON.
    pub async fn find_token_to_remember(
        &self,
        owner: &UserId,
        id: PatId,
    ) -> Result<Option<(TokenRecord, String)>, StoreError> {
        let statuses = &self.hearing.statuses;
        let ticket = statuses.ticket(id);
        let found = self.find_token_with_roles(owner, id).await?;
        if let Some((record, roles)) = &found {
            statuses.keep(id, record.to_remember(roles), ticket);
        }
        Ok(found)
    }

    /// Remembers that a token is revoked for good, whatever else its record says.
    pub fn note_ended_for_good(&self, id: PatId) {
        let statuses = &self.hearing.statuses;
        statuses.keep(id, Status::Other(Standing::Revoked), statuses.ticket(id));
    }

    /// Whether this token, which says this of its owner and that it ends then, has a record that says the same and
    /// narrows nothing. `false` where that is not remembered.
    #[must_use]
    pub fn is_known_as_plain(&self, said: OwnerSaid<'_>, id: PatId, ends_at: Timestamp) -> bool {
        let Some(Status::Plain(known)) = self.hearing.statuses.find(id) else { return false };
        Some(known) == Plain::new(said, ends_at)
    }

    /// What the token's record says of its owner is the same while this number is. It changes for some others, too.
    #[must_use]
    pub fn renaming(&self, id: PatId) -> u32 {
        self.hearing.renamings[renaming_of(id)].load(Ordering::Acquire)
    }

    /// Remembers the tokens that are live, so that their first use after a start costs no look into the database. Takes at
    /// most half of the time of a processor.
    pub async fn remember_live(&self, now: Timestamp) -> Result<(), StoreError> {
        // What was read before the first look is forgotten by it.
        self.hear().await?;
        let (mut oldest, mut remembered) = (None, 0);
        while remembered < MAX_REMEMBERED {
            let (began, tickets) = (Instant::now(), self.hearing.statuses.tickets());
            let some = self.list_statuses_before(oldest, now, PAGE).await?;
            let Some((last, _)) = some.last() else { break };
            self.hearing.statuses.keep_all(&some, &tickets);
            oldest = Some(*last);
            remembered += some.len();
            sleep(began.elapsed()).await;
        }
        Ok(())
    }
}
