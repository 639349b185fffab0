//! Which clients the realm has, remembered for a minute: every mint asks, and they hardly change.

use std::time::Duration;

use moka::future::Cache;

use super::{Keycloak, KeycloakError, RealmClient};

const REMEMBERED: Duration = Duration::from_mins(1);
const MAX_REMEMBERED: u64 = 10_000;

/// Looks up clients by their `client_id`.
#[derive(Clone)]
pub struct ClientDirectory {
    keycloak: Keycloak,
    known: Cache<String, Option<RealmClient>>,
}

impl ClientDirectory {
    /// A directory of the realm that `keycloak` speaks to.
    #[must_use]
    pub fn new(keycloak: Keycloak) -> Self {
        let known = Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(REMEMBERED).build();
        Self { keycloak, known }
    }

    /// The client of this `client_id`, as it was at most a minute ago.
    pub async fn find(&self, client_id: &str) -> Result<Option<RealmClient>, KeycloakError> {
        if let Some(known) = self.known.get(client_id).await {
            return Ok(known);
        }
        let found = self.keycloak.find_client(client_id).await?;
        self.known.insert(client_id.to_owned(), found.clone()).await;
        Ok(found)
    }

    /// Looks again the next time: what is known led nowhere.
    pub async fn forget(&self, client_id: &str) {
        self.known.invalidate(client_id).await;
    }

    /// As [`ClientDirectory::find`], for a client that bootstrap made.
    pub async fn get(&self, client_id: &str) -> Result<RealmClient, KeycloakError> {
        let found = self.find(client_id).await?;
        found.ok_or_else(|| KeycloakError::NotFound(format!("the client {client_id}")))
    }
}
