//! Owners who cannot be looked at, apart from all others.
//!
//! 1. A look that fails is noted, whoever asked for it, and made again at growing intervals. It keeps nobody else waiting.
//! 2. Where Keycloak does not even answer about Hallpass's own account, it is not the owner's fault: their time begins anew.
//! 3. An owner who stays unreadable for [`PATIENCE`] is suspended, `owner_unreadable`: else tokens could be kept alive by
//!    making their owner unreadable. They are good again with the first look that finds their owner as before.

use std::time::Duration;

use super::lane::Lane;
use super::owners::{Force, Found, Hint, TokenOwners};
use crate::credential::EndReason;
use crate::error::Error;
use crate::id::UserId;
use crate::keycloak::UserChange;

/// With the tries that may be under way, an owner is suspended within a minute.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why an owner is looked at on their own.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) change: UserChange,
    /// Something of many may be behind it: what is found counts for the brake, with what is found of others.
    pub(super) is_of_many: bool,
    /// Why the last look failed.
    said: String,
}

impl Cause {
    /// Something happened to this owner.
    pub(super) const fn event(change: UserChange) -> Self {
        Self { change, is_of_many: false, said: String::new() }
    }

    /// They are suspended, and nobody knows for which change.
    const fn of_suspended() -> Self {
        Self { change: UserChange::Changed, is_of_many: true, said: String::new() }
    }

    fn of_look(hint: Hint, force: Force) -> Self {
        let is_of_many = matches!(force, Force::Suspend | Force::EndCounted);
        match hint {
            Hint::Event(change) => Self { is_of_many, ..Self::event(change) },
            Hint::Sweep(_) | Hint::Confirmed => {
                Self { is_of_many, ..Self::event(UserChange::Changed) }
            }
        }
    }

    /// What is done with tokens that are to end for it.
    pub(super) const fn force(&self) -> Force {
        if self.is_of_many { Force::Suspend } else { Force::EndFew }
    }
}

impl TokenOwners {
    /// Looks at an owner in a lane, and notes whether that can be done.
    pub(super) async fn look_with(
        &self,
        owner: &UserId,
        hint: Hint,
        force: Force,
        lane: Lane,
    ) -> Result<Found, Error> {
        let look =
            lane.run(|place| async move { self.look_unnoted(owner, hint, force, &place).await });
        let looked =
            look.await.unwrap_or_else(|| Err(Error::internal("nobody waits for the look")));
        self.note_look(owner, Cause::of_look(hint, force), &looked).await?;
        looked
    }

    /// Notes whether an owner could be looked at, and what remains to be done about it.
    pub(super) async fn note_look(
        &self,
        owner: &UserId,
        cause: Cause,
        looked: &Result<Found, Error>,
    ) -> Result<(), Error> {
        if let Err(error) = looked {
            let said = error.chain();
            tracing::debug!(user_id = %owner, cause = said, "an owner cannot be looked at");
            self.unreadable.note(owner, Cause { said, ..cause }, self.clock.passed(), merge);
            return Ok(());
        }
        let known = self.unreadable.end(owner, self.clock.passed());
        if known.is_some_and(|retry| retry.is_told) {
            self.store.note_readable(owner).await?;
            tracing::info!(user_id = %owner, "the owner can be looked at again");
        }
        Ok(())
    }

    /// Whether a look at this owner is under way apart from others, or is to be made: it sees this change, too.
    pub(super) fn is_apart(&self, owner: &UserId, change: UserChange) -> bool {
        self.unreadable.amend(owner, Cause::event(change), merge)
    }

    /// Whether the last look at this owner failed: then the next one does what this one would have done.
    pub(super) fn is_unreadable(&self, owner: &UserId, hint: Hint, force: Force) -> bool {
        self.unreadable.amend_failing(owner, Cause::of_look(hint, force), merge)
    }

    /// Whom another process, or this one before it began anew, suspended.
    pub(super) async fn recall_unreadable(&self) -> Result<(), Error> {
        for owner in self.store.list_unreadable_owners().await? {
            self.unreadable.recall(owner, Cause::of_suspended(), self.clock.passed());
        }
        Ok(())
    }

    /// It is not the owners' fault where Keycloak does not answer about Hallpass itself: nobody is blamed for what failed.
    pub(super) async fn check_answers(&self) -> Result<(), Error> {
        let answers = self.owners.check_answers().await;
        if answers.is_err() {
            self.unreadable.excuse(self.clock.passed());
        }
        answers
    }

    /// Suspends those who stay unreadable while Keycloak answers: before their last look, as of `answered_at`, and after it.
    /// Answers since when it answers now.
    pub(super) async fn judge_unreadable(
        &self,
        answered_at: Option<Duration>,
    ) -> Result<Option<Duration>, Error> {
        if self.check_answers().await.is_err() {
            return Ok(None);
        }
        let now = self.clock.passed();
        if let Some(answered_at) = answered_at {
            for (cause, begun) in self.unreadable.take_untold(now, PATIENCE, answered_at) {
                self.suspend_unreadable(begun.key(), &cause.said).await?;
            }
        }
        Ok(Some(now))
    }

    async fn suspend_unreadable(&self, owner: &UserId, cause: &str) -> Result<(), Error> {
        let _turn = self.turns.take(owner).await;
        let live = self.list_live(owner).await?;
        self.unreadable.tell(owner);
        self.unreadable.amend(owner, Cause::of_suspended(), merge);
        if live.is_empty() {
            return Ok(());
        }
        self.acts.suspend(&live.iter().collect::<Vec<_>>(), EndReason::OwnerUnreadable).await?;
        self.store.note_unreadable(owner, self.clock.now()).await?;
        tracing::error!(
            user_id = %owner,
            reason = EndReason::OwnerUnreadable.name(),
            cause,
            "an owner cannot be looked at, though Keycloak answers for others: their tokens are suspended until they can"
        );
        Ok(())
    }
}

fn merge(known: &mut Cause, cause: Cause) {
    known.change = known.change.then(cause.change);
    known.is_of_many |= cause.is_of_many;
    if !cause.said.is_empty() {
        known.said = cause.said;
    }
}
