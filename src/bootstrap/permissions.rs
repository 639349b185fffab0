//! What the administrator may do, tried before anything is changed: Keycloak lets nobody give a permission that they do
//! not have themselves.

use reqwest::Method;
use serde_json::{Value, json};

use super::BootstrapError;
use crate::keycloak::{Keycloak, KeycloakError};

/// Refuses an administrator who lacks a permission, and names all that are missing. What cannot be told by reading is
/// told by a change that Keycloak refuses to everybody else as wrong: it looks at the permission first.
pub(super) async fn require(keycloak: &Keycloak) -> Result<(), BootstrapError> {
    // No component has this id.
    let nothing = "/components/00000000-0000-0000-0000-000000000000";
    let (no_name, nobody) = (json!({"name": " "}), json!({}));
    let (realm, clients, users, view_users, events) = tokio::try_join!(
        tried(keycloak.change(Method::DELETE, nothing, None)),
        tried(keycloak.change(Method::POST, "/client-scopes", Some(&no_name))),
        tried(keycloak.change(Method::POST, "/users", Some(&nobody))),
        read(keycloak, "/users"),
        read(keycloak, "/admin-events"),
    )?;
    let all = [
        ("manage-realm", realm),
        ("manage-clients", clients),
        ("manage-users", users),
        ("view-users", view_users),
        ("view-events", events),
    ];
    let missing: Vec<&str> =
        all.into_iter().filter(|(_, allowed)| !allowed).map(|(name, _)| name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(BootstrapError::MissingPermissions(missing.join(", ")))
}

async fn read(keycloak: &Keycloak, path: &str) -> Result<bool, KeycloakError> {
    let one: Result<Vec<Value>, _> = keycloak.get(path, &[("max", "1")]).await;
    tried(async { one.map(drop) }).await
}

async fn tried(
    call: impl Future<Output = Result<(), KeycloakError>>,
) -> Result<bool, KeycloakError> {
    match call.await {
        Ok(()) | Err(KeycloakError::NotFound(_) | KeycloakError::Rejected { .. }) => Ok(true),
        Err(KeycloakError::Forbidden(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
