//! Preparing a realm, idempotently: each step looks, compares, changes what differs and reports it.
//!
//! 1. Nothing is touched before it is certain that the realm calls itself as the settings say, that the names are free,
//!    or ours (`hallpass.managed`), and that the store is there and this realm's.
//! 2. Client scopes, user profile, our clients with their roles and mappers, the default role.
//! 3. What the realm's event settings were is noted on our client; then they are switched on.
//! 4. The signing key is made, sealed in the store, published as a passive key, and taken into use when the
//!    realm's JWKS shows it.
//!
//! Interrupted anywhere, a second run goes on. [`remove`] takes everything back.

mod allowed;
mod clients;
mod compare;
mod config_file;
pub(crate) mod desired;
mod events;
mod policies;
mod profile;
mod remove;
mod roles;
mod run;
mod scopes;
mod signing_key;
mod survey;

use secrecy::SecretString;

pub use allowed::shows_impersonators;
pub(crate) use clients::faults as client_faults;
pub(crate) use compare::differences;
pub use config_file::write_config;
pub(crate) use events::unmet as unmet_event_settings;
pub use policies::Policies;
pub(crate) use profile::ACCOUNT_ATTRIBUTE;
pub use remove::remove;
pub(crate) use roles::{ADMINISTRATOR, ADMINISTRATORS_ROLES, RUN_TIME_ROLES, management_client};
pub use run::{Mode, Report};
pub use scopes::{ScopeAudience, ScopeRequest};
pub(crate) use survey::STOCK_SCOPES;

use crate::clock::Clock;
use crate::config::{BootstrapSettings, SealingKey};
use crate::error::Error;
use crate::keycloak::{Keycloak, KeycloakError};
use crate::keys::KeyError;
use crate::seal::SealError;
use crate::store::StoreError;
use run::Run;
use signing_key::Missing;

/// The attribute on everything that bootstrap made.
pub const MANAGED: &str = "hallpass.managed";

/// What the operator chose.
#[derive(Clone, Debug)]
pub struct Options {
    /// The client scopes that can be granted.
    pub scopes: Vec<ScopeRequest>,
    /// Whether everybody may create tokens: the role is added to the realm's default roles.
    pub default_role: bool,
    /// Whether events are switched on.
    pub events: bool,
    /// Whether the realm `master` may be prepared.
    pub allow_master: bool,
    /// Do it, or only say what would be done.
    pub mode: Mode,
}

/// What `serve` needs and bootstrap found out or made.
#[derive(Debug)]
pub struct Outcome {
    /// How many things were changed, or would be.
    pub changes: usize,
    /// The secret of Hallpass's own client; `None` only in a dry run.
    pub client_secret: Option<SecretString>,
    /// What an operator should know of the realm, although nothing was in the way.
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
    /// Names that somebody else uses.
    #[error(
        "the realm has clients of these names that Hallpass did not make: {0}; rename them, or choose \
         other names in the settings"
    )]
    ForeignClients(String),
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
    #[error("there is no realm of this name, or the administrator cannot see it")]
    NoRealm,
    /// Keycloak refused or failed.
    #[error(transparent)]
    Keycloak(#[from] KeycloakError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key in the store cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
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
) -> Result<Outcome, BootstrapError> {
    if settings.realm.name() == "master" && !options.allow_master {
        return Err(BootstrapError::Master);
    }
    let mut run = Run::new(keycloak, settings, options.mode, report);
    let realm = keycloak.find_realm().await?.ok_or(BootstrapError::NoRealm)?;
    let survey = survey::survey(&run, &realm).await?;
    survey.refuse_foreign_scopes(&options.scopes)?;
    clients::refuse_foreign(&run).await?;
    let store = signing_key::open_store(&run, Missing::Make).await?;

    let mut notes = survey.notes();
    let scopes = scopes::prepare(&mut run, survey.scopes(), &options.scopes).await?;
    profile::prepare(&mut run).await?;
    let service = clients::prepare(&mut run, &survey, &scopes).await?;
    if let Some(service) = &service {
        roles::prepare(&mut run, service).await?;
        if options.default_role {
            roles::prepare_default_role(&mut run, service, &realm).await?;
            notes.extend(roles::without_default_role(&run, &realm).await?);
        }
        if options.events {
            events::prepare(&mut run, service).await?;
        }
    }
    signing_key::prepare(&mut run, store, encryption_key, clock).await?;
    let client_secret = match &service {
        Some(service) => Some(clients::secret(&run, service).await?),
        None => None,
    };
    Ok(Outcome { changes: run.changes(), client_secret, notes })
}
