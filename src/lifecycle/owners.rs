//! What happens to the owners of tokens, followed: other roles, disabled, deleted, locked out.
//!
//! 1. The tokens are read before the owner: one that is made meanwhile has the roles of then, and checks itself.
//! 2. The owner is read as Keycloak has them now. Whatever brought us here is a hint, and may be over.
//! 3. Other roles than at a token's issue: it is revoked. Locked out: all are revoked. Disabled or gone: deleted where that
//!    is certain, else suspended, and released when the owner is back. A look that fails changes nothing.
//!
//! So it does not matter how often, or in which order, somebody is looked at.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::audit::{
    Action, Actor, Event, OWNER_DELETED, OWNER_DISABLED, OWNER_LOCKED_OUT, ROLES_CHANGED,
};
use crate::clock::{Clock, Timestamp};
use crate::error::Error;
use crate::id::{PatId, UserId};
use crate::keycloak::UserChange;
use crate::owner::{Owners, Roles, RolesDifference, Sight};
use crate::store::{
    OwnedToken, OwnerNote, Store, StoreError, Suspension, TokenDeleted, TokenRecord, TokenRevoked,
};

/// How many tokens are dealt with at a time, and how many owners are read from the store.
const BATCH: u32 = 250;
/// How many owners are looked at at once where it is urgent.
const AT_ONCE: usize = 8;
/// How long a sweep rests after each owner: others use Keycloak too.
const PAUSE: Duration = Duration::from_millis(20);
/// After so many failures in a row it is not the owners' fault.
const MAX_FAILURES: usize = 10;
/// Owners share these locks: looks at one owner wait for each other.
const TURNS: usize = 64;

/// Why an owner is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// An event says so.
    Event(UserChange),
    /// A sweep does that began at this moment.
    Sweep(Timestamp),
}

/// Follows the owners of tokens. Clones share everything.
#[derive(Clone)]
pub struct TokenOwners {
    store: Store,
    owners: Owners,
    clock: Clock,
    sweep_interval: Duration,
    turns: Arc<[Mutex<()>]>,
}

impl TokenOwners {
    /// Follows the owners of the tokens in this store.
    #[must_use]
    pub fn new(store: Store, owners: Owners, clock: Clock, sweep_interval: Duration) -> Self {
        let turns = std::iter::repeat_with(Mutex::default).take(TURNS).collect();
        Self { store, owners, clock, sweep_interval, turns }
    }

    /// Looks at an owner, and does to their tokens what follows. See the module's steps.
    pub async fn look_at(&self, owner: &UserId, hint: Hint) -> Result<(), Error> {
        let _turn = self.turn(owner).lock().await;
        let mut last = None;
        loop {
            let tokens = self.store.list_owned_tokens_after(owner, last, BATCH).await?;
            let Some(newest) = tokens.last() else { return Ok(()) };
            last = Some(newest.record.pat_id);
            let sight = self.owners.look_at(owner).await?;
            self.follow(owner, hint, &sight, &tokens).await?;
        }
    }

    /// Looks at all owners of live tokens, one after the other: not every change has an event.
    pub async fn sweep(&self) -> Result<(), Error> {
        let hint = Hint::Sweep(self.clock.now());
        self.look_at_all(hint, 1, PAUSE).await
    }

    /// Looks at all owners of live tokens soon: something happened, and to whom cannot be told.
    pub async fn look_at_everybody(&self) -> Result<(), Error> {
        self.look_at_all(Hint::Event(UserChange::Changed), AT_ONCE, Duration::ZERO).await
    }

    async fn look_at_all(&self, hint: Hint, at_once: usize, pause: Duration) -> Result<(), Error> {
        let (mut last, mut in_a_row, mut first_failure) = (None, 0, None);
        loop {
            let now = self.clock.now();
            let owners = self.store.list_token_owners_after(last.as_ref(), now, BATCH).await?;
            let Some(newest) = owners.last() else { break };
            last = Some(newest.clone());
            for part in owners.chunks(at_once) {
                let hints = part.iter().map(|owner| (owner.clone(), hint)).collect();
                let failed = self.look_at_each(hints).await;
                in_a_row = if failed.len() < part.len() { 0 } else { in_a_row + failed.len() };
                for (_, _, error) in failed {
                    first_failure.get_or_insert(error);
                }
                if in_a_row >= MAX_FAILURES {
                    return first_failure.map_or(Ok(()), Err);
                }
                sleep(pause).await;
            }
        }
        first_failure.map_or(Ok(()), Err)
    }

    /// Looks at several owners, a few at once, and answers those that could not be looked at.
    pub async fn look_at_each(&self, hints: Vec<(UserId, Hint)>) -> Vec<(UserId, Hint, Error)> {
        let (mut under_way, mut failed) = (JoinSet::new(), Vec::new());
        let mut settle = |ended: Result<Option<(UserId, Hint, Error)>, _>| match ended {
            Ok(outcome) => failed.extend(outcome),
            Err(error) => tracing::error!(%error, "a look at an owner broke off"),
        };
        for (owner, hint) in hints {
            if under_way.len() >= AT_ONCE
                && let Some(ended) = under_way.join_next().await
            {
                settle(ended);
            }
            let this = self.clone();
            under_way.spawn(async move {
                let error = this.look_at(&owner, hint).await.err()?;
                Some((owner, hint, error))
            });
        }
        while let Some(ended) = under_way.join_next().await {
            settle(ended);
        }
        failed
    }

    async fn follow(
        &self,
        owner: &UserId,
        hint: Hint,
        sight: &Sight,
        tokens: &[OwnedToken],
    ) -> Result<(), Error> {
        match sight {
            Sight::Enabled(now) => {
                self.note(owner, now.federated, None).await?;
                self.compare(owner, &now.roles, tokens).await
            }
            Sight::LockedOut => {
                let event =
                    |token: &TokenRecord| self.event(Action::TokenRevoked, token, OWNER_LOCKED_OUT);
                self.revoke(owner, &self.live(tokens), &event).await
            }
            Sight::Disabled { .. } | Sight::Gone => {
                let reason = if *sight == Sight::Gone { OWNER_DELETED } else { OWNER_DISABLED };
                if self.is_certain(owner, hint, sight).await? {
                    self.delete(owner, tokens, reason).await
                } else {
                    let act = (Action::TokenSuspended, Suspension::Suspended);
                    self.set_suspension(&self.live(tokens), act, reason).await
                }
            }
        }
    }

    /// Whether an owner who is disabled or gone is so for good. Else a sweep doubts, and the next one may be certain.
    async fn is_certain(&self, owner: &UserId, hint: Hint, sight: &Sight) -> Result<bool, Error> {
        let known = self.store.find_owner_note(owner).await?;
        let seen = matches!(sight, Sight::Disabled { federated: true });
        // Keycloak's ids of users that it has not imported begin so.
        let federated = seen || known.federated_at.is_some() || owner.as_str().starts_with("f:");
        let begun = match hint {
            Hint::Event(UserChange::Left) => return Ok(true),
            Hint::Event(UserChange::Edited) => return Ok(*sight != Sight::Gone && !federated),
            Hint::Event(UserChange::Changed | UserChange::Enabled) => return Ok(false),
            Hint::Sweep(begun) => begun,
        };
        let Some(doubted_at) = known.doubted_at else {
            self.note(owner, seen, Some(begun)).await?;
            return Ok(false);
        };
        // Half an interval: each start sweeps too, and two of them may be a moment apart.
        if federated || begun < doubted_at.plus(self.sweep_interval / 2) {
            return Ok(false);
        }
        // Members of an organization seem disabled while it is.
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
        let note = OwnerNote { federated_at, doubted_at };
        if note == known { Ok(()) } else { self.store.note_owner(owner, note).await }
    }

    /// The tokens whose owner has the roles of then are good; the others are revoked.
    async fn compare(
        &self,
        owner: &UserId,
        now: &Roles,
        tokens: &[OwnedToken],
    ) -> Result<(), Error> {
        let (mut stale, mut suspended) = (Vec::new(), Vec::new());
        for token in self.live(tokens) {
            let then = Roles::from_json(&token.owner_roles)
                .map_err(|_| StoreError::Corrupt("list of roles"))?;
            let difference = RolesDifference::between(&then, now);
            if !difference.is_empty() {
                stale.push((token, difference));
            } else if token.record.suspended_at.is_some() {
                suspended.push(token);
            }
        }
        let tokens: Vec<_> = stale.iter().map(|(token, _)| *token).collect();
        let event = |token: &TokenRecord| {
            let event = self.event(Action::TokenRevoked, token, ROLES_CHANGED);
            match stale.iter().find(|(stale, _)| stale.record.pat_id == token.pat_id) {
                Some((_, difference)) => event.with_detail(difference.to_string()),
                None => event,
            }
        };
        self.revoke(owner, &tokens, &event).await?;
        let act = (Action::TokenReleased, Suspension::Released);
        self.set_suspension(&suspended, act, "owner_enabled").await
    }

    async fn revoke(
        &self,
        owner: &UserId,
        tokens: &[&OwnedToken],
        event: &(dyn Fn(&TokenRecord) -> Event + Sync),
    ) -> Result<(), Error> {
        let ids = ids(tokens.iter().copied());
        if ids.is_empty() {
            return Ok(());
        }
        for outcome in self.store.revoke_tokens(Some(owner), &ids, event).await? {
            if let TokenRevoked::Revoked(event) = outcome {
                event.log();
            }
        }
        Ok(())
    }

    async fn delete(
        &self,
        owner: &UserId,
        tokens: &[OwnedToken],
        reason: &str,
    ) -> Result<(), Error> {
        let event = |token: &TokenRecord| self.event(Action::TokenDeleted, token, reason);
        let outcomes = self.store.delete_tokens(Some(owner), &ids(tokens), &event).await?;
        for outcome in outcomes {
            if let TokenDeleted::Deleted(event) = outcome {
                event.log();
            }
        }
        Ok(())
    }

    async fn set_suspension(
        &self,
        tokens: &[&OwnedToken],
        (action, suspension): (Action, Suspension),
        reason: &str,
    ) -> Result<(), Error> {
        let now = |token: &&&OwnedToken| match suspension {
            Suspension::Suspended => token.record.suspended_at.is_none(),
            Suspension::Released => token.record.suspended_at.is_some(),
        };
        let event =
            |token: &&OwnedToken| (token.record.pat_id, self.event(action, &token.record, reason));
        let events: Vec<_> = tokens.iter().filter(now).map(event).collect();
        if events.is_empty() {
            return Ok(());
        }
        for event in self.store.set_suspension(events, suspension).await? {
            event.log();
        }
        Ok(())
    }

    /// Those that are neither revoked nor expired.
    fn live<'a>(&self, tokens: &'a [OwnedToken]) -> Vec<&'a OwnedToken> {
        let now = self.clock.now();
        let is_live = |token: &&OwnedToken| {
            token.record.revocation(now).is_none() && token.record.expires_at > now
        };
        tokens.iter().filter(is_live).collect()
    }

    fn event(&self, action: Action, token: &TokenRecord, reason: &str) -> Event {
        let subject = (token.pat_id.to_string(), token.name.clone());
        Event::new(action, subject, &token.user_id, &Actor::hallpass(), self.clock.now())
            .because(reason)
    }

    fn turn(&self, owner: &UserId) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        owner.as_str().hash(&mut hasher);
        let turns = u64::try_from(self.turns.len()).unwrap_or(1);
        let index = usize::try_from(hasher.finish() % turns).unwrap_or_default();
        &self.turns[index]
    }
}

fn ids<'a>(tokens: impl IntoIterator<Item = &'a OwnedToken>) -> Vec<PatId> {
    tokens.into_iter().map(|token| token.record.pat_id).collect()
}
