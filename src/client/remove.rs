//! Removing clients: first in Keycloak, then the record.

use super::change::stopped;
use super::turn::Turn;
use super::{Attempt, Client, Clients, in_doubt, run};
use crate::access::Action;
use crate::audit::{self, Actor};
use crate::error::{Code, Error};
use crate::principal::Caller;
use crate::store::{ClientRecord, Operation, Visible};

/// What became of a client that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Deleted,
    /// There was none that the caller may remove.
    NotFound,
}

impl Clients {
    /// Removes a client for good.
    pub async fn delete(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        let visible = self.visible(caller, Action::ChangeClients).await?;
        self.throttle.change(&caller.user_id)?;
        match self.delete_one(&visible, id, Actor::from(caller)).await? {
            Removed::Deleted => Ok(()),
            Removed::NotFound => Err(Error::not_found("API client")),
        }
    }

    /// Removes several, one after the other. A failure ends it; what was removed until then stays removed, and a
    /// second call goes on.
    pub async fn delete_all(
        &self,
        caller: &Caller,
        ids: Vec<String>,
    ) -> Result<Vec<(String, Removed)>, Error> {
        let visible = self.visible(caller, Action::ChangeClients).await?;
        self.throttle.change(&caller.user_id)?;
        let actor = Actor::from(caller);
        let mut results = Vec::new();
        for id in ids {
            let outcome = self.delete_one(&visible, &id, actor.clone()).await?;
            results.push((id, outcome));
        }
        Ok(results)
    }

    async fn delete_one(
        &self,
        visible: &Visible,
        id: &str,
        actor: Actor,
    ) -> Result<Removed, Error> {
        let turn = Turn::begin();
        let record = loop {
            let Some(record) = self.find_within(visible, id).await? else {
                return Ok(Removed::NotFound);
            };
            let client = Client::try_from(record)?;
            // Its owner would make it again, under the same id.
            if client.is_stopped() && !visible.is_all() {
                return Err(stopped());
            }
            match self.begin(&client.record, Operation::Delete, None).await {
                Ok(record) => break record,
                Err(error) => turn.wait(error).await?,
            }
        };
        let clients = self.clone();
        match run(async move { clients.remove(&record, &actor, Attempt::First).await }).await {
            Ok(()) => Ok(Removed::Deleted),
            Err(error) if error.code() == Code::NotFound => Ok(Removed::NotFound),
            Err(error) => Err(error),
        }
    }

    /// Removes the Keycloak client that Hallpass made, by its own id: another client that took the name is not
    /// touched. Then the record.
    pub(super) async fn remove(
        &self,
        record: &ClientRecord,
        actor: &Actor,
        attempt: Attempt,
    ) -> Result<(), Error> {
        if let Some(uuid) = &record.keycloak_id
            && let Err(error) = self.keycloak.delete_client(uuid).await
        {
            if attempt.ends_with(&error) {
                self.store.release_client(record).await?;
                return Err(error.into());
            }
            return Err(in_doubt(error));
        }
        let event = self.event(audit::Act::ClientDeleted, record, actor);
        if !self.store.finish_client_deletion(record, &event).await? {
            return Err(Error::not_found("API client"));
        }
        self.teller.tell(&event);
        Ok(())
    }
}
