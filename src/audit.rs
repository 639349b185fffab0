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
    /// It was replaced by a successor, which is named in the reason.
    TokenRotated,
    /// A token that had been rotated was used after its grace: everything that came from it is revoked.
    FamilyBurned,
    /// An API client was created.
    ClientCreated,
    /// It was changed.
    ClientUpdated,
    /// It was deleted in Keycloak and here.
    ClientDeleted,
    /// Its creation was interrupted and taken back.
    ClientAbandoned,
    /// Somebody read its secret.
    ClientSecretRead,
    /// It got a new secret.
    ClientSecretRegenerated,
    /// It got another owner, and a new secret.
    ClientTransferred,
    /// An account may have more or fewer API clients; the credential is the account.
    QuotaSet,
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
            Self::TokenRotated => "token_rotated",
            Self::FamilyBurned => "family_burned",
            Self::ClientCreated => "client_created",
            Self::ClientUpdated => "client_updated",
            Self::ClientDeleted => "client_deleted",
            Self::ClientAbandoned => "client_abandoned",
            Self::ClientSecretRead => "client_secret_read",
            Self::ClientSecretRegenerated => "client_secret_regenerated",
            Self::ClientTransferred => "client_transferred",
            Self::QuotaSet => "quota_set",
        }
    }
}

/// Why the tokens of a burned family ended.
pub const FAMILY_BURNED: &str = "family_burned";

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Who acts: somebody with a credential, or Hallpass itself when it finishes what was interrupted.
#[derive(Clone, Debug)]
pub struct Actor {
    id: UserId,
    name: String,
    credential: String,
    address: String,
    request_id: String,
}

impl Actor {
    /// A caller.
    #[must_use]
    pub fn caller(principal: &Principal, origin: &Origin) -> Self {
        Self {
            id: principal.user_id.clone(),
            name: principal.username.clone(),
            credential: match &principal.credential {
                Credential::AccessToken { .. } => "access_token".to_owned(),
                Credential::Pat { pat_id, .. } => format!("pat:{pat_id}"),
            },
            address: origin.address.to_string(),
            request_id: origin.request_id.clone(),
        }
    }

    /// Hallpass itself.
    #[must_use]
    pub fn hallpass() -> Self {
        let name = "hallpass".to_owned();
        Self {
            id: UserId::new(&*name),
            name,
            credential: "none".to_owned(),
            address: String::new(),
            request_id: String::new(),
        }
    }
}

impl Event {
    /// What `actor` does now to the credential of this id and name, which belongs to `owner`.
    #[must_use]
    pub fn new(
        action: Action,
        (credential_id, credential_name): (String, String),
        owner: &UserId,
        actor: &Actor,
        at: Timestamp,
    ) -> Self {
        Self {
            id: uuid_at(at),
            at,
            action,
            credential_id,
            credential_name,
            owner_id: owner.clone(),
            actor_id: actor.id.clone(),
            actor_name: actor.name.clone(),
            actor_credential: actor.credential.clone(),
            address: actor.address.clone(),
            request_id: actor.request_id.clone(),
            reason: None,
        }
    }

    /// What `actor` does now to a personal access token.
    #[must_use]
    pub fn of_token(
        action: Action,
        token: (PatId, &str, &UserId),
        (actor, origin): (&Principal, &Origin),
        at: Timestamp,
    ) -> Self {
        let (pat_id, name, owner_id) = token;
        let subject = (pat_id.to_string(), name.to_owned());
        Self::new(action, subject, owner_id, &Actor::caller(actor, origin), at)
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
