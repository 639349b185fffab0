//! Noticing what others do in Keycloak: clients that are changed or removed there, owners who leave.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use tokio::time::sleep;

use super::{Clients, parse};
use crate::error::{Code, Error};
use crate::id::UserId;
use crate::keycloak::{ClientDocument, KeycloakError};
use crate::store::ClientRecord;

/// So many at a time, with a pause between: others use Keycloak too.
const STRETCH: usize = 100;
/// With more clients than this that cannot be read, it is not a client that is wrong.
const MOST_PASSED_OVER: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);

impl Clients {
    /// Compares a client with what Keycloak has now.
    pub(super) async fn observe(&self, record: &ClientRecord) -> Result<(), Error> {
        let Some(uuid) = &record.keycloak_id else { return Ok(()) };
        let now = self.clock.now();
        match self.keycloak.find_client_by_uuid(uuid).await? {
            None => Ok(self.store.note_client_missing(record, now).await?),
            Some(found) => self.note(record, &found.document).await,
        }
    }

    async fn note(&self, record: &ClientRecord, document: &ClientDocument) -> Result<(), Error> {
        let seen = self.seen(record, document)?;
        let unchanged = seen.spec.json == record.spec
            && seen.drifted_fields.is_empty() == record.drifted_at.is_none()
            && seen.drifted_fields == record.drifted_fields
            && record.missing_at.is_none()
            && (seen.secret_created_at.is_none()
                || seen.secret_created_at == record.secret_created_at);
        if unchanged || record.operation.is_some() {
            return Ok(());
        }
        Ok(self.store.note_client_seen(record, &seen, self.clock.now()).await?)
    }

    /// Something happened to the Keycloak client of this internal id.
    pub async fn observe_keycloak_client(&self, uuid: &str) -> Result<(), Error> {
        // Every process, not only the one that follows the realm: some may remember the client's secret.
        self.store.tell_client_changed(uuid, self.clock.now()).await?;
        match self.store.find_client_of_keycloak(uuid).await? {
            Some(record) => self.observe(&record).await,
            None => Ok(()),
        }
    }

    /// Something happened to this user.
    pub async fn observe_owner(&self, user: &UserId) -> Result<(), Error> {
        self.forget_membership(user).await;
        if !self.store.owns_clients(user).await? {
            return Ok(());
        }
        let found = self.owners.find(user).await?;
        let enabled = found.as_ref().is_some_and(|user| user.enabled);
        self.store.note_client_owner(user, enabled, self.clock.now()).await?;
        let Some(found) = found else { return Ok(()) };
        self.rename_owner(user, &found.names().username).await
    }

    /// Writes what the owner is called now to their clients. One that is just being changed is the next sweep's.
    async fn rename_owner(&self, owner: &UserId, username: &str) -> Result<(), Error> {
        for record in self.store.list_clients_of_owner_called_otherwise(owner, username).await? {
            let stored = self.stored(record.client_id.as_str(), username, &parse(&record.spec)?);
            self.store.rename_client_owner(&record, username, &stored.search_text).await?;
        }
        Ok(())
    }

    /// Looks at all clients and owners: not every change has an event.
    pub async fn sweep(&self) -> Result<(), Error> {
        let in_keycloak = self.list_documents().await?;
        let mut last = String::new();
        loop {
            let stretch = u32::try_from(STRETCH).unwrap_or(u32::MAX);
            let records = self.store.list_clients_after(&last, stretch).await?;
            let Some(end) = records.last() else { break };
            last.clone_from(&end.record_id);
            for record in &records {
                match record.keycloak_id.as_ref().and_then(|uuid| in_keycloak.get(uuid)) {
                    Some(document) => self.note(record, document).await?,
                    // The list may have been older than the record, or the client too large for it.
                    None => pass_over(&record.client_id, self.observe(record).await)?,
                }
            }
        }
        for owner in self.store.list_client_owners().await? {
            pass_over(&owner, self.observe_owner(&owner).await)?;
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Our clients in the realm, by internal id. Anybody who may register a client there can make one that is too large to
    /// be read, ours or not: pages with it are read in smaller ones, and it alone is passed over.
    async fn list_documents(&self) -> Result<HashMap<String, ClientDocument>, Error> {
        let mut documents = HashMap::new();
        let (mut first, mut stretch, mut passed_over) = (0, STRETCH, 0);
        loop {
            let page = match self.keycloak.list_clients(first, stretch).await {
                Ok(page) => page,
                Err(error @ KeycloakError::Protocol { .. }) if passed_over < MOST_PASSED_OVER => {
                    if stretch == 1 {
                        passed_over += 1;
                        tracing::warn!(
                            first,
                            error = &error as &dyn std::error::Error,
                            "a client of the realm cannot be read, and is passed over"
                        );
                        first += 1;
                    }
                    stretch = (stretch / 2).max(1);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let last = page.len() < stretch;
            first += page.len();
            stretch = (stretch * 2).min(STRETCH);
            let ours = page
                .into_iter()
                .filter(|client| client.attribute(super::template::RECORD).is_some());
            documents.extend(ours.map(|client| (client.uuid().to_owned(), client)));
            if last {
                return Ok(documents);
            }
            sleep(PAUSE).await;
        }
    }
}

/// What cannot be read of one, while Keycloak answers, does not stop the others.
fn pass_over(whose: &impl fmt::Display, outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(error) if error.code() == Code::KeycloakRefused => {
            tracing::warn!(
                %whose,
                error = &error as &dyn std::error::Error,
                "what Keycloak says of one is passed over"
            );
            Ok(())
        }
        other => other,
    }
}
