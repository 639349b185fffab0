//! The signing key: made, sealed, published as a passive key, seen in the realm's JWKS, taken into use.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::compare::{differences, merge};
use super::other_keys::OtherKey;
use super::run::{Run, text};
use super::{BootstrapError, other_keys};
use crate::clock::Clock;
use crate::config::SealingKey;
use crate::error::Error;
use crate::keycloak::{KeycloakError, SIGNING_KEYS};
use crate::keys::{SigningKey, provider_name};
use crate::seal::Sealer;
use crate::store::{ObjectKind, SealedKey};
use crate::verify::JwksCache;

/// Keycloak shows a new key at once; a cluster may take a moment.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) const PROVIDERS: &str = "/components?type=org.keycloak.keys.KeyProvider";

/// The key of this run.
enum Key {
    /// The store had it.
    Known(SigningKey),
    /// It was just made.
    New(SigningKey),
    /// A dry run would make it.
    Planned,
}

impl Key {
    /// A new key's id is not known before: a dry run says the same words.
    fn label(&self) -> String {
        match self {
            Self::Known(key) => format!("signing key {}", key.kid()),
            Self::New(_) | Self::Planned => "the new signing key".to_owned(),
        }
    }

    fn kid(&self) -> &str {
        match self {
            Self::Known(key) | Self::New(key) => key.kid(),
            Self::Planned => "new",
        }
    }
}

/// `service`: Keycloak's id of our own client.
pub(super) async fn prepare(
    run: &mut Run<'_>,
    service: &str,
    encryption_key: &SealingKey,
    clock: &Clock,
) -> Result<(), BootstrapError> {
    let previous = run.settings.encryption_key_previous.as_ref();
    let sealer = Sealer::new(encryption_key.bytes(), previous.map(SealingKey::bytes))?;
    let (active, pending) = match run.inventory.store() {
        Some(store) => (store.find_active_key().await?, store.find_pending_key().await?),
        None => (None, None),
    };
    let is_active = active.is_some();
    let key = get_or_make(run, active.or(pending), &sealer, clock).await?;
    let others = publish(run, &key).await?;
    note_kids(run, service, &key, &others).await?;
    run.notes.extend(others.iter().map(OtherKey::advice));
    if !is_active && run.announce(&format!("take {} into use", key.label())) {
        wait_until_shown(run, key.kid()).await?;
        if let Some(store) = run.inventory.writable()
            && !store.activate_key(key.kid(), clock.now()).await?
        {
            return Err(BootstrapError::Raced);
        }
    }
    Ok(())
}

/// The key that the store knows, or a new one.
async fn get_or_make(
    run: &mut Run<'_>,
    known: Option<SealedKey>,
    sealer: &Sealer,
    clock: &Clock,
) -> Result<Key, BootstrapError> {
    let issuer = run.settings.realm.issuer();
    if let Some(known) = known {
        return Ok(Key::Known(SigningKey::from_sealed(sealer, &issuer, &known)?));
    }
    if !run.announce("make a signing key") {
        return Ok(Key::Planned);
    }
    let key = tokio::task::spawn_blocking(SigningKey::generate)
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or(BootstrapError::Generate)?;
    if let Some(store) = run.inventory.writable() {
        store.insert_pending_key(&key.seal(sealer, &issuer)?, clock.now()).await?;
    }
    Ok(Key::New(key))
}

/// Publishes the key where the realm lacks it. Answers the keys of other stores.
async fn publish(run: &mut Run<'_>, key: &Key) -> Result<Vec<OtherKey>, BootstrapError> {
    let providers = run.list(PROVIDERS).await?;
    let (ours, others) = other_keys::split(run, &providers).await?;
    let name = provider_name(key.kid());
    let Some(found) = ours.iter().find(|found| found["name"] == name.as_str()) else {
        let id = run.inventory.choose(ObjectKind::KeyProvider, &name).await?;
        let announced = run.announce(&format!("publish {} as a passive key", key.label()));
        if let (true, Key::Known(key) | Key::New(key)) = (announced, key) {
            run.keycloak().create_key_provider(&id, &key.provider()).await?;
            run.inventory.confirm(&id).await?;
        }
        return Ok(others);
    };
    let id = text(found, "id").to_owned();
    if run.inventory.has(ObjectKind::KeyProvider, &id) {
        run.inventory.confirm(&id).await?;
    } else {
        run.inventory.add(ObjectKind::KeyProvider, &name, &id).await?;
    }
    // Active, the realm itself would sign with it, and its tokens would be taken for forgeries.
    let passive = json!({"config": {"active": ["false"], "enabled": ["true"]}});
    if !differences(&passive, found).is_empty() {
        let path = format!("/components/{id}");
        let what = format!("make {} passive again", key.label());
        run.change(&what, Method::PUT, &path, Some(&merge(&passive, found))).await?;
    }
    Ok(others)
}

/// Notes on our client which keys Hallpass published: so `serve` and `doctor`, who may not read the realm's keys, know a
/// key of another store when they see it.
async fn note_kids(
    run: &mut Run<'_>,
    service: &str,
    key: &Key,
    others: &[OtherKey],
) -> Result<(), KeycloakError> {
    let others = others.iter().filter_map(|other| other.kid.as_deref());
    let kids: BTreeSet<&str> = others.chain([key.kid()]).collect();
    let kids = kids.into_iter().collect::<Vec<_>>().join(" ");
    let path = format!("/clients/{service}");
    let client = run.get(&path).await?;
    if client["attributes"][SIGNING_KEYS] == kids.as_str() {
        return Ok(());
    }
    let noted = merge(&json!({"attributes": {SIGNING_KEYS: kids}}), &client);
    let what = "note the published signing keys on client hallpass";
    run.change(what, Method::PUT, &path, Some(&noted)).await
}

async fn wait_until_shown(run: &Run<'_>, kid: &str) -> Result<(), BootstrapError> {
    let url = run.settings.realm.jwks_url();
    let url =
        Url::parse(&url).map_err(|error| BootstrapError::Jwks(Box::new(Error::internal(error))))?;
    let jwks = JwksCache::new(run.keycloak().http().clone(), url);
    let deadline = Instant::now() + SHOWN_WITHIN;
    while Instant::now() < deadline {
        if jwks.refresh().await.is_ok_and(|keys| keys.find(kid).is_some()) {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
    Err(BootstrapError::KeyNotShown(kid.to_owned()))
}
