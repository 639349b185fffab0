//! One door for rights: what a caller may do, by what credential and with which roles. The authorization matrix in one place.
//!
//! 1. [`Caller::authorize`] decides by the credential: the action, impersonation, narrowing, and the roles that an access token
//!    says. It asks nobody, so handlers ask it first.
//! 2. [`Access::allow`] decides by the roles of who calls with a personal access token, too, which it does not say: Keycloak is
//!    asked.
//!
//! What belongs to somebody else is not decided here: it is not found.

use std::collections::BTreeSet;

use crate::error::{Code, Error};
use crate::id::PatId;
use crate::owner::{Authority, Owners};
use crate::principal::{Caller, Credential, Role};

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

/// Whoever has one of these has something to do with API clients.
const CLIENT_ROLES: [Role; 2] = [Role::CreateApiClients, Role::ManageApiClients];

impl Action {
    /// The roles of which a person needs one; empty: none is needed.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::CreateToken | Self::PreviewToken | Self::RotateToken(_) => &[Role::CreateTokens],
            Self::ReadEverybodysTokens | Self::EndEverybodysTokens | Self::IdentifyAnyToken => {
                &[Role::ManageTokens]
            }
            Self::ReadClients | Self::ReadClientSecret | Self::ChangeClients => &CLIENT_ROLES,
            Self::CreateClient => &[Role::CreateApiClients],
            Self::SetQuota => &[Role::ManageApiClients],
            Self::ReadAudit => &[Role::ReadAudit],
            Self::IntrospectTokens => &[Role::IntrospectTokens],
            Self::DescribeToken
            | Self::ReadTokens
            | Self::ReadSelf
            | Self::RevokeToken(_)
            | Self::RevokeTokens
            | Self::DeleteTokens
            | Self::IdentifyToken => &[],
        }
    }

    /// Refuses whoever holds none of the roles that it needs.
    pub fn require(self, held: &BTreeSet<Role>) -> Result<(), Error> {
        let needed = self.roles();
        if needed.is_empty() || needed.iter().any(|role| held.contains(role)) {
            return Ok(());
        }
        let names: Vec<_> = needed.iter().map(|role| format!("`{}`", role.name())).collect();
        let detail =
            format!("This needs the role {} of the client `hallpass`.", names.join(" or "));
        Err(Error::new(Code::MissingRole, detail))
    }

    /// Whether it only reads, and shows no secret: an administrator in a user's name may do that.
    const fn reads(self) -> bool {
        matches!(
            self,
            Self::ReadTokens
                | Self::ReadSelf
                | Self::ReadEverybodysTokens
                | Self::IdentifyToken
                | Self::IdentifyAnyToken
                | Self::PreviewToken
                | Self::ReadClients
                | Self::ReadAudit
                | Self::IntrospectTokens
        )
    }

    /// Whether a personal access token may do it at all.
    fn is_for_pat(self, own: PatId, narrowed: bool) -> bool {
        match self {
            Self::ReadSelf => true,
            Self::ReadTokens | Self::ReadEverybodysTokens | Self::ReadClients => !narrowed,
            Self::RevokeToken(target) | Self::RotateToken(target) => target == own,
            Self::CreateToken
            | Self::PreviewToken
            | Self::DescribeToken
            | Self::RevokeTokens
            | Self::DeleteTokens
            | Self::IdentifyToken
            | Self::EndEverybodysTokens
            | Self::IdentifyAnyToken
            | Self::CreateClient
            | Self::ReadClientSecret
            | Self::ChangeClients
            | Self::SetQuota
            | Self::ReadAudit
            | Self::IntrospectTokens => false,
        }
    }
}

impl Caller {
    /// The personal access token that calls.
    pub fn calling_token(&self) -> Result<PatId, Error> {
        match self.credential {
            Credential::Pat { pat_id, .. } => Ok(pat_id),
            Credential::AccessToken { .. } => Err(no_token_calls()),
        }
    }

    /// Whether the caller may do this, as far as the credential says.
    pub fn authorize(&self, action: Action) -> Result<(), Error> {
        match self.credential {
            Credential::AccessToken { .. } if action == Action::ReadSelf => Err(no_token_calls()),
            Credential::AccessToken { impersonated: true } if !action.reads() => Err(Error::new(
                Code::Impersonated,
                "An impersonated session reads; only the user can change something.",
            )),
            Credential::AccessToken { .. } => action.require(&self.roles),
            Credential::Pat { pat_id, narrowed } if action.is_for_pat(pat_id, narrowed) => Ok(()),
            Credential::Pat { .. } => Err(Error::new(
                Code::PatNotAllowed,
                "A personal access token reads metadata and revokes or rotates itself; log in for anything else.",
            )),
        }
    }
}

fn no_token_calls() -> Error {
    let detail =
        "No personal access token calls: use one here, or the same call with a token's id.";
    Error::new(Code::NotFound, detail)
}

/// The door. Clones share everything.
#[derive(Clone)]
pub struct Access {
    owners: Owners,
}

impl Access {
    /// Asks Keycloak about owners in this way.
    #[must_use]
    pub const fn new(owners: Owners) -> Self {
        Self { owners }
    }

    /// Roles and account of the caller, if they may do this.
    pub async fn allow(&self, caller: &Caller, action: Action) -> Result<Authority, Error> {
        caller.authorize(action)?;
        let authority = match caller.credential {
            Credential::AccessToken { .. } => {
                Authority { roles: caller.roles.clone(), account: caller.account.clone() }
            }
            Credential::Pat { .. } => self.owners.get_token_authority(&caller.user_id).await?,
        };
        action.require(&authority.roles)?;
        Ok(authority)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::Timestamp;
    use crate::id::{RequestId, UserId};
    use crate::principal::Origin;

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
}
