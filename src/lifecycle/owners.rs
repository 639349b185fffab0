//! What happens to the owners of tokens, followed: other roles, disabled, deleted, locked out.
//!
//! 1. The tokens are read before the owner: one that is made meanwhile has the roles of then, and checks itself.
//! 2. The owner is read as Keycloak has them now. Whatever brought us here is a hint, and may be over.
//! 3. Other roles than at a token's issue: it is revoked. Locked out: all are revoked. Disabled or gone: deleted where that
//!    is certain, else suspended, and released when the owner is back. A look that fails changes nothing.
//!
//! So it does not matter how often, or in which order, somebody is looked at.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, PoisonError};

use ::metrics::Counter;
use tokio::sync::Mutex;

use super::acts::Acts;
use super::fingerprint::expected_roles;
use crate::audit::{Actor, OWNER_DELETED, OWNER_DISABLED, OWNER_LOCKED_OUT, ROLES_CHANGED, Teller};
use crate::clock::{Clock, Timestamp};
use crate::config::Lifecycle;
use crate::error::Error;
use crate::id::{PatId, UserId};
use crate::keycloak::UserChange;
use crate::owner::{Owners, Roles, RolesDifference, Sight};
use crate::store::{OwnedToken, OwnerNote, Store, StoreError, TokenRecord};

/// How many tokens are read at a time.
const BATCH: u32 = 250;
/// Owners share these locks: looks at one owner wait for each other.
const TURNS: usize = 64;

/// Why an owner is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
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
    /// They end, unless a round is under way that found the same owner: what it finds of others decides.
    EndUnlessWeighed,
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
    Spared(&'static str),
    /// They are suspended, since the owner seems to be away.
    Doubted,
}

/// Follows the owners of tokens. Clones share everything.
#[derive(Clone)]
pub struct TokenOwners {
    pub(super) store: Store,
    pub(super) owners: Owners,
    pub(super) clock: Clock,
    pub(super) settings: Lifecycle,
    pub(super) acts: Acts,
    turns: Arc<[Mutex<()>]>,
    /// Whom rounds found that are under way.
    pub(super) weighed: Weighed,
    checked: Counter,
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
        let turns = std::iter::repeat_with(Mutex::default).take(TURNS).collect();
        let acts = Acts::new(store.clone(), clock.clone(), teller);
        let (weighed, checked) = (Weighed::default(), Counter::noop());
        Self { store, owners, clock, settings, acts, turns, weighed, checked }
    }

    /// The same, counting whom it looks at.
    #[must_use]
    pub fn counting(self, checked: Counter) -> Self {
        Self { checked, ..self }
    }

    /// The same, in the name of somebody else.
    pub(super) fn by(self, actor: Actor) -> Self {
        Self { acts: self.acts.by(actor), ..self }
    }

    /// Looks at an owner, and does to their tokens what follows. See the module's steps.
    pub async fn look_at(&self, owner: &UserId, hint: Hint) -> Result<(), Error> {
        self.look_with(owner, hint, Force::End).await.map(drop)
    }

    pub(super) async fn look_with(
        &self,
        owner: &UserId,
        hint: Hint,
        force: Force,
    ) -> Result<Found, Error> {
        let _turn = self.turn(owner).lock().await;
        let is_held = self.store.find_owner_note(owner).await?.held_at.is_some();
        let live = self.list_live(owner).await?;
        if live.is_empty() && self.store.list_ids(owner).await?.is_empty() {
            if is_held {
                self.store.end_hold(owner).await?;
            }
            return Ok(Found::Good);
        }
        let sight = self.see(owner, &live).await?;
        let waits = is_held && hint != Hint::Confirmed;
        // Also by a round that was interrupted: what is suspended is the next sweep's.
        let is_suspended = |token: &OwnedToken| token.record.suspended_at.is_some();
        let is_weighed = force == Force::EndUnlessWeighed
            && (self.weighed.has(owner) || live.iter().any(is_suspended));
        // Whoever is held waits for a person, but for an owner who left on purpose, if that is certain.
        let may_have_left = matches!(hint, Hint::Event(change) if change.may_be_a_departure());
        let left = may_have_left && sight.is_away();
        let force = if (waits || is_weighed) && !left { Force::Suspend } else { force };
        let found = self.follow(owner, hint, force, &sight, &live).await?;
        // An owner who only seems to be away is still the one that a person is to decide about.
        if is_held && matches!(found, Found::Good | Found::Ended) {
            self.store.end_hold(owner).await?;
        }
        Ok(if waits && matches!(found, Found::Spared(_)) { Found::Doubted } else { found })
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

    /// The owner as they are now. A directory that goes away in the middle of a look takes the roles along that it gives:
    /// what would revoke the tokens of one who comes from it is looked at once more.
    async fn see(&self, owner: &UserId, live: &[OwnedToken]) -> Result<Sight, Error> {
        let sight = self.owners.look_at(owner).await?;
        self.checked.increment(1);
        let Sight::Enabled(now) = &sight else { return Ok(sight) };
        if now.federated && !stale(live, &now.roles)?.is_empty() {
            return self.owners.look_at(owner).await;
        }
        Ok(sight)
    }

    async fn follow(
        &self,
        owner: &UserId,
        hint: Hint,
        force: Force,
        sight: &Sight,
        live: &[OwnedToken],
    ) -> Result<Found, Error> {
        let reason = match sight {
            Sight::Enabled(now) => {
                self.note(owner, now.federated, None).await?;
                return self.compare(owner, force, &now.roles, live).await;
            }
            Sight::LockedOut => OWNER_LOCKED_OUT,
            Sight::Disabled { .. } => OWNER_DISABLED,
            Sight::Gone => OWNER_DELETED,
        };
        let locked_out = *sight == Sight::LockedOut;
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
        let seen = matches!(sight, Sight::Disabled { federated: true });
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

    /// The tokens whose owner has the roles of then are good, and so released; the others end.
    async fn compare(
        &self,
        owner: &UserId,
        force: Force,
        now: &Roles,
        live: &[OwnedToken],
    ) -> Result<Found, Error> {
        let differences = stale(live, now)?;
        let is_stale = |token: &&OwnedToken| differences.contains_key(&token.record.pat_id);
        let (stale, good): (Vec<_>, Vec<_>) = live.iter().partition(is_stale);
        self.acts.release(&good, "owner_as_before").await?;
        if stale.is_empty() {
            return Ok(Found::Good);
        }
        if force == Force::Suspend {
            self.acts.suspend(&stale, ROLES_CHANGED).await?;
            return Ok(Found::Spared(ROLES_CHANGED));
        }
        let detail = |token: &TokenRecord| differences.get(&token.pat_id).cloned();
        self.acts.revoke(owner, &stale, ROLES_CHANGED, &detail).await?;
        Ok(Found::Ended)
    }

    pub(super) fn turn(&self, owner: &UserId) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        owner.as_str().hash(&mut hasher);
        let turns = u64::try_from(self.turns.len()).unwrap_or(1);
        let index = usize::try_from(hasher.finish() % turns).unwrap_or_default();
        &self.turns[index]
    }
}

/// The tokens whose owner has other roles than those that count for them, and the difference.
fn stale(tokens: &[OwnedToken], now: &Roles) -> Result<BTreeMap<PatId, String>, StoreError> {
    let mut differences = BTreeMap::new();
    for token in tokens {
        let difference = RolesDifference::between(&expected_roles(token)?, now);
        if !difference.is_empty() {
            differences.insert(token.record.pat_id, difference.to_string());
        }
    }
    Ok(differences)
}

/// Owners whose tokens a round suspended and did not decide about yet. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Weighed(Arc<std::sync::Mutex<HashSet<UserId>>>);

impl Weighed {
    pub(super) fn add(&self, owner: UserId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(owner);
    }

    pub(super) fn remove<'o>(&self, owners: impl IntoIterator<Item = &'o UserId>) {
        let mut weighed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for owner in owners {
            weighed.remove(owner);
        }
    }

    fn has(&self, owner: &UserId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(owner)
    }
}
