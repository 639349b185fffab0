//! Keycloak clients, whole: made, read back, changed, removed, and their secrets.

use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::elements::Bounds;
use super::{Keycloak, KeycloakError};

/// A Keycloak client as the admin API shows it, without its secret: that is taken out where it comes in.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientDocument {
    uuid: String,
    members: Map<String, Value>,
}

impl ClientDocument {
    /// Keycloak's internal id.
    #[must_use]
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// The `client_id`.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.members.get("clientId").and_then(Value::as_str).unwrap_or_default()
    }

    /// One member.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// All members.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.members.clone())
    }

    /// One attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.members.get("attributes")?.get(name)
    }
}

impl TryFrom<Map<String, Value>> for ClientDocumentWithSecret {
    type Error = &'static str;

    fn try_from(mut members: Map<String, Value>) -> Result<Self, Self::Error> {
        let secret = match members.remove("secret") {
            Some(Value::String(secret)) => Some(SecretString::from(secret)),
            _ => None,
        };
        members.remove("registrationAccessToken");
        // A rotated secret stands among the attributes.
        if let Some(attributes) = members.get_mut("attributes").and_then(Value::as_object_mut) {
            attributes.remove("client.secret.rotated");
        }
        let uuid = members.get("id").and_then(Value::as_str).ok_or("a client without an id")?;
        Ok(Self { document: ClientDocument { uuid: uuid.to_owned(), members }, secret })
    }
}

/// A client and its secret, kept apart.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct ClientDocumentWithSecret {
    /// Everything but the secret.
    pub document: ClientDocument,
    /// The secret, where it has one.
    pub secret: Option<SecretString>,
}

#[derive(Deserialize)]
struct Secret {
    value: Option<SecretString>,
}

/// A client scope that can be granted.
#[derive(Clone, Debug, Deserialize)]
pub struct ScopeDetails {
    /// Keycloak's internal id.
    pub id: String,
    /// The name in `scope`.
    pub name: String,
    /// What it allows.
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    protocol: String,
    #[serde(default)]
    attributes: Map<String, Value>,
}

/// The attribute on client scopes that people may grant to their clients. Bootstrap sets it, and so can an operator.
pub const GRANTABLE: &str = "hallpass.grantable";

/// The attribute of Hallpass's own client that names the keys that Hallpass published in the realm, for who may not read
/// the realm's keys.
pub const SIGNING_KEYS: &str = "hallpass.signing-keys";

impl ScopeDetails {
    /// Whether it is one of OpenID Connect; a realm has some of SAML beside them.
    #[must_use]
    pub fn is_openid_connect(&self) -> bool {
        self.protocol == "openid-connect"
    }

    /// Whether people may grant it to their clients.
    #[must_use]
    pub fn is_grantable(&self) -> bool {
        self.is_openid_connect()
            && self.attributes.get(GRANTABLE).and_then(Value::as_str) == Some("true")
    }
}

/// The client scopes of a client that it has without asking, or that it may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    /// In every token.
    Default,
    /// In a token that asks for it.
    Optional,
}

impl Keycloak {
    /// Makes a client; answers Keycloak's internal id.
    pub async fn create_client(&self, client: &Value) -> Result<String, KeycloakError> {
        self.create("/clients", client).await
    }

    /// The client of this internal id, and its secret.
    pub async fn find_client_by_uuid(
        &self,
        uuid: &str,
    ) -> Result<Option<ClientDocumentWithSecret>, KeycloakError> {
        self.find(&path(uuid), &[]).await
    }

    /// The whole client of exactly this `client_id`.
    pub async fn find_client_document(
        &self,
        client_id: &str,
    ) -> Result<Option<ClientDocument>, KeycloakError> {
        let found: Vec<ClientDocumentWithSecret> =
            self.get("/clients", &[("clientId", client_id)]).await?;
        let documents = found.into_iter().map(|client| client.document);
        Ok(documents.into_iter().find(|client| client.client_id() == client_id))
    }

    /// A page of all of the realm's clients, in a stable order. Those are `None` that are too large to be read: anybody who
    /// may register a client can make one.
    pub async fn list_clients(
        &self,
        first: usize,
        max: usize,
    ) -> Result<Vec<Option<ClientDocument>>, KeycloakError> {
        let (first, max) = (first.to_string(), max.to_string());
        let query = [("first", first.as_str()), ("max", max.as_str())];
        let found: Vec<Option<ClientDocumentWithSecret>> =
            self.get_readable("/clients", &query, Bounds::WHOLE).await?;
        Ok(found.into_iter().map(|client| client.map(|client| client.document)).collect())
    }

    /// Changes the members that `change` has. Attributes are merged, and a null one is taken away.
    pub async fn update_client(&self, uuid: &str, change: &Value) -> Result<(), KeycloakError> {
        self.change_silently(Method::PUT, &path(uuid), Some(change)).await
    }

    /// Removes a client. One that is gone already is removed.
    pub async fn delete_client(&self, uuid: &str) -> Result<(), KeycloakError> {
        match self.change_silently(Method::DELETE, &path(uuid), None).await {
            Err(KeycloakError::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    /// The client's secret.
    pub async fn get_client_secret(&self, uuid: &str) -> Result<SecretString, KeycloakError> {
        let call = format!("{}/client-secret", path(uuid));
        let secret: Secret = self.get(&call, &[]).await?;
        secret.value.ok_or_else(|| missing("GET client-secret"))
    }

    /// Gives the client a new secret; the old one is invalid at once.
    pub async fn regenerate_client_secret(
        &self,
        uuid: &str,
    ) -> Result<SecretString, KeycloakError> {
        let call = format!("{}/client-secret", path(uuid));
        let secret: Secret = self.post(&call).await?;
        secret.value.ok_or_else(|| missing("POST client-secret"))
    }

    /// Puts a client scope on a client.
    pub async fn add_client_scope(
        &self,
        uuid: &str,
        kind: ScopeKind,
        scope_id: &str,
    ) -> Result<(), KeycloakError> {
        self.change_silently(Method::PUT, &scope_path(uuid, kind, scope_id), None).await
    }

    /// Takes a client scope from a client.
    pub async fn remove_client_scope(
        &self,
        uuid: &str,
        kind: ScopeKind,
        scope_id: &str,
    ) -> Result<(), KeycloakError> {
        self.change_silently(Method::DELETE, &scope_path(uuid, kind, scope_id), None).await
    }

    /// The names of the client scopes that a token of this client has only where they are asked for.
    pub async fn list_optional_scopes(&self, uuid: &str) -> Result<Vec<String>, KeycloakError> {
        let path = format!("{}/optional-client-scopes", path(uuid));
        let scopes: Vec<ScopeName> = self.list_scopes(&path).await?;
        Ok(scopes.into_iter().map(|scope| scope.name).collect())
    }

    /// The realm's client scopes with their attributes.
    pub async fn list_scope_details(&self) -> Result<Vec<ScopeDetails>, KeycloakError> {
        self.list_scopes("/client-scopes").await
    }

    /// The client scopes that a client made in the console gets.
    pub async fn list_default_scopes(&self) -> Result<Vec<ScopeDetails>, KeycloakError> {
        self.list_scopes("/default-default-client-scopes").await
    }

    /// One that is too large to be read is as if it was not there.
    async fn list_scopes<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, KeycloakError> {
        let scopes: Vec<Option<T>> = self.get_readable(path, &[], Bounds::WHOLE).await?;
        Ok(scopes.into_iter().flatten().collect())
    }
}

#[derive(Deserialize)]
struct ScopeName {
    name: String,
}

fn path(uuid: &str) -> String {
    format!("/clients/{uuid}")
}

fn scope_path(uuid: &str, kind: ScopeKind, scope_id: &str) -> String {
    let kind = match kind {
        ScopeKind::Default => "default-client-scopes",
        ScopeKind::Optional => "optional-client-scopes",
    };
    format!("{}/{kind}/{scope_id}", path(uuid))
}

fn missing(call: &str) -> KeycloakError {
    let reason = "there is no secret in the answer".to_owned();
    KeycloakError::Protocol { call: call.to_owned(), reason }
}
