//! Any credential → a decision: whose it is and what it may, or why not. Every endpoint that takes a token asks here.
//!
//! 1. Cheap looks first: the length, the hash of the whole token among those that were found out before, the header's
//!    `kid`. It says whose key is claimed: ours, or one of the realm's own.
//! 2. A token that is new has its signature checked and is prepared, once for all who ask ([`cache`]). Under a key of ours
//!    only `typ` = `PAT` is good: `Bearer` there would be a forgery. Under any other key only an access token.
//! 3. Each time: its end, its key still published, and for a personal access token its standing in the store, and the
//!    caller's address in its networks. A disabled owner shows in the standing.
//! 4. What the endpoint asks for beyond that ([`Token::require`]).

mod cache;
mod callers;
mod counts;
mod policy;
mod reason;
mod token;
mod uses;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use cache::Fill;
pub use callers::{Caller, CallerCredential, Callers};
pub use counts::Counts;
pub use reason::Reason;
pub use token::{AccessToken, Identity, Kind, Pat, Token};
pub use uses::Uses;

use crate::audit::{self, Event, Teller};
use crate::clock::{Clock, Timestamp};
use crate::error::{Code, Error};
use crate::id::{PatId, UserId};
use crate::keys::KeyRing;
use crate::owner::AuthorityRule;
use crate::principal::{Origin, Principal};
use crate::store::{FamilyBurned, Standing, Store};
use crate::verify::{
    self, Algorithm, CheckError, Claims, DEFAULT_MAX_BYTES, JwksCache, Rules, UnverifiedToken,
};
use cache::{Hash, Tokens};

/// Finds out what a credential is. Clones share everything.
#[derive(Clone)]
pub struct Decider {
    store: Store,
    keys: KeyRing,
    jwks: JwksCache,
    clock: Clock,
    uses: Uses,
    teller: Teller,
    counts: Counts,
    access_token: Rules,
    personal_access_token: Rules,
    authority: AuthorityRule,
    allowed_clients: Arc<[String]>,
    tokens: Tokens,
    /// Raised when the keys change: what was prepared before is prepared again.
    generation: Arc<AtomicU64>,
}

/// The parts that a [`Decider`] is made of.
pub struct DeciderParts {
    /// The records of tokens.
    pub store: Store,
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
    /// Counts the decisions.
    pub counts: Counts,
}

/// A token, and for what it is shown.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The token.
    pub token: &'a str,
    /// Which tokens are taken.
    pub accepts: Accepts,
    /// From where it is used; `None`: nobody said.
    pub from: Option<IpAddr>,
    /// The service that asks about it, where it is not Hallpass's own caller who uses it.
    pub service: Option<&'a Caller>,
    /// The request.
    pub origin: &'a Origin,
}

impl<'a> Presented<'a> {
    /// Either token, by whom it is of, to Hallpass itself.
    const fn by_holder(token: &'a str, origin: &'a Origin) -> Self {
        let from = Some(origin.address);
        Self { token, accepts: Accepts::AccessTokens, from, service: None, origin }
    }
}

/// Which tokens are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// Personal access tokens.
    Pats,
    /// Access tokens of the realm, too.
    AccessTokens,
}

/// Why there is no good token.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It is not good.
    Because(Reason),
    /// Nobody can tell now: that is never "good".
    Failed(Failure),
}

/// What kept a decision from being made. All who waited for it have the same.
#[derive(Clone, Debug)]
pub struct Failure(Arc<Error>);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(Failure(Arc::new(error)))
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Because(reason)
    }
}

/// The reason goes to the log; the answer is the same for all of them.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Because(reason) => {
                Self::new(Code::Unauthenticated, "The credential is not valid.").because(reason)
            }
            Refusal::Failed(Failure(error)) => {
                Self::new(error.code(), error.to_string()).because(error.chain())
            }
        }
    }
}

impl Decider {
    /// Decides for the realm `issuer`; access tokens must be for the client of `authority`, from `allowed_clients`, to
    /// call the API.
    #[must_use]
    pub fn new(
        parts: DeciderParts,
        issuer: &str,
        authority: AuthorityRule,
        allowed_clients: &[String],
    ) -> Self {
        let DeciderParts { store, keys, jwks, clock, uses, teller, counts } = parts;
        Self {
            store,
            keys,
            jwks,
            clock,
            uses,
            teller,
            counts,
            access_token: Rules::new(issuer, "Bearer"),
            personal_access_token: Rules::new(issuer, "PAT").with_algorithms(&[Algorithm::RS256]),
            authority,
            allowed_clients: allowed_clients.into(),
            tokens: Tokens::new(),
            generation: Arc::default(),
        }
    }

    /// The token, where it is good now. The only place where decisions are made: whoever counts them does so here.
    pub async fn decide(&self, presented: Presented<'_>) -> Result<Arc<Token>, Refusal> {
        let decision = self.judge(presented).await;
        self.counts.decided(&decision);
        if let Err(Refusal::Because(reason)) = &decision {
            tracing::debug!(
                reason = reason.code(),
                request_id = %presented.origin.request_id,
                "a token is refused"
            );
        }
        decision
    }

    /// The caller of the API behind a bearer token.
    pub async fn principal(&self, token: &str, origin: &Origin) -> Result<Principal, Error> {
        let token = self.decide(Presented::by_holder(token, origin)).await?;
        if let Kind::AccessToken(access_token) = &token.kind {
            if !self.is_for_us(&token) {
                return Err(Refusal::Because(Reason::Audience).into());
            }
            if !self.allowed_clients.contains(&access_token.client_id) {
                let detail = "The access token was issued to a client that may not call this API.";
                return Err(Error::new(Code::ClientNotAllowed, detail));
            }
        }
        Ok(token.principal())
    }

    /// The token, if its signature holds and its time is not over, whatever has become of it: for whoever ends it.
    pub async fn find_to_end(&self, token: &str) -> Result<Arc<Token>, Refusal> {
        let token = self.find(token, Accepts::Pats).await?;
        match token.kind {
            Kind::Pat(_) if token.ends_at <= self.clock.now() => Err(Reason::Expired.into()),
            Kind::Pat(_) => Ok(token),
            Kind::AccessToken(_) => Err(Reason::NotAPat.into()),
        }
    }

    /// The claims of a token under a key of ours, whether or not its time is over: to say what it was.
    pub async fn read(&self, token: &str) -> Result<Claims, Refusal> {
        let rules = self.personal_access_token.clone().at_any_time();
        let token = UnverifiedToken::parse(token, rules.max_bytes).map_err(Reason::from)?;
        if !self.keys.is_ours(&token.header().kid) {
            return Err(Reason::NotAPat.into());
        }
        self.verify(&token, &rules).await
    }

    /// Whether an access token is meant for Hallpass itself.
    pub(crate) fn is_for_us(&self, token: &Token) -> bool {
        token.audience.iter().any(|audience| audience == self.authority.client_id())
    }

    /// The keys changed: nothing that was prepared under them counts any more.
    pub fn renew(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// How full the caches are.
    pub async fn fill(&self) -> Fill {
        self.tokens.fill().await
    }

    async fn judge(&self, presented: Presented<'_>) -> Result<Arc<Token>, Refusal> {
        let token = self.find(presented.token, presented.accepts).await?;
        if token.ends_at <= self.clock.now() {
            return Err(Reason::Expired.into());
        }
        match &token.kind {
            Kind::Pat(pat) => self.check_pat(&token, pat, presented).await?,
            Kind::AccessToken(_) if presented.accepts == Accepts::Pats => {
                return Err(Reason::NotAPat.into());
            }
            Kind::AccessToken(_) => {}
        }
        Ok(token)
    }

    /// The token behind the text, whose signature holds under a key that counts now.
    async fn find(&self, text: &str, accepts: Accepts) -> Result<Arc<Token>, Refusal> {
        if text.len() > DEFAULT_MAX_BYTES {
            return Err(Reason::TooLarge.into());
        }
        let hash = Hash::of(text);
        let generation = self.generation.load(Ordering::Acquire);
        if let Some(token) = self.tokens.find(&hash).await {
            if token.generation == generation && self.jwks.holds(&token.kid) {
                self.counts.remembered(true);
                return Ok(token);
            }
            self.tokens.forget(&hash).await;
        }
        self.counts.remembered(false);
        // Boxed, here and below: what is seldom done would be moved about with what is done for each request.
        Box::pin(self.find_out(text, accepts, hash, generation)).await
    }

    /// What is not remembered of this token.
    async fn find_out(
        &self,
        text: &str,
        accepts: Accepts,
        hash: Hash,
        generation: u64,
    ) -> Result<Arc<Token>, Refusal> {
        let unverified = UnverifiedToken::parse(text, DEFAULT_MAX_BYTES).map_err(Reason::from)?;
        let kid = &*unverified.header().kid;
        let ours = self.keys.is_ours(kid);
        if !ours && accepts == Accepts::Pats {
            return Err(Reason::NotAPat.into());
        }
        if let Some(reason) = self.tokens.find_refused(&hash, generation).await {
            return Err(reason.into());
        }
        let check = async {
            let token = if ours {
                self.new_pat(&unverified).await
            } else {
                self.new_access_token(&unverified).await
            };
            token.map(|token| token.found_under(kid, generation))
        };
        self.tokens.find_out(hash, generation, check).await
    }

    async fn new_pat(&self, token: &UnverifiedToken<'_>) -> Result<Token, Refusal> {
        let claims = self.verify(token, &self.personal_access_token).await?;
        let id = PatId::parse(&claims.jti).ok_or(Reason::Unknown)?;
        let owner = UserId::new(&*claims.sub);
        let ends_at = Timestamp::from_seconds(claims.exp);
        if self.store.is_known_as_plain(&owner, id, ends_at) && token::says_username(&claims) {
            return Ok(Token::plain_pat(id, claims)?);
        }
        // Boxed, as above.
        let record = Box::pin(self.store.find_token_to_remember(&owner, id)).await;
        let record = record.map_err(Error::from)?.ok_or(Reason::Unknown)?;
        Ok(Token::pat(id, claims, &record)?)
    }

    async fn new_access_token(&self, token: &UnverifiedToken<'_>) -> Result<Token, Refusal> {
        let claims = self.verify(token, &self.access_token).await?;
        let authority = self.authority.read(&claims.rest);
        Ok(Token::access_token(claims, authority))
    }

    async fn verify(&self, token: &UnverifiedToken<'_>, rules: &Rules) -> Result<Claims, Refusal> {
        let now = self.clock.now().seconds();
        verify::check_parsed(&self.jwks, token, rules, now).await.map_err(|error| match error {
            CheckError::Rejected(rejection) => Reason::from(rejection).into(),
            CheckError::KeysUnavailable => Error::new(
                Code::KeycloakUnavailable,
                "Keycloak's keys are not available, so no credential can be checked; try again shortly.",
            )
            .into(),
        })
    }

    async fn check_pat(
        &self,
        token: &Token,
        pat: &Pat,
        presented: Presented<'_>,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        let standing = self.store.get_standing(pat.id).await.map_err(Error::from)?;
        let reason = match standing.at(now) {
            Standing::Good => None,
            Standing::Unknown => Some(Reason::Unknown),
            Standing::Revoked => Some(Reason::Revoked),
            Standing::OwnerDisabled => Some(Reason::OwnerDisabled),
            Standing::Suspended | Standing::SuspendedGrace(_) => Some(Reason::Suspended),
            Standing::Spent | Standing::Grace(_) => {
                Box::pin(self.burn(token, pat.id, presented.origin)).await?;
                Some(Reason::Rotated)
            }
        };
        if let Some(reason) = reason {
            return Err(reason.into());
        }
        if !pat.may_be_used_from(presented.from) {
            return Err(Reason::Address.into());
        }
        let is_audience =
            |service: &Caller| token.audience.iter().any(|one| *one == *service.client_id);
        if pat.narrowed_in_audience && !presented.service.is_none_or(is_audience) {
            return Err(Reason::Audience.into());
        }
        let address = presented.from.unwrap_or(presented.origin.address);
        if token.is_noteworthy(now, address) {
            self.uses.note(pat.id, address);
        }
        Ok(())
    }

    /// A rotated token that is used after its grace is in two hands: what came from it is revoked, once.
    async fn burn(&self, token: &Token, id: PatId, origin: &Origin) -> Result<(), Error> {
        let Some(record) = self.store.find_token(&token.user_id, id).await? else { return Ok(()) };
        let now = self.clock.now();
        if !record.is_spent(now) {
            return Ok(());
        }
        let subject = (id, record.name.as_str(), &record.user_id);
        let (action, caller) = (audit::Action::FamilyBurned, token.principal());
        let event =
            Event::of_token(action, subject, (&caller, origin), now).because(audit::FAMILY_BURNED);
        if let FamilyBurned::Burned(events) =
            self.store.burn_family(record.chain.family_id, &event).await?
        {
            for event in &events {
                self.teller.tell(event);
            }
        }
        // Nothing of it comes alive again: who uses it once more costs no more than any revoked one.
        self.store.note_ended_for_good(id);
        Ok(())
    }
}
