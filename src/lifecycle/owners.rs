//! What happens to the owners of tokens, followed: other roles, disabled, deleted, locked out.
//!
//! 1. The tokens are read before the owner: one that is made meanwhile has the roles of then, and checks itself.
//! 2. The owner is read as Keycloak has them now. Whatever brought us here is a hint, and may be over.
//! 3. Other roles than at a token's issue: it is revoked. Locked out: all are revoked. Disabled or gone: deleted where that
//!    is certain, else suspended, and released when the owner is back. A look that fails changes nothing.
//!
//! So it does not matter how often, or in which order, somebody is looked at.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::acts::Acts;
use crate::audit::{Actor, OWNER_DELETED, OWNER_DISABLED, OWNER_LOCKED_OUT, ROLES_CHANGED, Teller};
use crate::clock::{Clock, Timestamp};
use crate::config::Lifecycle;
use crate::error::Error;
use crate::id::{PatId, UserId};
use crate::keycloak::UserChange;
use crate::owner::{Owners, Roles, RolesDifference, Sight};
use crate::store::{OwnedToken, OwnerNote, Store, StoreError, TokenRecord};

/// How many tokens are dealt with at a time.
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
    /// They are suspended: of how many owners they are is not known yet, or of too many.
    Suspend,
}

/// Why tokens were suspended that would have ended; `None`: none were.
pub(super) type Spared = Option<&'static str>;

/// Follows the owners of tokens. Clones share everything.
#[derive(Clone)]
pub struct TokenOwners {
    pub(super) store: Store,
    pub(super) owners: Owners,
    pub(super) clock: Clock,
    pub(super) settings: Lifecycle,
    pub(super) acts: Acts,
    turns: Arc<[Mutex<()>]>,
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
        Self { store, owners, clock, settings, acts, turns }
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
    ) -> Result<Spared, Error> {
        let _turn = self.turn(owner).lock().await;
        let is_held = self.store.find_owner_note(owner).await?.held_at.is_some();
        let waits = is_held && hint != Hint::Confirmed;
        let (mut last, mut spared) = (None, None);
        loop {
            let tokens = self.store.list_owned_tokens_after(owner, last, BATCH).await?;
            let Some(newest) = tokens.last() else { break };
            last = Some(newest.record.pat_id);
            let sight = self.see(owner, &tokens).await?;
            // Whoever is held waits for a person, but for an owner who left on purpose.
            let left = hint == Hint::Event(UserChange::Left) && sight.is_away();
            let force = if waits && !left { Force::Suspend } else { force };
            spared = spared.or(self.follow(owner, hint, force, &sight, &tokens).await?);
        }
        if is_held && spared.is_none() {
            self.store.end_hold(owner).await?;
        }
        Ok(spared.filter(|_| !waits))
    }

    /// The owner as they are now. A directory that goes away in the middle of a look takes the roles along that it gives:
    /// what would revoke the tokens of one who comes from it is looked at once more.
    async fn see(&self, owner: &UserId, tokens: &[OwnedToken]) -> Result<Sight, Error> {
        let sight = self.owners.look_at(owner).await?;
        let Sight::Enabled(now) = &sight else { return Ok(sight) };
        if now.federated && !self.stale(tokens, &now.roles)?.is_empty() {
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
        tokens: &[OwnedToken],
    ) -> Result<Spared, Error> {
        let reason = match sight {
            Sight::Enabled(now) => {
                self.note(owner, now.federated, None).await?;
                return self.compare(owner, force, &now.roles, tokens).await;
            }
            Sight::LockedOut => OWNER_LOCKED_OUT,
            Sight::Disabled { .. } => OWNER_DISABLED,
            Sight::Gone => OWNER_DELETED,
        };
        let live = self.acts.live(tokens);
        if *sight == Sight::LockedOut && force == Force::End {
            self.acts.revoke(owner, &live, reason, &|_| None).await?;
            return Ok(None);
        }
        let ends = *sight == Sight::LockedOut || self.is_certain(owner, hint, sight).await?;
        if ends && force == Force::End {
            self.acts.delete(owner, tokens, reason).await?;
            return Ok(None);
        }
        self.acts.suspend(&live, reason).await?;
        Ok(ends.then_some(reason))
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
        let note = OwnerNote { federated_at, doubted_at, ..known };
        if note == known { Ok(()) } else { self.store.note_owner(owner, note).await }
    }

    /// The tokens whose owner has the roles of then are good, and so released; the others end.
    async fn compare(
        &self,
        owner: &UserId,
        force: Force,
        now: &Roles,
        tokens: &[OwnedToken],
    ) -> Result<Spared, Error> {
        let differences = self.stale(tokens, now)?;
        let is_stale = |token: &&OwnedToken| differences.contains_key(&token.record.pat_id);
        let (stale, good): (Vec<_>, Vec<_>) =
            self.acts.live(tokens).into_iter().partition(is_stale);
        self.acts.release(&good, "owner_enabled").await?;
        if stale.is_empty() {
            return Ok(None);
        }
        if force == Force::Suspend {
            self.acts.suspend(&stale, ROLES_CHANGED).await?;
            return Ok(Some(ROLES_CHANGED));
        }
        let detail = |token: &TokenRecord| differences.get(&token.pat_id).cloned();
        self.acts.revoke(owner, &stale, ROLES_CHANGED, &detail).await?;
        Ok(None)
    }

    /// The live tokens whose owner had other roles at their issue, and the difference.
    fn stale(&self, tokens: &[OwnedToken], now: &Roles) -> Result<BTreeMap<PatId, String>, Error> {
        let mut differences = BTreeMap::new();
        for token in self.acts.live(tokens) {
            let then = Roles::from_json(&token.owner_roles)
                .map_err(|_| StoreError::Corrupt("list of roles"))?;
            let difference = RolesDifference::between(&then, now);
            if !difference.is_empty() {
                differences.insert(token.record.pat_id, difference.to_string());
            }
        }
        Ok(differences)
    }

    pub(super) fn turn(&self, owner: &UserId) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        owner.as_str().hash(&mut hasher);
        let turns = u64::try_from(self.turns.len()).unwrap_or(1);
        let index = usize::try_from(hasher.finish() % turns).unwrap_or_default();
        &self.turns[index]
    }
}
