//! Any credential → a decision: who calls, or why not.
//!
//! 1. The header's `kid` says whose key it claims: ours, or one of the realm's own.
//! 2. Under a key of ours only a personal access token is good; `typ` = `Bearer` there would be a forgery.
//!    Its record must be known and valid, the caller's address in one of its networks, its owner enabled.
//! 3. Under any other key only an access token for Hallpass, of a client that may call.

mod uses;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use uses::Uses;

use crate::audit::{self, Event, Teller};
use crate::clock::Clock;
use crate::error::{Code, Error};
use crate::id::{PatId, UserId};
use crate::keys::KeyRing;
use crate::owner::{AuthorityRule, Owners};
use crate::principal::{Credential, Origin, Principal};
use crate::store::{FamilyBurned, Store, TokenRecord};
use crate::verify::{self, Algorithm, CheckError, Claims, JwksCache, Rules, UnverifiedHeader};

/// Finds out who calls. Clones share everything.
#[derive(Clone)]
pub struct Decider {
    store: Store,
    owners: Owners,
    keys: KeyRing,
    jwks: JwksCache,
    clock: Clock,
    uses: Uses,
    teller: Teller,
    access_token: Rules,
    personal_access_token: Rules,
    authority: AuthorityRule,
    allowed_clients: Arc<[String]>,
}

/// The parts that a [`Decider`] is made of.
pub struct DeciderParts {
    /// The records of tokens.
    pub store: Store,
    /// The owners, as Keycloak sees them.
    pub owners: Owners,
    /// Our signing keys.
    pub keys: KeyRing,
    /// What the realm publishes.
    pub jwks: JwksCache,
    /// The time.
    pub clock: Clock,
    /// Where uses are noted.
    pub uses: Uses,
    /// Tells what was done.
    pub teller: Teller,
}

impl Decider {
    /// Decides for the realm `issuer`; access tokens must be for the client of `authority`, from `allowed_clients`.
    #[must_use]
    pub fn new(
        parts: DeciderParts,
        issuer: &str,
        authority: AuthorityRule,
        allowed_clients: &[String],
    ) -> Self {
        let DeciderParts { store, owners, keys, jwks, clock, uses, teller } = parts;
        Self {
            store,
            owners,
            keys,
            jwks,
            clock,
            uses,
            teller,
            access_token: Rules::new(issuer, "Bearer").with_audience(authority.client_id()),
            personal_access_token: Rules::new(issuer, "PAT").with_algorithms(&[Algorithm::RS256]),
            authority,
            allowed_clients: allowed_clients.into(),
        }
    }

    /// The caller behind the bearer token of a request.
    pub async fn principal(&self, token: &str, origin: &Origin) -> Result<Principal, Error> {
        let header = UnverifiedHeader::parse(token, self.access_token.max_bytes)
            .map_err(|rejection| unauthenticated(rejection.code()))?;
        if self.keys.is_ours(&header.kid) {
            self.personal_access_token(token, origin).await
        } else {
            self.access_token(token).await
        }
    }

    async fn access_token(&self, token: &str) -> Result<Principal, Error> {
        let claims = self.check(token, &self.access_token).await?;
        let azp = claims.azp.as_deref().unwrap_or_default();
        if !self.allowed_clients.iter().any(|allowed| allowed == azp) {
            let detail = "The access token was issued to a client that may not call this API.";
            return Err(Error::new(Code::ClientNotAllowed, detail));
        }
        let authority = self.authority.read(&claims.rest);
        Ok(Principal {
            roles: authority.roles,
            account: authority.account,
            username: text(&claims, "preferred_username"),
            credential: Credential::AccessToken {
                impersonated: claims.rest.contains_key("impersonator"),
            },
            user_id: UserId::new(claims.sub),
        })
    }

    async fn personal_access_token(
        &self,
        token: &str,
        origin: &Origin,
    ) -> Result<Principal, Error> {
        let claims = self.check(token, &self.personal_access_token).await?;
        let pat_id = PatId::parse(&claims.jti).ok_or_else(|| unauthenticated("unknown"))?;
        let owner = UserId::new(claims.sub);
        let record = self.store.find_token(&owner, pat_id).await?;
        let record = record.ok_or_else(|| unauthenticated("unknown"))?;
        let narrowed = record.is_narrowed();
        let caller = Principal {
            user_id: owner,
            username: record.username.clone(),
            roles: BTreeSet::new(),
            account: None,
            credential: Credential::Pat { pat_id, narrowed },
        };
        if !record.status(self.clock.now()).is_valid() {
            self.burn_if_rotated(&record, &caller, origin).await?;
            return Err(unauthenticated("not_valid"));
        }
        if !record.may_be_used_from(origin.address) {
            return Err(unauthenticated("address"));
        }
        if !self.owners.is_enabled(&caller.user_id).await? {
            return Err(unauthenticated("owner_disabled"));
        }
        self.uses.note(pat_id, origin.address);
        Ok(caller)
    }

    /// A rotated token that is used after its grace is in two hands: what came from it is revoked, once.
    async fn burn_if_rotated(
        &self,
        record: &TokenRecord,
        caller: &Principal,
        origin: &Origin,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        if !record.is_spent(now) {
            return Ok(());
        }
        let subject = (record.pat_id, record.name.as_str(), &record.user_id);
        let burned = audit::Action::FamilyBurned;
        let event =
            Event::of_token(burned, subject, (caller, origin), now).because(audit::FAMILY_BURNED);
        let burned = self.store.burn_family(record.chain.family_id, &event).await?;
        if let FamilyBurned::Burned(events) = burned {
            for event in &events {
                self.teller.tell(event);
            }
        }
        Ok(())
    }

    async fn check(&self, token: &str, rules: &Rules) -> Result<Claims, Error> {
        let now = self.clock.now().seconds();
        verify::check(&self.jwks, token, rules, now).await.map_err(|error| match error {
            CheckError::Rejected(rejection) => unauthenticated(rejection.code()),
            CheckError::KeysUnavailable => Error::new(
                Code::KeycloakUnavailable,
                "Keycloak's keys are not available, so no credential can be checked; try again shortly.",
            ),
        })
    }
}

/// The reason goes to the log; the answer is the same for all of them.
fn unauthenticated(reason: &'static str) -> Error {
    Error::new(Code::Unauthenticated, "The credential is not valid.").because(reason)
}

fn text(claims: &Claims, name: &str) -> String {
    claims.rest.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}
