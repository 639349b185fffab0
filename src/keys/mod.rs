//! The signing keys: made, sealed in the store, published by the realm, held in memory to sign.
//!
//! The private part leaves the process only once, to Keycloak when bootstrap publishes the key.

mod last_seen;
mod make;
mod misuse;
mod others;
mod pem;
mod published;
mod sign;

use std::sync::{Arc, PoisonError, RwLock};

pub use last_seen::LastSeenKeys;
pub use make::{PROVIDER_PREFIX, SigningKey, provider_name};
pub use misuse::Misuse;
pub use others::find_other_keys;
pub use pem::pem_of_jwk;
pub use published::{Publication, PublishedKeys};
pub use sign::Signer;

use crate::clock::Clock;
use crate::error::{Code, Error};
use crate::seal::{SealError, Sealer};
use crate::store::{KnownKey, Store, StoreError};

/// The keys in use, as the store last said. Clones share them.
#[derive(Clone)]
pub struct KeyRing {
    store: Store,
    sealer: Arc<Sealer>,
    issuer: Arc<str>,
    held: Arc<RwLock<Held>>,
    misuse: Misuse,
}

#[derive(Default)]
struct Held {
    active: Option<Arc<Signer>>,
    /// All keys that were ever ours: even a retired one must never pass for the realm's own.
    known: Vec<KnownKey>,
}

/// Whose a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// One of ours that is in use, or will be.
    Ours,
    /// Once ours, and taken out of use: what it signed is refused, whoever publishes it again.
    Retired,
    /// The realm's own, or nobody's.
    Others,
}

/// Why the keys could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The active key does not open.
    #[error("the signing key {kid} cannot be opened")]
    Sealed {
        /// Which key.
        kid: String,
        /// Why.
        source: SealError,
    },
    /// What opened is no key.
    #[error("the signing key {0} is not an RSA key")]
    Malformed(String),
}

impl KeyRing {
    /// A ring without keys; [`KeyRing::reload`] fills it.
    #[must_use]
    pub fn new(store: Store, sealer: Sealer, issuer: &str, misuse: Misuse) -> Self {
        let (sealer, held) = (Arc::new(sealer), Arc::default());
        Self { store, sealer, issuer: issuer.into(), held, misuse }
    }

    /// Whether the realm itself signs with one of them.
    #[must_use]
    pub const fn misuse(&self) -> &Misuse {
        &self.misuse
    }

    /// The realm's own keys, kept by the same store and sealed in the same way.
    #[must_use]
    pub fn last_seen(&self, clock: Clock) -> LastSeenKeys {
        LastSeenKeys::new(self.store.clone(), self.sealer.clone(), &self.issuer, clock)
    }

    /// Reads the keys again: at start, and when the store says that they were switched. When the active
    /// key does not open, none is held: what cannot be read must not go on signing.
    pub async fn reload(&self) -> Result<(), SigningKeyError> {
        let known = self.store.list_kids().await?;
        let active = self.store.find_active_key().await?;
        let opened = active
            .map(|key| SigningKey::from_sealed(&self.sealer, &self.issuer, &key)?.into_signer())
            .transpose();
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.known = known;
        held.active = None;
        held.active = opened?.map(Arc::new);
        Ok(())
    }

    /// The key that signs now.
    #[must_use]
    pub fn active(&self) -> Option<Arc<Signer>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).active.clone()
    }

    /// Whose the key of this `kid` is.
    #[must_use]
    pub fn whose(&self, kid: &str) -> KeyOwner {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        match held.known.iter().find(|known| known.kid == kid) {
            Some(known) if known.retired => KeyOwner::Retired,
            Some(_) => KeyOwner::Ours,
            None => KeyOwner::Others,
        }
    }

    /// The key to sign with, which the realm publishes now: else what it signs would be refused
    /// everywhere, and nothing is minted. Nor is it while the realm itself signs with it. (A `kid` is a digest of its key: the same `kid`, the same key.)
    pub async fn get_published(&self, published: &PublishedKeys) -> Result<Arc<Signer>, Error> {
        let signer =
            self.active().ok_or_else(|| not_published("there is no active signing key"))?;
        match published.look_for(signer.kid()).await {
            Publication::Shown if self.misuse.is_seen() => Err(misused()),
            Publication::Shown => Ok(signer),
            Publication::Missing => Err(not_published("the realm's JWKS lacks it")),
            Publication::Away { .. } => Err(Error::new(
                Code::KeycloakUnavailable,
                "Keycloak is not available; nothing was changed. Try again shortly.",
            )),
        }
    }
}

fn misused() -> Error {
    let detail =
        "The realm signs its own tokens with Hallpass's signing key, so no token is issued.";
    Error::new(Code::KeyMisused, detail)
}

fn not_published(reason: &'static str) -> Error {
    let detail = "The realm does not publish Hallpass's signing key, so no token is issued.";
    Error::new(Code::KeyNotPublished, detail).because(reason)
}

/// A sealed key opens only for the realm and the `kid` that it was sealed for.
fn seal_context(issuer: &str, kid: &str) -> String {
    format!("signing-key\n{issuer}\n{kid}")
}
