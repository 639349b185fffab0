//! Secrets, which are Keycloak's: read, made anew, handed on with the client.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::change::{missing, not_editable};
use super::{Attempt, ClientWithSecret, Clients, in_doubt, overtaken, parse, run};
use crate::audit::{self, Actor};
use crate::clock::Timestamp;
use crate::error::{Code, Error};
use crate::id::UserId;
use crate::keycloak::KeycloakError;
use crate::principal::{Action, Origin, Principal};
use crate::store::{self, ClientRecord, Operation};

/// Who owns it after a transfer, as the record keeps it meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewOwner {
    pub(super) owner_id: String,
    pub(super) username: String,
}

impl Clients {
    /// The secret, which is Keycloak's; the reading is audited before it is answered.
    pub async fn get_secret(
        &self,
        caller: &Principal,
        origin: &Origin,
        id: &str,
    ) -> Result<SecretString, Error> {
        let record = self.find_visible(caller, Action::ReadClientSecret, id).await?;
        if self.is_domo() {
            let detail = "The secret was shown once, when the client was created.";
            return Err(Error::new(Code::SecretNotAvailable, detail));
        }
        self.throttle.change(&caller.user_id)?;
        let secret = self.keycloak.get_client_secret(uuid(&record)?).await.map_err(gone)?;
        let actor = Actor::caller(caller, origin);
        let event = self.event(audit::Action::ClientSecretRead, &record, &actor);
        self.store.append_event(&event).await?;
        self.teller.tell(&event);
        Ok(secret)
    }

    /// Makes a new secret; the old one is invalid at once.
    pub async fn regenerate_secret(
        &self,
        caller: &Principal,
        origin: &Origin,
        id: &str,
    ) -> Result<SecretString, Error> {
        let record = self.find_visible(caller, Action::ChangeClients, id).await?;
        if self.is_domo() {
            return Err(not_editable());
        }
        uuid(&record)?;
        self.throttle.change(&caller.user_id)?;
        let record = self.begin(&record, Operation::Secret, None).await?;
        let (clients, actor) = (self.clone(), Actor::caller(caller, origin));
        run(async move { clients.renew(&record, None, &actor, Attempt::First).await }).await
    }

    /// Hands the client to another member of its account, with a new secret: the old owner may know the old one.
    pub async fn transfer(
        &self,
        caller: &Principal,
        origin: &Origin,
        id: &str,
        to: &UserId,
    ) -> Result<ClientWithSecret, Error> {
        let record = self.find_visible(caller, Action::ChangeClients, id).await?;
        uuid(&record)?;
        self.throttle.change(&caller.user_id)?;
        let owner = self.new_owner(&record, to).await?;
        let plan = serde_json::to_string(&owner).map_err(Error::internal)?;
        let record = self.begin(&record, Operation::Transfer, Some(&plan)).await?;
        let (clients, actor) = (self.clone(), Actor::caller(caller, origin));
        let record_id = record.record_id.clone();
        let renewal =
            async move { clients.renew(&record, Some(owner), &actor, Attempt::First).await };
        let secret = run(renewal).await?;
        let client = self.find_record(&record_id).await?;
        // Where secrets can be read again, the new owner does; else this is the only time.
        Ok(ClientWithSecret { client, secret: self.is_domo().then_some(secret) })
    }

    /// The user, where they can log in, belong to the client's account and do not have it already: that would be a
    /// new secret by another name.
    async fn new_owner(&self, record: &ClientRecord, to: &UserId) -> Result<NewOwner, Error> {
        let refuse = || {
            let message = "is no other enabled member of the client's account";
            Error::invalid_field("ownerId", message)
        };
        if *to == record.owner_id {
            return Err(refuse());
        }
        let user = self.owners.find(to).await?.filter(|user| user.enabled).ok_or_else(refuse)?;
        let authority = self.owners.get_authority(to).await?;
        // What their token will say, and that it is theirs.
        if authority.account.as_ref() != Some(&record.account_id)
            || !self.owners.has_account(to, &record.account_id).await?
        {
            return Err(refuse());
        }
        Ok(NewOwner { owner_id: to.as_str().to_owned(), username: user.username })
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
            Some(_) => audit::Action::ClientTransferred,
            None => audit::Action::ClientSecretRegenerated,
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
        })
    }
}

fn uuid(record: &ClientRecord) -> Result<&str, Error> {
    record.keycloak_id.as_deref().ok_or_else(super::change::busy)
}

fn gone(error: KeycloakError) -> Error {
    match error {
        KeycloakError::NotFound(_) => missing(),
        other => other.into(),
    }
}
