//! Finishing or undoing what a crash interrupted.
//!
//! A creation is undone: nobody got its answer. Everything else is finished, since its beginning may be in Keycloak
//! already. Only what bears the record's own mark, or the id that Keycloak gave to Hallpass, is touched.

use std::time::Duration;

use tokio::time::timeout;

use super::change::{Applied, Plan};
use super::secret::NewOwner;
use super::{Attempt, Clients, DEADLINE, IN_DOUBT, parse};
use crate::audit::{self, Actor};
use crate::error::{Code, Error};
use crate::store::{ClientRecord, Operation};

/// A creation that Keycloak does not show is given up this long after it began: a slow Keycloak may still make it.
const PATIENCE: Duration = Duration::from_secs(40);

impl Clients {
    /// Finishes or undoes each interrupted operation once. What fails is tried again the next time.
    pub async fn reconcile(&self) -> Result<(), Error> {
        for record in self.store.list_interrupted_clients(self.clock.now()).await? {
            let Some(record) = self.store.claim_client_operation(record, self.lease()).await?
            else {
                continue;
            };
            let Some(operation) = record.operation else { continue };
            // No longer than the lease: then another process may be at it.
            let end = timeout(DEADLINE, self.bring_to_an_end(&record, operation)).await;
            match end.unwrap_or_else(|_| Err(Error::new(Code::KeycloakUnavailable, IN_DOUBT))) {
                Ok(()) => {
                    tracing::info!(client_id = %record.client_id, ?operation, "an interrupted operation has ended");
                }
                Err(error) => tracing::warn!(
                    client_id = %record.client_id,
                    ?operation,
                    error = &error as &dyn std::error::Error,
                    "an interrupted operation cannot be ended yet"
                ),
            }
        }
        Ok(())
    }

    async fn bring_to_an_end(
        &self,
        record: &ClientRecord,
        operation: Operation,
    ) -> Result<(), Error> {
        let actor = Actor::hallpass();
        match operation {
            Operation::Create => self.undo_creation(record, &actor).await,
            Operation::Change => self.end_change(record, &actor).await,
            Operation::Delete => self.remove(record, &actor, Attempt::Again).await,
            Operation::Secret => {
                self.end_renewal(record, self.renew(record, None, &actor, Attempt::Again).await)
                    .await
            }
            Operation::Transfer => {
                let owner: NewOwner = parse(record.plan.as_deref().unwrap_or_default())?;
                let renewed = self.renew(record, Some(owner), &actor, Attempt::Again).await;
                self.end_renewal(record, renewed).await
            }
        }
    }

    async fn undo_creation(&self, record: &ClientRecord, actor: &Actor) -> Result<(), Error> {
        if self.remove_made(record).await? {
            let event = self.event(audit::Act::ClientAbandoned, record, actor);
            if self.store.finish_client_deletion(record, &event).await? {
                self.teller.tell(&event);
            }
        } else if self.clock.now() >= record.created_at.plus(PATIENCE) {
            self.store.abandon_client(record).await?;
        }
        Ok(())
    }

    async fn end_change(&self, record: &ClientRecord, actor: &Actor) -> Result<(), Error> {
        let plan: Plan = parse(record.plan.as_deref().unwrap_or_default())?;
        let document = match self.get_document(record).await {
            Err(error) if error.code() == Code::ClientMissing => {
                self.store.release_client(record).await?;
                return self.look_again(record).await;
            }
            other => other?,
        };
        match self.apply(&document, record, &plan).await {
            Ok(()) => self.finish_change(record, &plan, actor).await.map(drop),
            // It will never be taken: what is in Keycloak is what there is.
            Err(Applied { error, is_final: true, .. }) => {
                tracing::warn!(
                    client_id = %record.client_id,
                    error = &error as &dyn std::error::Error,
                    "an interrupted change is given up"
                );
                self.store.release_client(record).await?;
                self.look_again(record).await
            }
            Err(Applied { error, .. }) => Err(error.into()),
        }
    }

    /// A client that is gone needs no new secret.
    async fn end_renewal<T>(
        &self,
        record: &ClientRecord,
        outcome: Result<T, Error>,
    ) -> Result<(), Error> {
        match outcome {
            Err(error) if error.code() == Code::ClientMissing => self.look_again(record).await,
            other => other.map(drop),
        }
    }

    /// Notes what became of a client whose operation was given up.
    async fn look_again(&self, record: &ClientRecord) -> Result<(), Error> {
        let record = self.find_record(&record.record_id).await?.record;
        self.observe(&record).await
    }
}
