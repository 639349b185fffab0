//! The audit log's words: who did what to which credential, from where and why.
//!
//! A use case builds an [`Event`], the store appends it in the transaction of the act itself, and after
//! the commit [`Teller`] tells of it: one structured log line, and a count. It never holds a secret.

use std::sync::Arc;

use metrics::Counter;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::credential::EndReason;
use crate::id::{PatId, UserId, uuid_at};
use crate::principal::{Caller, Credential};
use crate::telemetry::{Family, Metrics};

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Act { $($(#[doc = $doc])+ $variant,)+ }

        impl Act {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The action's name in the log.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }

            /// What it says, for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }
        }
    };
}

actions! {
    /// A personal access token was recorded, to be issued.
    TokenCreated = "token_created";
    /// A personal access token was not issued after all: its owner changed, or Keycloak went away, before it was signed.
    TokenAbandoned = "token_abandoned";
    /// A personal access token was revoked.
    TokenRevoked = "token_revoked";
    /// The description of a personal access token was changed.
    TokenDescribed = "token_described";
    /// A personal access token is refused for now: its owner seems to be disabled or gone, or cannot be read.
    TokenSuspended = "token_suspended";
    /// A personal access token is suspended no more.
    TokenReleased = "token_released";
    /// A personal access token was deleted with its metadata.
    TokenDeleted = "token_deleted";
    /// A personal access token was replaced by a successor, which the reason names.
    TokenRotated = "token_rotated";
    /// A token that had rotated itself was used after its grace: everything that came from it is revoked.
    FamilyBurned = "family_burned";
    /// A token that a person had rotated was used after its grace, for the first time. Nothing else ended.
    RotatedTokenUsed = "rotated_token_used";
    /// An API client was created.
    ClientCreated = "client_created";
    /// An API client was changed.
    ClientUpdated = "client_updated";
    /// An administrator blocked an API client; its owner cannot undo that.
    ClientBlocked = "client_blocked";
    /// An administrator unblocked an API client.
    ClientUnblocked = "client_unblocked";
    /// An API client was deleted, in Keycloak and here.
    ClientDeleted = "client_deleted";
    /// The creation of an API client was interrupted and taken back.
    ClientAbandoned = "client_abandoned";
    /// Somebody read the secret of an API client.
    ClientSecretRead = "client_secret_read";
    /// An API client got a new secret.
    ClientSecretRegenerated = "client_secret_regenerated";
    /// An API client got another owner, and a new secret.
    ClientTransferred = "client_transferred";
    /// An account may have more or fewer API clients; the credential is the account.
    QuotaSet = "quota_set";
}

/// Why something was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// A credential ended, or is suspended, for this reason.
    End(EndReason),
    /// Another reason, in words.
    Said(String),
}

impl From<EndReason> for Why {
    fn from(reason: EndReason) -> Self {
        Self::End(reason)
    }
}

impl From<String> for Why {
    fn from(words: String) -> Self {
        Self::Said(words)
    }
}

impl From<&str> for Why {
    fn from(words: &str) -> Self {
        Self::Said(words.to_owned())
    }
}

impl Why {
    fn as_str(&self) -> &str {
        match self {
            Self::End(reason) => reason.name(),
            Self::Said(words) => words,
        }
    }
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its own id, ordered by time.
    pub id: Uuid,
    /// When it was done.
    pub at: Timestamp,
    /// What was done.
    pub action: Act,
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
    pub reason: Option<Why>,
    /// What more the log says of it: the credential's metadata shows the reason alone.
    pub detail: Option<String>,
    /// What the actor said of it, in their own words: in the audit log and the credential's metadata, and in no log line.
    pub note: Option<String>,
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

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self {
            id: caller.user_id.clone(),
            name: caller.username.clone(),
            credential: match &caller.credential {
                Credential::AccessToken { .. } => "access_token".to_owned(),
                Credential::Pat { pat_id, .. } => format!("pat:{pat_id}"),
            },
            address: caller.origin.address.to_string(),
            request_id: caller.origin.request_id.to_string(),
        }
    }
}

impl Actor {
    /// Hallpass itself.
    #[must_use]
    pub fn hallpass() -> Self {
        Self::without_credential("hallpass")
    }

    /// Whoever runs a command with the settings of the service.
    #[must_use]
    pub fn operator() -> Self {
        Self::without_credential("operator")
    }

    fn without_credential(name: &str) -> Self {
        Self {
            id: UserId::new(name),
            name: name.to_owned(),
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
        action: Act,
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
            detail: None,
            note: None,
        }
    }

    /// What `actor` does now to a personal access token.
    #[must_use]
    pub fn of_token(
        action: Act,
        token: (PatId, &str, &UserId),
        caller: &Caller,
        at: Timestamp,
    ) -> Self {
        let (pat_id, name, owner_id) = token;
        let subject = (pat_id.to_string(), name.to_owned());
        Self::new(action, subject, owner_id, &Actor::from(caller), at)
    }

    /// What the same act does to another personal access token.
    #[must_use]
    pub fn and_to(&self, action: Act, pat_id: PatId, name: &str) -> Self {
        Self {
            id: uuid_at(self.at),
            action,
            credential_id: pat_id.to_string(),
            credential_name: name.to_owned(),
            ..self.clone()
        }
    }

    /// Says why.
    #[must_use]
    pub fn because(mut self, reason: impl Into<Why>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Says more of it than the reason does.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says what the actor said of it.
    #[must_use]
    pub fn with_note(mut self, note: Option<&str>) -> Self {
        self.note = note.map(str::to_owned);
        self
    }

    /// Why a credential ended, where one did.
    #[must_use]
    pub const fn end_reason(&self) -> Option<EndReason> {
        match self.reason {
            Some(Why::End(reason)) => Some(reason),
            _ => None,
        }
    }

    /// The reason with its detail and the actor's own words: what the audit log holds.
    #[must_use]
    pub fn full_reason(&self) -> Option<String> {
        joined([self.why(), self.detail.as_deref(), self.note.as_deref()])
    }

    /// What a search looks at, in lower case.
    #[must_use]
    pub fn search_text(&self) -> String {
        format!("{}\n{}", self.credential_name, self.actor_name).to_lowercase()
    }

    fn why(&self) -> Option<&str> {
        self.reason.as_ref().map(Why::as_str)
    }

    fn log(&self) {
        tracing::info!(
            target: "hallpass::audit",
            event_id = %self.id,
            action = self.action.name(),
            credential_id = %self.credential_id,
            owner_id = %self.owner_id,
            actor_id = %self.actor_id,
            actor_credential = %self.actor_credential,
            address = %self.address,
            request_id = %self.request_id,
            reason = joined([self.why(), self.detail.as_deref()]),
        );
    }
}

/// With a colon between; `None` where there is nothing.
fn joined<const N: usize>(parts: [Option<&str>; N]) -> Option<String> {
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

const ACTS: Family =
    Family { name: "hallpass_acts_total", help: "Acts that the audit log has, by action." };

/// Tells of acts once they are committed. Clones count together.
#[derive(Clone)]
pub struct Teller(Arc<[Counter]>);

impl Teller {
    /// None yet.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        let counter = |action: &Act| metrics.counter(ACTS, &[("action", action.name())]);
        Self(Act::ALL.iter().map(counter).collect())
    }

    /// Logs and counts the event.
    pub fn tell(&self, event: &Event) {
        event.log();
        // `ALL` has the actions in the order of their numbers.
        self.0[event.action as usize].increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn action_names_are_unique_and_plain() {
        let names: BTreeSet<_> = Act::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Act::ALL.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }
}
