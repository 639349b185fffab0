//! The section `store`: the database, and the keys that seal secrets in it.

use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::{Zeroize as _, Zeroizing};

use super::reader::{Key, Need, Reader};

/// The database and the sealing keys.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The database.
    pub url: StoreUrl,
    /// Seals, and opens.
    pub encryption_key: SealingKey,
    /// Still opens what it sealed.
    pub encryption_key_previous: Option<SealingKey>,
}

impl StoreSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let url = StoreUrl::read(reader);
        let keys = read_keys(reader, Need::Required);
        let (encryption_key, encryption_key_previous) = keys?;
        Some(Self { url: url?, encryption_key: encryption_key?, encryption_key_previous })
    }
}

/// The current key and the one before.
pub(super) fn read_keys(
    reader: &mut Reader,
    need: Need,
) -> Option<(Option<SealingKey>, Option<SealingKey>)> {
    let parse = |secret: SecretString| SealingKey::parse(secret.expose_secret());
    let current = reader.secret(ENCRYPTION_KEY, need, parse);
    let previous = reader.secret(ENCRYPTION_KEY_PREVIOUS, Need::Optional, parse);
    Some((current?, previous?))
}

/// Which database.
#[derive(Clone, Debug)]
pub enum StoreUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// PostgreSQL, by a URL that may hold a password.
    Postgres(SecretString),
}

impl StoreUrl {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let parse = |text: SecretString| Self::parse(text.expose_secret());
        match reader.secret(STORE_URL, Need::Required, parse).flatten()? {
            // Not where `serve` happens to be started: there it would find another database, or none.
            Self::Sqlite(path) => Some(Self::Sqlite(reader.path(STORE_URL.name, path))),
            postgres @ Self::Postgres(_) => Some(postgres),
        }
    }

    /// The database for people: without a user name or a password.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite(path) => {
                std::path::absolute(path).as_deref().unwrap_or(path).display().to_string()
            }
            Self::Postgres(secret) => {
                let url = url::Url::parse(secret.expose_secret());
                url.map_or_else(
                    |_| "PostgreSQL".to_owned(),
                    |url| {
                        let (host, port) = (url.host_str().unwrap_or("localhost"), url.port());
                        let database = url.path().trim_start_matches('/');
                        format!(
                            "PostgreSQL's database `{database}` at {host}:{}",
                            port.unwrap_or(5432)
                        )
                    },
                )
            }
        }
    }

    /// Reads a URL; the reason for a refusal does not repeat it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return url::Url::parse(text)
                .map(|_| Self::Postgres(SecretString::from(text)))
                .map_err(|_| "is no URL of a PostgreSQL database");
        }
        if text.starts_with("sqlite:") && text.contains(":memory:") {
            return Err("a store in memory would lose every token at a restart");
        }
        match text.strip_prefix("sqlite://") {
            Some(path) if path.contains('?') => Err("takes no parameters"),
            Some(path) if path.is_empty() || path.ends_with('/') => Err("names no file"),
            Some(path) if path.contains(char::is_control) => Err("has a control character"),
            Some(path) => Ok(Self::Sqlite(path.into())),
            None => Err("is neither SQLite nor PostgreSQL"),
        }
    }
}

const STORE_URL: Key = Key {
    name: "store.url",
    default: Some("sqlite://hallpass.db"),
    allowed: "`sqlite://file.db`, `sqlite:///path/file.db` or `postgres://…`",
    meaning: "The database. A relative path in the settings file is relative to that file.",
};
const ENCRYPTION_KEY: Key = Key {
    name: "store.encryption_key",
    default: None,
    allowed: "32 bytes in base64, as bootstrap makes them",
    meaning: "Seals the signing keys in the store.",
};
const ENCRYPTION_KEY_PREVIOUS: Key = Key {
    name: "store.encryption_key_previous",
    default: None,
    allowed: "32 bytes in base64",
    meaning: "The key before: still opens what it sealed.",
};

/// 32 secret bytes, wiped when dropped.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

impl SealingKey {
    /// Reads 32 bytes in base64; the reason for a refusal does not repeat them.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut bytes = STANDARD
            .decode(text)
            .or_else(|_| URL_SAFE.decode(text))
            .map_err(|_| "is not base64")?;
        let key = <[u8; 32]>::try_from(bytes.as_slice());
        bytes.zeroize();
        key.map(|key| Self(Zeroizing::new(key))).map_err(|_| "is not 32 bytes")
    }

    /// A new random key. Fails only where the system has no randomness.
    pub fn generate() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut key = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(&mut *key)?;
        Ok(Self(key))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key as it stands in settings.
    #[must_use]
    pub fn to_base64(&self) -> SecretString {
        SecretString::from(STANDARD.encode(*self.0))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey([REDACTED])")
    }
}
