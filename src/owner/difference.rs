//! What of a user's roles is new, and what is gone.

use std::collections::BTreeSet;
use std::fmt;

use super::Roles;

/// The difference between an owner's roles at two moments, as names: `name` of the realm, `client:name` of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolesDifference {
    added: Vec<String>,
    removed: Vec<String>,
}

impl RolesDifference {
    /// What lies between `before` and `now`.
    #[must_use]
    pub fn between(before: &Roles, now: &Roles) -> Self {
        let (before, now): (BTreeSet<_>, BTreeSet<_>) =
            (before.names().collect(), now.names().collect());
        Self {
            added: now.difference(&before).cloned().collect(),
            removed: before.difference(&now).cloned().collect(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// `added a, b; removed client:c`.
impl fmt::Display for RolesDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("added", &self.added), ("removed", &self.removed)];
        let mut parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        if let Some((word, names)) = parts.next() {
            write!(f, "{word} {}", names.join(", "))?;
        }
        for (word, names) in parts {
            write!(f, "; {word} {}", names.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn roles(realm: &[&str], clients: &Value) -> Roles {
        Roles::from_json(&json!({"realm": realm, "clients": clients}).to_string()).unwrap()
    }

    #[test]
    fn differences() {
        let none = json!({});
        for (before, now, text) in [
            (roles(&[], &none), roles(&[], &none), ""),
            (roles(&["a"], &none), roles(&["a"], &none), ""),
            (roles(&["b", "c"], &none), roles(&["a", "b"], &none), "added a; removed c"),
            (roles(&["a", "b"], &none), roles(&[], &none), "removed a, b"),
            (
                roles(&[], &json!({"x": ["r", "s"]})),
                roles(&[], &json!({"x": ["s", "t"]})),
                "added x:t; removed x:r",
            ),
            // The same name of another client is another role.
            (roles(&["r"], &none), roles(&[], &json!({"x": ["r"]})), "added x:r; removed r"),
            (
                roles(&[], &json!({"x": ["r"]})),
                roles(&[], &json!({"y": ["r"]})),
                "added y:r; removed x:r",
            ),
        ] {
            let difference = RolesDifference::between(&before, &now);
            assert_eq!(difference.to_string(), text, "{before:?} {now:?}");
            assert_eq!(difference.is_empty(), before == now);
        }
    }
}
