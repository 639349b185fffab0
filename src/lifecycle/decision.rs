//! What a person decides about tokens: those that the brake holds, and all that were issued before a moment.

use super::fingerprint::is_covered;
use super::owners::{Force, Hint, TokenOwners};
use crate::audit::{Act, Actor};
use crate::clock::Timestamp;
use crate::credential::EndReason;
use crate::error::Error;
use crate::id::UserId;
use crate::keycloak::UserChange;
use crate::owner::{AuthorityClaims, Roles, RolesDifference, Sight};
use crate::store::{Accepted, HeldOwner, OwnedToken, StoreError, TokenRecord, TokenRevoked};

/// How many owners or tokens are read from the store at a time.
const BATCH: u32 = 250;

/// What became of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// All of the owner's tokens live on.
    All,
    /// Some stay held: they carry roles, or claims that carry authority, which the owner has lost.
    NotWhatWasLost,
    /// The owner seems to be disabled or gone, so nobody knows their roles: all stay held.
    Nothing,
}

/// Decides for an operator. What is decided counts for every process that serves from the same store.
#[derive(Clone)]
pub struct Decisions {
    owners: TokenOwners,
}

impl Decisions {
    /// Decisions about the tokens of these owners; the audit log names the operator.
    #[must_use]
    pub fn new(owners: TokenOwners) -> Self {
        Self { owners: owners.by(Actor::operator()) }
    }

    /// Ends the connections to the store.
    pub async fn close(&self) {
        self.owners.store.close().await;
    }

    /// All owners whose tokens the brake holds.
    pub async fn list_held(&self) -> Result<Vec<HeldOwner>, StoreError> {
        let mut held: Vec<HeldOwner> = Vec::new();
        loop {
            let last = held.last().map(|owner| &owner.user_id);
            let some = self.owners.store.list_held_owners_after(last, BATCH).await?;
            if some.is_empty() {
                return Ok(held);
            }
            held.extend(some);
        }
    }

    /// How the owner's roles differ from those that count for their oldest live token; `None`: nobody knows, since the
    /// owner seems to be disabled or gone.
    pub async fn find_difference(&self, owner: &UserId) -> Result<Option<RolesDifference>, Error> {
        let live = self.owners.list_live(owner).await?;
        let Some(oldest) = live.first() else { return Ok(None) };
        let Sight::Enabled(now) = self.owners.owners.look_at(owner).await? else {
            return Ok(None);
        };
        let corrupt = |_| StoreError::Corrupt("list of roles");
        let before = oldest.accepted_roles.as_ref().unwrap_or(&oldest.owner_roles);
        let before = Roles::from_json(before).map_err(corrupt)?;
        Ok(Some(RolesDifference::between(&before, &now.roles)))
    }

    /// What the brake kept from happening to this owner's tokens happens, as far as it is still so.
    pub async fn confirm(&self, owner: &UserId) -> Result<(), Error> {
        self.owners.look_at(owner, Hint::Confirmed, Force::End).await
    }

    /// This owner's tokens live on, though the owner has other roles and claims now; but a release gives nobody back what
    /// they lost: tokens that carry such a role or claim stay held.
    pub async fn release(&self, owner: &UserId) -> Result<Released, Error> {
        let released = self.accept(owner).await?;
        if released != Released::Nothing {
            // Roles may have changed between the look and the commit. Of how many owners is not known here.
            let hint = Hint::Event(UserChange::Changed);
            self.owners.look_at(owner, hint, Force::Suspend).await?;
        }
        Ok(released)
    }

    async fn accept(&self, owner: &UserId) -> Result<Released, Error> {
        let _turn = self.owners.turns.take(owner).await;
        let (store, acts) = (&self.owners.store, &self.owners.acts);
        let live = self.owners.list_live(owner).await?;
        let seen = self.owners.see(owner, &live).await?;
        let Some(now) = seen.now() else { return Ok(Released::Nothing) };
        let mut kept: Vec<&OwnedToken> = Vec::new();
        for token in &live {
            if is_covered(token, now, self.owners.owners.claims_rule())? {
                kept.push(token);
            }
        }
        let others_stay = kept.len() < live.len();
        let accepted = Accepted {
            roles: now.roles.to_json().map_err(Error::internal)?,
            claims: now
                .claims
                .map(AuthorityClaims::to_json)
                .transpose()
                .map_err(Error::internal)?,
        };
        let event =
            |token: &TokenRecord| acts.event(Act::TokenReleased, token, "released_by_operator");
        let events = kept.iter().map(|token| (token.record.pat_id, event(&token.record))).collect();
        for event in store.accept(owner, &accepted, events, others_stay).await? {
            acts.tell(&event);
        }
        if let Some(error) = seen.into_failure() {
            return Err(error);
        }
        Ok(if others_stay { Released::NotWhatWasLost } else { Released::All })
    }

    /// How many tokens [`Self::revoke_some`] would revoke in all.
    pub async fn count_issued_before(&self, moment: Timestamp) -> Result<u64, StoreError> {
        self.owners.store.count_unrevoked_before(moment, self.owners.clock.now()).await
    }

    /// Revokes some of the tokens that were issued before a moment, and answers how many; 0: there are no more.
    pub async fn revoke_some(&self, moment: Timestamp) -> Result<usize, StoreError> {
        let (store, now) = (&self.owners.store, self.owners.clock.now());
        let ids = store.list_unrevoked_before(moment, now).await?;
        let event = |token: &TokenRecord| {
            self.owners.acts.event(Act::TokenRevoked, token, EndReason::ByOperator)
        };
        for outcome in store.revoke_tokens(None, &ids, &event).await? {
            if let TokenRevoked::Revoked(event) = outcome {
                self.owners.acts.tell(&event);
            }
        }
        Ok(ids.len())
    }
}
