//! What happens to the owners of tokens, followed: other roles, disabled, deleted, locked out.
//!
//! 1. The tokens are read before the owner: one that is made meanwhile has the roles of then, and checks itself.
//! 2. The owner is read as Keycloak has them now. Whatever brought us here is a hint, and may be over.
//! 3. Other roles than at a token's issue, or other claims that carry authority in a token that has such claims: it is
//!    revoked. Locked out: all are revoked. Disabled or gone: deleted where that is certain, else suspended, and released when
//!    the owner is back. A look that fails changes nothing.
//!
//! So it does not matter how often, or in which order, somebody is looked at.

use metrics::Counter;

use super::acts::Acts;
use super::agenda::{Agenda, Asker};
use super::lane::{Lane, Late, Place};
use super::retries::Retries;
use super::seen::{Comparison, Seen};
use super::turns::Turns;
use super::unreadable::Cause;
use crate::audit::{Actor, Teller};
use crate::clock::{Clock, Timestamp};
use crate::config::Lifecycle;
use crate::credential::EndReason;
use crate::error::Error;
use crate::id::UserId;
use crate::keycloak::UserChange;
use crate::owner::{Owners, Sight};
use crate::store::{OwnedToken, OwnerNote, Store, StoreError, TokenRecord};

/// How many tokens are read at a time.
const BATCH: u32 = 250;

/// Why an owner is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// An event says so.
    Event(UserChange),
    /// A sweep does that began at this moment.
    Sweep(Timestamp),
    /// A person decided that what the brake holds is to end.
    Confirmed,
}

/// What is done with tokens that are to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    /// They end.
    End,
    /// They end, since they are of few owners; unless something that concerns more of them may be the cause, or a round is
    /// to decide about them.
    EndFew,
    /// The same for those that were suspended until it was known that they are of few owners.
    EndCounted,
    /// They are suspended: of how many owners they are is not known yet, or of too many.
    Suspend,
}

/// What was found of an owner's live tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There are none, or none that should not be.
    Good,
    /// What should not be ended.
    Ended,
    /// They are suspended, and would have ended for this reason.
    Spared(EndReason),
    /// They are suspended, since the owner seems to be away, or since it is for somebody else to decide about them.
    Doubted,
    /// They are suspended, and end as soon as nothing wide is pending that may be the cause.
    Deferred,
}

/// Who decides about tokens that are to end, and when.
#[derive(Clone, Copy)]
enum Verdict {
    Now(Force),
    /// A person, or a round.
    Others,
    /// This look's cause, when nothing wide is pending any more.
    Later,
}

impl Verdict {
    const fn force(self) -> Force {
        match self {
            Self::Now(force) => force,
            Self::Others | Self::Later => Force::Suspend,
        }
    }
}

/// Follows the owners of tokens. Clones share everything.
#[derive(Clone)]
pub struct TokenOwners {
    pub(super) store: Store,
    pub(super) owners: Owners,
    pub(super) clock: Clock,
    pub(super) settings: Lifecycle,
    pub(super) acts: Acts,
    pub(super) turns: Turns,
    /// What may be the cause of what a look finds.
    pub(super) agenda: Agenda,
    /// Who is looked at on their own, and who could not be looked at.
    pub(super) unreadable: Retries<UserId, Cause>,
    pub(super) late: Late,
    asker: Asker,
    pub(super) checked: Counter,
}

impl TokenOwners {
    /// Follows the owners of the tokens in this store.
    #[must_use]
    pub fn new(
        store: Store,
        owners: Owners,
        clock: Clock,
        teller: Teller,
        settings: Lifecycle,
    ) -> Self {
        let (turns, late) = (Turns::default(), Late::default());
        let acts = Acts::new(store.clone(), clock.clone(), teller);
        let (agenda, asker, checked) = (Agenda::default(), Asker::Beside, Counter::noop());
        let unreadable = Retries::default();
        Self {
            store,
            owners,
            clock,
            settings,
            acts,
            turns,
            agenda,
            unreadable,
            late,
            asker,
            checked,
        }
    }

    /// The same, counting whom it looks at.
    #[must_use]
    pub fn counting(self, checked: Counter) -> Self {
        Self { checked, ..self }
    }

    /// The same, for the looks at many that the agenda asks for.
    pub(super) fn for_many(self) -> Self {
        Self { asker: Asker::Many, ..self }
    }

    /// The same, in the name of somebody else.
    pub(super) fn by(self, actor: Actor) -> Self {
        Self { acts: self.acts.by(actor), ..self }
    }

    /// Looks at an owner for somebody who decides about them alone. `force`: what is done with tokens that are to end.
    pub(super) async fn look_at(
        &self,
        owner: &UserId,
        hint: Hint,
        force: Force,
    ) -> Result<(), Error> {
        let (lane, _) = Lane::new(1, &Late::none());
        self.look_with(owner, hint, force, lane).await.map(drop)
    }

    /// Looks at an owner, and does to their tokens what follows; the place is left when Keycloak was asked. See the module's
    /// steps. [`Self::look_with`] notes besides whether that can be done.
    pub(super) async fn look_unnoted(
        &self,
        owner: &UserId,
        hint: Hint,
        force: Force,
        place: &Place,
    ) -> Result<Found, Error> {
        let _turn = self.turns.take(owner).await;
        let is_held = self.store.find_owner_note(owner).await?.held_at.is_some();
        let live = self.list_live(owner).await?;
        if live.is_empty() && self.store.list_ids(owner).await?.is_empty() {
            if is_held {
                self.store.end_hold(owner).await?;
            }
            return Ok(Found::Good);
        }
        let seen = self.see(owner, &live).await?;
        let sight = &seen.sight;
        place.leave();
        // Whoever is held waits for a person, but for an owner who left on purpose, if that is certain.
        let may_have_left = matches!(hint, Hint::Event(change) if change.may_be_a_departure());
        let left = may_have_left && sight.is_away();
        let waits = is_held && hint != Hint::Confirmed;
        let verdict = if left {
            Verdict::Now(force)
        } else if waits {
            Verdict::Others
        } else {
            self.weigh(owner, force, &seen, &live).await?
        };
        let found = self.follow(owner, hint, verdict.force(), &seen, &live).await?;
        // What ends has ended: somebody may own very many tokens that ended long ago.
        if let Some(names) = sight.names() {
            self.store.rename_owner(owner, names, self.clock.now()).await?;
        }
        if let Some(error) = seen.into_failure() {
            return Err(error);
        }
        // An owner who only seems to be away is still the one that a person is to decide about.
        if is_held && matches!(found, Found::Good | Found::Ended) {
            self.store.end_hold(owner).await?;
        }
        Ok(match (found, verdict) {
            (Found::Spared(_), Verdict::Others) => Found::Doubted,
            (Found::Spared(_), Verdict::Later) => Found::Deferred,
            (found, _) => found,
        })
    }

    /// Whether tokens may end now because they are of few owners.
    async fn weigh(
        &self,
        owner: &UserId,
        force: Force,
        seen: &Seen,
        live: &[OwnedToken],
    ) -> Result<Verdict, Error> {
        let counted = match force {
            Force::End | Force::Suspend => return Ok(Verdict::Now(force)),
            Force::EndFew => false,
            Force::EndCounted => true,
        };
        if let Some(now) = seen.now()
            && self.compare(live, now)?.changed.is_empty()
        {
            return Ok(Verdict::Now(force));
        }
        // Also by a round that was interrupted: what is suspended is the next sweep's. But for a moment Keycloak says of who is
        // locked out only that they are disabled, and their tokens are suspended for that.
        let is_locked_out = matches!(seen.sight, Sight::LockedOut(_));
        let is_counted = |reason| !is_locked_out || reason == EndReason::OwnerLockedOut;
        let is_suspended = |OwnedToken { record, .. }: &OwnedToken| {
            record.suspended_at.is_some() && record.suspended_reason.is_none_or(is_counted)
        };
        if self.agenda.is_weighed(owner) || (!counted && live.iter().any(is_suspended)) {
            return Ok(Verdict::Others);
        }
        // Nothing can concern more owners than there are.
        if self.are_few().await? || !self.agenda.has_wide(self.asker).await {
            return Ok(Verdict::Now(Force::End));
        }
        Ok(Verdict::Later)
    }

    /// Whether the brake would let all owners of live tokens pass.
    async fn are_few(&self) -> Result<bool, StoreError> {
        let (brake, now) = (self.settings.brake, self.clock.now());
        let enough = u32::try_from(brake).unwrap_or(u32::MAX).saturating_add(1);
        let some = self.store.list_token_owners_after(None, None, now, enough).await?;
        Ok(some.len() <= brake)
    }

    /// All live tokens of an owner: those that are dead stay what they are, however many.
    pub(super) async fn list_live(&self, owner: &UserId) -> Result<Vec<OwnedToken>, StoreError> {
        let now = self.clock.now();
        let mut live: Vec<OwnedToken> = Vec::new();
        loop {
            let last = live.last().map(|token| &token.record);
            let some = self.store.list_live_tokens_after(owner, last, now, BATCH).await?;
            if some.is_empty() {
                return Ok(live);
            }
            live.extend(some);
        }
    }

    async fn follow(
        &self,
        owner: &UserId,
        hint: Hint,
        force: Force,
        seen: &Seen,
        live: &[OwnedToken],
    ) -> Result<Found, Error> {
        let sight = &seen.sight;
        let reason = match sight {
            Sight::Enabled(now) => {
                self.note(owner, now.federated, None).await?;
                return self.follow_enabled(owner, force, seen, live).await;
            }
            Sight::LockedOut(_) => EndReason::OwnerLockedOut,
            Sight::Disabled { .. } => EndReason::OwnerDisabled,
            Sight::Gone => EndReason::OwnerDeleted,
        };
        let locked_out = matches!(sight, Sight::LockedOut(_));
        let ends = locked_out || self.is_certain(owner, hint, sight).await?;
        let live: Vec<_> = live.iter().collect();
        if !ends || force == Force::Suspend {
            self.acts.suspend(&live, reason).await?;
            return Ok(if ends { Found::Spared(reason) } else { Found::Doubted });
        }
        if locked_out {
            self.acts.revoke(owner, &live, reason, &|_| None).await?;
        } else {
            self.acts.delete_all(owner, reason).await?;
        }
        Ok(Found::Ended)
    }

    /// Whether an owner who is disabled or gone is so for good. Else a sweep doubts, and the next one may be certain.
    async fn is_certain(&self, owner: &UserId, hint: Hint, sight: &Sight) -> Result<bool, Error> {
        let known = self.store.find_owner_note(owner).await?;
        let seen = matches!(sight, Sight::Disabled { federated: true, .. });
        // Keycloak's ids of users that it has not imported begin so.
        let federated = seen || known.federated_at.is_some() || owner.as_str().starts_with("f:");
        let begun = match hint {
            Hint::Event(UserChange::Left) => return Ok(true),
            Hint::Event(UserChange::Edited) if *sight == Sight::Gone || federated => {
                return Ok(false);
            }
            // Members of an organization seem disabled while it is.
            Hint::Event(UserChange::Edited) => {
                return Ok(!self.owners.has_identity_provider(owner).await?);
            }
            Hint::Event(UserChange::Changed | UserChange::Enabled) => return Ok(false),
            Hint::Confirmed => return Ok(!federated),
            Hint::Sweep(begun) => begun,
        };
        let Some(doubted_at) = known.doubted_at else {
            self.note(owner, seen, Some(begun)).await?;
            return Ok(false);
        };
        // Half an interval: each start sweeps too, and two of them may be a moment apart.
        if federated || begun < doubted_at.plus(self.settings.sweep_interval / 2) {
            return Ok(false);
        }
        Ok(*sight == Sight::Gone || !self.owners.has_identity_provider(owner).await?)
    }

    async fn note(
        &self,
        owner: &UserId,
        federated: bool,
        doubted_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let known = self.store.find_owner_note(owner).await?;
        let federated_at = known.federated_at.or_else(|| federated.then(|| self.clock.now()));
        let note = OwnerNote { federated_at, doubted_at, ..known };
        if note == known { Ok(()) } else { self.store.note_owner(owner, note).await }
    }

    /// The tokens whose owner has what they were issued on are good, and so released; the others end.
    async fn follow_enabled(
        &self,
        owner: &UserId,
        force: Force,
        seen: &Seen,
        live: &[OwnedToken],
    ) -> Result<Found, Error> {
        let Some(now) = seen.now() else { return Ok(Found::Good) };
        let Comparison { same, changed } = self.compare(live, now)?;
        self.acts.release(&same, "owner_as_before").await?;
        let Some(first) = changed.values().map(|(_, change)| change.reason).max() else {
            return Ok(Found::Good);
        };
        for reason in [EndReason::RolesChanged, EndReason::ClaimsChanged] {
            let of_reason = changed.values().filter(|(_, change)| change.reason == reason);
            let tokens: Vec<_> = of_reason.map(|(token, _)| *token).collect();
            if force == Force::Suspend {
                self.acts.suspend(&tokens, reason).await?;
            } else {
                let detail = |token: &TokenRecord| {
                    changed.get(&token.pat_id).map(|(_, change)| change.detail.clone())
                };
                self.acts.revoke(owner, &tokens, reason, &detail).await?;
            }
        }
        Ok(if force == Force::Suspend { Found::Spared(first) } else { Found::Ended })
    }
}
