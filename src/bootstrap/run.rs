//! One run: the connection, whether to change anything, and the report of each change.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

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
    keycloak: &'a Keycloak,
    mode: Mode,
    report: Report,
    changes: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        keycloak: &'a Keycloak,
        settings: &'a BootstrapSettings,
        mode: Mode,
        report: Report,
    ) -> Self {
        Self { settings, keycloak, mode, report, changes: 0 }
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

    /// The resource at `path` below the realm.
    pub(super) async fn get(&self, path: &str) -> Result<Value, KeycloakError> {
        self.keycloak.get(path, &[]).await
    }

    /// The list at `path` below the realm.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>, KeycloakError> {
        self.keycloak.get(path, &[]).await
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

    pub(super) async fn find(&self, path: &str) -> Result<Option<Value>, KeycloakError> {
        self.keycloak.find(path, &[]).await
    }

    /// The client of exactly this id, whole.
    pub(super) async fn find_client(
        &self,
        client_id: &str,
    ) -> Result<Option<Value>, KeycloakError> {
        let found: Vec<Value> = self.keycloak.get("/clients", &[("clientId", client_id)]).await?;
        Ok(found.into_iter().find(|client| client["clientId"] == client_id))
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
        if self.announce(what) {
            self.keycloak.change(method, path, body).await?;
        }
        Ok(())
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
