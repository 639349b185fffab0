//! The signing key: made, sealed, published as a passive key, seen in the realm's JWKS, taken into use.

use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::BootstrapError;
use super::compare::{differences, merge};
use super::run::{Run, text};
use crate::clock::Clock;
use crate::config::SealingKey;
use crate::error::Error;
use crate::keys::{SigningKey, provider_name};
use crate::seal::Sealer;
use crate::store::{SealedKey, Store};
use crate::verify::JwksCache;

/// Keycloak shows a new key at once; a cluster may take a moment.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) const PROVIDERS: &str = "/components?type=org.keycloak.keys.KeyProvider";

/// Whether a store that is not there yet is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    LeaveOut,
}

/// Opens the store of this realm. A dry run makes, migrates and claims nothing.
pub(super) async fn open_store(
    run: &Run<'_>,
    missing: Missing,
) -> Result<Option<Store>, BootstrapError> {
    let (url, issuer) = (&run.settings.store_url, run.settings.realm.issuer());
    let there = Store::open_unchanged(url).await?;
    if run.is_dry() {
        if let Some(store) = &there {
            store.check_issuer(&issuer).await?;
        }
        return Ok(there);
    }
    if let Some(store) = &there {
        store.close().await;
    } else if missing == Missing::LeaveOut {
        return Ok(None);
    }
    let store = Store::open(url).await?;
    store.claim_issuer(&issuer).await?;
    Ok(Some(store))
}

pub(super) async fn prepare(
    run: &mut Run<'_>,
    store: Option<Store>,
    encryption_key: &SealingKey,
    clock: &Clock,
) -> Result<(), BootstrapError> {
    let Some(store) = store else {
        run.announce("make a signing key and publish it as a passive key");
        return Ok(());
    };
    let issuer = run.settings.realm.issuer();
    let previous = run.settings.encryption_key_previous.as_ref();
    let sealer = Sealer::new(encryption_key.bytes(), previous.map(SealingKey::bytes))?;

    let active = store.find_active_key().await?;
    let known = match active.clone() {
        Some(active) => Some(active),
        None => store.find_pending_key().await?,
    };
    let Some(key) = made(run, &store, known, (&sealer, &issuer), clock).await? else {
        return Ok(());
    };
    publish(run, &SigningKey::from_sealed(&sealer, &issuer, &key)?).await?;
    if active.is_none() && run.announce(&format!("take signing key {} into use", key.kid)) {
        wait_until_shown(run, &key.kid).await?;
        if !store.activate_key(&key.kid, clock.now()).await? {
            return Err(BootstrapError::Raced);
        }
    }
    store.close().await;
    Ok(())
}

/// The key that the store knows, or a new one; `None` in a dry run that would make one.
async fn made(
    run: &mut Run<'_>,
    store: &Store,
    known: Option<SealedKey>,
    (sealer, issuer): (&Sealer, &str),
    clock: &Clock,
) -> Result<Option<SealedKey>, BootstrapError> {
    if known.is_some() {
        return Ok(known);
    }
    if !run.announce("make a signing key") {
        return Ok(None);
    }
    let key = tokio::task::spawn_blocking(SigningKey::generate)
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or(BootstrapError::Generate)?;
    let new = key.seal(sealer, issuer)?;
    store.insert_pending_key(&new, clock.now()).await?;
    Ok(Some(new))
}

async fn publish(run: &mut Run<'_>, key: &SigningKey) -> Result<(), BootstrapError> {
    let name = provider_name(key.kid());
    let providers = run.list(PROVIDERS).await?;
    let Some(found) = providers.iter().find(|found| found["name"] == name.as_str()) else {
        if run.announce(&format!("publish signing key {} as a passive key", key.kid())) {
            run.keycloak().create_key_provider(&key.provider()).await?;
        }
        return Ok(());
    };
    // Active, the realm itself would sign with it, and its tokens would be taken for forgeries.
    let passive = json!({"config": {"active": ["false"], "enabled": ["true"]}});
    if !differences(&passive, found).is_empty() {
        let path = format!("/components/{}", text(found, "id"));
        let what = format!("make signing key {} passive again", key.kid());
        run.change(&what, Method::PUT, &path, Some(&merge(&passive, found))).await?;
    }
    Ok(())
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

/// Whether this key provider is one of ours.
pub(super) fn is_ours(provider: &Value) -> bool {
    text(provider, "name").starts_with(crate::keys::PROVIDER_PREFIX)
}
