//! Preparing a realm, idempotently: each step looks, compares, changes what differs and reports it.
//!
//! 1. Nothing is changed before it is certain that the administrator may do it all, that the realm calls itself as the
//!    settings say, that the store is there and this realm's, and that the names are free, or ours: the store lists what
//!    bootstrap made by Keycloak's ids.
//! 2. Client scopes, user profile, our clients with their roles and mappers, the default role.
//! 3. What the realm's event settings were is noted on our client; then they are switched on.
//! 4. The signing key is made, sealed in the store, published as a passive key, and taken into use when the
//!    realm's JWKS shows it.
//!
//! A dry run takes the same steps and lays what it would have changed over what the realm has: it names exactly the
//! changes of the real run.
//!
//! Interrupted anywhere, a second run goes on. [`remove`] takes everything back.

mod adopt;
mod allowed;
mod choices;
mod claim;
mod clients;
mod compare;
mod config_file;
pub(crate) mod desired;
mod events;
mod inventory;
mod other_keys;
mod overlay;
mod permissions;
mod policies;
mod profile;
mod remove;
mod roles;
mod run;
mod scopes;
mod signing_key;
mod survey;

use secrecy::SecretString;
use serde_json::Value;

pub use allowed::shows_impersonators;
pub(crate) use clients::faults as client_faults;
pub(crate) use compare::differences;
pub use config_file::{KeyPlace, write_config, write_secret};
pub(crate) use events::unmet as unmet_event_settings;
pub use other_keys::remove_key;
pub use policies::Policies;
pub(crate) use profile::ACCOUNT_ATTRIBUTE;
pub use remove::{Removal, TakenBack, remove};
pub(crate) use roles::{ADMINISTRATOR, ADMINISTRATORS_ROLES, RUN_TIME_ROLES, management_client};
pub use run::{Mode, Report};
pub use scopes::{ScopeAudience, ScopeRequest};
pub(crate) use survey::STOCK_SCOPES;

use crate::clock::Clock;
use crate::config::{BootstrapSettings, SealingKey};
use crate::error::Error;
use crate::keycloak::{Keycloak, KeycloakError};
use crate::keys::SigningKeyError;
use crate::seal::SealError;
use crate::store::{Store, StoreError};
use choices::Choices;
use inventory::Inventory;
use run::Run;
use survey::Survey;

/// The attribute on everything that bootstrap made.
pub const MANAGED: &str = "hallpass.managed";

/// What the operator chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// The client scopes that can be granted; none: those that were chosen before, or the default ones.
    pub scopes: Vec<ScopeRequest>,
    /// Whether everybody may create tokens: the role is added to the realm's default roles. `None`: as chosen before.
    pub default_role: Option<bool>,
    /// Whether events are switched on. `None`: as chosen before.
    pub events: Option<bool>,
    /// Whether the realm `master` may be prepared.
    pub allow_master: bool,
    /// Whether what others made under our names is taken over.
    pub adopt: bool,
    /// Do it, or only say what would be done.
    pub mode: Mode,
}

/// What `serve` needs and bootstrap found out or made.
#[derive(Debug)]
pub struct Bootstrapped {
    /// How many things were changed, or would be.
    pub changes: usize,
    /// The secret of Hallpass's own client; `None` only in a dry run that would make it.
    pub client_secret: Option<SecretString>,
    /// What a person should know, and is no change.
    pub notes: Vec<String>,
}

/// Why a realm could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The realm `master` rules all others.
    #[error(
        "the realm `master` administers every other realm: use another one, or `--allow-master`"
    )]
    Master,
    /// Objects of our names that this store did not make.
    #[error(
        "the realm has what this store did not make: {names}; if another store made it, name that store with \
         `--config` or `--store-url`; if nobody needs it, remove it; `--adopt` takes it over, with a new secret and \
         without any mapper, flow and scope that is not Hallpass's{keys}"
    )]
    Foreign {
        /// Their kinds and names.
        names: String,
        /// What is known of signing keys of other stores.
        keys: String,
    },
    /// A scope that every realm has.
    #[error("the client scope {0} is one of Keycloak's own: choose another name for `--scope`")]
    StockScope(String),
    /// What the administrator may not do.
    #[error(
        "the administrator lacks permissions in the realm: {0} (roles of its client `realm-management`); nothing was \
         changed"
    )]
    MissingPermissions(String),
    /// Keycloak lets only the realm's administrators give the service account its roles.
    #[error(
        "the administrator may not give the service account its roles: Keycloak 26.4 lets only who holds `realm-admin` do \
         so; give the administrator that role of the client `realm-management`, and run this again"
    )]
    MayNotGiveRoles,
    /// There is no store, in which the signing keys would have to be retired.
    #[error(
        "there is no store at {0}: the signing keys in it would stay, and be published again; name it with `--config` \
         or `--store-url`, or take the realm's part back alone with `--without-store`"
    )]
    NoStore(String),
    /// The store has no list, and what is in the realm cannot be proven to be its own.
    #[error(
        "this store does not know what was made in the realm, since an earlier version did: run `hallpass bootstrap` \
         once, with the settings of `serve`, and then remove"
    )]
    NotListed,
    /// No key of another store has this id.
    #[error("{id} is no key provider of another Hallpass store{known}")]
    NotAnotherKey {
        /// What was asked for.
        id: String,
        /// Those that there are.
        known: String,
    },
    /// A scope that should be granted is not one of OpenID Connect.
    #[error(
        "the realm has a client scope `{name}` of the protocol {protocol}: choose another name with `--scope`"
    )]
    ForeignScope {
        /// Its name.
        name: String,
        /// What it is of.
        protocol: String,
    },
    /// Nothing answers where users would find the realm.
    #[error("the realm does not answer at its own address: mend `keycloak.url`")]
    NoDiscovery,
    /// The settings would seal keys for an issuer that no token names.
    #[error(
        "the realm calls itself {found}, the settings say {wanted}: set `keycloak.public_url` to how the realm calls \
         itself, without `/realms/…`, or mend the realm's frontend URL or Keycloak's `hostname`"
    )]
    Issuer {
        /// What its discovery document says.
        found: String,
        /// What the settings make of it.
        wanted: String,
    },
    /// A client policy rejects one of our clients.
    #[error("the realm rejects the client {client_id}: {reason}; {policies}")]
    Refused {
        /// Which.
        client_id: String,
        /// Keycloak's words.
        reason: String,
        /// What it may come from.
        policies: Policies,
    },
    /// A client policy makes something else of one of our clients.
    #[error(
        "the realm does not keep what was asked for on the client {client_id} ({members}); {policies}"
    )]
    NotKept {
        /// Which.
        client_id: String,
        /// What is otherwise.
        members: String,
        /// What it may come from.
        policies: Policies,
    },
    /// There is no such realm, or the administrator may not see it.
    #[error(
        "there is no realm `{name}` at {url}, or the administrator cannot see it: correct `--realm` or \
         `--keycloak-url`"
    )]
    NoRealm {
        /// Its name.
        name: String,
        /// Keycloak.
        url: String,
    },
    /// Keycloak refused or failed.
    #[error(transparent)]
    Keycloak(#[from] KeycloakError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key in the store cannot be read.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The system has no randomness.
    #[error("no key could be made")]
    Generate,
    /// The realm does not show the key that was published.
    #[error("the realm's JWKS does not show the signing key {0}, although it was published")]
    KeyNotShown(String),
    /// Another bootstrap of the same realm was faster.
    #[error("another bootstrap put a signing key into use at the same time: run this one again")]
    Raced,
    /// What should be written cannot be.
    #[error("cannot use {path}: {reason}")]
    ConfigFile {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The HTTP client cannot be made, or an address is none.
    #[error("cannot reach the realm's keys")]
    Jwks(#[source] Box<Error>),
}

/// Prepares the realm. `encryption_key` seals the signing key.
pub async fn bootstrap(
    keycloak: &Keycloak,
    settings: &BootstrapSettings,
    encryption_key: &SealingKey,
    clock: &Clock,
    options: &Options,
    report: Report,
) -> Result<Bootstrapped, BootstrapError> {
    let looked = Looked::look((keycloak, settings), clock, options, report).await?;
    looked.prepare(encryption_key).await
}

/// A realm that can be prepared. Nothing is changed yet.
pub struct Looked<'a> {
    run: Run<'a>,
    survey: Survey,
    choices: Choices,
    mode: Mode,
    clock: &'a Clock,
}

impl<'a> Looked<'a> {
    /// Looks whether the realm can be prepared.
    pub async fn look(
        (keycloak, settings): (&'a Keycloak, &'a BootstrapSettings),
        clock: &'a Clock,
        options: &Options,
        report: Report,
    ) -> Result<Self, BootstrapError> {
        if settings.realm.name() == "master" && !options.allow_master {
            return Err(BootstrapError::Master);
        }
        let mut run = begin((keycloak, settings), clock, options.mode, report).await?;
        // Boxed: it is over soon.
        let survey = Box::pin(survey::survey(&run)).await?;
        run.notes.extend(survey.notes());
        let choices = Choices::make(&mut run, options).await?;
        survey.refuse_foreign_scopes(&choices.scopes)?;
        claim::examine(&mut run, &choices.scopes, options.adopt).await?;
        Ok(Self { run, survey, choices, mode: options.mode, clock })
    }

    /// Prepares it. `encryption_key` seals the signing key.
    pub async fn prepare(
        self,
        encryption_key: &SealingKey,
    ) -> Result<Bootstrapped, BootstrapError> {
        let Self { mut run, survey, choices, mode, clock } = self;
        if mode == Mode::Apply {
            open_store(&mut run).await?;
            choices.keep(&run).await?;
        }
        let scopes = scopes::prepare(&mut run, survey.scopes(), &choices.scopes).await?;
        profile::prepare(&mut run).await?;
        let service = clients::prepare(&mut run, &survey, &scopes).await?;
        claim::complete(&mut run).await?;
        roles::prepare(&mut run, &service).await?;
        if choices.default_role {
            roles::prepare_default_role(&mut run, &service).await?;
            let lacking = roles::without_default_role(&run).await?;
            run.notes.extend(lacking);
        }
        if choices.events {
            events::prepare(&mut run, &service).await?;
        }
        signing_key::prepare(&mut run, &service, encryption_key, clock).await?;
        let client_secret = match mode {
            Mode::Apply => Some(clients::secret(&run, &service).await?),
            Mode::DryRun => clients::find_secret(&run).await?,
        };
        run.inventory.close().await;
        Ok(Bootstrapped { changes: run.changes(), client_secret, notes: run.notes })
    }
}

/// A run in a realm that is there, by an administrator who may do it all, with what the store knows. Nothing is made.
async fn begin<'a>(
    (keycloak, settings): (&'a Keycloak, &'a BootstrapSettings),
    clock: &Clock,
    mode: Mode,
    report: Report,
) -> Result<Run<'a>, BootstrapError> {
    let realm = match keycloak.find_realm().await {
        Ok(Some(realm)) => realm,
        Ok(None) => {
            let name = settings.realm.name().to_owned();
            let url = settings.realm.base_urls().0.to_owned();
            return Err(BootstrapError::NoRealm { name, url });
        }
        // Without any permission not even the realm can be read.
        Err(KeycloakError::Forbidden(_)) => Value::Null,
        Err(error) => return Err(error.into()),
    };
    // Boxed: five calls at once are large, and are over soon.
    Box::pin(permissions::require(keycloak)).await?;
    let store = Store::open_unchanged(&settings.store_url).await?;
    if let Some(store) = &store {
        store.check_issuer(&settings.realm.issuer()).await?;
    }
    let inventory = Inventory::read(store, clock).await?;
    Ok(Run::new((keycloak, settings), (realm, inventory), mode, report))
}

/// Opens the store to write to it; makes it where it is missing.
async fn open_store(run: &mut Run<'_>) -> Result<(), BootstrapError> {
    run.inventory.close().await;
    let store = Store::open(&run.settings.store_url).await?;
    store.claim_issuer(&run.settings.realm.issuer()).await?;
    run.inventory.write_to(store);
    Ok(())
}
