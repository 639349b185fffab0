//! Users, and the claims that Keycloak's mappers would give them.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::{Keycloak, KeycloakError};
use crate::id::UserId;

/// What Hallpass needs to know of a user.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The name at login.
    pub username: String,
    /// False when disabled, when locked out for good, or when the user's LDAP is away.
    pub enabled: bool,
    #[serde(default)]
    federation_link: Option<String>,
    #[serde(default)]
    attributes: Attributes,
}

/// Those attributes that Keycloak itself sets, and that users cannot edit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    #[serde(default)]
    disabled_reason: Vec<String>,
}

/// A user's own attributes, whatever they are.
#[derive(Deserialize)]
struct WithAttributes {
    #[serde(default)]
    attributes: Option<Map<String, Value>>,
}

impl WithAttributes {
    fn values(&self, name: &str) -> Vec<String> {
        let values = self.attributes.as_ref().and_then(|all| all.get(name));
        let values = values.and_then(Value::as_array).into_iter().flatten();
        values.filter_map(|value| value.as_str().map(str::to_owned)).collect()
    }
}

#[derive(Deserialize)]
struct Named {
    id: String,
    username: String,
}

impl User {
    /// Whether the user comes from somewhere else, such as LDAP.
    #[must_use]
    pub const fn is_federated(&self) -> bool {
        self.federation_link.is_some()
    }

    /// Whether Keycloak itself disabled the user, for too many wrong passwords.
    #[must_use]
    pub fn is_locked_out(&self) -> bool {
        !self.enabled && self.attributes.disabled_reason.iter().any(|reason| reason == LOCKED_OUT)
    }
}

const LOCKED_OUT: &str = "permanentLockout";

impl Keycloak {
    /// The user of this id.
    pub async fn find_user(&self, id: &UserId) -> Result<Option<User>, KeycloakError> {
        let Some(path) = user_path(id) else { return Ok(None) };
        self.find(&path, &[("userProfileMetadata", "false")]).await
    }

    /// Whether the user is linked with an account at an identity provider.
    pub async fn has_federated_identity(&self, id: &UserId) -> Result<bool, KeycloakError> {
        let Some(path) = user_path(id) else { return Ok(false) };
        let found: Vec<IgnoredAny> = self.get(&format!("{path}/federated-identity"), &[]).await?;
        Ok(!found.is_empty())
    }

    /// The values of an attribute that the user has themselves; `None`: there is no such user. An attribute of the
    /// user's groups is not among them, though Keycloak's attribute mapper falls back to it.
    pub async fn find_own_attribute(
        &self,
        id: &UserId,
        name: &str,
    ) -> Result<Option<Vec<String>>, KeycloakError> {
        let Some(path) = user_path(id) else { return Ok(None) };
        let found: Option<WithAttributes> =
            self.find(&path, &[("userProfileMetadata", "false")]).await?;
        Ok(found.map(|user| user.values(name)))
    }

    /// Whether some user has exactly this value of the attribute themselves.
    pub async fn has_own_attribute(&self, name: &str, value: &str) -> Result<bool, KeycloakError> {
        let condition = format!("{name}:{value}");
        // The search knows no case.
        let query = [("q", condition.as_str()), ("max", "20")];
        let found: Vec<WithAttributes> = self.get("/users", &query).await?;
        Ok(found.iter().any(|user| user.values(name).iter().any(|found| found == value)))
    }

    /// The id of the user with exactly this name at login, in any case.
    pub async fn find_user_id(&self, username: &str) -> Result<Option<UserId>, KeycloakError> {
        let query = [
            ("username", username),
            ("exact", "true"),
            ("briefRepresentation", "true"),
            ("max", "2"),
        ];
        let found: Vec<Named> = self.get("/users", &query).await?;
        let wanted = username.to_lowercase();
        let mut matching = found.into_iter().filter(|user| user.username.to_lowercase() == wanted);
        match (matching.next(), matching.next()) {
            (Some(user), None) => Ok(Some(UserId::new(user.id))),
            _ => Ok(None),
        }
    }

    /// The claims of an access token that the client's mappers would make for this user: without a
    /// login, a session or consent, also for a disabled client. It does **not** check that the user is
    /// enabled, and mappers can forge protocol claims in it.
    ///
    /// `scope`: space-separated; what the client does not have is ignored by Keycloak in silence.
    /// `None`: there is no such user.
    pub async fn evaluate_claims(
        &self,
        client: &super::ClientId,
        user: &UserId,
        scope: &str,
    ) -> Result<Option<Map<String, Value>>, KeycloakError> {
        let path =
            format!("/clients/{}/evaluate-scopes/generate-example-access-token", client.uuid());
        self.find(&path, &[("userId", user.as_str()), ("scope", scope)]).await
    }
}

/// The length of Keycloak's columns of ids.
const MAX_ID: usize = 255;

/// `None` for what cannot be an id: it must not reach into another path, nor be longer than a request line.
fn user_path(id: &UserId) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
    let text = id.as_str();
    let fits =
        (1..=MAX_ID).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('.');
    fits.then(|| format!("/users/{text}"))
}
