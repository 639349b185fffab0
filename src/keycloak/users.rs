//! Users, and the claims that Keycloak's mappers would give them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::elements::Bounds;
use super::{Keycloak, KeycloakError};
use crate::id::UserId;
use crate::names::{Email, Names};

/// What Hallpass needs to know of a user.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    id: String,
    /// The name at login.
    pub username: String,
    /// False when disabled, when locked out for good, or when the user's LDAP is away.
    pub enabled: bool,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    #[serde(default)]
    federation_link: Option<String>,
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

    /// What the user is called now.
    #[must_use]
    pub fn names(&self) -> Names {
        // PostgreSQL keeps no NUL in a text.
        let plain = |text: &str| text.replace('\0', "");
        let address = self.email.as_deref().map(plain).unwrap_or_default();
        let verified = self.email_verified && !address.is_empty();
        Names { username: plain(&self.username), email: Some(Email { address, verified }) }
    }
}

/// What Keycloak remembers of a user's failed logins.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailedLogins {
    /// Seconds since the epoch.
    failed_login_not_before: i64,
}

/// The attribute by which Keycloak says why it disabled a user; users cannot edit it.
const DISABLED_REASON: &str = "disabledReason";
const LOCKED_OUT: &str = "permanentLockout";
/// No user of a list is read that is larger.
const MAX_USER: usize = 1024 * 1024;
/// The end of a lockout that has none.
const FOR_GOOD: i64 = i64::MAX;

impl Keycloak {
    /// The user of this id. Attributes are not read: users can make them as large as they like.
    pub async fn find_user(&self, id: &UserId) -> Result<Option<User>, KeycloakError> {
        let path = user_path(id)?;
        // Keycloak takes what white space separates for several ids.
        if !id.as_str().contains(char::is_whitespace) {
            let search = format!("id:{id}");
            let query = [("search", search.as_str()), ("briefRepresentation", "true")];
            let found: Vec<User> = Box::pin(self.get("/users", &query)).await?;
            if let Some(user) = found.into_iter().find(|user| user.id == id.as_str()) {
                return Ok(Some(user));
            }
        }
        // An empty list may be anybody's: that there is no such user has to be said of this very one. Boxed, as
        // above, so that who waits for a user does not grow with what is known of them.
        Box::pin(self.find(&path, &[("userProfileMetadata", "false")])).await
    }

    /// Whether Keycloak itself disabled a user who is disabled, for too many wrong passwords. `None`: there is no such user.
    pub async fn is_locked_out(&self, id: &UserId) -> Result<Option<bool>, KeycloakError> {
        let path = user_path(id)?;
        let query = [("userProfileMetadata", "false")];
        match self.find::<WithAttributes>(&path, &query).await {
            Ok(found) => Ok(found.map(|user| {
                user.values(DISABLED_REASON).iter().any(|reason| reason == LOCKED_OUT)
            })),
            // With so many attributes that they cannot be read. While the realm counts failed logins, this says the same.
            Err(KeycloakError::Protocol { .. } | KeycloakError::Unavailable(_)) => {
                let path = format!("/attack-detection/brute-force{path}");
                let logins: FailedLogins = self.get(&path, &[]).await?;
                Ok(Some(logins.failed_login_not_before == FOR_GOOD))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the user is linked with an account at an identity provider.
    pub async fn has_federated_identity(&self, id: &UserId) -> Result<bool, KeycloakError> {
        let path = user_path(id)?;
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
        let path = user_path(id)?;
        let found: Option<WithAttributes> =
            self.find(&path, &[("userProfileMetadata", "false")]).await?;
        Ok(found.map(|user| user.values(name)))
    }

    /// Whether some user has this value of the attribute themselves: exactly, as far as that can be read.
    pub async fn has_own_attribute(&self, name: &str, value: &str) -> Result<bool, KeycloakError> {
        let condition = format!("{name}:{value}");
        // The search knows no case.
        let query = [("q", condition.as_str()), ("max", "20")];
        // Users make themselves as large as they like. Of one who is too large to be read the search alone says it.
        let found: Vec<Option<WithAttributes>> =
            self.get_readable("/users", &query, Bounds::whole(MAX_USER)).await?;
        let has = |user: &WithAttributes| user.values(name).iter().any(|found| found == value);
        Ok(found.iter().any(|user| user.as_ref().is_none_or(has)))
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
        client: &super::RealmClient,
        user: &UserId,
        scope: &str,
    ) -> Result<Option<Map<String, Value>>, KeycloakError> {
        let path =
            format!("/clients/{}/evaluate-scopes/generate-example-access-token", client.uuid());
        self.find(&path, &[("userId", user.as_str()), ("scope", scope)]).await
    }
}

/// What stands in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b':');

/// An error for what cannot be an id: it must not reach into another path, nor be longer than a request line.
fn user_path(id: &UserId) -> Result<String, KeycloakError> {
    let text = id.as_str();
    if !id.is_possible() {
        let reason = "no user can have this id".to_owned();
        return Err(KeycloakError::Protocol { call: "GET /users".to_owned(), reason });
    }
    Ok(format!("/users/{}", utf8_percent_encode(text, PLAIN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_of_a_path_or_an_error() {
        for (id, path) in [
            ("4f0c-1", Some("/users/4f0c-1")),
            ("f:1:jane_doe.x", Some("/users/f:1:jane_doe.x")),
            ("f:1:a b/../c?d#e;%", Some("/users/f:1:a%20b%2F..%2Fc%3Fd%23e%3B%25")),
            ("f:1:\u{e9}", Some("/users/f:1:%C3%A9")),
            (".x", Some("/users/.x")),
            ("", None),
            (".", None),
            ("..", None),
            ("a\0b", None),
        ] {
            assert_eq!(user_path(&UserId::new(id)).ok().as_deref(), path, "{id}");
        }
        assert!(user_path(&UserId::new("x".repeat(255))).is_ok());
        assert!(user_path(&UserId::new("x".repeat(256))).is_err());
    }
}
