//! What Keycloak refused, by kind.

use reqwest::StatusCode;

use crate::error::{Code, Error};

/// Why a call to Keycloak did not do what it was meant to.
#[derive(Debug, thiserror::Error)]
pub enum KeycloakError {
    /// Our credentials are wrong, or the service account is gone.
    #[error("Keycloak refuses the credentials ({0})")]
    Unauthorized(String),
    /// The credentials are good, but lack a permission.
    #[error("Keycloak forbids {0}")]
    Forbidden(String),
    /// The realm takes no plain http, and that is how we reach it.
    #[error(
        "the realm requires https (its setting `Require SSL`), and `keycloak.url` is http ({0})"
    )]
    HttpsRequired(String),
    /// It is not there.
    #[error("Keycloak does not find {0}")]
    NotFound(String),
    /// Something of this name is there already.
    #[error("Keycloak has a conflict at {0}")]
    Conflict(String),
    /// It says that the request is wrong.
    #[error("Keycloak rejects {call}: {reason}")]
    Rejected {
        /// Which call.
        call: String,
        /// Keycloak's words.
        reason: String,
    },
    /// No answer of Keycloak, or not in time: whether a change was carried out, or still will be, is unknown.
    #[error("Keycloak is not available ({0})")]
    Unavailable(String),
    /// Keycloak's own answer that it is in trouble: 500 or 429.
    #[error("Keycloak failed ({0})")]
    Failed(String),
    /// An answer that is not what this call answers.
    #[error("Keycloak answered {call} with something unexpected: {reason}")]
    Protocol {
        /// Which call.
        call: String,
        /// What was wrong with the answer.
        reason: String,
    },
}

impl KeycloakError {
    pub(super) fn from_status(call: String, status: StatusCode, body: &str) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized(call),
            StatusCode::FORBIDDEN if reason(body) == HTTPS_REQUIRED => Self::HttpsRequired(call),
            StatusCode::FORBIDDEN => Self::Forbidden(call),
            StatusCode::NOT_FOUND => not_found(call, reason(body)),
            StatusCode::CONFLICT => Self::Conflict(call),
            // A proxy's words: what Keycloak does, or still will do, it does not know.
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Self::Unavailable(format!("{call}: {status}")),
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                Self::Rejected { call, reason: reason(body) }
            }
            status => Self::Failed(format!("{call}: {status}")),
        }
    }

    /// Whether a call that only reads may do what it is meant to when it is made again at once: a connection that Keycloak
    /// closed while idle fails on first use.
    pub(super) const fn may_be_over(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Failed(_))
    }

    /// Why a login is refused (RFC 6749 §5.2 may say so with 400 as well), in Keycloak's own words.
    pub(super) fn from_login(call: &str, status: StatusCode, body: &str) -> Self {
        let refused = |reason: String| Self::Unauthorized(format!("{call}: {reason}"));
        match Self::from_status(call.to_owned(), status, body) {
            Self::Rejected { .. } | Self::Unauthorized(_) | Self::Forbidden(_) => {
                let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
                let error = json["error"].as_str().unwrap_or_default();
                match reason(body) {
                    told if error.is_empty() || told == error => refused(told),
                    told => refused(format!("{error}: {told}")),
                }
            }
            // Not what was looked for is missing, but the realm to log in to.
            Self::NotFound(call) => Self::Protocol { call, reason: "not found".to_owned() },
            other => other,
        }
    }

    pub(super) fn from_transport(call: &str, error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut text = format!("{call}: {error}");
        let mut cause = std::error::Error::source(&error);
        // The last one says what it was: refused, unknown host, reset.
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::Unavailable(text)
    }
}

/// What Keycloak says of a realm that it does not have, whatever was looked for in it.
pub(super) const REALM_NOT_FOUND: &str = "Realm not found.";
/// What it says of a thing that it does not have begins so, or is one of these.
const NOT_FOUND: &str = "Could not find ";
const NOT_FOUND_EITHER: [&str; 6] = [
    "User not found",
    "No user found",
    "Client not found",
    "Client scope not found",
    "Group not found",
    "Role not found",
];
const HTTPS_REQUIRED: &str = "HTTPS required";
const NO_REASON: &str = "no reason given";

/// Only Keycloak's word that this very thing is missing says so. A wrong path, a gateway's page or JSON, or a missing
/// realm must never pass for a user who is gone.
fn not_found(call: String, reason: String) -> KeycloakError {
    if reason.starts_with(NOT_FOUND) || NOT_FOUND_EITHER.contains(&&*reason) {
        return KeycloakError::NotFound(call);
    }
    KeycloakError::Protocol { call, reason }
}

/// Keycloak's own words, where it says them in one of its JSON forms; never a whole page.
fn reason(body: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    ["errorMessage", "error_description", "error"]
        .iter()
        .find_map(|name| json.get(name).and_then(|text| text.as_str()))
        .map_or_else(|| NO_REASON.to_owned(), |text| text.chars().take(300).collect())
}

impl From<KeycloakError> for Error {
    fn from(error: KeycloakError) -> Self {
        let detail = match &error {
            KeycloakError::Unavailable(_) | KeycloakError::Failed(_) => {
                return Self::new(
                    Code::KeycloakUnavailable,
                    "Keycloak is not available; nothing was changed. Try again shortly.",
                )
                .because(error);
            }
            KeycloakError::Unauthorized(_)
            | KeycloakError::Forbidden(_)
            | KeycloakError::HttpsRequired(_) => {
                "Keycloak refuses Hallpass's own service account; an operator has to look at it."
            }
            KeycloakError::NotFound(_)
            | KeycloakError::Conflict(_)
            | KeycloakError::Rejected { .. }
            | KeycloakError::Protocol { .. } => {
                "Keycloak answered what Hallpass cannot work with; an operator has to look at it."
            }
        };
        Self::new(Code::KeycloakRefused, detail).because(error)
    }
}
