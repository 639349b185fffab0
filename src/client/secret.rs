//! Secrets, which are Keycloak's: read, made anew, handed on with the client.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::change::{missing, not_editable};
use super::turn::{Turn, busy};
use super::{Attempt, Client, Clients, in_doubt, overtaken, parse, run};
use crate::access::Action;
use crate::audit::{self, Actor};
use crate::clock::Timestamp;
use crate::error::{Code, Error};
use crate::id::UserId;
use crate::keycloak::KeycloakError;
use crate::principal::Caller;
use crate::store::{self, ClientRecord, Operation};

/// Who owns it after a transfer, as the record keeps it meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewOwner {
    pub(super) owner_id: String,
    pub(super) username: String,
}

/// To whom a client is to be handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// The user of this id.
    Id(UserId),
    /// The user of this name at login.
    Username(String),
}

impl Receiver {
    /// The field of the request that says it.
    const fn field(&self) -> &'static str {
        match self {
            Self::Id(_) => "ownerId",
            Self::Username(_) => "ownerUsername",
        }
    }
}

impl Clients {
    /// The secret, which is Keycloak's; the reading is audited before it is answered. Under `domo` only to its owner to
    /// whom it was handed on, and once: what is noted, in one transaction with the audit event, before it is answered.
    pub async fn get_secret(&self, caller: &Caller, id: &str) -> Result<SecretString, Error> {
        let record = self.find_visible(caller, Action::ReadClientSecret, id).await?;
        let unread = record.secret_unread_at.is_some() && record.owner_id == caller.user_id;
        if self.is_domo() && !unread {
            return Err(not_available());
        }
        self.throttle.change(&caller.user_id)?;
        let secret = self.keycloak.get_client_secret(uuid(&record)?).await.map_err(gone)?;
        let actor = Actor::from(caller);
        let event = self.event(audit::Act::ClientSecretRead, &record, &actor);
        if !self.is_domo() {
            self.store.append_event(&event).await?;
        } else if !self.store.take_unread_secret(&record, &event).await? {
            return Err(not_available());
        }
        self.teller.tell(&event);
        Ok(secret)
    }

    /// Makes a new secret; the old one is invalid at once.
    pub async fn regenerate_secret(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<SecretString, Error> {
        self.throttle.change(&caller.user_id)?;
        let turn = Turn::begin();
        let record = loop {
            let record = self.find_visible(caller, Action::ChangeClients, id).await?;
            if self.is_domo() {
                return Err(not_editable());
            }
            uuid(&record)?;
            match self.begin(&record, Operation::Secret, None).await {
                Ok(record) => break record,
                Err(error) => turn.wait(error).await?,
            }
        };
        let (clients, actor) = (self.clone(), Actor::from(caller));
        run(async move { clients.renew(&record, None, &actor, Attempt::First).await }).await
    }

    /// Hands the client to another member of its account, with a new secret: the old owner may know the old one. Nobody is
    /// shown the new one: its owner reads it.
    pub async fn transfer(
        &self,
        caller: &Caller,
        id: &str,
        to: &Receiver,
    ) -> Result<Client, Error> {
        self.throttle.change(&caller.user_id)?;
        let turn = Turn::begin();
        let (record, owner) = loop {
            let record = self.find_visible(caller, Action::ChangeClients, id).await?;
            uuid(&record)?;
            let owner = self.new_owner(&record, to).await?;
            let plan = serde_json::to_string(&owner).map_err(Error::internal)?;
            match self.begin(&record, Operation::Transfer, Some(&plan)).await {
                Ok(record) => break (record, owner),
                Err(error) => turn.wait(error).await?,
            }
        };
        let (clients, actor) = (self.clone(), Actor::from(caller));
        let record_id = record.record_id.clone();
        run(async move { clients.renew(&record, Some(owner), &actor, Attempt::First).await })
            .await?;
        self.find_record(&record_id).await
    }

    /// The user, where they can log in, belong to the client's account and do not have it already: that would be a
    /// new secret by another name.
    async fn new_owner(&self, record: &ClientRecord, to: &Receiver) -> Result<NewOwner, Error> {
        let refuse = || {
            let message = match to {
                Receiver::Id(_) => {
                    "is no other enabled member of the client's account; to say a user name, use `ownerUsername`"
                }
                Receiver::Username(_) => "is no other enabled member of the client's account",
            };
            Error::invalid_field(to.field(), message)
        };
        let id = match to {
            Receiver::Id(id) if !id.is_possible() => return Err(refuse()),
            Receiver::Id(id) => id.clone(),
            Receiver::Username(name) => self.owners.find_id(name).await?.ok_or_else(refuse)?,
        };
        if id == record.owner_id {
            return Err(refuse());
        }
        let user = self.owners.find(&id).await?.filter(|user| user.enabled).ok_or_else(refuse)?;
        let authority = self.owners.get_authority(&id).await?;
        // What their token will say, and that it is theirs.
        if authority.account.as_ref() != Some(&record.account_id)
            || !self.owners.has_account(&id, &record.account_id).await?
        {
            return Err(refuse());
        }
        Ok(NewOwner { owner_id: id.as_str().to_owned(), username: user.username })
    }

    /// Makes a new secret and ends the operation; with an owner, the client is theirs then.
    pub(super) async fn renew(
        &self,
        record: &ClientRecord,
        owner: Option<NewOwner>,
        actor: &Actor,
        attempt: Attempt,
    ) -> Result<SecretString, Error> {
        let secret = match self.keycloak.regenerate_client_secret(uuid(record)?).await {
            Ok(secret) => secret,
            Err(error) if attempt.ends_with(&error) => {
                self.store.release_client(record).await?;
                return Err(gone(error));
            }
            Err(error) => return Err(in_doubt(error)),
        };
        let action = match owner {
            Some(_) => audit::Act::ClientTransferred,
            None => audit::Act::ClientSecretRegenerated,
        };
        let mut event = self.event(action, record, actor);
        let owner = owner.map(|owner| self.named(record, owner)).transpose()?;
        if let Some(owner) = &owner {
            event = event.because(format!("to {}", owner.id));
        }
        let made_at: Timestamp = self.clock.now().floor_to_second();
        if !self.store.finish_client_secret(record, made_at, owner.as_ref(), &event).await? {
            return Err(overtaken());
        }
        self.teller.tell(&event);
        Ok(secret)
    }

    /// What the record says of its new owner.
    fn named(&self, record: &ClientRecord, owner: NewOwner) -> Result<store::NewOwner, Error> {
        let stored = self.stored(record.client_id.as_str(), &owner.username, &parse(&record.spec)?);
        Ok(store::NewOwner {
            id: UserId::new(owner.owner_id),
            username: owner.username,
            search_text: stored.search_text,
            // Where secrets can be read again, nothing is waiting.
            may_read_secret: self.is_domo(),
        })
    }
}

fn uuid(record: &ClientRecord) -> Result<&str, Error> {
    record.keycloak_id.as_deref().ok_or_else(busy)
}

fn gone(error: KeycloakError) -> Error {
    match error {
        KeycloakError::NotFound(_) => missing(),
        other => other.into(),
    }
}

fn not_available() -> Error {
    let detail = "The secret was shown once: when the client was created, or to its new owner when it was handed on.";
    Error::new(Code::SecretNotAvailable, detail)
}
