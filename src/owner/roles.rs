//! Effective roles, compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Clients that every realm has from the start: their roles concern Keycloak, not those who accept tokens.
const KEYCLOAKS_OWN: [&str; 6] = [
    "account",
    "account-console",
    "admin-cli",
    "broker",
    "realm-management",
    "security-admin-console",
];

/// Whether this is one of Keycloak's own clients. In the realm `master` each other realm has one too.
#[must_use]
pub fn is_keycloaks_own_client(client_id: &str) -> bool {
    KEYCLOAKS_OWN.contains(&client_id) || client_id == "master-realm"
}

/// The roles that a token can carry: realm roles, and those of clients that are not Keycloak's own. As
/// JSON they are canonical: sorted, without empty lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    realm: BTreeSet<String>,
    clients: BTreeMap<String, BTreeSet<String>>,
}

impl Roles {
    /// Reads `realm_access` and `resource_access` as Keycloak's role mappers write them. A user without
    /// roles has neither; a malformed one is an error, never "no roles".
    pub fn from_claims(claims: &Map<String, Value>) -> Result<Self, &'static str> {
        let realm = match claims.get("realm_access") {
            None => BTreeSet::new(),
            Some(access) => names(access)?,
        };
        let mut clients = BTreeMap::new();
        let access = match claims.get("resource_access") {
            None => &Map::new(),
            Some(access) => access.as_object().ok_or("resource_access is no object")?,
        };
        for (client, access) in access {
            let names = names(access)?;
            if !names.is_empty() && !is_keycloaks_own_client(client) {
                clients.insert(client.clone(), names);
            }
        }
        Ok(Self { realm, clients })
    }

    /// Canonical JSON: equal roles, equal text.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

fn names(access: &Value) -> Result<BTreeSet<String>, &'static str> {
    let roles = access.get("roles").and_then(Value::as_array).ok_or("an access has no roles")?;
    roles.iter().map(|role| Ok(role.as_str().ok_or("a role is no text")?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn roles(claims: &Value) -> Result<Roles, &'static str> {
        Roles::from_claims(claims.as_object().unwrap())
    }

    #[test]
    fn the_order_of_the_answer_does_not_matter() {
        let one = json!({"realm_access": {"roles": ["b", "a"]}, "resource_access":
            {"y": {"roles": ["q"]}, "x": {"roles": ["p", "r"]}}});
        let two = json!({"resource_access": {"x": {"roles": ["r", "p"]}, "y": {"roles": ["q"]}},
            "realm_access": {"roles": ["a", "b"]}});
        assert_eq!(
            roles(&one).unwrap().to_json().unwrap(),
            roles(&two).unwrap().to_json().unwrap()
        );
        assert_eq!(
            roles(&one).unwrap().to_json().unwrap(),
            r#"{"realm":["a","b"],"clients":{"x":["p","r"],"y":["q"]}}"#
        );
    }

    #[test]
    fn keycloaks_own_clients_do_not_count() {
        let with = json!({"resource_access": {"account": {"roles": ["view-profile"]},
            "realm-management": {"roles": ["manage-users"]}, "empty": {"roles": []}}});
        assert_eq!(roles(&with).unwrap(), Roles::default());
        assert_eq!(roles(&json!({})).unwrap(), Roles::default());
    }

    #[test]
    fn what_is_malformed_is_never_no_roles() {
        for claims in [
            json!({"realm_access": []}),
            json!({"realm_access": {"roles": "admin"}}),
            json!({"realm_access": {"roles": [1]}}),
            json!({"resource_access": ["x"]}),
            json!({"resource_access": {"x": {}}}),
        ] {
            assert!(roles(&claims).is_err(), "{claims}");
        }
    }
}
