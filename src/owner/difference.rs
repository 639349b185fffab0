//! What of a user's roles is new, and what is gone.

use std::collections::BTreeSet;
use std::fmt;

use super::Roles;

/// How many names a line of the log shows, and how much of each.
const MOST_NAMES: usize = 50;
const LONGEST_NAME: usize = 100;

/// Names that are new, and names that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    added: Vec<String>,
    removed: Vec<String>,
}

impl Names {
    pub(super) fn between(before: &BTreeSet<String>, now: &BTreeSet<String>) -> Self {
        Self {
            added: now.difference(before).cloned().collect(),
            removed: before.difference(now).cloned().collect(),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// `added a, b; removed c`, `of` before each, as long as a line of a log may be.
pub(super) fn write_changes(f: &mut fmt::Formatter<'_>, of: &str, names: &Names) -> fmt::Result {
    let parts = [("added", &names.added), ("removed", &names.removed)];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    for (position, (word, names)) in parts.enumerate() {
        let separator = if position > 0 { "; " } else { "" };
        let shown: Vec<_> = names.iter().take(MOST_NAMES).map(|name| cut(name)).collect();
        write!(f, "{separator}{of}{word} {}", shown.join(", "))?;
        if let Some(more) = names.len().checked_sub(MOST_NAMES).filter(|more| *more > 0) {
            write!(f, " and {more} more")?;
        }
    }
    Ok(())
}

fn cut(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// The difference between an owner's roles at two moments, as names: `name` of the realm, `client:name` of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolesDifference(Names);

impl RolesDifference {
    /// What lies between `before` and `now`.
    #[must_use]
    pub fn between(before: &Roles, now: &Roles) -> Self {
        Self(Names::between(&before.names().collect(), &now.names().collect()))
    }

    /// The roles that are new.
    #[must_use]
    pub fn added(&self) -> &[String] {
        &self.0.added
    }

    /// The roles that are gone.
    #[must_use]
    pub fn removed(&self) -> &[String] {
        &self.0.removed
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `added a, b; removed client:c`.
impl fmt::Display for RolesDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_changes(f, "", &self.0)
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
    fn a_difference_is_bounded() {
        let many: Vec<_> =
            (0..1_000).map(|number| format!("{number}{}", "ä".repeat(500))).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let (all, none) = (roles(&many, &json!({})), Roles::default());
        for (before, now) in [(&all, &none), (&none, &all)] {
            let text = RolesDifference::between(before, now).to_string();
            assert!(text.len() < 12_000 && text.ends_with("… and 950 more"), "{text}");
        }
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
