//! What a user may do at Hallpass, as their access token says it: roles on our client, and the account.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::ClaimPath;
use crate::id::AccountId;
use crate::principal::Role;

/// The user attribute that names a person's account.
pub const ACCOUNT_ATTRIBUTE: &str = "account_id";

/// Roles and account of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// The roles on the client `hallpass`.
    pub roles: BTreeSet<Role>,
    /// The account; `None` where the claim is missing or malformed.
    pub account: Option<AccountId>,
}

/// Where claims say so.
#[derive(Clone, Debug)]
pub struct AuthorityRule {
    client_id: Arc<str>,
    account_claim: Arc<ClaimPath>,
}

impl AuthorityRule {
    /// Roles are those on `client_id`, the account stands in `account_claim`.
    #[must_use]
    pub fn new(client_id: &str, account_claim: ClaimPath) -> Self {
        Self { client_id: client_id.into(), account_claim: Arc::new(account_claim) }
    }

    /// The client whose access tokens say it.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Reads it. What is malformed gives nothing.
    #[must_use]
    pub fn read(&self, claims: &Map<String, Value>) -> Authority {
        let roles = claims
            .get("resource_access")
            .and_then(|access| access.get(&*self.client_id))
            .and_then(|access| access.get("roles"))
            .and_then(Value::as_array);
        let account = self.account_claim.find(claims).and_then(Value::as_str);
        Authority {
            roles: roles
                .into_iter()
                .flatten()
                .filter_map(|role| Role::find(role.as_str()?))
                .collect(),
            account: account.and_then(AccountId::parse),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{BootstrapSettings, Sources};

    fn rule() -> AuthorityRule {
        let environment = [("KEYCLOAK__URL", "http://sso.example"), ("KEYCLOAK__REALM", "demo")]
            .map(|(name, value)| (format!("HALLPASS_{name}").into(), value.into()));
        let sources = Sources { environment: environment.into(), ..Sources::default() };
        AuthorityRule::new("hallpass", BootstrapSettings::load(&sources).unwrap().account_claim)
    }

    #[test]
    fn an_account_is_one_well_formed_text() {
        for (claim, account) in [
            (json!("acme"), Some("acme")),
            (json!(["acme"]), None),
            (json!(""), None),
            (json!("a b"), None),
            (json!("acme/../other"), None),
            (json!(7), None),
            (Value::Null, None),
        ] {
            let found = rule().read(json!({"account_id": claim}).as_object().unwrap()).account;
            assert_eq!(found.as_ref().map(AccountId::as_str), account, "{claim}");
        }
    }

    #[test]
    fn only_our_roles_on_our_client_count() {
        let claims = json!({"resource_access": {
            "hallpass": {"roles": ["create-tokens", "unknown", 1]}, "other": {"roles": ["manage-tokens"]}}});
        let found = rule().read(claims.as_object().unwrap());
        assert_eq!(found.roles, BTreeSet::from([Role::CreateTokens]));
    }
}
