//! Who calls, by what credential. What that allows is [`crate::access`]'s.

use std::collections::BTreeSet;
use std::net::IpAddr;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_names_are_found_again() {
        for role in Role::ALL {
            assert_eq!(Role::find(role.name()), Some(role));
        }
        assert_eq!(Role::find("offline_access"), None);
    }
}
