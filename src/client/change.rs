//! Changing a client: what is asked for is put over what Keycloak has, and nothing else is touched. What somebody
//! changed there stays, and stays reported, until a caller says that very member.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::spec::{self, Source};
use super::turn::{Turn, busy};
use super::{Attempt, Client, ClientSpec, Clients, Written, read_only, template};
use super::{consent, identity, in_doubt, is_refusal, overtaken, parse, rejection, run};
use crate::access::Action;
use crate::audit::{self, Actor};
use crate::error::{Code, Error};
use crate::fields::Fields;
use crate::keycloak::{ClientDocument, KeycloakError, ScopeKind};
use crate::principal::Caller;
use crate::store::{ClientRecord, Operation, Visible};

/// What a change makes of a client, as the record keeps it meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plan {
    /// What Keycloak has afterwards: of what nobody here chose, what it has already.
    wanted: ClientSpec,
    /// What was chosen here, now and before.
    written: Written,
    /// Whether people were asked to agree when Hallpass wrote it last: the setting may have changed since.
    consent_before: bool,
}

/// What a caller asks to have changed.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The members of the body.
    pub members: Map<String, Value>,
    /// What is wrong with it already.
    pub fields: Fields,
}

/// What came of the beginning of a change.
enum Beginning {
    /// There is nothing to change.
    Unchanged(Box<Client>),
    /// It is written into the record.
    Begun(Box<(ClientRecord, ClientDocument, Plan)>),
}

impl Clients {
    /// Changes the members that are asked for (JSON merge patch).
    pub async fn update(&self, caller: &Caller, id: &str, asked: Asked) -> Result<Client, Error> {
        self.throttle.change(&caller.user_id)?;
        let turn = Turn::begin();
        let begun = loop {
            match self.begin_change(caller, id, asked.clone()).await {
                Ok(Beginning::Unchanged(client)) => return Ok(*client),
                Ok(Beginning::Begun(begun)) => break begun,
                Err(error) => turn.wait(error).await?,
            }
        };
        let (clients, actor) = (self.clone(), Actor::from(caller));
        run(async move {
            let (record, document, plan) = *begun;
            clients.make_change(&record, &document, &plan, &actor).await
        })
        .await
    }

    async fn begin_change(
        &self,
        caller: &Caller,
        id: &str,
        asked: Asked,
    ) -> Result<Beginning, Error> {
        let visible = self.visible(caller, Action::ChangeClients).await?;
        let record = self.get_within(&visible, id).await?;
        let Asked { mut members, mut fields } = asked;
        if self.is_domo() && !(visible.is_all() && members.keys().eq(["blocked"])) {
            return Err(not_editable());
        }
        if record.operation.is_some() {
            return Err(busy());
        }
        let before: Written = parse(&record.written)?;
        let shown = Client::try_from(record)?;
        read_only::take(&mut members, &shown, &mut fields);
        let blocked = blocking(&mut members, before.blocked, &visible, &mut fields)?;
        let record = shown.record;
        let document = self.get_document(&record).await?;
        let mut current = template::fields(&document, &shown.spec);
        if before.blocked {
            current.enabled = shown.spec.enabled;
        } else if before.spec.enabled && !current.enabled && !visible.is_all() {
            // Disabled in Keycloak's console: its owner neither undoes that nor makes it their own choice.
            match members.remove("enabled") {
                None | Some(Value::Bool(false)) => {}
                Some(_) => return Err(stopped()),
            }
        }
        let (mut grantable, _) = self.scopes().await?;
        if !members.contains_key("scopes") {
            // One that was granted before stays until somebody changes the scopes.
            grantable.extend(current.scopes.iter().cloned());
        }
        let source = Source { base: Some(&current), members: &members, grantable: &grantable };
        let wanted = spec::read(source, &self.settings, &mut fields).await;
        let wanted = fields.finish(wanted)?;
        let chosen = before.spec.overlaid(&wanted, members.keys()).map_err(Error::internal)?;
        if wanted == current && chosen == before.spec && blocked == before.blocked {
            let client = self.find_record(&record.record_id).await?;
            return Ok(Beginning::Unchanged(Box::new(client)));
        }
        // A change adds no default client scope.
        let written = self.written(&chosen, blocked, before.lacking);
        let plan = Plan { wanted, written, consent_before: before.consent };
        let json = serde_json::to_string(&plan).map_err(Error::internal)?;
        let record = self.begin(&record, Operation::Change, Some(&json)).await?;
        Ok(Beginning::Begun(Box::new((record, document, plan))))
    }

    async fn make_change(
        &self,
        record: &ClientRecord,
        document: &ClientDocument,
        plan: &Plan,
        actor: &Actor,
    ) -> Result<Client, Error> {
        match self.apply(document, record, plan).await {
            Ok(()) => self.finish_change(record, plan, actor).await,
            Err(Applied { begun: false, error, .. }) if is_refusal(&error) => {
                self.store.release_client(record).await?;
                Err(rejection(error))
            }
            // Half of it may be there: the reconciler brings it to its end.
            Err(Applied { error, .. }) => Err(in_doubt(error)),
        }
    }

    /// Brings Keycloak's client from what it is to what is wanted. A second time does no harm.
    pub(super) async fn apply(
        &self,
        document: &ClientDocument,
        record: &ClientRecord,
        plan: &Plan,
    ) -> Result<(), Applied> {
        let uuid = document.uuid();
        let wanted = &plan.written.in_keycloak(&plan.wanted);
        let current = template::fields(document, wanted);
        let document_of = |spec, asked| {
            template::document(identity(record), spec, consent(asked), &plan.written.lacking)
        };
        let before = document_of(&current, plan.consent_before);
        let after = document_of(wanted, plan.written.consent);
        let body = template::change(&before, &after, document);
        self.keycloak
            .update_client(uuid, &body)
            .await
            .map_err(|error| Applied { begun: false, ..Applied::refused(error) })?;

        if current.scopes == wanted.scopes {
            return Ok(());
        }
        let unread = |error| Applied { is_final: false, ..Applied::refused(error) };
        let scopes = self.keycloak.list_scope_details().await.map_err(unread)?;
        let ids: BTreeMap<_, _> = scopes.iter().map(|scope| (&scope.name, &scope.id)).collect();
        for name in current.scopes.difference(&wanted.scopes) {
            if let Some(id) = ids.get(name) {
                let removed =
                    self.keycloak.remove_client_scope(uuid, ScopeKind::Optional, id).await;
                removed.map_err(Applied::refused)?;
            }
        }
        for name in wanted.scopes.difference(&current.scopes) {
            let id = ids.get(name).ok_or_else(|| {
                Applied::refused(KeycloakError::NotFound(format!("scope {name}")))
            })?;
            let added = self.keycloak.add_client_scope(uuid, ScopeKind::Optional, id).await;
            added.map_err(Applied::refused)?;
        }
        Ok(())
    }

    /// Reads back what Keycloak made of it, and commits that.
    pub(super) async fn finish_change(
        &self,
        record: &ClientRecord,
        plan: &Plan,
        actor: &Actor,
    ) -> Result<Client, Error> {
        let document = self.get_document(record).await?;
        let seen = self.seen_as(record, &document, &plan.written, &plan.wanted);
        let json = serde_json::to_string(&plan.written).map_err(Error::internal)?;
        let before: Written = parse(&record.written)?;
        let action = match (before.blocked, plan.written.blocked) {
            (false, true) => audit::Act::ClientBlocked,
            (true, false) => audit::Act::ClientUnblocked,
            _ => audit::Act::ClientUpdated,
        };
        let event = self.event(action, record, actor);
        let now = self.clock.now();
        if !self.store.finish_client_change(record, &json, &seen, now, &event).await? {
            return Err(overtaken());
        }
        self.teller.tell(&event);
        self.find_record(&record.record_id).await
    }

    /// The client as Keycloak has it; one that is gone there is noted as missing.
    pub(super) async fn get_document(
        &self,
        record: &ClientRecord,
    ) -> Result<ClientDocument, Error> {
        let found = match &record.keycloak_id {
            Some(uuid) => self.keycloak.find_client_by_uuid(uuid).await?,
            None => return Err(busy()),
        };
        let Some(found) = found else {
            self.store.note_client_missing(record, self.clock.now()).await?;
            return Err(missing());
        };
        Ok(found.document)
    }

    /// Writes the operation into the record, and answers it; or says that another one is under way. That somebody looked
    /// at Keycloak's client meanwhile and noted what they saw is no operation.
    pub(super) async fn begin(
        &self,
        record: &ClientRecord,
        operation: Operation,
        plan: Option<&str>,
    ) -> Result<ClientRecord, Error> {
        let mut found = record.clone();
        loop {
            let lease = self.lease();
            let begun = self.store.begin_client_operation(&found, operation, plan, lease).await?;
            if let Some(begun) = begun {
                return Ok(begun);
            }
            let now = self.store.find_client_record(&record.record_id).await?.ok_or_else(busy)?;
            let same = |other: &ClientRecord| {
                (&other.written, &other.owner_id, &other.keycloak_id)
                    == (&record.written, &record.owner_id, &record.keycloak_id)
            };
            if now.operation.is_some() || now.version == found.version || !same(&now) {
                return Err(busy());
            }
            found = now;
        }
    }
}

/// How far a change came.
pub(super) struct Applied {
    /// Something of it was written.
    begun: bool,
    /// Another attempt would come no further: the change itself was refused.
    pub(super) is_final: bool,
    /// What stopped it.
    pub(super) error: KeycloakError,
}

impl Applied {
    /// In a call that changes something, after the first.
    const fn refused(error: KeycloakError) -> Self {
        Self { begun: true, is_final: Attempt::Again.ends_with(&error), error }
    }
}

/// Whether the client is to be blocked. Only who manages everybody's clients changes that; said as it is, it is no change.
fn blocking(
    members: &mut Map<String, Value>,
    before: bool,
    visible: &Visible,
    fields: &mut Fields,
) -> Result<bool, Error> {
    let asked = match members.remove("blocked") {
        None => return Ok(before),
        Some(Value::Null) => false,
        Some(Value::Bool(asked)) => asked,
        Some(_) => {
            fields.refuse("blocked", "must be true or false");
            return Ok(before);
        }
    };
    if asked != before && !visible.is_all() {
        let detail = "`blocked` needs the role `manage-api-clients` of the client `hallpass`.";
        return Err(Error::new(Code::MissingRole, detail));
    }
    Ok(asked)
}

pub(super) fn missing() -> Error {
    let detail = "The client behind it is gone in Keycloak; delete this one and create another.";
    Error::new(Code::ClientMissing, detail)
}

pub(super) fn not_editable() -> Error {
    let detail = "API clients cannot be changed here; delete this one and create another.";
    Error::new(Code::NotEditable, detail)
}

/// An administrator stopped it; what would undo that is not its owner's.
pub(super) fn stopped() -> Error {
    let detail = "An administrator has stopped this API client, in Hallpass or in Keycloak; only they can let it go on \
                  or delete it.";
    Error::new(Code::ClientBlocked, detail)
}
