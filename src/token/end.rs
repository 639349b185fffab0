//! The end of tokens, by their owner or an administrator: one, several, or all.

use super::{RevocationNote, Tokens, Whose};
use crate::access::Action;
use crate::audit::{self, Event};
use crate::clock::Timestamp;
use crate::credential::EndReason;
use crate::error::Error;
use crate::id::{PatId, UserId};
use crate::principal::Caller;
use crate::store::{EventOf, TokenDeleted, TokenRecord, TokenRevoked};

/// Why tokens are revoked, and when.
#[derive(Clone, Copy)]
struct Why<'a> {
    note: Option<&'a RevocationNote>,
    now: Timestamp,
}

/// What became of a token that was to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It is revoked now.
    Revoked,
    /// It was revoked before, and stays as it was.
    Already,
    /// There is none that the caller could revoke.
    NotFound,
}

/// What became of a token that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Deleted,
    /// There is none that the caller could delete.
    NotFound,
}

impl Tokens {
    /// Revokes a token: it stays listed. Again: nothing changes.
    pub async fn revoke(
        &self,
        caller: &Caller,
        whose: &Whose,
        pat_id: PatId,
        note: Option<&RevocationNote>,
    ) -> Result<TokenRecord, Error> {
        let owner = whose.ended_by(caller, Action::RevokeToken(pat_id))?.unwrap_or(&caller.user_id);
        let why = Why { note, now: self.clock.now() };
        self.revoke_each(caller, Some(owner), &[pat_id], why).await?;
        self.find(owner, pat_id).await
    }

    /// Revokes several tokens, and answers what became of each, in their order.
    pub async fn revoke_several(
        &self,
        caller: &Caller,
        whose: &Whose,
        ids: &[PatId],
        note: Option<&RevocationNote>,
    ) -> Result<Vec<Revoked>, Error> {
        let owner = whose.ended_by(caller, Action::RevokeTokens)?;
        let why = Why { note, now: self.clock.now() };
        self.revoke_each(caller, owner, ids, why).await
    }

    /// Revokes every token of a user, and answers how many that were.
    pub async fn revoke_all(
        &self,
        caller: &Caller,
        whose: &Whose,
        note: Option<&RevocationNote>,
    ) -> Result<u64, Error> {
        let owner = whose.ended_by(caller, Action::RevokeTokens)?.unwrap_or(&caller.user_id);
        let mut revoked = 0;
        loop {
            let now = self.clock.now();
            let ids = self.store.list_unrevoked_ids(owner, now).await?;
            if ids.is_empty() {
                return Ok(revoked);
            }
            // At the moment of the list: who has ended by itself since then would be listed again and again.
            let why = Why { note, now };
            let outcomes = self.revoke_each(caller, Some(owner), &ids, why).await?;
            revoked += count(&outcomes, &Revoked::Revoked);
        }
    }

    /// Deletes a token with its metadata.
    pub async fn delete(&self, caller: &Caller, whose: &Whose, pat_id: PatId) -> Result<(), Error> {
        match *self.delete_several(caller, whose, &[pat_id]).await? {
            [Deleted::Deleted] => Ok(()),
            _ => Err(Error::not_found("token")),
        }
    }

    /// Deletes several tokens, and answers what became of each, in their order.
    pub async fn delete_several(
        &self,
        caller: &Caller,
        whose: &Whose,
        ids: &[PatId],
    ) -> Result<Vec<Deleted>, Error> {
        let owner = whose.ended_by(caller, Action::DeleteTokens)?;
        self.delete_each(caller, owner, ids).await
    }

    /// Deletes every token of a user, and answers how many that were.
    pub async fn delete_all(&self, caller: &Caller, whose: &Whose) -> Result<u64, Error> {
        let owner = whose.ended_by(caller, Action::DeleteTokens)?.unwrap_or(&caller.user_id);
        let mut deleted = 0;
        loop {
            let ids = self.store.list_ids(owner).await?;
            if ids.is_empty() {
                return Ok(deleted);
            }
            let outcomes = self.delete_each(caller, Some(owner), &ids).await?;
            deleted += count(&outcomes, &Deleted::Deleted);
        }
    }

    async fn revoke_each(
        &self,
        caller: &Caller,
        owner: Option<&UserId>,
        ids: &[PatId],
        Why { note, now }: Why<'_>,
    ) -> Result<Vec<Revoked>, Error> {
        let event = |token: &TokenRecord| {
            let by_owner = token.user_id == caller.user_id;
            event_at(now, audit::Act::TokenRevoked, token, caller)
                .because(if by_owner { EndReason::ByOwner } else { EndReason::ByAdministrator })
                .with_note(note.map(RevocationNote::as_str))
        };
        let event: &EventOf<'_> = &event;
        let outcomes = self.store.revoke_tokens(owner, ids, event).await?;
        let said = outcomes.into_iter().map(|outcome| match outcome {
            TokenRevoked::Revoked(event) => {
                self.teller.tell(&event);
                Revoked::Revoked
            }
            TokenRevoked::AlreadyRevoked => Revoked::Already,
            TokenRevoked::NotFound => Revoked::NotFound,
        });
        Ok(said.collect())
    }

    async fn delete_each(
        &self,
        by: &Caller,
        owner: Option<&UserId>,
        ids: &[PatId],
    ) -> Result<Vec<Deleted>, Error> {
        let now = self.clock.now();
        let event = |token: &TokenRecord| event_at(now, audit::Act::TokenDeleted, token, by);
        let outcomes = self.store.delete_tokens(owner, ids, &event).await?;
        let said = outcomes.into_iter().map(|outcome| match outcome {
            TokenDeleted::Deleted(event) => {
                self.teller.tell(&event);
                Deleted::Deleted
            }
            TokenDeleted::NotFound => Deleted::NotFound,
        });
        Ok(said.collect())
    }

    pub(super) fn event(&self, action: audit::Act, token: &TokenRecord, caller: &Caller) -> Event {
        event_at(self.clock.now(), action, token, caller)
    }
}

fn event_at(now: Timestamp, action: audit::Act, token: &TokenRecord, by: &Caller) -> Event {
    let subject = (token.pat_id, token.name.as_str(), &token.user_id);
    Event::of_token(action, subject, by, now)
}

impl Whose {
    /// Refuses whoever may not end these tokens. `own` is what it takes for one's own.
    pub fn may_end(&self, caller: &Caller, own: Action) -> Result<(), Error> {
        self.ended_by(caller, own).map(|_| ())
    }

    /// Whose tokens the caller may end: this user's, or everybody's. `own` is what it takes for one's own.
    fn ended_by<'a>(
        &'a self,
        caller: &'a Caller,
        own: Action,
    ) -> Result<Option<&'a UserId>, Error> {
        match self {
            Self::Own => caller.authorize(own).map(|()| Some(&caller.user_id)),
            Self::User(owner) => {
                caller.authorize(Action::EndEverybodysTokens).map(|()| Some(owner))
            }
            Self::Everybody => caller.authorize(Action::EndEverybodysTokens).map(|()| None),
        }
    }
}

fn count<T: PartialEq>(outcomes: &[T], wanted: &T) -> u64 {
    outcomes.iter().filter(|outcome| *outcome == wanted).fold(0, |count, _| count + 1)
}
