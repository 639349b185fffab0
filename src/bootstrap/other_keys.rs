//! Signing keys of another Hallpass store in the same realm: as long as the realm publishes them, whoever has them can
//! forge its tokens, and nobody can revoke those that they signed.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;

use super::run::{Mode, Report, Run, text};
use super::signing_key::PROVIDERS;
use super::{BootstrapError, begin};
use crate::clock::Clock;
use crate::config::BootstrapSettings;
use crate::keycloak::Keycloak;
use crate::keys::PROVIDER_PREFIX;
use crate::store::ObjectKind;

/// A key provider of our names that is not of this store.
pub(super) struct OtherKey {
    id: String,
    name: String,
    /// The key that the realm has from it, if any.
    pub(super) kid: Option<String>,
}

impl OtherKey {
    /// What a person should do about it.
    pub(super) fn advice(&self) -> String {
        let Self { id, name, kid } = self;
        let key = kid.as_ref().map_or("no key".to_owned(), |kid| format!("the key {kid}"));
        format!(
            "the realm publishes {key} of another Hallpass store (key provider {name}): who has it can forge every \
             token of the realm. If that store is lost, run `hallpass bootstrap --remove-key {id}`"
        )
    }
}

/// Those that the realm has.
pub(super) async fn find(run: &Run<'_>) -> Result<Vec<OtherKey>, BootstrapError> {
    let providers = run.list(PROVIDERS).await?;
    Ok(split(run, &providers).await?.1)
}

/// The providers of this store, and those of our names that are another's. A provider is ours when the store lists it,
/// or when the realm has one of the store's keys from it.
pub(super) async fn split(
    run: &Run<'_>,
    providers: &[Value],
) -> Result<(Vec<Value>, Vec<OtherKey>), BootstrapError> {
    let is_listed = |found: &&Value| run.inventory.has(ObjectKind::KeyProvider, text(found, "id"));
    let (mut ours, unlisted): (Vec<&Value>, Vec<&Value>) =
        providers.iter().partition(|found| is_listed(found));
    let suspects =
        unlisted.into_iter().filter(|found| text(found, "name").starts_with(PROVIDER_PREFIX));
    let suspects: Vec<&Value> = suspects.collect();
    let mut others = Vec::new();
    if !suspects.is_empty() {
        let kids = kids_by_provider(run).await?;
        let own = match run.inventory.store() {
            Some(store) => store.list_kids().await?,
            None => Vec::new(),
        };
        for found in suspects {
            let kid = kids.get(text(found, "id"));
            if kid.is_some_and(|kid| own.iter().any(|known| known.kid == *kid)) {
                ours.push(found);
                continue;
            }
            let (id, name) = (text(found, "id").to_owned(), text(found, "name").to_owned());
            others.push(OtherKey { id, name, kid: kid.cloned() });
        }
    }
    Ok((ours.into_iter().cloned().collect(), others))
}

async fn kids_by_provider(run: &Run<'_>) -> Result<BTreeMap<String, String>, BootstrapError> {
    let keys = run.get("/keys").await?;
    let keys = keys["keys"].as_array().into_iter().flatten();
    Ok(keys.map(|key| (text(key, "providerId").to_owned(), text(key, "kid").to_owned())).collect())
}

/// Removes the key provider of this id, which must be of our names and not this store's.
pub async fn remove_key(
    (keycloak, settings): (&Keycloak, &BootstrapSettings),
    clock: &Clock,
    mode: Mode,
    id: &str,
    report: Report,
) -> Result<usize, BootstrapError> {
    let mut run = begin((keycloak, settings), clock, mode, report).await?;
    let others = find(&run).await?;
    run.inventory.close().await;
    let Some(key) = others.iter().find(|key| key.id == id) else {
        let known = others.iter().map(|key| format!("\n  {} ({})", key.id, key.name));
        let known: Vec<String> = known.collect();
        return Err(BootstrapError::NotAnotherKey { id: id.to_owned(), known: known.concat() });
    };
    let what = format!("remove key provider {}", key.name);
    run.change(&what, Method::DELETE, &format!("/components/{id}"), None).await?;
    Ok(run.changes())
}
