//! Effective roles, compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::role_name::NamedRole;

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
/// JSON they are canonical: sorted, without empty lists. Their names are copies, or borrowed from the claims that say them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles<S: Ord = String> {
    realm: BTreeSet<S>,
    clients: BTreeMap<S, BTreeSet<S>>,
}

impl<'a, S: Ord + From<&'a str>> Roles<S> {
    /// Reads `realm_access` and `resource_access` as Keycloak's role mappers write them. A user without
    /// roles has neither; a malformed one is an error, never "no roles".
    pub fn from_claims(claims: &'a Map<String, Value>) -> Result<Self, &'static str> {
        let realm = match claims.get("realm_access") {
            None => BTreeSet::new(),
            Some(access) => names(access)?,
        };
        let mut clients = BTreeMap::new();
        let access = claims.get("resource_access");
        let access = access.map(|access| access.as_object().ok_or("resource_access is no object"));
        for (client, access) in access.transpose()?.into_iter().flatten() {
            let names = names(access)?;
            if !names.is_empty() && !is_keycloaks_own_client(client) {
                clients.insert(client.as_str().into(), names);
            }
        }
        Ok(Self { realm, clients })
    }
}

impl<S: Ord + AsRef<str>> Roles<S> {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = NamedRole<'_>> {
        let of_realm =
            self.realm.iter().map(|name| NamedRole { client: None, name: name.as_ref() });
        let of_clients = self.clients.iter().flat_map(|(client, names)| {
            let client = Some(client.as_ref());
            names.iter().map(move |name| NamedRole { client, name: name.as_ref() })
        });
        of_realm.chain(of_clients)
    }
}

impl<S: Ord + Serialize> Roles<S> {
    /// Canonical JSON: equal roles, equal text.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

impl Roles {
    /// Those of them that `name` or `client:name` may mean. Either name may have colons: then they are several.
    #[must_use]
    pub fn named(&self, text: &str) -> Self {
        let realm = self.realm.get(text).cloned().into_iter().collect();
        let clients = self.clients.iter().filter_map(|(client, roles)| {
            let role = roles.get(text.strip_prefix(client.as_str())?.strip_prefix(':')?)?;
            Some((client.clone(), BTreeSet::from([role.clone()])))
        });
        Self { realm, clients: clients.collect() }
    }

    /// These without all that one of `denied` may mean, and what that is.
    #[must_use]
    pub fn without(mut self, denied: &[String]) -> (Self, Self) {
        let mut left_out = Self::default();
        for name in denied {
            left_out.extend(self.named(name));
        }
        self.realm.retain(|role| !left_out.realm.contains(role));
        for (client, names) in &left_out.clients {
            if let Some(had) = self.clients.get_mut(client) {
                had.retain(|role| !names.contains(role));
            }
        }
        self.clients.retain(|_, names| !names.is_empty());
        (self, left_out)
    }

    /// Whether the realm's role of this name is among them.
    #[must_use]
    pub fn has_realm_role(&self, name: &str) -> bool {
        self.realm.contains(name)
    }

    /// Whether this client's role of this name is among them.
    #[must_use]
    pub fn has_client_role(&self, client: &str, name: &str) -> bool {
        self.clients.get(client).is_some_and(|names| names.contains(name))
    }

    /// Whether one of them has this name, with or without its client's before it.
    #[must_use]
    pub fn has_name(&self, text: &str) -> bool {
        self.clients.values().any(|names| names.contains(text)) || !self.named(text).is_empty()
    }

    /// How roles are written that somebody may mean by `text`: without the client, or in other letters.
    #[must_use]
    pub fn meant_by(&self, text: &str) -> Vec<String> {
        let last = |name: &str| name.rsplit(':').next().unwrap_or_default().to_lowercase();
        let text = text.trim().to_lowercase();
        let exact: Vec<_> = self.names().filter(|name| name.to_lowercase() == text).collect();
        let end = last(&text);
        if !exact.is_empty() || end.is_empty() {
            return exact;
        }
        self.names().filter(|name| last(name) == end).collect()
    }

    /// Their names: `name` of the realm, `client:name` of a client.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        let of_clients = self
            .clients
            .iter()
            .flat_map(|(client, roles)| roles.iter().map(move |role| format!("{client}:{role}")));
        self.realm.iter().cloned().chain(of_clients)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.realm.len() + self.clients.values().map(BTreeSet::len).sum::<usize>()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether these are among the others.
    #[must_use]
    pub fn is_within(&self, others: &Self) -> bool {
        let has = |client: &String, names: &BTreeSet<String>| {
            names.is_empty() || others.clients.get(client).is_some_and(|all| names.is_subset(all))
        };
        self.realm.is_subset(&others.realm)
            && self.clients.iter().all(|(client, names)| has(client, names))
    }

    /// Adds these.
    pub fn extend(&mut self, others: Self) {
        self.realm.extend(others.realm);
        for (client, roles) in others.clients {
            self.clients.entry(client).or_default().extend(roles);
        }
    }

    /// `realm_access` and `resource_access` as Keycloak's role mappers write them, absent where they would be empty.
    #[must_use]
    pub fn to_claims(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        if !self.realm.is_empty() {
            claims.insert("realm_access".to_owned(), json!({"roles": self.realm}));
        }
        let clients = self.clients.iter().filter(|(_, roles)| !roles.is_empty());
        let access: Map<_, _> =
            clients.map(|(client, roles)| (client.clone(), json!({"roles": roles}))).collect();
        if !access.is_empty() {
            claims.insert("resource_access".to_owned(), Value::Object(access));
        }
        claims
    }

    /// Reads what [`Self::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

fn names<'a, S: Ord + From<&'a str>>(access: &'a Value) -> Result<BTreeSet<S>, &'static str> {
    let roles = access.get("roles").and_then(Value::as_array).ok_or("an access has no roles")?;
    roles.iter().map(|role| Ok(role.as_str().ok_or("a role is no text")?.into())).collect()
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
        let text = roles(&one).unwrap().to_json().unwrap();
        assert_eq!(Roles::from_json(&text).unwrap(), roles(&two).unwrap());
        assert!(Roles::from_json("[]").is_err());
    }

    #[test]
    fn keycloaks_own_clients_do_not_count() {
        let with = json!({"resource_access": {"account": {"roles": ["view-profile"]},
            "realm-management": {"roles": ["manage-users"]}, "empty": {"roles": []}}});
        assert_eq!(roles(&with).unwrap(), Roles::default());
        assert_eq!(roles(&json!({})).unwrap(), Roles::default());
    }

    #[test]
    fn a_name_is_read_at_every_colon() {
        let had = json!({"realm_access": {"roles": ["plain", "a:b:c", "a:x"]}, "resource_access":
            {"a": {"roles": ["b:c", "y"]}, "a:b": {"roles": ["c", ":"]}, "": {"roles": ["z"]}}});
        let had = roles(&had).unwrap();
        for (text, count) in [
            ("plain", 1),
            ("a:x", 1),
            ("a:y", 1),
            ("a:b::", 1),
            (":z", 1),
            ("a:b:c", 3),
            ("b:c", 0),
            ("a:", 0),
            ("a", 0),
            ("", 0),
            ("Plain", 0),
        ] {
            assert_eq!(had.named(text).len(), count, "{text}");
        }
        assert_eq!(
            had.named("a:y"),
            roles(&json!({"resource_access": {"a": {"roles": ["y"]}}})).unwrap()
        );
    }

    #[test]
    fn roles_within_others() {
        let of = |realm: &[&str], clients: &Value| {
            Roles::from_json(&json!({"realm": realm, "clients": clients}).to_string()).unwrap()
        };
        let (none, some) = (json!({}), json!({"x": ["p", "q"]}));
        for (these, others, within) in [
            (of(&[], &none), of(&[], &none), true),
            (of(&["a"], &none), of(&["a", "b"], &some), true),
            (of(&["a"], &some), of(&["a", "b"], &some), true),
            (of(&[], &json!({"x": ["p"], "y": []})), of(&[], &some), true),
            (of(&["a", "b"], &none), of(&["a"], &some), false),
            (of(&[], &some), of(&["a"], &json!({"x": ["p"]})), false),
            // The same name of another client, or of the realm, is another role.
            (of(&[], &json!({"y": ["p"]})), of(&["p"], &some), false),
            (of(&["p"], &none), of(&[], &some), false),
        ] {
            assert_eq!(these.is_within(&others), within, "{these:?} {others:?}");
        }
    }

    #[test]
    fn what_is_denied_is_left_out_whatever_it_may_mean() {
        let had = json!({"realm_access": {"roles": ["plain", "a:b"]}, "resource_access":
            {"a": {"roles": ["b", "c"]}, "x": {"roles": ["plain"]}}});
        for (denied, kept, left_out) in [
            (vec![], vec!["a:b", "plain", "a:b", "a:c", "x:plain"], vec![]),
            (
                vec!["none", "x", "b", "y:plain"],
                vec!["a:b", "plain", "a:b", "a:c", "x:plain"],
                vec![],
            ),
            (vec!["plain"], vec!["a:b", "a:b", "a:c", "x:plain"], vec!["plain"]),
            (vec!["x:plain", "a:c"], vec!["a:b", "plain", "a:b"], vec!["a:c", "x:plain"]),
            // Two roles may be meant: both are.
            (vec!["a:b"], vec!["plain", "a:c", "x:plain"], vec!["a:b", "a:b"]),
        ] {
            let denied: Vec<_> = denied.into_iter().map(str::to_owned).collect();
            let (roles, without) = roles(&had).unwrap().without(&denied);
            assert_eq!(roles.names().collect::<Vec<_>>(), kept, "{denied:?}");
            assert_eq!(without.names().collect::<Vec<_>>(), left_out, "{denied:?}");
            // Without empty lists, so that equal roles are equal text.
            assert!(!roles.to_json().unwrap().contains("[]") || roles.realm.is_empty());
        }
    }

    #[test]
    fn what_somebody_may_have_meant() {
        let had = json!({"realm_access": {"roles": ["analyst"]}, "resource_access":
            {"hallpass": {"roles": ["create-tokens"]}, "lake": {"roles": ["read"]}, "sea": {"roles": ["read"]}}});
        for (text, meant) in [
            ("create-tokens", vec!["hallpass:create-tokens"]),
            ("read", vec!["lake:read", "sea:read"]),
            ("LAKE:Read ", vec!["lake:read"]),
            ("Analyst", vec!["analyst"]),
            ("reports:analyst", vec!["analyst"]),
            ("hallpas:create-tokens", vec!["hallpass:create-tokens"]),
            ("nothing", vec![]),
            ("", vec![]),
            (":", vec![]),
        ] {
            assert_eq!(roles(&had).unwrap().meant_by(text), meant, "{text}");
        }
    }

    #[test]
    fn claims_are_read_back_as_they_were_written() {
        for claims in [
            json!({}),
            json!({"realm_access": {"roles": ["a", "b"]}}),
            json!({"realm_access": {"roles": ["a"]}, "resource_access": {"x": {"roles": ["p", "q"]}}}),
        ] {
            let had = roles(&claims).unwrap();
            assert_eq!(Value::Object(had.to_claims()), claims);
            let mut twice = had.clone();
            twice.extend(had.clone());
            assert_eq!((twice.is_empty(), twice), (claims == json!({}), had));
        }
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
