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
mod counts;
mod found;
mod identity;
mod introspection;
mod introspectors;
mod policy;
mod prepare;
mod presented;
mod reason;
mod rotated;
mod said;
mod token;
mod uses;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

pub use cache::Fill;
pub use counts::Counts;
pub use identity::Identity;
pub use introspectors::{Introspector, IntrospectorCredential, Introspectors};
pub use presented::{Accepts, Presented};
pub use reason::{Reason, Refusal};
pub use token::{AccessToken, Pat, Token, TokenKind};
pub use uses::Uses;

use crate::audit::Teller;
use crate::clock::Clock;
use crate::error::{Code, Error};
use crate::keys::{KeyOwner, KeyRing};
use crate::owner::AuthorityRule;
use crate::principal::{Caller, Origin};
use crate::store::{Standing, Store};
use crate::verify::{
    Algorithm, Claims, DEFAULT_MAX_BYTES, DigestedToken, JwksCache, Rules, UnverifiedToken,
};
use cache::{Hash, Now, TokenCache};
use presented::Sought;

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
    unverified_email: bool,
    tokens: TokenCache,
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
            unverified_email: false,
            tokens: TokenCache::new(),
            generation: Arc::default(),
        }
    }

    /// The same; `told`: forward-auth also tells an address that Keycloak does not call verified.
    #[must_use]
    pub fn with_unverified_email(self, told: bool) -> Self {
        Self { unverified_email: told, ..self }
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
    pub async fn find_caller(&self, token: &str, origin: &Origin) -> Result<Caller, Error> {
        let token = self.decide(Presented::by_holder(token, origin)).await?;
        if let TokenKind::AccessToken(access_token) = &token.kind {
            if !self.is_for_us(&token) {
                return Err(Refusal::Because(Reason::Audience).into());
            }
            if !self.allowed_clients.contains(&access_token.client_id) {
                let detail = format!(
                    "The access token was issued to the client `{}`, which may not call this API: \
                     `server.allowed_clients` does not name it.",
                    access_token.client_id
                );
                return Err(Error::new(Code::ClientNotAllowed, detail));
            }
        }
        Ok(token.caller(origin))
    }

    /// The token in a text that somebody found, if its signature holds and its time is not over, whatever has become of it:
    /// for whoever ends it.
    pub async fn find_to_end(&self, text: &str) -> Result<Arc<Token>, Refusal> {
        let mut found = Err(Reason::Malformed.into());
        for text in found::tokens_in(text) {
            let sought = Sought { text: &text, accepts: Accepts::Pats, introspects: false };
            found = self.find(sought).await;
            if !matches!(found, Err(Refusal::Because(_))) {
                break;
            }
        }
        let token = found?;
        match token.kind {
            TokenKind::Pat(_) if token.ends_at <= self.clock.now() => Err(Reason::Expired.into()),
            TokenKind::Pat(_) => Ok(token),
            TokenKind::AccessToken(_) => Err(Reason::NotAPat.into()),
        }
    }

    /// The claims of the token in a text that somebody found; see [`Self::read`].
    pub async fn read_found(&self, text: &str) -> Result<Claims, Refusal> {
        let mut found = Err(Reason::Malformed.into());
        for text in found::tokens_in(text) {
            found = self.read(&text).await;
            if !matches!(found, Err(Refusal::Because(_))) {
                break;
            }
        }
        found
    }

    /// The claims of a token under a key of ours, whether or not its time is over: to say what it was.
    async fn read(&self, token: &str) -> Result<Claims, Refusal> {
        let rules = self.personal_access_token.clone().at_any_time();
        let token = UnverifiedToken::parse(token, rules.max_bytes).map_err(Reason::from)?;
        if self.keys.whose(&token.header().kid) == KeyOwner::Others {
            return Err(Reason::NotAPat.into());
        }
        self.verify(&token, &rules).await
    }

    /// What introspection says of a good personal access token, which was found in this text.
    pub async fn introspect(&self, token: &Token, text: &str) -> Result<Bytes, Refusal> {
        if let Some(answer) = token.introspection() {
            return Ok(answer);
        }
        // Seen before, but not for this: its claims were not kept.
        let claims = Box::pin(self.read(text)).await?;
        Ok(token.prepare_introspection(&claims)?)
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
    #[must_use]
    pub fn fill(&self) -> Fill {
        self.tokens.fill()
    }

    async fn judge(&self, presented: Presented<'_>) -> Result<Arc<Token>, Refusal> {
        let Presented { token: text, accepts, service, .. } = presented;
        let token = self.find(Sought { text, accepts, introspects: service.is_some() }).await?;
        if token.ends_at <= self.clock.now() {
            return Err(Reason::Expired.into());
        }
        match &token.kind {
            TokenKind::Pat(pat) => self.check_pat(&token, pat, presented).await?,
            TokenKind::AccessToken(_) if presented.accepts == Accepts::Pats => {
                return Err(Reason::NotAPat.into());
            }
            TokenKind::AccessToken(_) => {}
        }
        Ok(token)
    }

    /// The token behind the text, whose signature holds under a key that counts now.
    async fn find(&self, sought: Sought<'_>) -> Result<Arc<Token>, Refusal> {
        if sought.text.len() > DEFAULT_MAX_BYTES {
            return Err(Reason::TooLarge.into());
        }
        let digested = DigestedToken::new(sought.text);
        let hash = Hash::of(&digested);
        let now =
            Now { time: self.clock.now(), generation: self.generation.load(Ordering::Acquire) };
        let counts =
            |token: &Arc<Token>| self.jwks.holds(&token.kid) && self.names_are_known(token);
        let found = self.tokens.find(&hash, now).filter(counts);
        self.counts.remembered(found.is_some());
        if let Some(token) = found {
            return Ok(token);
        }
        // Boxed, here and below, so that the rarely taken branch does not enlarge the hot future.
        Box::pin(self.find_out(sought, digested, now)).await
    }

    /// Whether nobody renamed the owner since the token was prepared.
    fn names_are_known(&self, token: &Token) -> bool {
        match &token.kind {
            TokenKind::Pat(pat) => token.renaming == self.store.renaming(pat.id),
            TokenKind::AccessToken(_) => true,
        }
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
                Box::pin(self.late_use(token, pat.id, presented.origin)).await?;
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
            |service: &Introspector| token.audience.iter().any(|one| *one == *service.client_id);
        if pat.narrowed_in_audience && !presented.service.is_none_or(is_audience) {
            return Err(Reason::Audience.into());
        }
        let address = presented.from.unwrap_or(presented.origin.address);
        if token.is_noteworthy(now, address) {
            self.uses.note(pat.id, address);
        }
        Ok(())
    }
}
