//! Events that concern many owners: of a role, of a group, or of who cannot be told.
//!
//! Whom an event concerns is found from what is known, so that a change of one group costs no look at everybody: the holders
//! of a role are those who had it when their tokens were issued, members of a group are asked of Keycloak. Where it cannot be
//! found, everybody is looked at.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::owners::{Hint, TokenOwners};
use super::round::{Pace, Round, Whose};
use crate::error::Error;
use crate::keycloak::{Keycloak, KeycloakError, RoleRef, UserChange, Wide};
use crate::owner::is_keycloaks_own_client;

/// When they are looked at once more: what an event tells of is everywhere by then.
const AGAIN: Duration = Duration::from_secs(1);
/// A look that failed is tried again this much later.
const RETRY: Duration = Duration::from_secs(5);

/// What is still to be looked at. Clones share it.
#[derive(Clone)]
pub(super) struct Many {
    keycloak: Keycloak,
    owners: TokenOwners,
    asked: Arc<Mutex<BTreeSet<Wide>>>,
    wake: Arc<Notify>,
}

impl Many {
    pub(super) fn new(keycloak: Keycloak, owners: TokenOwners) -> Self {
        Self { keycloak, owners, asked: Arc::default(), wake: Arc::default() }
    }

    /// Asks for a look, soon. However often the same is asked for meanwhile, one look more is enough.
    pub(super) fn ask(&self, wide: Wide) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(wide);
        self.wake.notify_one();
    }

    fn next(&self) -> Option<Wide> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).pop_first()
    }

    /// Looks at what is asked for, one after the other.
    pub(super) async fn look_when_asked(&self) {
        loop {
            let Some(wide) = self.next() else {
                self.wake.notified().await;
                continue;
            };
            if let Err(error) = self.look(&wide).await {
                tracing::error!(cause = error.chain(), %error, "not all owners could be looked at");
                sleep(RETRY).await;
                self.ask(wide);
            }
        }
    }

    async fn look(&self, wide: &Wide) -> Result<(), Error> {
        let whose = self.find(wide).await?;
        let hint = Hint::Event(UserChange::Changed);
        let mut round = Round::new(&self.owners, hint, Pace::Urgent);
        round.pass(&whose).await?;
        sleep(AGAIN).await;
        round.pass(&whose).await?;
        round.end().await
    }

    async fn find(&self, wide: &Wide) -> Result<Whose, KeycloakError> {
        match wide {
            Wide::Group(id) => {
                let found = self.keycloak.list_members_below(id).await?;
                Ok(found.map_or(Whose::Everybody, Whose::Among))
            }
            Wide::Role(role) if self.is_carried(role).await? => {
                Ok(Whose::HoldersOf(role.name.clone()))
            }
            Wide::Role(_) | Wide::Everybody => Ok(Whose::Everybody),
        }
    }

    /// Whether tokens carry the role: who has it is known then.
    async fn is_carried(&self, role: &RoleRef) -> Result<bool, KeycloakError> {
        let Some(uuid) = &role.client else { return Ok(true) };
        let client = self.keycloak.find_client_by_uuid(uuid).await?;
        Ok(client.is_some_and(|client| !is_keycloaks_own_client(client.document.client_id())))
    }
}
