//! Rotation: a token is replaced by a successor of the same name and restrictions, or narrower ones.
//!
//! 1. Which token? One that was rotated already is replaced no more. But where no successor was ever used, the answer
//!    with it may have been lost: then the newest is replaced; by the token itself only if it rotated itself, since what a
//!    person made of it is not its to take. A token that rotated itself, whose grace is over and whose successor is in use,
//!    is in two hands: all that came from it is revoked.
//! 2. For how long? A token that rotates itself gets at most its own lifetime, and its chain ends `max_lifetime` after a
//!    person last made or rotated one of it.
//! 3. Of one chain the newest token works, and one in its grace beside it. What was in its grace before that one ends.
//! 4. The rest is an issue: prepared, recorded, the owner compared, signed. What is not issued after all is taken back,
//!    and the old token is what it was.

use std::time::Duration;

use tokio::time::Instant;

use super::issue::{End, IssuedToken, Plan, Prepared, Succession};
use super::{Narrowing, Tokens};
use crate::access::Action;
use crate::audit::{self, Event};
use crate::clock::Timestamp;
use crate::config::MIN_LIFETIME;
use crate::credential::EndReason;
use crate::error::{Code, Error};
use crate::id::PatId;
use crate::owner::AuthorityClaims;
use crate::principal::{Caller, Credential};
use crate::store::{FamilyBurned, Rotation, StoreError, TokenRecord, TokenRotated};

/// What a caller asks of a rotation.
#[derive(Clone, Debug)]
pub struct RotateToken {
    /// How long the successor lives, within the allowed bounds; `None`: as long as the old one did.
    pub lifetime: Option<Duration>,
    /// How long the old one works beside it.
    pub grace: Duration,
    /// What it is narrowed to beyond what the old one is.
    pub narrowing: Narrowing,
}

/// The token that a rotation is asked for, and the one that it replaces.
struct Replaced {
    asked: TokenRecord,
    /// Another than the one that is asked for: a successor that may never have reached anybody.
    lost: Option<TokenRecord>,
}

impl Replaced {
    fn record(&self) -> &TokenRecord {
        self.lost.as_ref().unwrap_or(&self.asked)
    }
}

impl Tokens {
    /// Replaces one of the caller's tokens. See the module's steps.
    pub async fn rotate(
        &self,
        caller: &Caller,
        pat_id: PatId,
        request: RotateToken,
    ) -> Result<IssuedToken, Error> {
        let begun = Instant::now();
        self.access.allow(caller, Action::RotateToken(pat_id)).await?;
        self.throttle.creation(&caller.user_id)?;
        let replaced = self.find_replaced(caller, pat_id).await?;
        let (asked, old) = (&replaced.asked, replaced.record());
        let by_itself = is_token(caller);
        let narrowing = Narrowing::of_record(&old.restrictions())?;
        let narrowing = narrowing.tightened(&request.narrowing)?;
        let plan = Plan {
            owner: &old.user_id,
            name: &old.name,
            description: old.description.as_deref(),
            end: self.end_of_successor(asked, request.lifetime, by_itself)?,
            narrowing: &narrowing,
            // Nothing is ever added: a token that is not narrowed has the default scopes and no others.
            scopes: if old.is_narrowed() { narrowing.scopes() } else { &[] },
            succession: Some(Succession {
                family_id: old.chain.family_id,
                began_at: by_itself.then_some(asked.chain.began_at),
            }),
        };
        let prepared = self.prepare(begun, &plan).await?;
        request.narrowing.unmet(&prepared.record.restrictions)?;
        if by_itself {
            self.require_same_authority(asked, &prepared).await?;
        }
        let lost = replaced.lost.is_some();
        let grace = if lost { Duration::ZERO } else { request.grace };
        let rotation = Rotation {
            from: old.pat_id,
            grace_until: self.clock.now().plus(grace),
            lost,
            asked_by: by_itself.then_some(asked.pat_id),
            successor: prepared.record.clone(),
        };
        let rotated = self.commit(old, &rotation, caller).await?;
        if let Err(error) = self.compare_owner(begun, &prepared).await {
            let abandoned = self.abandoned(&rotation.successor, caller, &error);
            self.store.undo_rotation(&rotation, &rotated, &abandoned).await?;
            self.teller.tell(&abandoned);
            return Err(error);
        }
        let token = prepared.signing_input.sign(&prepared.signer)?;
        self.issued(&prepared.record, token).await
    }

    async fn find_replaced(&self, caller: &Caller, pat_id: PatId) -> Result<Replaced, Error> {
        let (asked, now) = (self.find(&caller.user_id, pat_id).await?, self.clock.now());
        let Some(successor) = asked.rotated_to else {
            return if asked.status(now).is_valid() {
                Ok(Replaced { asked, lost: None })
            } else {
                Err(not_live())
            };
        };
        if let Some(lost) = self.find_lost(&asked, successor).await?
            && (!is_token(caller) || lost.chain == asked.chain)
        {
            return Ok(Replaced { asked, lost: Some(lost) });
        }
        if asked.is_spent(now) && !asked.rotated_by_person {
            return Err(self.burn(&asked, caller).await?);
        }
        Err(already_rotated(&asked))
    }

    /// The newest of the family, where neither it nor the token's own successor was ever seen used.
    async fn find_lost(
        &self,
        asked: &TokenRecord,
        successor: PatId,
    ) -> Result<Option<TokenRecord>, Error> {
        let family_id = asked.chain.family_id;
        let Some(newest) = self.store.find_newest_of_family(family_id).await? else {
            return Ok(None);
        };
        if [newest.pat_id, successor].iter().any(|pat_id| self.uses.is_waiting(*pat_id)) {
            return Ok(None);
        }
        // Read after that: a use that waits no more is recorded.
        let unused = |token: &TokenRecord| token.last_used_at.is_none();
        let successor = self.store.find_token(&asked.user_id, successor).await?;
        let newest = self.store.find_token(&asked.user_id, newest.pat_id).await?;
        let now = self.clock.now();
        Ok(newest.filter(|newest| {
            successor.as_ref().is_none_or(unused) && unused(newest) && newest.status(now).is_valid()
        }))
    }

    async fn burn(&self, record: &TokenRecord, caller: &Caller) -> Result<Error, Error> {
        let event =
            self.event(audit::Act::FamilyBurned, record, caller).because(EndReason::FamilyBurned);
        Ok(match self.store.burn_family(record.chain.family_id, &event).await? {
            FamilyBurned::Burned(events) => {
                for event in &events {
                    self.teller.tell(event);
                }
                let detail = "The token rotated itself before, its grace is over and its successor is in use: whoever \
                     has it should not. All that came from it is revoked; create a new one.";
                Error::new(Code::FamilyBurned, detail)
            }
            FamilyBurned::AlreadyEnded => already_rotated(record),
        })
    }

    fn end_of_successor(
        &self,
        old: &TokenRecord,
        wanted: Option<Duration>,
        by_itself: bool,
    ) -> Result<End, Error> {
        let max = self.settings.max_lifetime;
        let own = between(old.created_at, old.expires_at).min(max);
        if !by_itself {
            return Ok(End::After(wanted.unwrap_or(own)));
        }
        if wanted.is_some_and(|wanted| wanted > own) {
            let message = format!(
                "a token that rotates itself gets at most its own lifetime, {} seconds",
                own.as_secs()
            );
            return Err(Error::invalid_field("expiresIn", message));
        }
        let left = between(self.clock.now(), old.chain.began_at.plus(max));
        if left < MIN_LIFETIME {
            let detail = "The token was rotated by itself for as long as a token may live; log in and rotate it, or \
                 create a new one.";
            return Err(Error::new(Code::ChainEnded, detail));
        }
        Ok(if left < wanted.unwrap_or(own) {
            End::At(old.chain.began_at.plus(max))
        } else {
            End::After(wanted.unwrap_or(own))
        })
    }

    /// A token whose owner has other roles than at its issue, or other claims than it says, is about to be revoked: it must
    /// not get a successor.
    async fn require_same_authority(
        &self,
        old: &TokenRecord,
        prepared: &Prepared,
    ) -> Result<(), Error> {
        let Some((roles, claims)) = self.store.find_fingerprint(old.pat_id).await? else {
            return Err(authority_changed());
        };
        let claims = claims.as_deref().map(AuthorityClaims::from_json).transpose();
        let claims = claims.map_err(|_| StoreError::Corrupt("set of claims"))?;
        let carried = self.owners.claims_rule().among(claims.unwrap_or_default());
        let are_same = carried.difference(&prepared.authority_claims).is_empty();
        if are_same && roles == prepared.record.owner_roles {
            return Ok(());
        }
        Err(authority_changed())
    }

    async fn commit(
        &self,
        old: &TokenRecord,
        rotation: &Rotation,
        caller: &Caller,
    ) -> Result<Event, Error> {
        let successor = &rotation.successor;
        let rotated = self
            .event(audit::Act::TokenRotated, old, caller)
            .because(format!("successor {}", successor.pat_id));
        let subject = (successor.pat_id, successor.name.as_str(), &successor.user_id);
        let created = audit::Act::TokenCreated;
        let created = Event::of_token(created, subject, caller, rotated.at)
            .because(format!("successor of {}", old.pat_id));
        match self.store.rotate_token(rotation, &rotated, &created).await? {
            TokenRotated::Rotated => {
                self.teller.tell(&rotated);
                self.teller.tell(&created);
                Ok(rotated)
            }
            TokenRotated::Changed => Err(Error::new(
                Code::TokenChanged,
                "The token was rotated, revoked, deleted or used meanwhile; look again.",
            )),
        }
    }
}

fn is_token(caller: &Caller) -> bool {
    matches!(caller.credential, Credential::Pat { .. })
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(to.seconds().saturating_sub(from.seconds())).unwrap_or(0))
}

fn authority_changed() -> Error {
    let detail = "Your roles, or claims such as groups, are no longer those at the token's issue; log in to rotate it.";
    Error::new(Code::OwnerChanged, detail)
}

fn not_live() -> Error {
    let detail = "The token is revoked, suspended or expired; create a new one.";
    Error::new(Code::TokenNotLive, detail)
}

fn already_rotated(record: &TokenRecord) -> Error {
    let successor = record.rotated_to.map(|id| id.to_string()).unwrap_or_default();
    let detail = format!("The token was rotated before; its successor is {successor}.");
    Error::new(Code::AlreadyRotated, detail)
}
