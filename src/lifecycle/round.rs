//! A look at many owners for one reason, under the brake.
//!
//! 1. Up to `lifecycle.brake` owners are looked at, and what is to end ends.
//! 2. Of more, tokens that are to end are suspended first, which refuses them at once. When all were looked at it is known
//!    of how many owners they are: up to `lifecycle.brake` they end now.
//! 3. Of more it may be a mistake in the realm: they stay suspended, and a person decides (`hallpass admin tokens`).
//! 4. Before tokens end because they are of few owners, the events are read on: something wide may be the cause of what was
//!    found. Then they are suspended, and wait for what that leads to (see `agenda`).
//! 5. Owners whose last look failed are left to their own lane (see `unreadable`): what that finds later is counted together
//!    ([`Round::of_spared`]). One slow owner costs a round no more than that look.
//!
//! Interrupted anywhere, nothing ended that should not: the next sweep finds the same owners again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};

use super::lane::Lane;
use super::owners::{Force, Found, Hint, TokenOwners};
use crate::credential::EndReason;
use crate::error::Error;
use crate::id::UserId;
use crate::store::StoreError;

/// How many owners are read from the store at a time.
const BATCH: u32 = 250;
/// How many owners are looked at at once where it is urgent.
pub(super) const AT_ONCE: usize = 8;
/// Looks that are under way, waiting ones too: as many as that wait for the same reading of events.
pub(super) const AT_MOST: usize = 256;
/// A sweep rests at least so long after each owner.
const SHORTEST_REST: Duration = Duration::from_millis(2);
/// After so many failures in a row it may not be the owners' fault.
const MAX_FAILURES: usize = 10;

/// Who is looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WhichOwners {
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
    under_way: JoinSet<Looked>,
    failures_in_a_row: usize,
    /// Whose tokens are to end, and why.
    spared: BTreeMap<UserId, EndReason>,
    /// Whose tokens are to end when nothing wide is pending any more.
    deferred: Vec<UserId>,
    /// Who could not be looked at, and why; `None`: since the look before.
    failed: BTreeMap<UserId, Option<Error>>,
}

impl<'a> Round<'a> {
    pub(super) fn new(owners: &'a TokenOwners, hint: Hint, pace: Pace) -> Self {
        Self {
            owners,
            hint,
            pace,
            under_way: JoinSet::new(),
            failures_in_a_row: 0,
            spared: BTreeMap::new(),
            deferred: Vec::new(),
            failed: BTreeMap::new(),
        }
    }

    /// What is left to be done about owners whom looks at many could see only later.
    pub(super) fn of_spared(
        owners: &'a TokenOwners,
        hint: Hint,
        spared: BTreeMap<UserId, EndReason>,
    ) -> Self {
        let mut round = Self::new(owners, hint, Pace::Urgent);
        round.spared = spared;
        round
    }

    /// Looks at all of them. Those who cannot be looked at do not keep the others, unless Keycloak answers nothing.
    pub(super) async fn pass(&mut self, whose: &WhichOwners) -> Result<(), Error> {
        self.failures_in_a_row = 0;
        let (lane, _) = Lane::new(AT_ONCE, &self.owners.late);
        if let WhichOwners::Among(users) = whose {
            let now = self.owners.clock.now();
            let owners = self.owners.store.list_token_owners_among(users, now).await?;
            let force = self.force(owners.len(), false);
            self.look(owners, force, &lane).await?;
            return self.finish().await;
        }
        let role = if let WhichOwners::HoldersOf(role) = whose { Some(&**role) } else { None };
        let enough = u32::try_from(self.owners.settings.brake).unwrap_or(u32::MAX);
        let some = self.owners_after(None, role, enough.saturating_add(1)).await?;
        let force = self.force(some.len(), role.is_none());
        let mut last = None;
        loop {
            let owners = self.owners_after(last.as_ref(), role, BATCH).await?;
            let Some(newest) = owners.last() else { return self.finish().await };
            last = Some(newest.clone());
            self.look(owners, force, &lane).await?;
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

    async fn look(&mut self, owners: Vec<UserId>, force: Force, lane: &Lane) -> Result<(), Error> {
        for owner in owners {
            if self.owners.is_unreadable(&owner, self.hint, force) {
                self.failed.entry(owner).or_default();
                continue;
            }
            let begun = Instant::now();
            while self.under_way.len() >= AT_MOST {
                self.take_next().await?;
            }
            match self.pace {
                Pace::Urgent => self.start(owner, force, lane.clone()),
                Pace::Gentle => {
                    let (lane, waiter) = Lane::new(1, &self.owners.late);
                    self.start(owner, force, lane);
                    waiter.until_over().await;
                    sleep(begun.elapsed().max(SHORTEST_REST)).await;
                }
            }
            while let Some(ended) = self.under_way.try_join_next() {
                self.take(ended).await?;
            }
        }
        Ok(())
    }

    fn start(&mut self, owner: UserId, force: Force, lane: Lane) {
        let (owners, hint) = (self.owners.clone(), self.hint);
        self.under_way.spawn(async move {
            let outcome = owners.look_with(&owner, hint, force, lane).await;
            Looked { owner, outcome }
        });
    }

    /// Waits for all looks that are under way.
    async fn finish(&mut self) -> Result<(), Error> {
        while !self.under_way.is_empty() {
            self.take_next().await?;
        }
        Ok(())
    }

    async fn take_next(&mut self) -> Result<(), Error> {
        match self.under_way.join_next().await {
            Some(ended) => self.take(ended).await,
            None => Ok(()),
        }
    }

    /// One that panicked is for the next sweep.
    async fn take(&mut self, ended: Result<Looked, JoinError>) -> Result<(), Error> {
        let Ok(looked) = ended else { return Ok(()) };
        self.failures_in_a_row =
            if looked.outcome.is_ok() { 0 } else { self.failures_in_a_row + 1 };
        self.note(looked);
        if self.failures_in_a_row >= MAX_FAILURES {
            // It may be these owners' fault: their directory is away, say.
            self.owners.check_answers().await?;
            self.failures_in_a_row = 0;
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
            Err(error) => drop(self.failed.insert(owner, Some(error))),
        }
    }

    /// Ends what is to end, or holds it where it is of too many owners.
    pub(super) async fn end(mut self) -> Result<(), Error> {
        // Those who were seen later since they could not be looked at count with those who could.
        let later = std::mem::take(&mut self.owners.agenda.asked().spared);
        for (owner, reason) in later {
            if self.spared.insert(owner.clone(), reason).is_some() {
                // It was weighed twice.
                self.owners.agenda.weigh_no_more([&owner]);
            }
        }
        let (brake, found) = (self.owners.settings.brake, self.spared.len());
        if found > brake {
            self.hold().await?;
        } else if found + self.failed.len() > brake {
            // They may be too many: they stay suspended until that is known.
            for (owner, reason) in &self.spared {
                self.owners.agenda.spare(owner.clone(), *reason);
            }
        } else {
            self.end_counted().await;
        }
        let failed = self.failed.iter().filter_map(|(owner, error)| Some((owner, error.as_ref()?)));
        let failed: Vec<_> = failed.collect();
        if let [(user_id, error), ..] = &*failed {
            let (owners, cause) = (failed.len(), error.chain());
            tracing::warn!(owners, %user_id, cause, "owners could not be looked at");
        }
        Ok(())
    }

    async fn hold(&self) -> Result<(), StoreError> {
        let (brake, now) = (self.owners.settings.brake, self.owners.clock.now());
        let held: Vec<_> =
            self.spared.iter().map(|(owner, reason)| (owner.clone(), *reason)).collect();
        self.owners.store.hold_owners(&held, now).await?;
        tracing::error!(
            owners = held.len(),
            brake,
            "tokens of more owners than lifecycle.brake were to end: they are suspended; \
             `hallpass admin tokens confirm` ends them, `hallpass admin tokens release` does not"
        );
        Ok(())
    }

    async fn end_counted(&mut self) {
        // Counted they are; from here on only what others weigh keeps them.
        let counted = std::mem::take(&mut self.spared);
        self.owners.agenda.weigh_no_more(counted.keys());
        let hints = counted.into_keys().map(|owner| (owner, self.hint)).collect();
        for Looked { owner, outcome } in self.owners.look_at_each(hints, Force::EndCounted).await {
            match outcome {
                Ok(Found::Deferred) => self.deferred.push(owner),
                Ok(_) => {}
                Err(error) => drop(self.failed.insert(owner, Some(error))),
            }
        }
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
    /// Looks at all owners of live tokens, one after the other: not every change has an event. Owners that fail are retried
    /// in their own lane.
    pub async fn sweep(&self) -> Result<(), Error> {
        let begun = self.clock.now();
        self.recall_unreadable().await?;
        let mut round = Round::new(self, Hint::Sweep(begun), Pace::Gentle);
        round.pass(&WhichOwners::Everybody).await?;
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
        let (lane, _) = Lane::new(AT_ONCE, &self.late);
        let (mut under_way, mut all) = (JoinSet::new(), Vec::with_capacity(hints.len()));
        for (owner, hint) in hints {
            if under_way.len() >= AT_MOST {
                all.extend(under_way.join_next().await.and_then(Result::ok));
            }
            let (this, lane) = (self.clone(), lane.clone());
            under_way.spawn(async move {
                let outcome = this.look_with(&owner, hint, force, lane).await;
                Looked { owner, outcome }
            });
        }
        while let Some(ended) = under_way.join_next().await {
            all.extend(ended);
        }
        all
    }
}
