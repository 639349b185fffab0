//! What is done to tokens because of their owner, each with its line in the audit log.

use crate::audit::{Act, Actor, Event, Teller, Why};
use crate::clock::Clock;
use crate::credential::EndReason;
use crate::error::Error;
use crate::id::UserId;
use crate::store::{OwnedToken, Store, Suspension, TokenDeleted, TokenRecord, TokenRevoked};

/// What the audit log says beside the reason.
type DetailOf<'a> = dyn Fn(&TokenRecord) -> Option<String> + Sync + 'a;

/// Acts on tokens for Hallpass itself, or for the operator who decides. Clones share everything.
#[derive(Clone)]
pub(super) struct Acts {
    store: Store,
    clock: Clock,
    teller: Teller,
    actor: Actor,
}

impl Acts {
    pub(super) fn new(store: Store, clock: Clock, teller: Teller) -> Self {
        Self { store, clock, teller, actor: Actor::hallpass() }
    }

    /// Tells of what is committed.
    pub(super) fn tell(&self, event: &Event) {
        self.teller.tell(event);
    }

    /// The same, done by somebody else.
    pub(super) fn by(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }

    pub(super) async fn revoke(
        &self,
        owner: &UserId,
        tokens: &[&OwnedToken],
        reason: EndReason,
        detail: &DetailOf<'_>,
    ) -> Result<(), Error> {
        let ids: Vec<_> = tokens.iter().map(|token| token.record.pat_id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let event = |token: &TokenRecord| {
            let event = self.event(Act::TokenRevoked, token, reason);
            match detail(token) {
                Some(detail) => event.with_detail(detail),
                None => event,
            }
        };
        for outcome in self.store.revoke_tokens(Some(owner), &ids, &event).await? {
            if let TokenRevoked::Revoked(event) = outcome {
                self.tell(&event);
            }
        }
        Ok(())
    }

    /// Deletes all tokens of an owner, dead ones too.
    pub(super) async fn delete_all(&self, owner: &UserId, reason: EndReason) -> Result<(), Error> {
        let event = |token: &TokenRecord| self.event(Act::TokenDeleted, token, reason);
        loop {
            let ids = self.store.list_ids(owner).await?;
            if ids.is_empty() {
                return Ok(());
            }
            for outcome in self.store.delete_tokens(Some(owner), &ids, &event).await? {
                if let TokenDeleted::Deleted(event) = outcome {
                    self.tell(&event);
                }
            }
        }
    }

    /// Refuses those for now that are not suspended yet.
    pub(super) async fn suspend(
        &self,
        tokens: &[&OwnedToken],
        reason: EndReason,
    ) -> Result<(), Error> {
        let fresh = tokens.iter().filter(|token| token.record.suspended_at.is_none());
        self.set(fresh, (Act::TokenSuspended, Suspension::Suspended), reason).await
    }

    /// Lets those be what they were that are suspended.
    pub(super) async fn release(&self, tokens: &[&OwnedToken], why: &str) -> Result<(), Error> {
        let suspended = tokens.iter().filter(|token| token.record.suspended_at.is_some());
        self.set(suspended, (Act::TokenReleased, Suspension::Released), why).await
    }

    async fn set<'t>(
        &self,
        tokens: impl Iterator<Item = &'t &'t OwnedToken>,
        (action, suspension): (Act, Suspension),
        why: impl Into<Why>,
    ) -> Result<(), Error> {
        let why = why.into();
        let event = |token: &&OwnedToken| {
            (token.record.pat_id, self.event(action, &token.record, why.clone()))
        };
        let events: Vec<_> = tokens.map(event).collect();
        if events.is_empty() {
            return Ok(());
        }
        for event in self.store.set_suspension(events, suspension).await? {
            self.tell(&event);
        }
        Ok(())
    }

    pub(super) fn event(&self, action: Act, token: &TokenRecord, why: impl Into<Why>) -> Event {
        let subject = (token.pat_id.to_string(), token.name.clone());
        Event::new(action, subject, &token.user_id, &self.actor, self.clock.now()).because(why)
    }
}
