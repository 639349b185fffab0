//! One run: the connection, whether to change anything, and the report of each change.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::claim::Claim;
use super::inventory::Inventory;
use super::overlay::Overlay;
use crate::config::BootstrapSettings;
use crate::keycloak::{Keycloak, KeycloakError};

/// Do it, or only say what would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Change what differs.
    Apply,
    /// Change nothing, report everything.
    DryRun,
}

/// How long to wait after each try that failed; a realm is deleted in less than these together.
const MAPPING_PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
];

/// Where each change is reported to, one line each.
pub type Report = Box<dyn FnMut(&str) + Send>;

pub(super) struct Run<'a> {
    pub(super) settings: &'a BootstrapSettings,
    /// The realm's own settings, as they were at the beginning.
    pub(super) realm: Value,
    /// What the store knows that we made.
    pub(super) inventory: Inventory,
    /// What may become ours that the store does not know.
    pub(super) claim: Claim,
    /// What a person should know, and is no change.
    pub(super) notes: Vec<String>,
    keycloak: &'a Keycloak,
    mode: Mode,
    report: Report,
    changes: usize,
    overlay: Overlay,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        (keycloak, settings): (&'a Keycloak, &'a BootstrapSettings),
        (realm, inventory): (Value, Inventory),
        mode: Mode,
        report: Report,
    ) -> Self {
        Self {
            settings,
            realm,
            inventory,
            claim: Claim::Nothing,
            notes: Vec::new(),
            keycloak,
            mode,
            report,
            changes: 0,
            overlay: Overlay::default(),
        }
    }

    pub(super) fn is_dry(&self) -> bool {
        self.mode == Mode::DryRun
    }

    pub(super) fn changes(&self) -> usize {
        self.changes
    }

    pub(super) fn keycloak(&self) -> &Keycloak {
        self.keycloak
    }

    /// The resource at `path` below the realm. In a dry run also what it would have made.
    pub(super) async fn get(&self, path: &str) -> Result<Value, KeycloakError> {
        let found = self.find(path).await?;
        found.ok_or_else(|| KeycloakError::NotFound(format!("GET {path}")))
    }

    /// The list at `path` below the realm, as a dry run would have changed it.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>, KeycloakError> {
        let found = if self.overlay.covers(path) {
            Vec::new()
        } else {
            self.keycloak.get(path, &[]).await?
        };
        Ok(self.overlay.members(path, found))
    }

    /// The same, with a query.
    pub(super) async fn list_with(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Vec<Value>, KeycloakError> {
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.keycloak.get(path, &query).await
    }

    /// The members of the collection at `path`, of which the realm has these, as a dry run would have changed it.
    pub(super) fn members(&self, path: &str, found: Vec<Value>) -> Vec<Value> {
        self.overlay.members(path, found)
    }

    pub(super) async fn find(&self, path: &str) -> Result<Option<Value>, KeycloakError> {
        if let Some(planned) = self.overlay.object(path) {
            return Ok(Some(planned.clone()));
        }
        if self.overlay.covers(path) {
            return Ok(None);
        }
        self.keycloak.find(path, &[]).await
    }

    /// The client of exactly this id, whole.
    pub(super) async fn find_client(
        &self,
        client_id: &str,
    ) -> Result<Option<Value>, KeycloakError> {
        let found: Vec<Value> = self.keycloak.get("/clients", &[("clientId", client_id)]).await?;
        let found = self.overlay.members("/clients", found);
        Ok(found.into_iter().find(|client| client["clientId"] == client_id))
    }

    /// The id of the user behind a client's service account. A dry run may not have made it yet: then it is a new user,
    /// who has what the realm gives to every new user: its default role, and its default groups.
    pub(super) async fn service_account(&mut self, client: &str) -> Result<String, KeycloakError> {
        let path = format!("/clients/{client}/service-account-user");
        match self.find(&path).await {
            Ok(Some(user)) => Ok(text(&user, "id").to_owned()),
            // Keycloak's word for a client without one.
            Ok(None) | Err(KeycloakError::Rejected { .. }) if self.is_dry() => {
                let groups = self.list("/default-groups").await?;
                Ok(self.overlay.add_user(vec![self.realm["defaultRole"].clone()], groups))
            }
            Ok(None) => Err(KeycloakError::NotFound(format!("GET {path}"))),
            Err(error) => Err(error),
        }
    }

    /// Says that something is changed, and counts it. False in a dry run: then leave it alone.
    pub(super) fn announce(&mut self, what: &str) -> bool {
        self.changes += 1;
        match self.mode {
            Mode::Apply => (self.report)(what),
            Mode::DryRun => (self.report)(&format!("would: {what}")),
        }
        self.mode == Mode::Apply
    }

    /// Reports a change and makes it, but for a dry run.
    pub(super) async fn change(
        &mut self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(), KeycloakError> {
        self.announce(what);
        self.send(method, path, body).await
    }

    /// Makes a change that was reported. A dry run lays it over the realm.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(), KeycloakError> {
        if self.is_dry() {
            self.overlay.note(&method, path, body);
            return Ok(());
        }
        self.keycloak.change(method, path, body).await
    }

    /// As [`Self::change`], for mappings of roles: said twice they are what they were. For each, Keycloak walks the
    /// administrator's own roles, and while any realm is being deleted it stumbles over that realm's: 500, and nothing done.
    pub(super) async fn map_roles(
        &mut self,
        what: &str,
        method: Method,
        path: &str,
        roles: &Value,
    ) -> Result<(), KeycloakError> {
        if !self.announce(what) {
            self.overlay.note(&method, path, Some(roles));
            return Ok(());
        }
        let once = || self.keycloak.change(method.clone(), path, Some(roles));
        for pause in MAPPING_PAUSES {
            match once().await {
                Err(KeycloakError::Failed(_)) => tokio::time::sleep(pause).await,
                done => return done,
            }
        }
        once().await
    }
}

/// The text member `name` of a representation; empty where there is none.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}
