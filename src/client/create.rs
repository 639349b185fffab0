//! Making a client: record, Keycloak client, read back, active.

use serde_json::{Map, Value};

use super::spec::{self, Source};
use super::{Client, ClientSpec, ClientWithSecret, Clients, Written, template};
use super::{identity, in_doubt, is_refusal, overtaken, parse, rejection, run};
use crate::access::Action;
use crate::audit::{self, Actor};
use crate::error::{Code, Error};
use crate::fields::Fields;
use crate::id::{AccountId, ClientId, uuid_at};
use crate::keycloak::KeycloakError;
use crate::principal::Caller;
use crate::store::{ClientRecord, ClientReserved, NewClient};

impl Clients {
    /// Makes a client with the fields in `members`; answers its secret.
    pub async fn create(
        &self,
        caller: &Caller,
        members: Map<String, Value>,
        mut fields: Fields,
    ) -> Result<ClientWithSecret, Error> {
        caller.authorize(Action::CreateClient)?;
        self.throttle.creation(&caller.user_id)?;
        let named = caller.account.clone();
        let account = &self.own_account(caller, named, Action::CreateClient).await?;
        let client_id = self.new_client_id(account, members.get("clientId"))?;
        let client_id = fields.read("clientId", client_id);
        let (grantable, lacking) = self.scopes().await?;
        let source = Source { base: None, members: &members, grantable: &grantable };
        let spec = spec::read(source, &self.settings, &mut fields).await;
        let (client_id, spec) = fields.finish((client_id, spec))?;

        let written = self.written(&spec, false, lacking);
        let record = self.reserve(caller, account, client_id, written).await?;
        let (clients, actor) = (self.clone(), Actor::from(caller));
        run(async move { clients.make(&record, &spec, &actor).await }).await
    }

    /// The id that is asked for, or what is wrong with it.
    fn new_client_id(
        &self,
        account: &AccountId,
        asked: Option<&Value>,
    ) -> Result<Result<ClientId, String>, Error> {
        Ok(match asked.filter(|asked| !asked.is_null()) {
            None if self.is_domo() => Ok(ClientId::generate(account).map_err(Error::internal)?),
            Some(_) if self.is_domo() => Err("is generated, and cannot be chosen".to_owned()),
            None => Err("is required".to_owned()),
            Some(asked) => {
                let id = asked.as_str().and_then(|text| ClientId::parse(account, text));
                id.ok_or_else(|| format!("must be `{account}_` and 1 to 64 letters, digits, dots, underscores or hyphens"))
            }
        })
    }

    async fn reserve(
        &self,
        caller: &Caller,
        account: &AccountId,
        client_id: ClientId,
        written: Written,
    ) -> Result<ClientRecord, Error> {
        let now = self.clock.now();
        let mut stored = self.stored(client_id.as_str(), &caller.username, &written.spec);
        // The fields as they are written, and as they are seen until Keycloak is.
        stored.json = serde_json::to_string(&written).map_err(Error::internal)?;
        let new = NewClient {
            record_id: uuid_at(now).to_string(),
            client_id,
            account_id: account.clone(),
            owner_id: caller.user_id.clone(),
            owner_username: caller.username.clone(),
            spec: stored,
            created_at: now,
            lease_until: self.lease(),
        };
        match self.store.reserve_client(&new, self.settings.quota).await? {
            ClientReserved::Reserved => Ok(self.find_record(&new.record_id).await?.record),
            ClientReserved::IdTaken => Err(id_taken(&new.client_id)),
            ClientReserved::NameTaken => Err(Error::new(
                Code::DisplayNameTaken,
                "Another API client of your account has this display name.",
            )),
            ClientReserved::QuotaReached { limit } => {
                let detail = format!(
                    "Your account may have {limit} API clients, and has them: delete one, or ask an administrator for more."
                );
                Err(Error::new(Code::QuotaReached, detail))
            }
        }
    }

    async fn make(
        &self,
        record: &ClientRecord,
        spec: &ClientSpec,
        actor: &Actor,
    ) -> Result<ClientWithSecret, Error> {
        match self.make_in_keycloak(record, spec, actor).await {
            Ok(made) => Ok(made),
            Err(failure) => {
                if self.take_back(record, &failure).await {
                    Err(failure.into_error(&record.client_id))
                } else {
                    Err(failure.into_doubt())
                }
            }
        }
    }

    async fn make_in_keycloak(
        &self,
        record: &ClientRecord,
        spec: &ClientSpec,
        actor: &Actor,
    ) -> Result<ClientWithSecret, Failure> {
        let Written { lacking, .. } = parse(&record.written).map_err(Failure::Store)?;
        let wanted = template::document(identity(record), spec, self.settings.consent, &lacking);
        let created = self.keycloak.create_client(&template::creation(&wanted)).await;
        let uuid = created.map_err(Failure::Call)?;
        if let Some(rest) = template::after_creation(&wanted) {
            self.keycloak.update_client(&uuid, &rest).await.map_err(Failure::Later)?;
        }
        let found = self.keycloak.find_client_by_uuid(&uuid).await.map_err(Failure::Later)?;
        let found = found
            .ok_or_else(|| Failure::Later(KeycloakError::NotFound("the new client".to_owned())))?;
        let differing = template::differences(&wanted, &found.document);
        if !differing.is_empty() {
            return Err(Failure::Different(differing.join(", ")));
        }
        let seen = self.seen(record, &found.document).map_err(Failure::Store)?;
        let event = self.event(audit::Act::ClientCreated, record, actor);
        let completed = self.store.complete_client(record, &uuid, &seen, &event).await;
        if !completed.map_err(|error| Failure::Store(error.into()))? {
            return Err(Failure::Store(overtaken()));
        }
        self.teller.tell(&event);
        let client: Client = self.find_record(&record.record_id).await.map_err(Failure::Store)?;
        Ok(ClientWithSecret { client, secret: found.secret })
    }

    /// Removes what may have been made, where that is certain; else the reconciler does it when the lease is over, and
    /// this is false.
    async fn take_back(&self, record: &ClientRecord, failure: &Failure) -> bool {
        let certain = match failure {
            Failure::Call(error) if is_refusal(error) => Ok(true),
            // It has answered: what it has now is what came of it.
            Failure::Call(KeycloakError::Failed(_)) | Failure::Different(_) | Failure::Later(_) => {
                self.remove_made(record).await.map(|_| true)
            }
            // It may still be at work.
            Failure::Call(_) => self.remove_made(record).await,
            Failure::Store(_) => Ok(false),
        };
        let outcome = match certain {
            Ok(true) => self.store.abandon_client(record).await.map(|()| true).map_err(Error::from),
            Ok(false) => Ok(false),
            Err(error) => Err(error.into()),
        };
        outcome.unwrap_or_else(|error| {
            tracing::warn!(
                client_id = %record.client_id,
                error = &error as &dyn std::error::Error,
                "an interrupted creation is left to the reconciler"
            );
            false
        })
    }

    /// Removes the Keycloak client that was made for this record; false where there is none.
    pub(super) async fn remove_made(&self, record: &ClientRecord) -> Result<bool, KeycloakError> {
        let found = self.keycloak.find_client_document(record.client_id.as_str()).await?;
        match found.filter(|found| template::is_of(found, &record.record_id)) {
            Some(found) => self.keycloak.delete_client(found.uuid()).await.map(|()| true),
            None => Ok(false),
        }
    }
}

/// Where the making ended.
enum Failure {
    /// In the call that makes it.
    Call(KeycloakError),
    /// After it was made.
    Later(KeycloakError),
    /// The realm made something else of it.
    Different(String),
    /// In the store.
    Store(Error),
}

impl Failure {
    /// It was not taken back.
    fn into_doubt(self) -> Error {
        match self {
            Self::Call(error) | Self::Later(error) => in_doubt(error),
            Self::Different(what) => Error::new(Code::RejectedByRealm, what),
            Self::Store(error) => error,
        }
    }

    fn into_error(self, client_id: &ClientId) -> Error {
        match self {
            Self::Call(KeycloakError::Conflict(_)) => id_taken(client_id),
            Self::Call(error) | Self::Later(error) => rejection(error),
            Self::Different(what) => Error::new(
                Code::RejectedByRealm,
                format!("A policy of the realm makes something else of this client: {what}"),
            ),
            Self::Store(error) => error,
        }
    }
}

fn id_taken(client_id: &ClientId) -> Error {
    let detail = format!("The realm has a client `{client_id}` already.");
    Error::new(Code::ClientIdTaken, detail)
}
