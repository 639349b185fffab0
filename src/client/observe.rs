//! Noticing what others do in Keycloak: clients that are changed or removed there, owners who leave.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use tokio::time::sleep;

use super::{Clients, parse};
use crate::error::{Code, Error};
use crate::id::UserId;
use crate::keycloak::ClientDocument;
use crate::store::ClientRecord;

/// So many at a time, with a pause between: others use Keycloak too.
const STRETCH: usize = 100;
/// After so many clients in a row that cannot be listed it is the list that cannot.
const MOST_FAILED: usize = 3;
/// After so many in a row it may not be theirs that Keycloak does not answer.
const MOST_IN_A_ROW: usize = 3;
/// A client of this number is in no realm.
const NO_CLIENT: usize = 2_000_000_000;
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

    /// Looks whether this user, if they own clients, is enabled.
    pub async fn observe_owner(&self, user: &UserId) -> Result<(), Error> {
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
        let (mut last, mut passed_over) = (String::new(), 0);
        loop {
            let stretch = u32::try_from(STRETCH).unwrap_or(u32::MAX);
            let records = self.store.list_clients_after(&last, stretch).await?;
            let Some(end) = records.last() else { break };
            last.clone_from(&end.record_id);
            for record in &records {
                let listed = record.keycloak_id.as_ref().and_then(|uuid| in_keycloak.get(uuid));
                if let Some(document) = listed {
                    self.note(record, document).await?;
                } else {
                    // The list may have been older than the record, or the client too large for it.
                    let observed = self.observe(record).await;
                    self.pass_over(&mut passed_over, &record.client_id, observed).await?;
                }
            }
        }
        for owner in self.store.list_client_owners().await? {
            self.forget_membership(&owner).await;
            let observed = self.observe_owner(&owner).await;
            self.pass_over(&mut passed_over, &owner, observed).await?;
            sleep(PAUSE).await;
        }
        if passed_over > 0 { self.owners.check_answers().await } else { Ok(()) }
    }

    /// Our clients in the realm, by internal id. One that is too large to be read is not among them. A page that takes too
    /// long is read in smaller ones; one client that does alone is passed over.
    async fn list_documents(&self) -> Result<HashMap<String, ClientDocument>, Error> {
        let mut documents = HashMap::new();
        let (mut first, mut stretch, mut failed) = (0, STRETCH, 0);
        loop {
            let page = match self.keycloak.list_clients(first, stretch).await {
                Ok(page) => page,
                Err(error) => {
                    let is_one = stretch == 1;
                    failed += usize::from(is_one);
                    let is_answered = self.keycloak.list_clients(NO_CLIENT, 1).await.is_ok();
                    if failed > MOST_FAILED || !is_answered {
                        return Err(error.into());
                    }
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(first, stretch, error, "clients of the realm cannot be read");
                    first += usize::from(is_one);
                    stretch = (stretch / 2).max(1);
                    continue;
                }
            };
            let (rows, is_last) = (page.len(), page.len() < stretch);
            for (row, _) in page.iter().enumerate().filter(|(_, client)| client.is_none()) {
                let number = first + row;
                tracing::warn!(number, "a client of the realm is too large to be read in a list");
            }
            first += rows;
            stretch = (stretch * 2).min(STRETCH);
            failed = 0;
            let ours = page
                .into_iter()
                .flatten()
                .filter(|client| client.attribute(super::template::RECORD).is_some());
            documents.extend(ours.map(|client| (client.uuid().to_owned(), client)));
            if is_last {
                return Ok(documents);
            }
            sleep(PAUSE).await;
        }
    }

    /// What cannot be read of one, or takes too long, does not stop the others while Keycloak answers.
    async fn pass_over(
        &self,
        in_a_row: &mut usize,
        whose: &(impl fmt::Display + Sync),
        outcome: Result<(), Error>,
    ) -> Result<(), Error> {
        let Err(error) = outcome else {
            *in_a_row = 0;
            return Ok(());
        };
        if !matches!(error.code(), Code::KeycloakRefused | Code::KeycloakUnavailable) {
            return Err(error);
        }
        *in_a_row += 1;
        if *in_a_row >= MOST_IN_A_ROW {
            self.owners.check_answers().await?;
            *in_a_row = 0;
        }
        tracing::warn!(
            %whose,
            error = &error as &dyn std::error::Error,
            "what Keycloak says of one is passed over"
        );
        Ok(())
    }
}
