//! Removing clients: first in Keycloak, then the record.

use super::{Attempt, Clients, in_doubt, run};
use crate::audit::{self, Actor};
use crate::error::{Code, Error};
use crate::principal::{Action, Origin, Principal};
use crate::store::{ClientRecord, Operation};

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
    pub async fn delete(&self, caller: &Principal, origin: &Origin, id: &str) -> Result<(), Error> {
        let record = self.find_visible(caller, Action::ChangeClients, id).await?;
        self.throttle.change(&caller.user_id)?;
        self.begin_removal(record, Actor::caller(caller, origin)).await
    }

    /// Removes several, one after the other. A failure ends it; what was removed until then stays removed, and a
    /// second call goes on.
    pub async fn delete_all(
        &self,
        caller: &Principal,
        origin: &Origin,
        ids: Vec<String>,
    ) -> Result<Vec<(String, Removed)>, Error> {
        let visible = self.visible(caller, Action::ChangeClients).await?;
        self.throttle.change(&caller.user_id)?;
        let actor = Actor::caller(caller, origin);
        let mut results = Vec::new();
        for id in ids {
            let outcome = match self.find_within(&visible, &id).await? {
                None => Removed::NotFound,
                Some(record) => match self.begin_removal(record, actor.clone()).await {
                    Ok(()) => Removed::Deleted,
                    Err(error) if error.code() == Code::NotFound => Removed::NotFound,
                    Err(error) => return Err(error),
                },
            };
            results.push((id, outcome));
        }
        Ok(results)
    }

    async fn begin_removal(&self, record: ClientRecord, actor: Actor) -> Result<(), Error> {
        let record = self.begin(&record, Operation::Delete, None).await?;
        let clients = self.clone();
        run(async move { clients.remove(&record, &actor, Attempt::First).await }).await
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
        let event = self.event(audit::Action::ClientDeleted, record, actor);
        if !self.store.finish_client_deletion(record, &event).await? {
            return Err(Error::not_found("API client"));
        }
        self.teller.tell(&event);
        Ok(())
    }
}
