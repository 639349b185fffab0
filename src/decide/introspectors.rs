//! Who may ask about tokens: clients of the realm whose service account holds `introspect-tokens`.
//!
//! 1. A secret is Keycloak's: it is asked, once for all who ask meanwhile, whether the secret is good, whose service
//!    account stands behind it, and what that account may do now.
//! 2. Guesses are limited for each address. A secret that was good is no guess: it is checked again without being counted.
//! 3. What it said is remembered under a keyed hash: for a minute, or five seconds where it was no. Something happened to
//!    the client in Keycloak: what is remembered of it is forgotten.
//! 4. An access token of such an account is checked like any other, without Keycloak. Where it does not say itself that it
//!    is of a service account, that is asked once.
//!
//! Keycloak away: what is not remembered is not answered.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;
use moka::future::Cache;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Decider, Presented, Reason, Refusal, Token, TokenKind};
use crate::access::Action;
use crate::error::{Code, Error};
use crate::id::UserId;
use crate::keycloak::{
    ClientDirectory, Keycloak, KeycloakError, RealmClient, SecretCheck, ServiceAccount,
};
use crate::owner::Owners;
use crate::principal::Origin;
use crate::throttle::Throttle;

const GOOD_FOR: Duration = Duration::from_mins(1);
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// For so long a secret that was good is no guess.
const PROVEN_FOR: Duration = Duration::from_hours(24);
/// Nobody becomes or ceases to be a service account.
const ACCOUNT_FOR: Duration = Duration::from_hours(1);
const MAX_GOOD: u64 = 1_000;
const MAX_REFUSED: u64 = 10_000;
const MAX_CHANGED: u64 = 100_000;
/// The longest id and secret that Keycloak has; what is longer is not theirs.
const MAX_ID: usize = 255;
const MAX_SECRET: usize = 1024;

/// Who asks about tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspector {
    /// The client.
    pub client_id: Arc<str>,
}

/// What an introspector shows.
pub enum IntrospectorCredential<'a> {
    /// The client's own secret.
    Secret {
        /// The client.
        client_id: Cow<'a, str>,
        /// Its secret.
        secret: SecretString,
    },
    /// An access token of its service account.
    AccessToken(&'a str),
}

/// The parts that ask Keycloak about introspectors.
#[derive(Clone)]
pub struct Introspectors {
    decider: Decider,
    keycloak: Keycloak,
    directory: ClientDirectory,
    owners: Owners,
    throttle: Throttle,
    remembered: Arc<Remembered>,
}

struct Remembered {
    key: hmac::Key,
    good: Cache<Digest, Known>,
    refused: Cache<Digest, Refused>,
    /// Secrets that were good when Keycloak was last asked.
    proven: Cache<Digest, ()>,
    /// Service accounts by the id of their user.
    accounts: Cache<UserId, Arc<str>>,
    /// How many changes of clients were heard of.
    generation: AtomicU64,
    /// Which of them was the last of a client; for longer than anything from before it is remembered.
    changed: Cache<Arc<str>, u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Digest([u8; 32]);

/// A client whose secret is good and that may ask.
#[derive(Clone)]
struct Known {
    introspector: Introspector,
    /// Keycloak's own id of the client.
    uuid: Arc<str>,
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Secret,
    Role,
}

impl Introspectors {
    /// Nobody is known yet. Fails only where the system has no randomness.
    pub fn new(
        decider: Decider,
        keycloak: Keycloak,
        directory: ClientDirectory,
        owners: Owners,
        throttle: Throttle,
    ) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let remembered = Remembered {
            key: hmac::Key::generate(HMAC_SHA256, &SystemRandom::new())?,
            good: Cache::builder().max_capacity(MAX_GOOD).time_to_live(GOOD_FOR).build(),
            refused: Cache::builder().max_capacity(MAX_REFUSED).time_to_live(REFUSED_FOR).build(),
            proven: Cache::builder().max_capacity(MAX_GOOD).time_to_live(PROVEN_FOR).build(),
            accounts: Cache::builder().max_capacity(MAX_GOOD).time_to_live(ACCOUNT_FOR).build(),
            generation: AtomicU64::new(0),
            changed: Cache::builder().max_capacity(MAX_CHANGED).time_to_live(GOOD_FOR * 2).build(),
        };
        let remembered = Arc::new(remembered);
        Ok(Self { decider, keycloak, directory, owners, throttle, remembered })
    }

    /// Who asks, where they may.
    pub async fn authenticate(
        &self,
        credential: &IntrospectorCredential<'_>,
        origin: &Origin,
    ) -> Result<Introspector, Error> {
        match credential {
            IntrospectorCredential::Secret { client_id, secret } => {
                self.by_secret(client_id, secret.expose_secret(), origin).await
            }
            IntrospectorCredential::AccessToken(token) => {
                Box::pin(self.by_access_token(token, origin)).await
            }
        }
    }

    /// Something happened to the client of this id of Keycloak's.
    pub async fn forget(&self, uuid: &str) {
        let Remembered { changed, generation, .. } = &*self.remembered;
        // Noted, not taken out: an answer that is on its way now does not count either.
        let generation = generation.fetch_add(1, Ordering::AcqRel) + 1;
        changed.insert(uuid.into(), generation).await;
    }

    async fn by_secret(
        &self,
        client_id: &str,
        secret: &str,
        origin: &Origin,
    ) -> Result<Introspector, Error> {
        let fits = |text: &str, max| (1..=max).contains(&text.len()) && !text.contains('\0');
        if !fits(client_id, MAX_ID) || !fits(secret, MAX_SECRET) {
            return Err(Refused::Secret.into());
        }
        let digest = self.digest(client_id, secret);
        if let Some(known) = self.find(&digest).await {
            return Ok(known.introspector);
        }
        // Boxed: what is seldom done would be moved about with what is done for each request.
        Box::pin(self.by_new_secret(client_id, secret, digest, origin)).await
    }

    async fn by_new_secret(
        &self,
        client_id: &str,
        secret: &str,
        digest: Digest,
        origin: &Origin,
    ) -> Result<Introspector, Error> {
        let Remembered { good, refused, proven, generation, .. } = &*self.remembered;
        if let Some(refused) = refused.get(&digest).await {
            return Err(refused.into());
        }
        // Before Keycloak is asked: secrets can be guessed, and each guess would cost a call.
        if !proven.contains_key(&digest) {
            self.throttle.client_secret(origin.address)?;
        }
        let asked = async {
            let generation = generation.load(Ordering::Acquire);
            let (client_id, uuid) = self.ask(client_id, secret).await?;
            Ok::<_, Answer>(Known { introspector: Introspector { client_id }, uuid, generation })
        };
        match good.try_get_with(digest, asked).await {
            Ok(known) => {
                proven.insert(digest, ()).await;
                Ok(known.introspector)
            }
            Err(answer) => match &*answer {
                Answer::Refused(no) => {
                    refused.insert(digest, *no).await;
                    proven.invalidate(&digest).await;
                    Err((*no).into())
                }
                Answer::Failed(error) => {
                    Err(Error::new(error.code(), error.to_string()).because(error.chain()))
                }
            },
        }
    }

    /// What is remembered and still counts.
    async fn find(&self, digest: &Digest) -> Option<Known> {
        let Remembered { good, changed, generation, .. } = &*self.remembered;
        let known = good.get(digest).await?;
        if known.generation == generation.load(Ordering::Acquire) {
            return Some(known);
        }
        if changed.get(&known.uuid).await.is_none_or(|changed| changed <= known.generation) {
            return Some(known);
        }
        good.invalidate(digest).await;
        None
    }

    async fn ask(&self, client_id: &str, secret: &str) -> Result<(Arc<str>, Arc<str>), Answer> {
        match self.keycloak.check_client_secret(client_id, secret).await? {
            SecretCheck::Good => {}
            SecretCheck::Wrong => return Err(Answer::Refused(Refused::Secret)),
        }
        let Some((client, account)) = self.find_account(client_id).await? else {
            return Err(Answer::Refused(Refused::Role));
        };
        let id = UserId::new(account.id);
        let held = self.owners.get_authority(&id).await?.roles;
        match Action::IntrospectTokens.require(&held) {
            Ok(()) => Ok((client_id.into(), client.uuid().into())),
            Err(_) => Err(Answer::Refused(Refused::Role)),
        }
    }

    async fn by_access_token(&self, token: &str, origin: &Origin) -> Result<Introspector, Error> {
        let token = self.decider.decide(Presented::by_holder(token, origin)).await?;
        let TokenKind::AccessToken(access_token) = &token.kind else {
            token.caller(origin).authorize(Action::IntrospectTokens)?;
            return Err(Refused::Role.into());
        };
        if !self.decider.is_for_us(&token) {
            return Err(Refusal::Because(Reason::Audience).into());
        }
        token.caller(origin).authorize(Action::IntrospectTokens)?;
        if access_token.of_service_account {
            return Ok(Introspector { client_id: access_token.client_id.as_str().into() });
        }
        let client_id = self.service_account(&token, &access_token.client_id).await?;
        Ok(Introspector { client_id })
    }

    /// The client whose service account the token is of. A person who holds the role is none.
    async fn service_account(&self, token: &Token, client_id: &str) -> Result<Arc<str>, Error> {
        let accounts = &self.remembered.accounts;
        if let Some(known) = accounts.get(&token.user_id).await
            && &*known == client_id
        {
            return Ok(known);
        }
        let found = self.find_account(client_id).await?;
        if found.is_none_or(|(_, account)| account.id != token.user_id.as_str()) {
            return Err(Refused::Role.into());
        }
        let client_id: Arc<str> = client_id.into();
        accounts.insert(token.user_id.clone(), client_id.clone()).await;
        Ok(client_id)
    }

    /// The client and its service account, where that may log in.
    async fn find_account(
        &self,
        client_id: &str,
    ) -> Result<Option<(RealmClient, ServiceAccount)>, KeycloakError> {
        let mut found = self.directory.find(client_id).await?;
        if found.is_none() {
            // It may have been made after the directory looked.
            self.directory.forget(client_id).await;
            found = self.directory.find(client_id).await?;
        }
        let Some(client) = found else { return Ok(None) };
        let account = self.keycloak.find_service_account(&client).await?;
        Ok(account.filter(|account| account.enabled).map(|account| (client, account)))
    }

    /// Under a key of this process: what is remembered is no use to anybody who reads its memory later.
    fn digest(&self, client_id: &str, secret: &str) -> Digest {
        let mut context = hmac::Context::with_key(&self.remembered.key);
        context.update(&client_id.len().to_be_bytes());
        context.update(client_id.as_bytes());
        context.update(secret.as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        Digest(digest)
    }
}

/// Why there is no introspector: Keycloak's word, or none.
enum Answer {
    Refused(Refused),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Answer {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Secret => {
                Self::new(Code::Unauthenticated, "The client's credentials are not valid.")
                    .because("client_secret")
            }
            Refused::Role => Self::new(
                Code::MissingRole,
                "This needs a client whose service account has the role `introspect-tokens` of the client `hallpass`.",
            ),
        }
    }
}
