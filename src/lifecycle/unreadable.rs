//! Owners who cannot be looked at, apart from all others.
//!
//! 1. A look that fails is noted, whoever asked for it, and made again at growing intervals. It keeps nobody else waiting.
//! 2. Where Keycloak does not even answer about Hallpass's own account, it is not the owner's fault: their time begins anew.
//! 3. An owner who stays unreadable for [`PATIENCE`] is suspended, `owner_unreadable`: else tokens could be kept alive by
//!    making their owner unreadable. They are good again with the first look that finds their owner as before.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::owners::{Force, Found, Hint, TokenOwners};
use super::round::Looked;
use crate::audit::OWNER_UNREADABLE;
use crate::error::Error;
use crate::id::UserId;
use crate::keycloak::UserChange;

/// With the tries that may be under way, an owner is suspended within a minute.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many are looked at before the others are thought of.
const BATCH: usize = 64;

impl TokenOwners {
    /// Looks at an owner, and notes whether that can be done.
    pub(super) async fn look_with(
        &self,
        owner: &UserId,
        hint: Hint,
        force: Force,
        asking: &Semaphore,
    ) -> Result<Found, Error> {
        let looked = self.look_unnoted(owner, hint, force, asking).await;
        match &looked {
            Ok(_) => self.note_readable(owner).await?,
            Err(error) => {
                tracing::debug!(user_id = %owner, cause = error.chain(), "an owner cannot be looked at");
                self.note_unreadable(owner, hint);
            }
        }
        looked
    }

    /// A look failed, or was never made.
    pub(super) fn note_unreadable(&self, owner: &UserId, hint: Hint) {
        let change = match hint {
            Hint::Event(change) => change,
            Hint::Sweep(_) | Hint::Confirmed => UserChange::Changed,
        };
        self.unreadable.note(owner, change, self.clock.passed(), merge);
    }

    /// Whether the owner could not be looked at the last time; this change is looked at with the next try then.
    pub(super) fn is_unreadable(&self, owner: &UserId, change: UserChange) -> bool {
        self.unreadable.amend(owner, change, merge)
    }

    async fn note_readable(&self, owner: &UserId) -> Result<(), Error> {
        if self.unreadable.end(owner).is_some_and(|retry| retry.is_told) {
            self.store.note_readable(owner).await?;
            tracing::info!(user_id = %owner, "the owner can be looked at again");
        }
        Ok(())
    }

    /// Whom another process, or this one before it began anew, suspended.
    pub(super) async fn recall_unreadable(&self) -> Result<(), Error> {
        for owner in self.store.list_unreadable_owners().await? {
            self.unreadable.recall(owner, UserChange::Changed, self.clock.passed());
        }
        Ok(())
    }

    /// Looks at those again that it is time for, and suspends those who stay unreadable. Answers who can be looked at now.
    pub(super) async fn look_again(&self) -> Result<Vec<UserId>, Error> {
        let due = self.unreadable.due(self.clock.passed(), BATCH);
        let hints: Vec<_> =
            due.into_iter().map(|(owner, change)| (owner, Hint::Event(change))).collect();
        let looked = self.look_at_each(hints, Force::EndFew).await;
        let (mut readable, mut causes) = (Vec::new(), BTreeMap::new());
        for Looked { owner, outcome } in looked {
            match outcome {
                Ok(found) => {
                    if found == Found::Deferred {
                        self.agenda.defer(vec![owner.clone()]);
                    }
                    readable.push(owner);
                }
                Err(error) => drop(causes.insert(owner, error)),
            }
        }
        if causes.is_empty() {
            return Ok(readable);
        }
        if self.owners.check_answers().await.is_err() {
            self.unreadable.excuse(self.clock.passed());
            return Ok(readable);
        }
        for owner in self.unreadable.untold(self.clock.passed(), PATIENCE) {
            let cause = causes.get(&owner).map(Error::chain).unwrap_or_default();
            self.suspend_unreadable(&owner, &cause).await?;
        }
        Ok(readable)
    }

    async fn suspend_unreadable(&self, owner: &UserId, cause: &str) -> Result<(), Error> {
        let _turn = self.turn(owner).lock().await;
        let live = self.list_live(owner).await?;
        if live.is_empty() {
            self.unreadable.end(owner);
            return Ok(());
        }
        self.acts.suspend(&live.iter().collect::<Vec<_>>(), OWNER_UNREADABLE).await?;
        self.store.note_unreadable(owner, self.clock.now()).await?;
        self.unreadable.tell(owner);
        tracing::error!(
            user_id = %owner,
            reason = OWNER_UNREADABLE,
            cause,
            "an owner cannot be looked at, though Keycloak answers for others: their tokens are suspended until they can"
        );
        Ok(())
    }
}

fn merge(known: &mut UserChange, change: UserChange) {
    *known = known.then(change);
}
