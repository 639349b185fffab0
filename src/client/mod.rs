//! API clients: Keycloak clients that people register themselves.
//!
//! The record is the truth about ownership, account, quota and state; Keycloak about configuration. Lists are served
//! from the record. Each change goes through the same steps, so that a crash at any point is finished or undone by
//! the reconciler ([`reconcile`]):
//!
//! 1. Who may, and what is asked for, is checked: nothing is touched before.
//! 2. The operation is written into the record, with a lease. Another one on the same client waits for its end.
//! 3. Keycloak is asked; what it stored is read back and compared.
//! 4. Record and audit event are committed, and the operation ends.
//!
//! A failure whose outcome is known is taken back at once; an unknown one is left to the reconciler. Who is too slow,
//! so that another process has taken the operation over, ends nothing ([`overtaken`]).

mod access;
mod address;
mod change;
mod create;
mod drift;
mod fields;
mod membership;
mod observe;
mod read_only;
mod reconcile;
mod remove;
mod secret;
mod spec;
mod template;
mod turn;
mod uri;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

pub use access::GrantableScope;
pub use change::Asked;
pub use fields::{CAPABILITIES, Capability, ClientSpec, MEMBERS};
pub use membership::Memberships;
pub use read_only::READ_ONLY;
pub use remove::Removed;
pub use secret::Receiver;

use crate::access::Access;
use crate::audit::{self, Actor, Event, Teller};
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Consent, Profile};
use crate::error::{Code, Error};
use crate::keycloak::{ClientDocument, Keycloak, KeycloakError, ScopeDetails};
use crate::owner::Owners;
use crate::store::{ClientRecord, Seen, Store, StoreError, StoredSpec};
use crate::throttle::Throttle;
use template::Identity;

/// How long one operation may keep Keycloak busy.
const DEADLINE: Duration = Duration::from_secs(15);
/// Until then the reconciler leaves an operation alone: longer than [`DEADLINE`], for what Keycloak does after we
/// hung up.
const LEASE: Duration = Duration::from_secs(20);

/// The use cases of API clients. Clones share everything.
#[derive(Clone)]
pub struct Clients {
    /// The records.
    pub store: Store,
    /// The realm.
    pub keycloak: Keycloak,
    /// Who may do what.
    pub access: Access,
    /// The owners, as Keycloak sees them.
    pub owners: Owners,
    /// How often one caller may create.
    pub throttle: Throttle,
    /// Tells what was done.
    pub teller: Teller,
    /// The time.
    pub clock: Clock,
    /// Quota, consent, profile.
    pub settings: Arc<config::ClientSettings>,
    /// Whose account is confirmed.
    pub memberships: Memberships,
}

/// An API client: its record, and its fields as Keycloak was last seen to have them.
#[derive(Clone, Debug)]
pub struct Client {
    /// The record.
    pub record: ClientRecord,
    /// The fields; of a blocked one as its owner chose them.
    pub spec: ClientSpec,
    /// Whether an administrator stopped it.
    pub blocked: bool,
    /// Whether it was disabled in Keycloak's console, where Hallpass enabled it.
    disabled_in_console: bool,
}

impl Client {
    /// Whether somebody stopped it whom its owner cannot overrule.
    const fn is_stopped(&self) -> bool {
        self.blocked || self.disabled_in_console
    }
}

/// A client and its secret: one of the few places where a secret is.
#[derive(Debug)]
pub struct ClientWithSecret {
    /// The client.
    pub client: Client,
    /// The secret, redacted in `Debug`; `None` where it is not shown.
    pub secret: Option<SecretString>,
}

/// The fields as Hallpass wrote them, whether people are asked to agree, and whether an administrator stopped it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    #[serde(flatten)]
    spec: ClientSpec,
    consent: bool,
    #[serde(default)]
    blocked: bool,
    /// Default client scopes that the realm did not have then.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    lacking: BTreeSet<String>,
}

impl Written {
    /// `spec` as it is in Keycloak: a blocked client is disabled there, whatever its owner chose.
    fn in_keycloak(&self, spec: &ClientSpec) -> ClientSpec {
        ClientSpec { enabled: spec.enabled && !self.blocked, ..spec.clone() }
    }
}

const fn consent(asked: bool) -> Consent {
    if asked { Consent::Always } else { Consent::Never }
}

impl TryFrom<ClientRecord> for Client {
    type Error = Error;

    fn try_from(record: ClientRecord) -> Result<Self, Error> {
        let spec: ClientSpec = parse(&record.spec)?;
        let written: Written = parse(&record.written)?;
        let disabled_in_console = written.in_keycloak(&written.spec).enabled && !spec.enabled;
        Ok(Self { record, spec, blocked: written.blocked, disabled_in_console })
    }
}

impl Clients {
    fn is_domo(&self) -> bool {
        self.settings.profile == Profile::Domo
    }

    fn written(&self, spec: &ClientSpec, blocked: bool, lacking: BTreeSet<String>) -> Written {
        let consent = self.settings.consent == Consent::Always;
        Written { spec: spec.clone(), consent, blocked, lacking }
    }

    /// The names of what can be granted, now, and the default client scopes that the realm lacks.
    async fn scopes(&self) -> Result<(BTreeSet<String>, BTreeSet<String>), KeycloakError> {
        let scopes = self.keycloak.list_scope_details().await?;
        let lacking = template::lacking(scopes.iter().map(|scope| scope.name.as_str()));
        let grantable = scopes.into_iter().filter(ScopeDetails::is_grantable);
        Ok((grantable.map(|scope| scope.name).collect(), lacking))
    }

    async fn find_record(&self, record_id: &str) -> Result<Client, Error> {
        let record = self.store.find_client_record(record_id).await?;
        record.ok_or_else(|| Error::not_found("API client"))?.try_into()
    }

    /// What Keycloak has, for the record, and what of it is not what was written.
    fn seen(&self, record: &ClientRecord, document: &ClientDocument) -> Result<Seen, Error> {
        let written: Written = parse(&record.written)?;
        let known: ClientSpec = parse(&record.spec)?;
        Ok(self.seen_as(record, document, &written, &known))
    }

    fn seen_as(
        &self,
        record: &ClientRecord,
        document: &ClientDocument,
        written: &Written,
        known: &ClientSpec,
    ) -> Seen {
        let (spec, asked) = (written.in_keycloak(&written.spec), consent(written.consent));
        let wanted = template::document(identity(record), &spec, asked, &written.lacking);
        let differing = template::differences(&wanted, document);
        if !differing.is_empty() {
            tracing::debug!(client_id = %record.client_id, ?differing, "a client differs in Keycloak");
        }
        let mut spec = template::fields(document, known).bounded();
        if written.blocked {
            spec.enabled = known.enabled;
        }
        Seen {
            spec: self.stored(record.client_id.as_str(), &record.owner_username, &spec),
            secret_created_at: template::secret_created(document).map(Timestamp::from_seconds),
            drifted_fields: drift::fields(&differing),
        }
    }

    fn stored(&self, client_id: &str, owner: &str, spec: &ClientSpec) -> StoredSpec {
        // Keycloak's console takes a NUL, and PostgreSQL keeps none in a text.
        let plain = |text: &str| text.replace('\0', "").to_lowercase();
        let shown = plain(spec.display_name.as_deref().unwrap_or(client_id));
        let description = spec.description.as_deref().unwrap_or_default();
        StoredSpec {
            // A spec is texts, lists and flags: it always has a JSON form.
            json: serde_json::to_string(spec).unwrap_or_default(),
            search_text: plain(&format!("{client_id}\n{shown}\n{description}\n{owner}")),
            unique_name: self.is_domo().then(|| shown.clone()),
            display_name: shown,
        }
    }

    fn event(&self, action: audit::Act, record: &ClientRecord, actor: &Actor) -> Event {
        let id = record.client_id.to_string();
        Event::new(action, (id.clone(), id), &record.owner_id, actor, self.clock.now())
    }

    fn lease(&self) -> Timestamp {
        self.clock.now().plus(LEASE)
    }
}

/// Runs the part of an operation that asks Keycloak: to its end even when the caller hangs up, but not for ever.
async fn run<T: Send + 'static>(
    operation: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let task = tokio::spawn(timeout(DEADLINE, operation));
    match task.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Error::new(Code::KeycloakUnavailable, IN_DOUBT)),
        Err(error) => Err(Error::internal(error)),
    }
}

fn identity(record: &ClientRecord) -> Identity<'_> {
    Identity {
        client_id: &record.client_id,
        record_id: &record.record_id,
        account: &record.account_id,
    }
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|_| StoreError::Corrupt("client").into())
}

/// Keycloak's refusal of what somebody asked for. Its reason is theirs to read; everything else is ours.
fn rejection(error: KeycloakError) -> Error {
    match error {
        KeycloakError::Rejected { ref reason, .. } => {
            let detail = format!("The realm rejects this client: {reason}");
            Error::new(Code::RejectedByRealm, detail).because(error)
        }
        other => other.into(),
    }
}

/// What is said where nobody knows what Keycloak did.
const IN_DOUBT: &str =
    "Keycloak did not answer as it should; what was begun is finished or undone within a minute.";

/// The failure of a call that may have been carried out all the same.
fn in_doubt(error: KeycloakError) -> Error {
    let known = rejection(error);
    match known.code() {
        Code::RejectedByRealm => known,
        code => Error::new(code, IN_DOUBT).because(known),
    }
}

/// Another process has taken the operation over, and ends it.
fn overtaken() -> Error {
    Error::new(Code::KeycloakUnavailable, IN_DOUBT).because("the operation's lease was over")
}

/// Which try of an operation this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// Nothing of it was done before.
    First,
    /// Nobody knows what an earlier one did.
    Again,
}

impl Attempt {
    /// Whether the operation ends with this failure: nothing of it is done, or nothing more can be. That Hallpass
    /// itself is refused says nothing about an earlier attempt, and passes.
    const fn ends_with(self, error: &KeycloakError) -> bool {
        match self {
            Self::First => is_refusal(error),
            Self::Again => matches!(
                error,
                KeycloakError::NotFound(_)
                    | KeycloakError::Conflict(_)
                    | KeycloakError::Rejected { .. }
            ),
        }
    }
}

/// Whether Keycloak has said that it did not do what it was asked.
const fn is_refusal(error: &KeycloakError) -> bool {
    matches!(
        error,
        KeycloakError::Unauthorized(_)
            | KeycloakError::Forbidden(_)
            | KeycloakError::HttpsRequired(_)
            | KeycloakError::NotFound(_)
            | KeycloakError::Conflict(_)
            | KeycloakError::Rejected { .. }
    )
}
