//! The parts, put together. It knows no router.

use std::ops::Deref;
use std::sync::Arc;

use url::Url;

use crate::access::Access;
use crate::audit::Teller;
use crate::audit_log::AuditLog;
use crate::client::{Clients, Memberships};
use crate::clock::Clock;
use crate::config::{self, Lifecycle, SealingKey, Settings};
use crate::decide::{Counts, Decider, DeciderParts, Introspectors, Uses};
use crate::keycloak::{Calls, ClientDirectory, Credentials, Keycloak, http_client};
use crate::keys::{KeyRing, Misuse, PublishedKeys, SigningKeyError};
use crate::lifecycle::{Decisions, Gauges, Rights, TokenOwners, Watch, owners_checked};
use crate::owner::{AuthorityClaimsRule, AuthorityRule, Owners};
use crate::seal::{SealError, Sealer};
use crate::store::{Store, StoreError};
use crate::telemetry::{Metrics, Requests};
use crate::throttle::Throttle;
use crate::token::{Census, Tokens};
use crate::verify::JwksCache;

/// Everything that a request can need. Clones share it, and cost nothing: each request has several.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    /// The settings.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub store: Store,
    /// The signing keys.
    pub keys: KeyRing,
    /// What the realm publishes.
    pub published: PublishedKeys,
    /// What credentials are.
    pub decider: Decider,
    /// Who may ask about tokens.
    pub introspectors: Introspectors,
    /// Personal access tokens.
    pub tokens: Tokens,
    /// API clients.
    pub clients: Clients,
    /// How often is too often.
    pub throttle: Throttle,
    /// Who did what.
    pub audit_log: AuditLog,
    /// Changes in the realm.
    pub watch: Watch,
    /// What is counted.
    pub metrics: Metrics,
    /// The requests, counted.
    pub requests: Requests,
    /// The tokens, counted.
    pub census: Census,
    /// How far the realm is followed, for whoever reads the metrics.
    pub following: Gauges,
    /// What Keycloak grants to the service account.
    pub rights: Rights,
}

/// Why the parts could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be used.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// The sealing key cannot be used.
    #[error("the encryption key cannot be used")]
    Seal(#[from] SealError),
    /// The signing key cannot be read.
    #[error("the signing key cannot be read")]
    Key(#[from] SigningKeyError),
    /// There is no signing key.
    #[error("the store has no signing key for {issuer}: run `hallpass bootstrap` first")]
    NoSigningKey {
        /// The realm.
        issuer: String,
    },
    /// The system has no randomness.
    #[error("the system has no randomness")]
    Randomness(#[from] aws_lc_rs::error::Unspecified),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be made")]
    Http(#[from] reqwest::Error),
    /// The realm's address is no URL.
    #[error("the address of the realm's keys is no URL")]
    Url(#[from] url::ParseError),
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Opens the store, reads the keys, and connects the parts. Keycloak need not be there yet.
    pub async fn build(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        let issuer = settings.keycloak.realm.issuer();
        let store = open_store(&settings, &issuer).await?;
        let (metrics, throttle) = (Metrics::default(), Throttle::new(&clock));
        let keys = open_keys(&store, &settings, &issuer, &metrics).await?;

        let (teller, counts) = (Teller::new(&metrics), Counts::new(&metrics));
        let http = http_client()?;
        let jwks = JwksCache::new(http.clone(), Url::parse(&settings.keycloak.realm.jwks_url())?);
        let keycloak = connect(http, &settings).counting(Calls::new(metrics.clone()));
        let (clients, owners) = owners(&keycloak, &settings);

        let api_clients = Clients {
            store: store.clone(),
            keycloak,
            access: Access::new(owners.clone()),
            owners: owners.clone(),
            throttle: throttle.clone(),
            teller: teller.clone(),
            clock: clock.clone(),
            settings: Arc::new(settings.clients.clone()),
            memberships: Memberships::default(),
        };
        let uses = Uses::new(store.clone(), clock.clone());
        let decider = decider((&store, &keys, &jwks, &clock, &uses, &teller, &counts), &settings);
        let introspectors = introspectors(&decider, &api_clients, &clients)?;
        let watch = watch(&api_clients, settings.lifecycle, &metrics);
        let tokens = Tokens {
            store: store.clone(),
            access: Access::new(owners.clone()),
            owners,
            clients,
            keys: keys.clone(),
            published: published(jwks, &keys, &api_clients).await,
            decider: decider.clone(),
            uses,
            throttle: throttle.clone(),
            teller,
            clock: clock.clone(),
            issuer: issuer.into(),
            settings: Arc::new(settings.tokens.clone()),
        };
        Ok(Self(Arc::new(Parts {
            rights: rights(&api_clients, &settings, &metrics),
            settings,
            audit_log: AuditLog { store: store.clone() },
            following: Gauges::new(store.clone(), clock.clone(), watch.clone(), &metrics),
            census: Census::new(store.clone(), clock.clone(), &metrics),
            requests: Requests::new(metrics.clone()),
            metrics,
            clock,
            store,
            keys,
            published: tokens.published.clone(),
            decider,
            introspectors,
            tokens,
            clients: api_clients,
            throttle,
            watch,
        })))
    }
}

/// The realm's keys, which are known after a restart, too.
async fn published(jwks: JwksCache, keys: &KeyRing, clients: &Clients) -> PublishedKeys {
    let last_seen = keys.last_seen(clients.clock.clone());
    PublishedKeys::new(jwks, last_seen, keys.clone(), clients.keycloak.clone()).await
}

/// Follows the realm over the same records.
fn watch(clients: &Clients, settings: Lifecycle, metrics: &Metrics) -> Watch {
    let Clients { store, keycloak, owners, teller, clock, .. } = clients.clone();
    let owners = TokenOwners::new(store, owners, clock, teller, settings);
    Watch::new(keycloak, clients.clone(), owners.counting(owners_checked(metrics)))
}

/// Asks by the same calls.
fn rights(clients: &Clients, settings: &Settings, metrics: &Metrics) -> Rights {
    Rights::new(clients.keycloak.clone(), &settings.keycloak.client_id, metrics)
}

/// What decides about tokens without the service, beside one that runs.
pub async fn decisions(settings: &Settings, clock: Clock) -> Result<Decisions, StartError> {
    let store = Store::open_existing(&settings.store.url).await?;
    store.check_issuer(&settings.keycloak.realm.issuer()).await?;
    let keycloak = connect(http_client()?, settings);
    let (_, owners) = owners(&keycloak, settings);
    // A command ends before anybody could read what it counts.
    let teller = Teller::new(&Metrics::default());
    Ok(Decisions::new(TokenOwners::new(store, owners, clock, teller, settings.lifecycle)))
}

/// The owners of tokens, as this realm has them, and its clients.
fn owners(keycloak: &Keycloak, settings: &Settings) -> (ClientDirectory, Owners) {
    let config::TokenSettings { client_id, authority_claims, denied_roles, .. } = &settings.tokens;
    let claims = AuthorityClaimsRule::new(client_id, authority_claims);
    let (clients, authority) = (ClientDirectory::new(keycloak.clone()), authority(settings));
    let owners = Owners::new(keycloak.clone(), clients.clone(), authority, claims, denied_roles);
    (clients, owners)
}

/// What an access token must be for, and where it names the caller's account.
fn authority(settings: &Settings) -> AuthorityRule {
    AuthorityRule::new(&settings.keycloak.client_id, settings.account_claim.clone())
}

/// Who may ask about tokens.
fn introspectors(
    decider: &Decider,
    clients: &Clients,
    directory: &ClientDirectory,
) -> Result<Introspectors, aws_lc_rs::error::Unspecified> {
    let Clients { keycloak, owners, throttle, .. } = clients.clone();
    Introspectors::new(decider.clone(), keycloak, directory.clone(), owners, throttle)
}

type DecidersParts<'a> =
    (&'a Store, &'a KeyRing, &'a JwksCache, &'a Clock, &'a Uses, &'a Teller, &'a Counts);

/// Decides by the same records, keys and time.
fn decider(
    (store, keys, jwks, clock, uses, teller, counts): DecidersParts<'_>,
    settings: &Settings,
) -> Decider {
    let parts = DeciderParts {
        store: store.clone(),
        keys: keys.clone(),
        jwks: jwks.clone(),
        clock: clock.clone(),
        uses: uses.clone(),
        teller: teller.clone(),
        counts: counts.clone(),
    };
    let issuer = settings.keycloak.realm.issuer();
    Decider::new(parts, &issuer, authority(settings), &settings.server.allowed_clients)
        .with_unverified_email(settings.forward_auth.unverified_email)
}

async fn open_store(settings: &Settings, issuer: &str) -> Result<Store, StoreError> {
    let store = Store::open_to_serve(&settings.store.url).await?;
    store.claim_issuer(issuer).await?;
    // Before the first request can begin an operation of its own.
    store.expire_client_leases().await?;
    Ok(store)
}

/// The signing keys of this store, opened with the settings' encryption key.
pub async fn open_keys(
    store: &Store,
    settings: &Settings,
    issuer: &str,
    metrics: &Metrics,
) -> Result<KeyRing, StartError> {
    let previous = settings.store.encryption_key_previous.as_ref().map(SealingKey::bytes);
    let sealer = Sealer::new(settings.store.encryption_key.bytes(), previous)?;
    let keys = KeyRing::new(store.clone(), sealer, issuer, Misuse::new(metrics));
    keys.reload().await?;
    if keys.active().is_none() {
        return Err(StartError::NoSigningKey { issuer: issuer.to_owned() });
    }
    Ok(keys)
}

fn connect(http: reqwest::Client, settings: &Settings) -> Keycloak {
    let credentials = Credentials::Client {
        realm: settings.keycloak.realm.name().to_owned(),
        client_id: settings.keycloak.client_id.clone(),
        client_secret: settings.keycloak.client_secret.clone(),
    };
    Keycloak::new(http, settings.keycloak.realm.clone(), credentials)
}
