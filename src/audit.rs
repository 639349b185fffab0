//! The audit log's words: who did what to which credential, from where and why.
//!
//! A use case builds an [`Event`], the store appends it in the transaction of the act itself, and after
//! the commit it goes out as one structured log line. It never holds a secret.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::id::{PatId, UserId, uuid_at};
use crate::principal::{Credential, Origin, Principal};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A personal access token was recorded, to be issued.
    TokenCreated,
    /// It was not issued after all: its owner changed, or Keycloak went away, before it was signed.
    TokenAbandoned,
    /// It was revoked.
    TokenRevoked,
    /// It was deleted with its metadata.
    TokenDeleted,
}

impl Action {
    /// The action's name in the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TokenCreated => "token_created",
            Self::TokenAbandoned => "token_abandoned",
            Self::TokenRevoked => "token_revoked",
            Self::TokenDeleted => "token_deleted",
        }
    }
}

/// One line of the audit log.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its own id, ordered by time.
    pub id: Uuid,
    /// When it was done.
    pub at: Timestamp,
    /// What was done.
    pub action: Action,
    /// The credential that it was done to.
    pub credential_id: String,
    /// Its name at that time; it outlives the credential here.
    pub credential_name: String,
    /// Whose credential it is.
    pub owner_id: UserId,
    /// Who did it.
    pub actor_id: UserId,
    /// Their name at login.
    pub actor_name: String,
    /// By what: `access_token` or `pat:{id}`.
    pub actor_credential: String,
    /// From which address.
    pub address: String,
    /// In which request.
    pub request_id: String,
    /// Why, where there is a reason to give.
    pub reason: Option<String>,
}

impl Event {
    /// What `actor` does now to a personal access token.
    #[must_use]
    pub fn of_token(
        action: Action,
        token: (PatId, &str, &UserId),
        (actor, origin): (&Principal, &Origin),
        at: Timestamp,
    ) -> Self {
        let (pat_id, name, owner_id) = token;
        Self {
            id: uuid_at(at),
            at,
            action,
            credential_id: pat_id.to_string(),
            credential_name: name.to_owned(),
            owner_id: owner_id.clone(),
            actor_id: actor.user_id.clone(),
            actor_name: actor.username.clone(),
            actor_credential: match &actor.credential {
                Credential::AccessToken { .. } => "access_token".to_owned(),
                Credential::Pat { pat_id, .. } => format!("pat:{pat_id}"),
            },
            address: origin.address.to_string(),
            request_id: origin.request_id.clone(),
            reason: None,
        }
    }

    /// Says why.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The event as a structured log line, once it is committed.
    pub fn log(&self) {
        tracing::info!(
            target: "hallpass::audit",
            action = self.action.name(),
            credential_id = %self.credential_id,
            owner_id = %self.owner_id,
            actor_id = %self.actor_id,
            actor_credential = %self.actor_credential,
            address = %self.address,
            request_id = %self.request_id,
            reason = self.reason.as_deref(),
        );
    }
}
