//! Whether a client is who it says, and its service account.

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::answer::{read, send_once};
use super::{Keycloak, KeycloakError, RealmClient};

/// What Keycloak says of a client's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretCheck {
    /// It is the client's, and the client is enabled.
    Good,
    /// It is not; or there is no such client, or it authenticates otherwise or not at all.
    Wrong,
}

/// The user behind a client's service account.
#[derive(Clone, Debug, Deserialize)]
pub struct ServiceAccount {
    /// The user's id.
    pub id: String,
    /// The user's name.
    pub username: String,
    /// Whether it may log in.
    #[serde(default)]
    pub enabled: bool,
}

/// What is asked about: no token, so that the answer is about the client alone.
const NO_TOKEN: &str = "none";
const CALL: &str = "POST token/introspect";

impl Keycloak {
    /// Whether this is the secret of an enabled client. No grant is used, and no session is left.
    pub async fn check_client_secret(
        &self,
        client_id: &str,
        secret: &str,
    ) -> Result<SecretCheck, KeycloakError> {
        self.in_time(CALL, async {
            match self.try_client_secret(client_id, secret).await {
                // Nothing is changed by it: it is safe to ask again.
                Err(KeycloakError::Unavailable(_) | KeycloakError::Failed(_)) => {
                    self.try_client_secret(client_id, secret).await
                }
                other => other,
            }
        })
        .await
    }

    async fn try_client_secret(
        &self,
        client_id: &str,
        secret: &str,
    ) -> Result<SecretCheck, KeycloakError> {
        let realm = self.realm().internal_url();
        let url = format!("{realm}/protocol/openid-connect/token/introspect");
        let form = [("client_id", client_id), ("client_secret", secret), ("token", NO_TOKEN)];
        let answer = send_once(CALL, self.http().post(url).form(&form)).await?;
        let status = answer.status();
        let body = read(CALL, answer).await?;
        match status {
            // Nobody else's answer to something else counts: what was asked about is no token.
            StatusCode::OK => match serde_json::from_slice::<Value>(&body) {
                Ok(answer) if answer.get("active") == Some(&Value::Bool(false)) => {
                    Ok(SecretCheck::Good)
                }
                _ => Err(KeycloakError::Protocol {
                    call: CALL.to_owned(),
                    reason: "not the answer of an introspection".to_owned(),
                }),
            },
            // RFC 6749 §5.2: 401, or 400; a public client may not ask and gets 403.
            StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => {
                Ok(SecretCheck::Wrong)
            }
            _ => {
                let body = String::from_utf8_lossy(&body);
                Err(KeycloakError::from_status(CALL.to_owned(), status, &body))
            }
        }
    }

    /// The client's service account, where it has one.
    pub async fn find_service_account(
        &self,
        client: &RealmClient,
    ) -> Result<Option<ServiceAccount>, KeycloakError> {
        let path = format!("/clients/{}/service-account-user", client.uuid());
        match self.find(&path, &[]).await {
            // Keycloak's word for a client without one.
            Err(KeycloakError::Rejected { .. }) => Ok(None),
            other => other,
        }
    }
}
