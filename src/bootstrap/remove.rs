//! Taking everything back: the realm is then as it was.

use reqwest::Method;
use serde_json::Value;

use super::run::{Mode, Report, Run, text};
use super::signing_key::{Missing, PROVIDERS, is_ours, open_store};
use super::{BootstrapError, MANAGED, clients, events, profile, scopes};
use crate::clock::Clock;
use crate::config::BootstrapSettings;
use crate::keycloak::{GRANTABLE, Keycloak, KeycloakError};
use crate::store::Store;

/// Removes what bootstrap made, and gives back what it changed. The keys in the store are retired for good:
/// tokens that they signed do not become valid again with the next bootstrap. Answers how many things
/// were changed, or would be.
pub async fn remove(
    keycloak: &Keycloak,
    settings: &BootstrapSettings,
    clock: &Clock,
    mode: Mode,
    report: Report,
) -> Result<usize, BootstrapError> {
    let mut run = Run::new(keycloak, settings, mode, report);
    keycloak.find_realm().await?.ok_or(BootstrapError::NoRealm)?;
    let store = open_store(&run, Missing::LeaveOut).await?;
    remove_keys(&mut run).await?;
    if let Some(store) = store {
        retire_keys(&mut run, &store, clock).await?;
        store.close().await;
    }
    if let Some(service) = managed_client(&run, &settings.client_id).await? {
        events::remove(&mut run, &service).await?;
    }
    for client_id in clients::names(&run) {
        if let Some(client) = managed_client(&run, &client_id).await? {
            let path = format!("/clients/{}", text(&client, "id"));
            run.change(&format!("remove client {client_id}"), Method::DELETE, &path, None).await?;
        }
    }
    profile::remove(&mut run).await?;
    remove_scopes(&mut run).await?;
    Ok(run.changes())
}

async fn managed_client(run: &Run<'_>, client_id: &str) -> Result<Option<Value>, KeycloakError> {
    let client = run.find_client(client_id).await?;
    Ok(client.filter(|client| client["attributes"][MANAGED] == "true"))
}

async fn remove_keys(run: &mut Run<'_>) -> Result<(), KeycloakError> {
    for provider in run.list(PROVIDERS).await?.iter().filter(|provider| is_ours(provider)) {
        let what = format!("remove key provider {}", text(provider, "name"));
        let path = format!("/components/{}", text(provider, "id"));
        run.change(&what, Method::DELETE, &path, None).await?;
    }
    Ok(())
}

async fn retire_keys(
    run: &mut Run<'_>,
    store: &Store,
    clock: &Clock,
) -> Result<(), BootstrapError> {
    let live =
        store.find_active_key().await?.is_some() || store.find_pending_key().await?.is_some();
    if live && run.announce("retire the signing keys in the store") {
        store.retire_all_keys(clock.now()).await?;
    }
    Ok(())
}

/// Scopes that we made go; those that we only marked lose the mark.
async fn remove_scopes(run: &mut Run<'_>) -> Result<(), KeycloakError> {
    for mut scope in run.list("/client-scopes").await? {
        let path = format!("/client-scopes/{}", text(&scope, "id"));
        let name = text(&scope, "name").to_owned();
        if scope["attributes"][MANAGED] == "true" {
            run.change(&format!("remove client scope {name}"), Method::DELETE, &path, None).await?;
        } else if scope["attributes"][GRANTABLE].is_string() {
            // Attributes are merged; a null deletes one.
            scope["attributes"][GRANTABLE] = Value::Null;
            let what = format!("take the mark from client scope {name}");
            run.change(&what, Method::PUT, &path, Some(&scope)).await?;
            if let Some(mapper) = scopes::audience_mapper(&scope) {
                let path = format!("{path}/protocol-mappers/models/{}", text(mapper, "id"));
                let what = format!("take the audience from client scope {name}");
                run.change(&what, Method::DELETE, &path, None).await?;
            }
        }
    }
    Ok(())
}
