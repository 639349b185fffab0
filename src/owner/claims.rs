//! Claims that carry authority, such as groups: what a token says by them, and what changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::difference::{Names, write_changes};
use crate::config::ClaimPath;

/// Which claims carry authority, and whose evaluation shows them.
#[derive(Clone, Debug)]
pub struct AuthorityClaimsRule {
    client_id: Arc<str>,
    paths: Arc<[ClaimPath]>,
}

impl AuthorityClaimsRule {
    /// These claims, as the mappers of the designated client give them.
    #[must_use]
    pub fn new(client_id: &str, paths: &[ClaimPath]) -> Self {
        Self { client_id: client_id.into(), paths: paths.into() }
    }

    /// The designated client.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Those of the claims that carry authority. An empty one carries none.
    #[must_use]
    pub fn read(&self, claims: &Map<String, Value>) -> AuthorityClaims {
        let found = self.paths.iter().filter_map(|path| Some((path, path.find(claims)?)));
        let carried = found.filter(|(_, value)| !leaves(value).is_empty());
        AuthorityClaims(
            carried.map(|(path, value)| (path.as_str().to_owned(), canonical(value))).collect(),
        )
    }

    /// Those of the claims that count by the settings of today.
    #[must_use]
    pub fn among(&self, claims: AuthorityClaims) -> AuthorityClaims {
        let counts = |name: &str| self.paths.iter().any(|path| path.as_str() == name);
        AuthorityClaims(claims.0.into_iter().filter(|(name, _)| counts(name)).collect())
    }
}

/// Claims that carry authority, by their names in the settings: without the order of lists, which means nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityClaims(BTreeMap<String, Value>);

impl AuthorityClaims {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of these, what the owner has now; a claim that is not among these does not matter.
    #[must_use]
    pub fn difference(&self, now: &Self) -> ClaimsDifference {
        let changed = self.0.iter().filter(|(name, value)| now.0.get(*name) != Some(*value));
        let change = |(name, value): (&String, &Value)| {
            let then = leaves(value);
            let now = now.0.get(name).map(leaves).unwrap_or_default();
            (name.clone(), Names::between(&then, &now))
        };
        ClaimsDifference(changed.map(change).collect())
    }

    /// Whether nothing of these is missing among the others.
    #[must_use]
    pub fn is_within(&self, others: &Self) -> bool {
        self.0.iter().all(|(name, value)| {
            others.0.get(name).is_some_and(|other| leaves(value).is_subset(&leaves(other)))
        })
    }

    /// These, as far as the later ones do not say otherwise.
    #[must_use]
    pub fn updated(mut self, later: &Self) -> Self {
        for (name, value) in &mut self.0 {
            if let Some(later) = later.0.get(name) {
                value.clone_from(later);
            }
        }
        self
    }

    /// Canonical JSON: equal claims, equal text.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Reads what [`Self::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// What of claims is new, and what is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsDifference(Vec<(String, Names)>);

impl ClaimsDifference {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `groups added /a, /b; groups removed /c`, with a bound.
impl fmt::Display for ClaimsDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, names)) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("; ")?;
            }
            if names.is_empty() {
                write!(f, "{name} is written another way")?;
            } else {
                write_changes(f, &format!("{name} "), names)?;
            }
        }
        Ok(())
    }
}

/// Without the order of lists.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(list) => {
            let sorted: BTreeMap<_, _> =
                list.iter().map(canonical).map(|element| (element.to_string(), element)).collect();
            Value::Array(sorted.into_values().collect())
        }
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> =
                members.iter().map(|(name, value)| (name.clone(), canonical(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        plain => plain.clone(),
    }
}

/// All that a claim names: texts, elements of lists, and members of objects with what is below them.
fn leaves(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Null => BTreeSet::new(),
        Value::String(text) => BTreeSet::from([text.clone()]),
        Value::Bool(_) | Value::Number(_) => BTreeSet::from([value.to_string()]),
        Value::Array(list) => list.iter().flat_map(leaves).collect(),
        Value::Object(members) => {
            let of_member = |(name, value): (&String, &Value)| {
                let below = leaves(value);
                if below.is_empty() {
                    return BTreeSet::from([name.clone()]);
                }
                below.into_iter().map(|leaf| format!("{name}.{leaf}")).collect()
            };
            members.iter().flat_map(of_member).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{Settings, Sources};

    /// The rule of these settings.
    fn rule(names: &str) -> AuthorityClaimsRule {
        let environment = [
            ("KEYCLOAK__URL", "http://sso.example"),
            ("KEYCLOAK__REALM", "demo"),
            ("KEYCLOAK__CLIENT_SECRET", "secret"),
            ("STORE__ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            ("TOKENS__AUTHORITY_CLAIMS", names),
        ]
        .map(|(name, value)| (format!("HALLPASS_{name}").into(), value.into()));
        let sources = Sources { environment: environment.into(), ..Sources::default() };
        let tokens = Settings::load(&sources).unwrap().tokens;
        AuthorityClaimsRule::new(&tokens.client_id, &tokens.authority_claims)
    }

    fn read(claims: &Value) -> AuthorityClaims {
        rule("groups,organization,app.teams").read(claims.as_object().unwrap())
    }

    #[test]
    fn the_order_of_lists_does_not_matter_and_what_is_empty_is_not_carried() {
        let one = read(
            &json!({"groups": ["/b", "/a"], "organization": {"x": {"l": [2, 1]}, "a": {}}, "other": 1}),
        );
        let two = read(
            &json!({"organization": {"a": {}, "x": {"l": [1, 2]}}, "groups": ["/a", "/b", "/a"]}),
        );
        assert_eq!(one, two);
        let text = one.to_json().unwrap();
        assert_eq!(text, r#"{"groups":["/a","/b"],"organization":{"a":{},"x":{"l":[1,2]}}}"#);
        assert_eq!(AuthorityClaims::from_json(&text).unwrap(), one);
        for nothing in
            [json!({}), json!({"groups": [], "organization": null, "app": {"teams": {}}})]
        {
            assert!(read(&nothing).is_empty(), "{nothing}");
        }
        assert!(!read(&json!({"app": {"teams": "x"}})).is_empty());
        assert!(
            rule("organization").among(one).difference(&AuthorityClaims::default()).0.len() == 1
        );
    }

    #[test]
    fn differences() {
        let none = json!({});
        for (then, now, text) in [
            (json!({"groups": ["a"]}), json!({"groups": ["a"]}), ""),
            // What the token does not say does not matter.
            (none.clone(), json!({"groups": ["a"]}), ""),
            (json!({"groups": ["a"]}), none, "groups removed a"),
            (
                json!({"groups": ["a", "b"]}),
                json!({"groups": ["b", "c"]}),
                "groups added c; groups removed a",
            ),
            (
                json!({"groups": "admin"}),
                json!({"groups": "user"}),
                "groups added user; groups removed admin",
            ),
            (
                json!({"groups": ["a"], "organization": {"acme": {"id": "1"}}}),
                json!({"groups": ["a", "b"], "organization": {"acme": {"id": "2"}}}),
                "groups added b; organization added acme.id.2; organization removed acme.id.1",
            ),
            (json!({"groups": ["a"]}), json!({"groups": "a"}), "groups is written another way"),
            (json!({"app": {"teams": ["x"]}}), json!({"app": {}}), "app.teams removed x"),
        ] {
            let difference = read(&then).difference(&read(&now));
            assert_eq!(difference.to_string(), text, "{then} {now}");
            assert_eq!(difference.is_empty(), text.is_empty());
        }
    }

    #[test]
    fn a_difference_is_bounded() {
        let many: Vec<_> =
            (0..5_000).map(|number| format!("/{number}{}", "x".repeat(500))).collect();
        let then = read(&json!({"groups": many}));
        for now in [json!({}), json!({"groups": ["/one"]})] {
            let text = then.difference(&read(&now)).to_string();
            assert!(text.len() < 8_000 && text.ends_with("and 4950 more"), "{text}");
        }
    }

    #[test]
    fn what_was_lost_is_not_within_what_is_there() {
        for (then, now, within) in [
            (json!({"groups": ["a"]}), json!({"groups": ["a", "b"]}), true),
            (json!({}), json!({"groups": ["b"]}), true),
            (json!({"groups": ["a"]}), json!({"groups": ["b"]}), false),
            (json!({"groups": ["a"]}), json!({}), false),
            (
                json!({"organization": {"acme": {}}}),
                json!({"organization": {"acme": {}, "b": {}}}),
                true,
            ),
        ] {
            assert_eq!(read(&then).is_within(&read(&now)), within, "{then} {now}");
        }
    }

    #[test]
    fn what_was_accepted_replaces_what_the_token_says() {
        let at_issue = read(&json!({"groups": ["a"], "organization": "x"}));
        let accepted = read(&json!({"groups": ["a", "b"], "app": {"teams": "y"}}));
        let expected = read(&json!({"groups": ["a", "b"], "organization": "x"}));
        assert_eq!(at_issue.updated(&accepted), expected);
    }
}
