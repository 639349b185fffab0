//! Finishing or undoing what a crash interrupted.
//!
//! A creation is undone: nobody got its answer. Everything else is finished, since its beginning may be in Keycloak
//! already. Only what bears the record's own mark, or the id that Keycloak gave to Hallpass, is touched.

use std::time::Duration;

use super::change::{Applied, Plan};
use super::secret::NewOwner;
use super::{Clients, parse};
use crate::audit::{self, Actor};
use crate::error::{Code, Error};
use crate::store::{ClientRecord, Operation};

/// A creation that Keycloak does not show is given up this long after it began: a slow Keycloak may still make it.
const PATIENCE: Duration = Duration::from_secs(40);

impl Clients {
    /// As [`Clients::reconcile`], after a start.
    pub async fn reconcile_at_start(&self) -> Result<(), Error> {
        self.store.expire_client_leases().await?;
        self.reconcile().await
    }

    /// Finishes or undoes each interrupted operation once. What fails is tried again the next time.
    pub async fn reconcile(&self) -> Result<(), Error> {
        for record in self.store.list_interrupted_clients(self.clock.now()).await? {
            if !self.store.claim_client_operation(&record, self.lease()).await? {
                continue;
            }
            let Some(operation) = record.operation else { continue };
            match self.bring_to_an_end(&record, operation).await {
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
            Operation::Delete => self.remove(record, &actor).await,
            Operation::Secret => ended(self.renew(record, None, &actor).await),
            Operation::Transfer => {
                let owner: NewOwner = parse(record.plan.as_deref().unwrap_or_default())?;
                ended(self.renew(record, Some(owner), &actor).await)
            }
        }
    }

    async fn undo_creation(&self, record: &ClientRecord, actor: &Actor) -> Result<(), Error> {
        if self.remove_made(record).await? {
            let event = self.event(audit::Action::ClientAbandoned, record, actor);
            self.store.finish_client_deletion(&record.record_id, &event).await?;
            event.log();
        } else if self.clock.now() >= record.created_at.plus(PATIENCE) {
            self.store.abandon_client(&record.record_id).await?;
        }
        Ok(())
    }

    async fn end_change(&self, record: &ClientRecord, actor: &Actor) -> Result<(), Error> {
        let plan: Plan = parse(record.plan.as_deref().unwrap_or_default())?;
        let document = match self.get_document(record).await {
            Err(error) if error.code() == Code::ClientMissing => {
                self.store.release_client(&record.record_id).await?;
                return Ok(());
            }
            other => other?,
        };
        match self.apply(&document, record, &plan).await {
            Ok(()) => self.finish_change(record, &plan, actor).await.map(drop),
            // It will never be taken: what is in Keycloak is what there is.
            Err(Applied { error, .. }) if super::is_refusal(&error) => {
                tracing::warn!(
                    client_id = %record.client_id,
                    error = &error as &dyn std::error::Error,
                    "an interrupted change is given up"
                );
                self.store.release_client(&record.record_id).await?;
                let record = self.find_record(&record.record_id).await?.record;
                self.observe(&record).await
            }
            Err(Applied { error, .. }) => Err(error.into()),
        }
    }
}

/// A client that is gone needs no new secret.
fn ended<T>(outcome: Result<T, Error>) -> Result<(), Error> {
    match outcome {
        Err(error) if error.code() == Code::ClientMissing => Ok(()),
        other => other.map(drop),
    }
}
