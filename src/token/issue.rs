//! Issuing a token.
//!
//! 1. Policy: may the caller create tokens, is the signing key published?
//! 2. The owner's state and effective roles, and then the claims: in this order, so that a change in between
//!    shows in step 5.
//! 3. What the token gets of that, and the whole token: what it cannot have is refused, and what is too large.
//! 4. Record and audit event are committed. A crash from here on leaves a record without a token.
//! 5. The owner is looked at again: disabled, with other roles, or with other claims that carry authority where the token has
//!    such claims, the record is taken back.
//! 6. Only now is the token signed and answered.
//!
//! A Keycloak whose every answer is slow does not keep the caller: steps 1 to 3 and step 5 are bounded.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::claims::{self, ProtocolClaims};
use super::grant::Grant;
use super::jwt::SigningInput;
use super::{Description, Narrowing, TokenName, Tokens};
use crate::access::Action;
use crate::audit::{self, Event};
use crate::clock::Timestamp;
use crate::error::{Code, Error};
use crate::id::{PatId, UserId};
use crate::keycloak::KeycloakError;
use crate::keys::Signer;
use crate::owner::{AuthorityClaims, Owner};
use crate::principal::Caller;
use crate::store::{
    self, Chain, OwnerNote, Restrictions, TokenCreated, TokenDeleted, TokenRecord, TokenStatus,
};

/// For steps 1 to 3.
pub(super) const PREPARE: Duration = Duration::from_secs(5);
/// For all of it. The check of the credential before it takes three seconds at most, so that a caller waits less
/// than ten.
const ISSUE: Duration = Duration::from_millis(6_900);

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Its name.
    pub name: TokenName,
    /// What it is for.
    pub description: Option<Description>,
    /// When it ends, within the allowed bounds.
    pub end: End,
    /// What it is narrowed to.
    pub narrowing: Narrowing,
}

/// When a token ends: whole seconds, as a JWT says them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This long after its creation.
    After(Duration),
    /// At this moment, however long the creation takes.
    At(Timestamp),
}

/// A token and its record: the only place where the JWT is.
#[derive(Debug)]
pub struct IssuedToken {
    /// The metadata.
    pub record: TokenRecord,
    /// The JWT, redacted in `Debug`.
    pub token: SecretString,
}

/// What a token is to be, whether new or a successor.
pub(super) struct Plan<'a> {
    pub(super) owner: &'a UserId,
    pub(super) name: &'a str,
    pub(super) description: Option<&'a str>,
    pub(super) end: End,
    pub(super) narrowing: &'a Narrowing,
    /// The scopes that it may have though they are no default ones.
    pub(super) scopes: &'a [String],
    /// What it goes on; `None`: it is new.
    pub(super) succession: Option<Succession>,
}

/// What a successor takes over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Succession {
    /// The first token of the chain.
    pub(super) family_id: PatId,
    /// When the chain began; `None`: it begins anew.
    pub(super) began_at: Option<Timestamp>,
}

/// All of a token but its record in the store and its signature.
pub(super) struct Prepared {
    pub(super) signer: Arc<Signer>,
    pub(super) owner: Owner,
    /// The owner's claims that carry authority.
    pub(super) authority_claims: AuthorityClaims,
    pub(super) record: store::NewToken,
    pub(super) claims: Map<String, Value>,
    pub(super) signing_input: SigningInput,
}

impl Tokens {
    /// Issues a token to the caller. See the module's steps.
    pub async fn issue(
        &self,
        caller: &Caller,
        request: TokenRequest,
    ) -> Result<IssuedToken, Error> {
        let begun = Instant::now();
        caller.authorize(Action::CreateToken)?;
        self.throttle.creation(&caller.user_id)?;
        let plan = Plan::new(&caller.user_id, &request);
        let prepared = self.prepare(begun, &plan).await?;
        let Prepared { owner, record, .. } = &prepared;

        if owner.federated {
            // Before the record: when such an owner is gone, Keycloak no longer says that they were one.
            let federated_at = Some(record.created_at);
            let note = OwnerNote { federated_at, ..OwnerNote::default() };
            self.store.note_owner(&caller.user_id, note).await?;
        }
        let subject = (record.pat_id, record.name.as_str(), &record.user_id);
        let created = audit::Act::TokenCreated;
        let event = Event::of_token(created, subject, caller, record.created_at);
        match self.store.create_token(record, self.settings.max_per_user, &event).await? {
            TokenCreated::Created => self.teller.tell(&event),
            TokenCreated::NameTaken => {
                return Err(self.name_taken(&caller.user_id, &request.name).await);
            }
            TokenCreated::LimitReached => return Err(limit_reached(self.settings.max_per_user)),
        }

        if let Err(error) = self.compare_owner(begun, &prepared).await {
            self.abandon(record, caller, &error).await?;
            return Err(error);
        }
        let token = prepared.signing_input.sign(&prepared.signer)?;
        self.issued(&prepared.record, token).await
    }

    /// What is answered. Whoever deletes the owner's tokens may have come first.
    pub(super) async fn issued(
        &self,
        record: &store::NewToken,
        token: SecretString,
    ) -> Result<IssuedToken, Error> {
        let record = self.store.find_token(&record.user_id, record.pat_id).await?;
        let record = record.ok_or_else(|| {
            Error::new(Code::OwnerChanged, "The token was deleted while it was made; try again.")
        })?;
        Ok(IssuedToken { record, token })
    }

    /// Steps 1 to 3, in the time for them from `begun` on.
    pub(super) async fn prepare(&self, begun: Instant, plan: &Plan<'_>) -> Result<Prepared, Error> {
        in_time(begun + PREPARE, async {
            let signer = self.keys.get_published(&self.published).await?;
            let owner = self.owners.get_enabled(plan.owner).await?;
            let offer = self.offer(plan.owner, &owner, plan.scopes).await?;
            let authority_claims = self.owners.claims_rule().read(&offer.evaluated);
            let grant = match plan.succession {
                None => Grant::exact(plan.narrowing, offer)?,
                Some(_) => Grant::remaining(plan.narrowing, offer),
            };
            let restrictions = grant.restrictions.clone();
            let mut record = self.new_record(plan, restrictions, &owner, signer.kid())?;
            // A narrowed token has no claim that carries authority.
            if record.restrictions == Restrictions::default() && !authority_claims.is_empty() {
                record.authority_claims =
                    Some(authority_claims.to_json().map_err(Error::internal)?);
            }
            let claims = self.compose(&record, grant);
            let signing_input = SigningInput::new(signer.kid(), &claims)?;
            Ok(Prepared { signer, owner, authority_claims, record, claims, signing_input })
        })
        .await
    }

    fn new_record(
        &self,
        plan: &Plan<'_>,
        restrictions: Restrictions,
        owner: &Owner,
        kid: &str,
    ) -> Result<store::NewToken, Error> {
        // A JWT says whole seconds; the record says the same.
        let created_at = self.clock.now().floor_to_second();
        Ok(store::NewToken {
            pat_id: PatId::new(self.clock.now()),
            user_id: plan.owner.clone(),
            names: owner.names.clone(),
            name: plan.name.to_owned(),
            description: plan.description.map(str::to_owned),
            kid: kid.to_owned(),
            owner_roles: owner.roles.to_json().map_err(Error::internal)?,
            authority_claims: None,
            created_at,
            expires_at: match plan.end {
                End::After(lifetime) => created_at.plus(lifetime),
                End::At(moment) => moment.floor_to_second(),
            },
            chain: plan.succession.map(|succession| Chain {
                family_id: succession.family_id,
                began_at: succession.began_at.unwrap_or(created_at),
            }),
            restrictions,
        })
    }

    fn compose(&self, record: &store::NewToken, grant: Grant) -> Map<String, Value> {
        let protocol = ProtocolClaims {
            issuer: &self.issuer,
            owner: &record.user_id,
            pat_id: record.pat_id,
            authorized_party: &self.settings.client_id,
            issued_at: record.created_at,
            expires_at: record.expires_at,
            audience: grant.audience,
        };
        claims::compose(&protocol, grant.claims)
    }

    /// Step 5, in the time for it from `begun` on.
    pub(super) async fn compare_owner(
        &self,
        begun: Instant,
        before: &Prepared,
    ) -> Result<(), Error> {
        let id = &before.record.user_id;
        let carries_claims = before.record.authority_claims.is_some();
        let (now, claims) = in_time(begun + ISSUE, async {
            let claims = async {
                if !carries_claims {
                    return Ok(None);
                }
                Box::pin(self.owners.get_authority_claims(id)).await.map(Some)
            };
            tokio::try_join!(self.owners.get_enabled(id), claims)
        })
        .await?;
        if now.names != before.owner.names {
            let at = self.clock.now();
            Box::pin(self.store.rename_owner(id, &now.names, at)).await?;
        }
        let has_changed =
            |now: AuthorityClaims| !before.authority_claims.difference(&now).is_empty();
        let detail = if now.roles != before.owner.roles {
            "Your roles changed while the token was made; try again."
        } else if claims.is_some_and(has_changed) {
            "Your groups, or other claims of yours, changed while the token was made; try again."
        } else {
            return Ok(());
        };
        Err(Error::new(Code::OwnerChanged, detail))
    }

    /// What the audit log says of a token that was recorded and not issued.
    pub(super) fn abandoned(
        &self,
        record: &store::NewToken,
        caller: &Caller,
        error: &Error,
    ) -> Event {
        let subject = (record.pat_id, record.name.as_str(), &record.user_id);
        let abandoned = audit::Act::TokenAbandoned;
        Event::of_token(abandoned, subject, caller, self.clock.now()).because(error.code().name())
    }

    /// Says which token has the name, and what can be done where it is of no use any more.
    async fn name_taken(&self, owner: &UserId, name: &TokenName) -> Error {
        let name = name.as_str();
        let holder = match self.store.find_token_named(owner, name).await {
            Ok(holder) => holder,
            Err(error) => return error.into(),
        };
        let now = self.clock.now();
        let ended = holder.as_ref().and_then(|holder| match holder.status(now) {
            TokenStatus::Revoked => Some((holder.pat_id, "is revoked")),
            TokenStatus::Expired => Some((holder.pat_id, "has expired")),
            TokenStatus::Active | TokenStatus::ExpiringSoon | TokenStatus::Suspended => None,
        });
        let detail = match ended {
            Some((pat_id, ended)) => format!(
                "Your token `{name}` {ended} and keeps its name while it is listed: delete it first ({pat_id}), or \
                 choose another name."
            ),
            None => format!(
                "You have another token named `{name}`: choose another name, or rotate that token."
            ),
        };
        Error::new(Code::NameTaken, detail)
    }

    /// Takes the record back, so that its name is free again and nothing half-made is listed.
    async fn abandon(
        &self,
        record: &store::NewToken,
        caller: &Caller,
        error: &Error,
    ) -> Result<(), Error> {
        let event = self.abandoned(record, caller, error);
        let outcome = self
            .store
            .delete_tokens(Some(&record.user_id), &[record.pat_id], &|_| event.clone())
            .await?;
        if let [TokenDeleted::Deleted(event)] = &*outcome {
            self.teller.tell(event);
        }
        Ok(())
    }
}

pub(super) async fn in_time<T>(
    end: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout_at(end, work).await.unwrap_or_else(|_| {
        let reason = "its answers together took too long for a mint".to_owned();
        Err(KeycloakError::Unavailable(reason).into())
    })
}

fn limit_reached(limit: u32) -> Error {
    let detail = format!("You have {limit} live tokens, the most that one user may have.");
    Error::new(Code::LimitReached, detail)
}
