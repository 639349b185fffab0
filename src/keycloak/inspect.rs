//! What a realm shows of its own state to Hallpass's service account: read by `hallpass doctor`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Value, json};

use super::answer::{decode, read, send_once};
use super::{ClientDocument, Keycloak, KeycloakError};
use crate::clock::Timestamp;
use crate::config::segment;
use crate::id::UserId;

/// The realm's discovery document (OpenID Connect Discovery 1.0 §3).
#[derive(Clone, Debug, Deserialize)]
pub struct Discovery {
    /// What the realm calls itself.
    pub issuer: String,
}

/// How the realm signed a token.
#[derive(Clone, Debug, Deserialize)]
pub struct Signature {
    /// The algorithm (RFC 7518 §3.1).
    pub alg: String,
    /// The key.
    pub kid: String,
}

/// Tokens that were just made for our own account.
#[derive(Clone, Debug)]
pub struct Login {
    /// Of the access token: the realm's default, unless the client says otherwise.
    pub signature: Signature,
    /// Of the ID token: the realm's default.
    pub realm_signature: Signature,
    /// Whether the access token has only what is meant for lightweight ones, as a policy of the realm may ask for.
    pub lightweight: bool,
    /// The service account.
    pub subject: UserId,
    /// The realm's time, in whole seconds.
    pub issued_at: Timestamp,
}

/// What the newest token for our own account says.
#[derive(Clone, Debug)]
pub struct LastLogin {
    /// How the realm signed it.
    pub signature: Signature,
    /// The realm's time, in whole seconds.
    pub issued_at: Timestamp,
}

impl LastLogin {
    pub(super) fn read(token: &SecretString) -> Result<Self, KeycloakError> {
        let signature = token_part(token.expose_secret().split('.').next())?;
        Ok(Self { signature, issued_at: issued_at(token)? })
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    iat: i64,
    #[serde(default)]
    jti: String,
}

/// Roles in somebody's scope.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MappedRoles {
    realm_mappings: Vec<RoleName>,
    client_mappings: BTreeMap<String, OfClient>,
}

#[derive(Clone, Debug, Deserialize)]
struct OfClient {
    mappings: Vec<RoleName>,
}

#[derive(Clone, Debug, Deserialize)]
struct RoleName {
    name: String,
}

impl MappedRoles {
    /// All of them, as `role` or `client:role`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let realm = self.realm_mappings.iter().map(|role| role.name.clone());
        let clients = self.client_mappings.iter().flat_map(|(client, roles)| {
            roles.mappings.iter().map(move |role| format!("{client}:{}", role.name))
        });
        realm.chain(clients).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeMappers {
    name: String,
    #[serde(default)]
    protocol_mappers: Vec<Value>,
}

/// A mapper that adds an audience to access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudienceMapper {
    /// What it adds.
    pub audience: String,
}

impl AudienceMapper {
    /// `None`: this mapper does something else, or nothing.
    #[must_use]
    pub fn read(mapper: &Value) -> Option<Self> {
        let config = &mapper["config"];
        if mapper["protocolMapper"] != "oidc-audience-mapper"
            || config["access.token.claim"] != "true"
        {
            return None;
        }
        // Where both are given, Keycloak takes the client.
        let given = |name: &str| config[name].as_str().filter(|audience| !audience.is_empty());
        let audience =
            given("included.client.audience").or_else(|| given("included.custom.audience"))?;
        Some(Self { audience: audience.to_owned() })
    }
}

/// A name that no user has: it is longer than Keycloak's.
const NOBODY: &str = "hallpass-asks-whether-users-can-be-read";

impl Keycloak {
    /// The realm's discovery document; `None` where nothing is found at its address. Needs no login.
    pub async fn find_discovery(&self) -> Result<Option<Discovery>, KeycloakError> {
        self.find_public("/.well-known/openid-configuration").await
    }

    /// Logs in anew and reads what the tokens say, unchecked: they come from the realm itself.
    pub async fn inspect_login(&self) -> Result<Login, KeycloakError> {
        let token = self.log_in(&[("scope", "openid")]).await?;
        let mut parts = token.value.expose_secret().split('.');
        let signature = token_part(parts.next())?;
        let claims: Claims = token_part(parts.next())?;
        let id_token = token.id_token.as_ref().map(SecretString::expose_secret);
        Ok(Login {
            signature,
            realm_signature: token_part(id_token.and_then(|token| token.split('.').next()))?,
            // Before the colon Keycloak says the kind of session, of token (`rt`, `lt`) and of grant, two letters each.
            lightweight: claims.jti.get(2..4) == Some("lt") && claims.jti.get(6..7) == Some(":"),
            subject: UserId::new(claims.sub),
            issued_at: Timestamp::from_seconds(claims.iat),
        })
    }

    /// Reads one event of each kind, if there is one: whether that is allowed.
    pub async fn try_events(&self) -> Result<(), KeycloakError> {
        let one = [("max", "1")];
        let _: IgnoredAny = self.get("/admin-events", &one).await?;
        let _: IgnoredAny = self.get("/events", &one).await?;
        Ok(())
    }

    /// Whether users can be read; nobody is.
    pub async fn try_users(&self) -> Result<(), KeycloakError> {
        // Who may only search gets an empty list; who may count may view.
        let _: IgnoredAny =
            self.get("/users/count", &[("username", NOBODY), ("exact", "true")]).await?;
        Ok(())
    }

    /// Which events the realm records. How long it keeps admin events is not shown.
    pub async fn get_event_settings(&self) -> Result<Value, KeycloakError> {
        self.get("/events/config", &[]).await
    }

    /// The realm's user profile.
    pub async fn get_user_profile(&self) -> Result<Value, KeycloakError> {
        self.get("/users/profile", &[]).await
    }

    /// The names of a client's roles.
    pub async fn list_role_names(&self, uuid: &str) -> Result<Vec<String>, KeycloakError> {
        let roles: Vec<RoleName> = self.get(&format!("/clients/{uuid}/roles"), &[]).await?;
        Ok(roles.into_iter().map(|role| role.name).collect())
    }

    /// The names of the roles that a client's role is made of.
    pub async fn list_composite_names(
        &self,
        uuid: &str,
        role: &str,
    ) -> Result<Vec<String>, KeycloakError> {
        let path = format!("/clients/{uuid}/roles/{}/composites", segment(role));
        let roles: Vec<RoleName> = self.get(&path, &[]).await?;
        Ok(roles.into_iter().map(|role| role.name).collect())
    }

    /// The roles that tokens of a client without full scope can carry.
    pub async fn get_scope_mappings(&self, uuid: &str) -> Result<MappedRoles, KeycloakError> {
        self.get(&format!("/clients/{uuid}/scope-mappings"), &[]).await
    }

    /// The mappers that shape each token of a client: its own, and those of its default client scopes.
    pub async fn list_token_mappers(
        &self,
        client: &ClientDocument,
    ) -> Result<Vec<Value>, KeycloakError> {
        let list = |name: &str| client.member(name).and_then(Value::as_array).cloned();
        let mut mappers = list("protocolMappers").unwrap_or_default();
        let names = list("defaultClientScopes").unwrap_or_default();
        let scopes: Vec<ScopeMappers> = self.get("/client-scopes", &[]).await?;
        let wanted = scopes.into_iter().filter(|scope| names.contains(&json!(scope.name)));
        mappers.extend(wanted.flat_map(|scope| scope.protocol_mappers));
        Ok(mappers)
    }

    async fn find_public<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<T>, KeycloakError> {
        let call = format!("GET realm{path}");
        let url = format!("{}{path}", self.realm().internal_url());
        let answer = send_once(&call, self.http().get(url)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status().is_success() {
            let (status, body) = (answer.status(), read(&call, answer).await.unwrap_or_default());
            return Err(KeycloakError::from_status(call, status, &String::from_utf8_lossy(&body)));
        }
        decode(&call, answer).await.map(Some)
    }
}

/// When the realm issued this access token, by its own clock, in whole seconds.
pub(super) fn issued_at(token: &SecretString) -> Result<Timestamp, KeycloakError> {
    let claims: Claims = token_part(token.expose_secret().split('.').nth(1))?;
    Ok(Timestamp::from_seconds(claims.iat))
}

fn token_part<T: DeserializeOwned>(part: Option<&str>) -> Result<T, KeycloakError> {
    part.and_then(|part| URL_SAFE_NO_PAD.decode(part).ok())
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| KeycloakError::Protocol {
            call: "POST token".to_owned(),
            reason: "its access token is no signed JWT".to_owned(),
        })
}
