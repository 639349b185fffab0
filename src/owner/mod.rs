//! A token's owner as Keycloak sees them now: enabled or not, their effective roles, their claims.
//!
//! The roles come from the evaluation of `hallpass-probe`, which has full scope and role mappers only:
//! direct, through groups and composites, whatever an operator does to the designated client.

mod authority;
mod claims;
mod difference;
mod roles;

use std::sync::Arc;

use serde_json::{Map, Value};

pub use authority::{ACCOUNT_ATTRIBUTE, Authority, AuthorityRule};
pub use claims::{AuthorityClaims, AuthorityClaimsRule, ClaimsDifference};
pub use difference::RolesDifference;
pub use roles::{Roles, is_keycloaks_own_client};

use crate::error::{Code, Error};
use crate::id::{AccountId, UserId};
use crate::keycloak::{Blindness, ClientDirectory, Keycloak, KeycloakError, RealmClient, User};
use crate::names::Names;
use crate::principal::Role;

/// The client whose evaluation shows effective roles.
pub const PROBE_CLIENT: &str = "hallpass-probe";

/// What OpenID Connect Core 1.0 §3.1.2.1 asks for, so that Keycloak gives claims of the user.
const BASE_SCOPE: &str = "openid";

/// An owner at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// What they are called.
    pub names: Names,
    /// The roles that a token of theirs can carry.
    pub roles: Roles,
    /// Those that they have and no token carries, since the operator said so.
    pub denied_roles: Roles,
    /// Whether they come from somewhere else, such as LDAP.
    pub federated: bool,
}

/// What Keycloak has of an owner at one moment, enabled or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// They can log in.
    Enabled(Owner),
    /// Too many wrong passwords: until an administrator enables them.
    LockedOut(Names),
    /// They cannot log in, or so it seems: a federated one reads so while the place that they come from is away.
    Disabled {
        /// What they are called.
        names: Names,
        /// Whether they come from somewhere else, such as LDAP.
        federated: bool,
    },
    /// There is no such user.
    Gone,
}

impl Sight {
    /// Whether the owner was disabled, or is gone, as far as can be seen.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::Disabled { .. } | Self::Gone)
    }

    /// What the owner is called; `None`: there is no such user.
    #[must_use]
    pub const fn names(&self) -> Option<&Names> {
        match self {
            Self::Enabled(Owner { names, .. })
            | Self::LockedOut(names)
            | Self::Disabled { names, .. } => Some(names),
            Self::Gone => None,
        }
    }
}

/// Looks at owners.
#[derive(Clone)]
pub struct Owners {
    keycloak: Keycloak,
    clients: ClientDirectory,
    authority: AuthorityRule,
    claims: AuthorityClaimsRule,
    denied_roles: Arc<[String]>,
}

impl Owners {
    /// Looks through this connection. `denied_roles`: `name` or `client:name`, which no token carries.
    #[must_use]
    pub fn new(
        keycloak: Keycloak,
        clients: ClientDirectory,
        authority: AuthorityRule,
        claims: AuthorityClaimsRule,
        denied_roles: &[String],
    ) -> Self {
        Self { keycloak, clients, authority, claims, denied_roles: denied_roles.into() }
    }

    /// Which claims carry authority.
    #[must_use]
    pub const fn claims_rule(&self) -> &AuthorityClaimsRule {
        &self.claims
    }

    /// The owner, enabled and with their roles; else 403.
    pub async fn get_enabled(&self, id: &UserId) -> Result<Owner, Error> {
        match self.look_at(id).await? {
            Sight::Enabled(owner) => Ok(owner),
            Sight::LockedOut(_) | Sight::Disabled { .. } | Sight::Gone => Err(disabled()),
        }
    }

    /// The owner as they are now. A malformed answer is an error, never "gone" or "no roles".
    pub async fn look_at(&self, id: &UserId) -> Result<Sight, Error> {
        // Each takes Keycloak some milliseconds. The roles of who turns out to be away are not wanted.
        let (user, claims) =
            tokio::join!(self.keycloak.find_user(id), self.evaluate(PROBE_CLIENT, id, &[]));
        let mut away = user?;
        if let Some(user) = away.take_if(|user| user.enabled) {
            match claims? {
                Some(claims) => {
                    if shows_less_than_usual(&claims) {
                        // Boxed, so that the rarely taken branches do not enlarge every look.
                        Box::pin(self.check_probe()).await?;
                    }
                    return Ok(Sight::Enabled(self.owner_of(&user, &claims)?));
                }
                None => away = Box::pin(self.find_away(PROBE_CLIENT, id)).await?,
            }
        }
        let Some(user) = away else { return Ok(Sight::Gone) };
        Ok(match Box::pin(self.keycloak.is_locked_out(id)).await? {
            Some(true) => Sight::LockedOut(user.names()),
            Some(false) => Sight::Disabled { names: user.names(), federated: user.is_federated() },
            None => Sight::Gone,
        })
    }

    /// The client by which Hallpass itself acts.
    pub async fn get_own_client(&self) -> Result<RealmClient, KeycloakError> {
        self.clients.get(self.authority.client_id()).await
    }

    /// Fails where Keycloak does not even answer about Hallpass's own account: then no owner can be looked at.
    pub async fn check_answers(&self) -> Result<(), Error> {
        self.check_probe().await?;
        let own = self.get_own_client().await?;
        let account = self.keycloak.find_service_account(&own).await?;
        let account = account.ok_or_else(|| protocol("the client has no service account"))?;
        self.look_at(&UserId::new(account.id)).await.map(drop)
    }

    /// Fails where the probe, looked up anew, is not there or does not show everybody's roles.
    async fn check_probe(&self) -> Result<(), KeycloakError> {
        self.clients.forget(PROBE_CLIENT).await;
        check_sight(&self.clients.get(PROBE_CLIENT).await?)
    }

    /// Whether the owner logs in by way of an identity provider: a member of an organization can.
    pub async fn has_identity_provider(&self, id: &UserId) -> Result<bool, KeycloakError> {
        self.keycloak.has_federated_identity(id).await
    }

    /// What the owner's access token would say that they may do, now.
    pub async fn get_authority(&self, id: &UserId) -> Result<Authority, Error> {
        // The evaluation does not look at that.
        if !self.is_enabled(id).await? {
            return Err(disabled());
        }
        Ok(self.authority.read(&self.get_claims(self.authority.client_id(), id, &[]).await?))
    }

    /// The same for a personal access token of theirs: what no token carries does not count.
    pub async fn get_token_authority(&self, id: &UserId) -> Result<Authority, Error> {
        let mut authority = self.get_authority(id).await?;
        let client = self.authority.client_id();
        let is_denied =
            |role: &Role| self.denied_roles.contains(&format!("{client}:{}", role.name()));
        authority.roles.retain(|role| !is_denied(role));
        Ok(authority)
    }

    /// The `client_id` of Hallpass itself.
    #[must_use]
    pub fn own_client_id(&self) -> &str {
        self.authority.client_id()
    }

    /// The client scopes that a token of this client has only where they are asked for.
    pub async fn list_optional_scopes(
        &self,
        client_id: &str,
    ) -> Result<Vec<String>, KeycloakError> {
        let client = self.clients.get(client_id).await?;
        let found = self.keycloak.list_optional_scopes(client.uuid()).await;
        if matches!(found, Err(KeycloakError::NotFound(_))) {
            self.clients.forget(client_id).await;
        }
        found
    }

    /// Whether the account is the user's own: their attribute [`ACCOUNT_ATTRIBUTE`] has this value and no other. A token
    /// does not tell: where the user has none, Keycloak's mapper takes that of a group, and of several it takes the first.
    pub async fn has_account(
        &self,
        id: &UserId,
        account: &AccountId,
    ) -> Result<bool, KeycloakError> {
        let values = self.keycloak.find_own_attribute(id, ACCOUNT_ATTRIBUTE).await?;
        Ok(values.is_some_and(|values| values == [account.as_str()]))
    }

    /// Whether some user has this account.
    pub async fn is_anybodys_account(&self, account: &AccountId) -> Result<bool, KeycloakError> {
        self.keycloak.has_own_attribute(ACCOUNT_ATTRIBUTE, account.as_str()).await
    }

    /// The id of the user with this name at login.
    pub async fn find_id(&self, username: &str) -> Result<Option<UserId>, KeycloakError> {
        self.keycloak.find_user_id(username).await
    }

    /// The user of this id, where there is one.
    pub async fn find(&self, id: &UserId) -> Result<Option<User>, KeycloakError> {
        self.keycloak.find_user(id).await
    }

    /// Whether the owner exists and is enabled.
    pub async fn is_enabled(&self, id: &UserId) -> Result<bool, KeycloakError> {
        Ok(self.keycloak.find_user(id).await?.is_some_and(|user| user.enabled))
    }

    /// What the owner's claims say now that carries authority. A malformed answer is an error, never "no claims".
    pub async fn get_authority_claims(&self, id: &UserId) -> Result<AuthorityClaims, Error> {
        let claims = self.get_claims(self.claims.client_id(), id, &[]).await?;
        // Every evaluation says for whom it is.
        if !claims.contains_key("azp") {
            return Err(protocol("it is no evaluation").into());
        }
        Ok(self.claims.read(&claims))
    }

    /// The claims that this client's mappers give for the owner, where these scopes are asked for. Keycloak leaves those
    /// out in silence that the client does not have, or the user may not have.
    pub async fn get_claims(
        &self,
        client_id: &str,
        id: &UserId,
        scopes: &[String],
    ) -> Result<Map<String, Value>, Error> {
        if let Some(claims) = self.evaluate(client_id, id, scopes).await? {
            return Ok(claims);
        }
        Box::pin(self.find_away(client_id, id)).await?;
        Err(disabled())
    }

    async fn evaluate(
        &self,
        client_id: &str,
        id: &UserId,
        scopes: &[String],
    ) -> Result<Option<Map<String, Value>>, KeycloakError> {
        let client = self.clients.get(client_id).await?;
        if client_id != self.authority.client_id()
            && let Err(blind) = check_sight(&client)
        {
            // Somebody may mend it at any time.
            Box::pin(self.clients.forget(client_id)).await;
            return Err(blind);
        }
        let scopes = scopes.iter().map(String::as_str);
        let scope: Vec<_> = std::iter::once(BASE_SCOPE).chain(scopes).collect();
        self.keycloak.evaluate_claims(&client, id, &scope.join(" ")).await
    }

    fn owner_of(&self, user: &User, claims: &Map<String, Value>) -> Result<Owner, KeycloakError> {
        // Who has no roles has no claim of them: an answer of something else must not pass for that.
        if claims.get("azp").and_then(Value::as_str) != Some(PROBE_CLIENT) {
            return Err(protocol("it is no evaluation of the probe"));
        }
        let all = Roles::from_claims(claims).map_err(protocol)?;
        let (roles, denied_roles) = all.without(&self.denied_roles);
        Ok(Owner { names: user.names(), roles, denied_roles, federated: user.is_federated() })
    }

    /// The user for whom nothing was evaluated, where they are disabled or gone by now. If not, it is the client that is
    /// gone, which Keycloak says in the same way: it may have been made anew.
    async fn find_away(&self, client_id: &str, id: &UserId) -> Result<Option<User>, KeycloakError> {
        self.clients.forget(client_id).await;
        match self.keycloak.find_user(id).await? {
            Some(user) if user.enabled => {
                Err(KeycloakError::NotFound(format!("the client {client_id}")))
            }
            away => Ok(away),
        }
    }
}

/// Fails for a client whose evaluation shows no roles, or not all of them: what it does not show must never pass for what
/// nobody has. A token would lack roles, and the loss of a role would not end it.
fn check_sight(client: &RealmClient) -> Result<(), KeycloakError> {
    let unmapped = || {
        let unmapped = client.name() == PROBE_CLIENT && !client.maps_roles();
        unmapped.then_some(Blindness::NoMappers)
    };
    match client.blindness().or_else(unmapped) {
        None => Ok(()),
        Some(reason) => Err(KeycloakError::Protocol {
            call: format!("evaluate {}", client.name()),
            reason: format!(
                "the client shows no roles, since {reason}: run `hallpass bootstrap` again"
            ),
        }),
    }
}

/// Nearly everybody has roles of the realm and of clients, and whoever was just blinded shows neither.
fn shows_less_than_usual(claims: &Map<String, Value>) -> bool {
    ["realm_access", "resource_access"].iter().any(|access| !claims.contains_key(*access))
}

fn disabled() -> Error {
    Error::new(Code::OwnerDisabled, "The account is disabled or gone.")
}

fn protocol(reason: &'static str) -> KeycloakError {
    KeycloakError::Protocol { call: "evaluate".to_owned(), reason: reason.to_owned() }
}
