//! What a check found.

use serde::Serialize;

use crate::keycloak::KeycloakError;
use crate::store::StoreError;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// It works, but somebody should look at it.
    Warn,
    /// It does not work, or is not safe.
    Fail,
    /// Not looked at, since a check that it needs did not end well.
    Skipped,
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The check's name.
    pub check: &'static str,
    /// How it ended.
    pub result: Outcome,
    /// What was found.
    pub detail: String,
    /// What to do, where something is to be done.
    pub advice: Option<String>,
}

/// A finding before it has its check's name.
#[derive(Debug)]
pub(super) struct Verdict {
    result: Outcome,
    detail: String,
    advice: Option<String>,
}

/// What a check answers. What ends it early is a verdict too.
pub(super) type Checked = Result<Verdict, Verdict>;

impl Verdict {
    pub(super) fn ok(detail: impl Into<String>) -> Self {
        Self { result: Outcome::Ok, detail: detail.into(), advice: None }
    }

    pub(super) fn warn(detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { result: Outcome::Warn, detail: detail.into(), advice: Some(advice.into()) }
    }

    pub(super) fn fail(detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { result: Outcome::Fail, detail: detail.into(), advice: Some(advice.into()) }
    }

    pub(super) fn skipped(reason: impl Into<String>) -> Self {
        Self { result: Outcome::Skipped, detail: reason.into(), advice: None }
    }

    pub(super) fn needs(check: &str) -> Self {
        Self::skipped(format!("it needs the check `{check}`, which did not end well"))
    }

    pub(super) fn called(self, check: &'static str) -> Finding {
        Finding { check, result: self.result, detail: self.detail, advice: self.advice }
    }
}

/// What bootstrap made is not there any more, or not so.
pub(super) const BOOTSTRAP: &str = "run `hallpass bootstrap` again: it mends what differs";

impl From<KeycloakError> for Verdict {
    fn from(error: KeycloakError) -> Self {
        let advice = match &error {
            KeycloakError::Unavailable(_) | KeycloakError::Failed(_) => {
                "look whether Keycloak runs, and whether `keycloak.url` leads to it from here"
            }
            KeycloakError::Unauthorized(reason) => refused(reason),
            KeycloakError::HttpsRequired(_) => {
                "set `keycloak.url` to the https address of Keycloak, or the realm's `Require SSL` to external requests"
            }
            KeycloakError::Forbidden(_) | KeycloakError::NotFound(_) => BOOTSTRAP,
            KeycloakError::Conflict(_)
            | KeycloakError::Rejected { .. }
            | KeycloakError::Protocol { .. } => {
                "look whether `keycloak.url` leads to a Keycloak of a supported version"
            }
        };
        Self::fail(error.to_string(), advice)
    }
}

/// What helps against a refusal, by Keycloak's own words.
fn refused(reason: &str) -> &'static str {
    let says = |words: &str| reason.contains(words);
    if !says("POST token") {
        "a token that the realm just made is refused: look at `Revoke tokens issued before` of the realm, of the client \
         and of its service account in Keycloak"
    } else if says("Realm not enabled") {
        "enable the realm in Keycloak"
    } else if says("disabled") {
        "enable the user of the service account in Keycloak (Users, `service-account-…`)"
    } else if says("unauthorized_client") && says("Invalid client") {
        "set `keycloak.client_secret` to the secret of the client in Keycloak"
    } else if says("invalid_client: Invalid client") {
        "the client is disabled, or there is none of this name: run `hallpass bootstrap` again, or mend \
         `keycloak.client_id`"
    } else if says("Public client") || says("client_assertion") {
        "run `hallpass bootstrap` again with `--write-config`: it makes the client confidential, with a new secret"
    } else {
        BOOTSTRAP
    }
}

impl From<StoreError> for Verdict {
    fn from(error: StoreError) -> Self {
        let advice = match &error {
            StoreError::LooseMode { path, .. } => format!("run `chmod 600 {path}`"),
            _ => "look whether the database runs, and whether `store.url` leads to it".to_owned(),
        };
        Self::fail(with_causes(&error), advice)
    }
}

/// The error and what led to it, in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
