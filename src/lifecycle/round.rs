//! A look at many owners for one reason, under the brake.
//!
//! 1. Up to `lifecycle.brake` owners are looked at, and what is to end ends.
//! 2. Of more, tokens that are to end are suspended first, which refuses them at once. When all were looked at it is known
//!    of how many owners they are: up to `lifecycle.brake` they end now.
//! 3. Of more it may be a mistake in the realm: they stay suspended, and a person decides (`hallpass admin tokens`).
//! 4. Before tokens end because they are of few owners, the events are read on: something wide may be the cause of what was
//!    found. Then they are suspended, and wait for what that leads to (see `agenda`).
//!
//! Interrupted anywhere, nothing ended that should not: the next sweep finds the same owners again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::owners::{Force, Found, Hint, TokenOwners};
use crate::error::Error;
use crate::id::UserId;
use crate::store::StoreError;

/// How many owners are read from the store at a time.
const BATCH: u32 = 250;
/// How many owners are looked at at once where it is urgent.
const AT_ONCE: usize = 8;
/// Looks that are under way, waiting ones too: as many as that wait for the same reading of events.
const AT_MOST: usize = 256;
/// A sweep rests at least so long after each owner.
const SHORTEST_REST: Duration = Duration::from_millis(2);
/// After so many failures in a row it may not be the owners' fault.
const MAX_FAILURES: usize = 10;

/// Who is looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// Every owner of a live token.
    Everybody,
    /// Those who had a role of this name, or of a client of this name, at a token's issue.
    HoldersOf(String),
    /// Those of these users who own live tokens.
    Among(Vec<UserId>),
}

/// How soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Several at once: something happened.
    Urgent,
    /// One after the other, with a rest as long as the look took: others use Keycloak too.
    Gentle,
}

/// What became of a look at one owner.
pub(super) struct Looked {
    pub(super) owner: UserId,
    pub(super) outcome: Result<Found, Error>,
}

/// One look at many owners, in one or more passes.
pub(super) struct Round<'a> {
    owners: &'a TokenOwners,
    hint: Hint,
    pace: Pace,
    /// Whose tokens are to end, and why.
    spared: BTreeMap<UserId, &'static str>,
    /// Whose tokens are to end when nothing wide is pending any more.
    deferred: Vec<UserId>,
    failed: BTreeMap<UserId, Error>,
}

impl<'a> Round<'a> {
    pub(super) fn new(owners: &'a TokenOwners, hint: Hint, pace: Pace) -> Self {
        let (spared, failed) = (BTreeMap::new(), BTreeMap::new());
        Self { owners, hint, pace, spared, deferred: Vec::new(), failed }
    }

    /// Looks at all of them. Those who cannot be looked at do not keep the others, unless Keycloak answers nothing.
    pub(super) async fn pass(&mut self, whose: &Whose) -> Result<(), Error> {
        let mut in_a_row = 0;
        if let Whose::Among(users) = whose {
            let now = self.owners.clock.now();
            let owners = self.owners.store.list_token_owners_among(users, now).await?;
            let force = self.force(owners.len(), false);
            return self.look(owners, force, &mut in_a_row).await;
        }
        let role = if let Whose::HoldersOf(role) = whose { Some(&**role) } else { None };
        let enough = u32::try_from(self.owners.settings.brake).unwrap_or(u32::MAX);
        let some = self.owners_after(None, role, enough.saturating_add(1)).await?;
        let force = self.force(some.len(), role.is_none());
        let mut last = None;
        loop {
            let owners = self.owners_after(last.as_ref(), role, BATCH).await?;
            let Some(newest) = owners.last() else { return Ok(()) };
            last = Some(newest.clone());
            self.look(owners, force, &mut in_a_row).await?;
        }
    }

    async fn owners_after(
        &self,
        last: Option<&UserId>,
        role: Option<&str>,
        limit: u32,
    ) -> Result<Vec<UserId>, StoreError> {
        let now = self.owners.clock.now();
        self.owners.store.list_token_owners_after(last, role, now, limit).await
    }

    /// `are_all`: there are no owners but these.
    const fn force(&self, owners: usize, are_all: bool) -> Force {
        match (owners <= self.owners.settings.brake, are_all) {
            (true, true) => Force::End,
            (true, false) => Force::EndFew,
            (false, _) => Force::Suspend,
        }
    }

    async fn look(
        &mut self,
        owners: Vec<UserId>,
        force: Force,
        in_a_row: &mut usize,
    ) -> Result<(), Error> {
        let at_once = match self.pace {
            Pace::Urgent => AT_ONCE,
            Pace::Gentle => 1,
        };
        for part in owners.chunks(at_once) {
            let begun = Instant::now();
            let hints = part.iter().map(|owner| (owner.clone(), self.hint)).collect();
            for looked in self.owners.look_at_each(hints, force).await {
                let good = looked.outcome.is_ok();
                *in_a_row = if good { 0 } else { *in_a_row + 1 };
                self.note(looked);
            }
            if *in_a_row >= MAX_FAILURES {
                // It may be these owners' fault: their directory is away, say.
                self.owners.owners.check_answers().await?;
                *in_a_row = 0;
            }
            if self.pace == Pace::Gentle {
                sleep(begun.elapsed().max(SHORTEST_REST)).await;
            }
        }
        Ok(())
    }

    fn note(&mut self, Looked { owner, outcome }: Looked) {
        match outcome {
            Ok(found) => {
                self.failed.remove(&owner);
                if let Found::Spared(reason) = found {
                    if self.spared.insert(owner.clone(), reason).is_none() {
                        self.owners.agenda.weigh(owner);
                    }
                } else if self.spared.remove(&owner).is_some() {
                    self.owners.agenda.weigh_no_more([&owner]);
                } else if found == Found::Deferred {
                    self.deferred.push(owner);
                }
            }
            Err(error) => drop(self.failed.insert(owner, error)),
        }
    }

    /// Ends what is to end, or holds it where it is of too many owners. Answers those who could not be looked at.
    pub(super) async fn end(mut self) -> Result<Vec<UserId>, Error> {
        let brake = self.owners.settings.brake;
        if self.spared.len() > brake {
            let now = self.owners.clock.now();
            let held: Vec<_> =
                self.spared.iter().map(|(owner, reason)| (owner.clone(), *reason)).collect();
            self.owners.store.hold_owners(&held, now).await?;
            tracing::error!(
                owners = held.len(),
                brake,
                "tokens of more owners than lifecycle.brake were to end: they are suspended; \
                 `hallpass admin tokens confirm` ends them, `hallpass admin tokens release` does not"
            );
        } else {
            // Counted they are; from here on only what others weigh keeps them.
            let counted = std::mem::take(&mut self.spared);
            self.owners.agenda.weigh_no_more(counted.keys());
            let hints = counted.into_keys().map(|owner| (owner, self.hint)).collect();
            for Looked { owner, outcome } in
                self.owners.look_at_each(hints, Force::EndCounted).await
            {
                match outcome {
                    Ok(Found::Deferred) => self.deferred.push(owner),
                    Ok(_) => {}
                    Err(error) => drop(self.failed.insert(owner, error)),
                }
            }
        }
        if let Some((user_id, error)) = self.failed.first_key_value() {
            let (owners, cause) = (self.failed.len(), error.chain());
            tracing::warn!(owners, %user_id, cause, "owners could not be looked at");
        }
        Ok(std::mem::take(&mut self.failed).into_keys().collect())
    }
}

/// Whether it came to its end or not: nobody waits for it any more.
impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.owners.agenda.weigh_no_more(self.spared.keys());
        self.owners.agenda.defer(std::mem::take(&mut self.deferred));
    }
}

impl TokenOwners {
    /// Looks at all owners of live tokens, one after the other: not every change has an event. Who could not be looked at
    /// is with the next sweep.
    pub async fn sweep(&self) -> Result<(), Error> {
        let begun = self.clock.now();
        self.recall_unreadable().await?;
        let mut round = Round::new(self, Hint::Sweep(begun), Pace::Gentle);
        round.pass(&Whose::Everybody).await?;
        round.end().await?;
        self.store.end_vain_holds(self.clock.now()).await?;
        self.store.note_sweep(begun).await?;
        Ok(())
    }

    /// Looks at several owners, a few at once.
    pub(super) async fn look_at_each(
        &self,
        hints: Vec<(UserId, Hint)>,
        force: Force,
    ) -> Vec<Looked> {
        let asking = Arc::new(Semaphore::new(AT_ONCE));
        let (mut under_way, mut all) = (JoinSet::new(), Vec::with_capacity(hints.len()));
        for (owner, hint) in hints {
            if under_way.len() >= AT_MOST {
                all.extend(under_way.join_next().await.and_then(Result::ok));
            }
            let (this, asking) = (self.clone(), asking.clone());
            under_way.spawn(async move {
                let outcome = this.look_with(&owner, hint, force, &asking).await;
                Looked { owner, outcome }
            });
        }
        while let Some(ended) = under_way.join_next().await {
            all.extend(ended);
        }
        all
    }
}
