//! What the operator chose by flag: kept in the store, so that a later run without the flag chooses the same.

use serde::{Deserialize, Serialize};

use super::run::{Run, text};
use super::scopes::ScopeRequest;
use super::{BootstrapError, Options, events, roles};
use crate::keycloak::{GRANTABLE, KeycloakError};
use crate::store::{Note, StoreError};

/// What holds in a run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Choices {
    pub(super) scopes: Vec<ScopeRequest>,
    pub(super) default_role: bool,
    pub(super) events: bool,
}

impl Choices {
    /// What was chosen now; else before; else, in a realm that an earlier version or a lost store prepared, what is so in
    /// the realm; else the defaults. Nothing becomes wider than it was without a flag, and the run says so.
    pub(super) async fn make(run: &mut Run<'_>, options: &Options) -> Result<Self, BootstrapError> {
        let kept = match run.inventory.store() {
            Some(store) => store.find_note(Note::Choices).await?,
            None => None,
        };
        let kept = kept.and_then(|text| serde_json::from_str(&text).ok());
        let before: Option<Self> = match kept {
            Some(kept) => Some(kept),
            None => of_realm(run).await?,
        };
        let mut choices = before.unwrap_or_else(|| Self {
            scopes: if options.scopes.is_empty() { ScopeRequest::defaults() } else { Vec::new() },
            default_role: true,
            events: true,
        });
        for scope in &options.scopes {
            choices.scopes.retain(|known| known.name() != scope.name());
            choices.scopes.push(scope.clone());
        }
        choices.default_role = options.default_role.unwrap_or(choices.default_role);
        choices.events = options.events.unwrap_or(choices.events);
        if !choices.default_role && options.default_role.is_none() {
            run.notes.push(
                "not everybody may create tokens, as before; `--default-role` adds create-tokens to the realm's \
                 default roles"
                    .to_owned(),
            );
        }
        if !choices.events && options.events.is_none() {
            run.notes.push(
                "the realm's event settings are left alone, as before; `--events` switches on what Hallpass needs"
                    .to_owned(),
            );
        }
        Ok(choices)
    }

    pub(super) async fn keep(&self, run: &Run<'_>) -> Result<(), StoreError> {
        match (run.inventory.writable(), serde_json::to_string(self)) {
            (Some(store), Ok(text)) => store.keep_note(Note::Choices, &text).await,
            _ => Ok(()),
        }
    }
}

/// What is so in a realm that was prepared already: our client has the role that everybody may have.
async fn of_realm(run: &Run<'_>) -> Result<Option<Choices>, KeycloakError> {
    let Some(service) = run.find_client(&run.settings.client_id).await? else { return Ok(None) };
    let Some(default_role) = roles::find_default_role(run, text(&service, "id")).await? else {
        return Ok(None);
    };
    let mut scopes = run.list("/client-scopes").await?;
    scopes.retain(|scope| {
        scope["attributes"][GRANTABLE] == "true" && scope["protocol"] == "openid-connect"
    });
    // Whatever was chosen, there is one: our client alone may be somebody else's.
    if scopes.is_empty() {
        return Ok(None);
    }
    Ok(Some(Choices {
        scopes: scopes
            .iter()
            .map(|scope| ScopeRequest::new(text(scope, "name"), text(scope, "description")))
            .collect(),
        default_role,
        events: events::unmet(&run.realm).is_empty(),
    }))
}
