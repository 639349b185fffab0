//! Settings: typed, by section, from file, environment and flags.
//!
//! 1. [`Sources`] gives layers: a TOML file, `HALLPASS_SECTION__KEY` variables, flags. The highest wins.
//! 2. Each section reads its keys through a reader that collects every problem.
//! 3. What was read is typed and whole; nothing else of the program looks at text.
//!
//! Each key is declared once, where it is read; [`reference()`] writes `docs/settings.md` from that.

mod clients;
mod forward_auth;
mod keycloak;
mod lifecycle;
mod reader;
mod reference;
mod server;
mod sources;
mod store;
#[cfg(test)]
mod tests;
mod tokens;
mod unknown;

use std::fmt;

use reader::{Key, Reader};
use secrecy::SecretString;

pub use clients::{ClientSettings, Consent, Profile};
pub use forward_auth::{ForwardAuth, Policy};
pub use keycloak::{ClaimPath, KeycloakSettings, Realm, segment};
pub use lifecycle::Lifecycle;
pub use reference::reference;
pub use server::{PublicUrl, ServerSettings};
pub use sources::Sources;
pub use store::{SealingKey, StoreSettings, StoreUrl};
pub use tokens::{MIN_LIFETIME, TokenSettings};

/// Everything that `hallpass serve` needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Listening and who may call.
    pub server: ServerSettings,
    /// The realm and our own client in it.
    pub keycloak: KeycloakSettings,
    /// The database and the sealing keys.
    pub store: StoreSettings,
    /// Personal access tokens.
    pub tokens: TokenSettings,
    /// API clients.
    pub clients: ClientSettings,
    /// How soon changes in the realm are noticed.
    pub lifecycle: Lifecycle,
    /// What protected resources ask for.
    pub forward_auth: ForwardAuth,
    /// The access-token claim that names the caller's account.
    pub account_claim: ClaimPath,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// What `hallpass bootstrap` needs: it makes the secrets that are not there yet.
#[derive(Clone, Debug)]
pub struct BootstrapSettings {
    /// Listening and who may call.
    pub server: ServerSettings,
    /// The realm to prepare.
    pub realm: Realm,
    /// The `client_id` of Hallpass's own client.
    pub client_id: String,
    /// Its secret as the settings have it, if they have one. Keycloak's own is the truth.
    pub client_secret: Option<SecretString>,
    /// The database.
    pub store_url: StoreUrl,
    /// The key that seals, where there is one.
    pub encryption_key: Option<SealingKey>,
    /// The key before it, which still opens.
    pub encryption_key_previous: Option<SealingKey>,
    /// Personal access tokens.
    pub tokens: TokenSettings,
    /// The access-token claim that names the caller's account.
    pub account_claim: ClaimPath,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl Settings {
    /// Reads everything, or lists everything that is wrong.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let mut reader = Reader::new(sources);
        let read = Self::read(&mut reader);
        reader.finish(read)
    }

    fn read(reader: &mut Reader) -> Option<Self> {
        let server = ServerSettings::read(reader);
        let keycloak = KeycloakSettings::read(reader);
        let store = StoreSettings::read(reader);
        let tokens = TokenSettings::read(reader);
        let clients = ClientSettings::read(reader);
        let lifecycle = Lifecycle::read(reader);
        let forward_auth = ForwardAuth::read(reader);
        let account_claim = keycloak::read_account_claim(reader);
        let log_format = read_log_format(reader);
        check_clients(reader, keycloak.as_ref().map(|own| &own.client_id), tokens.as_ref());
        Some(Self {
            server: server?,
            keycloak: keycloak?,
            store: store?,
            tokens: tokens?,
            clients: clients?,
            lifecycle: lifecycle?,
            forward_auth: forward_auth?,
            account_claim: account_claim?,
            log_format: log_format?,
        })
    }
}

impl BootstrapSettings {
    /// Reads everything, or lists everything that is wrong.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let mut reader = Reader::new(sources);
        let read = Self::read(&mut reader);
        reader.finish(read)
    }

    fn read(reader: &mut Reader) -> Option<Self> {
        let server = ServerSettings::read(reader);
        let realm = Realm::read(reader);
        let client_id = keycloak::read_client_id(reader);
        let client_secret = keycloak::read_client_secret(reader, reader::Need::Optional);
        let store_url = StoreUrl::read(reader);
        let keys = store::read_keys(reader, reader::Need::Optional);
        let tokens = TokenSettings::read(reader);
        // Read for their problems only: one file serves both commands.
        let (clients, lifecycle) = (ClientSettings::read(reader), Lifecycle::read(reader));
        let forward_auth = ForwardAuth::read(reader);
        let account_claim = keycloak::read_account_claim(reader);
        let log_format = read_log_format(reader);
        check_clients(reader, client_id.as_ref(), tokens.as_ref());
        let _: (ClientSettings, Lifecycle, ForwardAuth) = (clients?, lifecycle?, forward_auth?);
        let (encryption_key, encryption_key_previous) = keys?;
        Some(Self {
            server: server?,
            realm: realm?,
            client_id: client_id?,
            client_secret: client_secret?,
            store_url: store_url?,
            encryption_key,
            encryption_key_previous,
            tokens: tokens?,
            account_claim: account_claim?,
            log_format: log_format?,
        })
    }
}

fn read_log_format(reader: &mut Reader) -> Option<LogFormat> {
    const KEY: Key = Key {
        name: "telemetry.log_format",
        default: Some("text"),
        allowed: "`text` or `json`",
        meaning: "How log lines look: for people, or one JSON object a line.",
    };
    reader.value(KEY, |text| match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("is no log format"),
    })
}

/// Bootstrap disables the designated client, and the other one is Hallpass itself.
fn check_clients(reader: &mut Reader, own: Option<&String>, tokens: Option<&TokenSettings>) {
    if own.is_some() && own == tokens.map(|tokens| &tokens.client_id) {
        reader.problem(tokens::CLIENT_ID, "is the same client as `keycloak.client_id`");
    }
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingFault {
    key: String,
    origin: Option<String>,
    reason: String,
}

impl SettingFault {
    fn new(key: &str, origin: Option<&str>, reason: impl Into<String>) -> Self {
        Self { key: key.to_owned(), origin: origin.map(str::to_owned), reason: reason.into() }
    }
}

impl fmt::Display for SettingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{} (from {origin}): {}", self.key, self.reason),
            None => write!(f, "{}: {}", self.key, self.reason),
        }
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug)]
pub struct Problems(Vec<SettingFault>);

impl Problems {
    /// One by one.
    #[must_use]
    pub fn as_slice(&self) -> &[SettingFault] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "1 problem in the settings:")?,
            many => write!(f, "{many} problems in the settings:")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}
