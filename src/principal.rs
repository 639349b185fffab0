//! Who calls, by what credential, and what that allows: the authorization matrix in one place.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::error::{Code, Error};
use crate::id::{AccountId, PatId, RequestId, UserId};

/// The client roles that bootstrap makes on the client `hallpass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May create personal access tokens.
    CreateTokens,
    /// May create API clients.
    CreateApiClients,
    /// Sees, revokes and deletes everybody's personal access tokens.
    ManageTokens,
    /// Sees, changes and revokes the API clients of every account.
    ManageApiClients,
    /// Administers service accounts.
    ManageServiceAccounts,
    /// May ask the introspection endpoint.
    IntrospectTokens,
    /// Reads the audit log.
    ReadAudit,
}

impl Role {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::CreateTokens,
        Self::CreateApiClients,
        Self::ManageTokens,
        Self::ManageApiClients,
        Self::ManageServiceAccounts,
        Self::IntrospectTokens,
        Self::ReadAudit,
    ];

    /// The role's name in Keycloak.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateTokens => "create-tokens",
            Self::CreateApiClients => "create-api-clients",
            Self::ManageTokens => "manage-tokens",
            Self::ManageApiClients => "manage-api-clients",
            Self::ManageServiceAccounts => "manage-service-accounts",
            Self::IntrospectTokens => "introspect-tokens",
            Self::ReadAudit => "read-audit",
        }
    }

    /// What Keycloak's console shows beside it.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::CreateTokens => "Create personal access tokens",
            Self::CreateApiClients => "Create API clients",
            Self::ManageTokens => "See, revoke and delete every personal access token",
            Self::ManageApiClients => "See, change and revoke the API clients of every account",
            Self::ManageServiceAccounts => "Administer service accounts",
            Self::IntrospectTokens => "Ask Hallpass's introspection endpoint",
            Self::ReadAudit => "Read Hallpass's audit log",
        }
    }

    /// Refuses whoever does not hold it.
    pub fn require(self, held: &BTreeSet<Self>) -> Result<(), Error> {
        require_any(&[self], held)
    }

    /// The role of this name, where there is one.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// What the caller showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An access token of the realm.
    AccessToken {
        /// An administrator of Keycloak acts in the user's name.
        impersonated: bool,
    },
    /// A personal access token of ours.
    Pat {
        /// Its `jti`.
        pat_id: PatId,
        /// It was restricted below its owner's rights.
        narrowed: bool,
    },
}

/// Who calls: somebody whose credential was found good, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user.
    pub user_id: UserId,
    /// The user's name at login, for lists and the audit log.
    pub username: String,
    /// The user's roles on the client `hallpass`; none yet for a personal access token, which does not say them.
    pub roles: BTreeSet<Role>,
    /// The account of the caller, where the credential names a well-formed one.
    pub account: Option<AccountId>,
    /// The client that the access token was issued to.
    pub client_id: Option<String>,
    /// What was shown.
    pub credential: Credential,
    /// Where the request came from.
    pub origin: Origin,
}

/// Where a request came from, for the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The caller's address.
    pub address: IpAddr,
    /// The id that the answer and the log line carry.
    pub request_id: RequestId,
}

/// What an operation asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create a personal access token of one's own.
    CreateToken,
    /// See what a personal access token of one's own could have, or would say.
    PreviewToken,
    /// Change the description of one of one's own tokens.
    DescribeToken,
    /// Read the metadata of one's own tokens.
    ReadTokens,
    /// Read the metadata of the personal access token that calls.
    ReadSelf,
    /// Revoke this one of one's own tokens.
    RevokeToken(PatId),
    /// Revoke several of one's own tokens.
    RevokeTokens,
    /// Replace this one of one's own tokens.
    RotateToken(PatId),
    /// Delete one's own tokens.
    DeleteTokens,
    /// Ask about a token that one holds: one of one's own.
    IdentifyToken,
    /// Read the metadata of everybody's tokens.
    ReadEverybodysTokens,
    /// Revoke and delete everybody's tokens.
    EndEverybodysTokens,
    /// Ask about any token that one holds.
    IdentifyAnyToken,
    /// Read API clients, quotas and what can be granted; never a secret.
    ReadClients,
    /// Create an API client.
    CreateClient,
    /// Read the secret of an API client.
    ReadClientSecret,
    /// Change, delete or hand on API clients.
    ChangeClients,
    /// Set how many API clients an account may have.
    SetQuota,
    /// Read the audit log.
    ReadAudit,
    /// Ask about tokens that others use.
    IntrospectTokens,
}

impl Caller {
    /// The personal access token that calls.
    pub fn calling_token(&self) -> Result<PatId, Error> {
        match self.credential {
            Credential::Pat { pat_id, .. } => Ok(pat_id),
            Credential::AccessToken { .. } => Err(no_token_calls()),
        }
    }

    /// Whether the caller may do this. What belongs to somebody else is not decided here: it is not found.
    pub fn authorize(&self, action: Action) -> Result<(), Error> {
        match &self.credential {
            Credential::AccessToken { impersonated } => {
                self.authorize_person(action, *impersonated)
            }
            Credential::Pat { pat_id, narrowed } => authorize_pat(action, *pat_id, *narrowed),
        }
    }

    fn authorize_person(&self, action: Action, impersonated: bool) -> Result<(), Error> {
        match action {
            Action::ReadTokens | Action::IdentifyToken => Ok(()),
            Action::ReadEverybodysTokens | Action::IdentifyAnyToken => {
                Role::ManageTokens.require(&self.roles)
            }
            Action::ReadClients => require_any(&CLIENT_ROLES, &self.roles),
            Action::ReadAudit => Role::ReadAudit.require(&self.roles),
            Action::IntrospectTokens => Role::IntrospectTokens.require(&self.roles),
            Action::PreviewToken => Role::CreateTokens.require(&self.roles),
            Action::ReadSelf => Err(no_token_calls()),
            _ if impersonated => Err(Error::new(
                Code::Impersonated,
                "An impersonated session reads; only the user can change something.",
            )),
            Action::CreateToken | Action::RotateToken(_) => Role::CreateTokens.require(&self.roles),
            Action::DescribeToken
            | Action::RevokeToken(_)
            | Action::RevokeTokens
            | Action::DeleteTokens => Ok(()),
            Action::EndEverybodysTokens => Role::ManageTokens.require(&self.roles),
            Action::CreateClient => Role::CreateApiClients.require(&self.roles),
            Action::ReadClientSecret | Action::ChangeClients => {
                require_any(&CLIENT_ROLES, &self.roles)
            }
            Action::SetQuota => Role::ManageApiClients.require(&self.roles),
        }
    }
}

fn no_token_calls() -> Error {
    let detail =
        "No personal access token calls: use one here, or the same call with a token's id.";
    Error::new(Code::NotFound, detail)
}

fn require_any(roles: &[Role], held: &BTreeSet<Role>) -> Result<(), Error> {
    if roles.iter().any(|role| held.contains(role)) {
        return Ok(());
    }
    let names: Vec<_> = roles.iter().map(|role| format!("`{}`", role.name())).collect();
    let detail = format!("This needs the role {} of the client `hallpass`.", names.join(" or "));
    Err(Error::new(Code::MissingRole, detail))
}

/// Whoever has one of these has something to do with API clients.
const CLIENT_ROLES: [Role; 2] = [Role::CreateApiClients, Role::ManageApiClients];

fn authorize_pat(action: Action, own: PatId, narrowed: bool) -> Result<(), Error> {
    let allowed = match action {
        Action::ReadSelf => true,
        // Whether the owner may see API clients or everybody's tokens is asked where their roles are known.
        Action::ReadTokens | Action::ReadEverybodysTokens | Action::ReadClients => !narrowed,
        Action::RevokeToken(target) | Action::RotateToken(target) => target == own,
        Action::CreateToken
        | Action::PreviewToken
        | Action::DescribeToken
        | Action::RevokeTokens
        | Action::DeleteTokens
        | Action::IdentifyToken
        | Action::EndEverybodysTokens
        | Action::IdentifyAnyToken
        | Action::CreateClient
        | Action::ReadClientSecret
        | Action::ChangeClients
        | Action::SetQuota
        | Action::ReadAudit
        | Action::IntrospectTokens => false,
    };
    if allowed {
        return Ok(());
    }
    Err(Error::new(
        Code::PatNotAllowed,
        "A personal access token reads metadata and revokes or rotates itself; log in for anything else.",
    ))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::Timestamp;

    fn caller(credential: Credential, roles: &[Role]) -> Caller {
        Caller {
            user_id: UserId::new("u"),
            username: "u".to_owned(),
            roles: roles.iter().copied().collect(),
            account: None,
            client_id: None,
            credential,
            origin: Origin {
                address: [127, 0, 0, 1].into(),
                request_id: RequestId::new(Timestamp::from_seconds(0)),
            },
        }
    }

    /// The whole matrix: action by caller, `ok` or the code of the refusal.
    #[test]
    fn the_authorization_matrix() {
        let own = PatId::from(Uuid::from_u128(1));
        let other = PatId::from(Uuid::from_u128(2));
        let callers = [
            caller(Credential::AccessToken { impersonated: false }, &Role::ALL),
            caller(Credential::AccessToken { impersonated: false }, &[]),
            caller(Credential::AccessToken { impersonated: true }, &Role::ALL),
            caller(Credential::Pat { pat_id: own, narrowed: false }, &[]),
            caller(Credential::Pat { pat_id: own, narrowed: true }, &[]),
        ];
        let (ok, role, imp, pat) = ("ok", "missing-role", "impersonated", "pat-not-allowed");
        let rows = [
            (Action::CreateToken, [ok, role, imp, pat, pat]),
            (Action::PreviewToken, [ok, role, ok, pat, pat]),
            (Action::DescribeToken, [ok, ok, imp, pat, pat]),
            (Action::ReadTokens, [ok, ok, ok, ok, pat]),
            (Action::ReadSelf, ["not-found", "not-found", "not-found", ok, ok]),
            (Action::RevokeToken(own), [ok, ok, imp, ok, ok]),
            (Action::RevokeToken(other), [ok, ok, imp, pat, pat]),
            (Action::RevokeTokens, [ok, ok, imp, pat, pat]),
            (Action::RotateToken(own), [ok, role, imp, ok, ok]),
            (Action::RotateToken(other), [ok, role, imp, pat, pat]),
            (Action::DeleteTokens, [ok, ok, imp, pat, pat]),
            (Action::IdentifyToken, [ok, ok, ok, pat, pat]),
            (Action::ReadEverybodysTokens, [ok, role, ok, ok, pat]),
            (Action::EndEverybodysTokens, [ok, role, imp, pat, pat]),
            (Action::IdentifyAnyToken, [ok, role, ok, pat, pat]),
            (Action::ReadClients, [ok, role, ok, ok, pat]),
            (Action::CreateClient, [ok, role, imp, pat, pat]),
            (Action::ReadClientSecret, [ok, role, imp, pat, pat]),
            (Action::ChangeClients, [ok, role, imp, pat, pat]),
            (Action::SetQuota, [ok, role, imp, pat, pat]),
            (Action::ReadAudit, [ok, role, ok, pat, pat]),
            (Action::IntrospectTokens, [ok, role, ok, pat, pat]),
        ];
        for (action, expected) in rows {
            for (caller, expected) in callers.iter().zip(expected) {
                let found = caller.authorize(action).map_or_else(|e| e.code().name(), |()| "ok");
                assert_eq!(found, expected, "{action:?} by {:?}", caller.credential);
            }
        }
    }

    #[test]
    fn role_names_are_found_again() {
        for role in Role::ALL {
            assert_eq!(Role::find(role.name()), Some(role));
        }
        assert_eq!(Role::find("offline_access"), None);
    }
}
