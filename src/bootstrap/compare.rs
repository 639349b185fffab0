//! Comparing what is wanted with what is there. Pure.

use serde_json::Value;

/// The names of the members of `wanted` that `found` has differently. Members that are not wanted do not
/// count; the order of lists does not either.
pub(crate) fn differences(wanted: &Value, found: &Value) -> Vec<String> {
    let mut names = Vec::new();
    collect("", wanted, found, &mut names);
    names
}

/// `found` with everything that is wanted put in.
pub(super) fn merge(wanted: &Value, found: &Value) -> Value {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let mut merged = found.clone();
            for (name, value) in wanted {
                let before = found.get(name).unwrap_or(&Value::Null);
                merged.insert(name.clone(), merge(value, before));
            }
            Value::Object(merged)
        }
        _ => wanted.clone(),
    }
}

fn collect(path: &str, wanted: &Value, found: &Value, names: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(wanted), _) => {
            for (name, value) in wanted {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(&path, value, &found[name.as_str()], names);
            }
        }
        (Value::Array(wanted), Value::Array(found)) if same_members(wanted, found) => {}
        // Keycloak leaves out what is empty.
        (Value::Array(wanted), Value::Null) if wanted.is_empty() => {}
        // An attribute that is not there is off.
        (Value::String(wanted), Value::Null) if wanted == "false" => {}
        _ if wanted == found => {}
        _ => names.push(path.to_owned()),
    }
}

fn same_members(one: &[Value], other: &[Value]) -> bool {
    one.len() == other.len() && one.iter().all(|member| other.contains(member))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_wanted_counts() {
        let found = json!({"a": 1, "list": ["x", "y"], "attributes": {"p": "q", "other": "z"}});
        assert!(differences(&json!({"a": 1, "list": ["y", "x"]}), &found).is_empty());
        let same = json!({"attributes": {"p": "q", "off": "false"}, "gone": []});
        assert!(differences(&same, &found).is_empty());
        assert_eq!(
            differences(
                &json!({"a": 2, "attributes": {"p": "r", "new": "s"}, "list": ["x"]}),
                &found
            ),
            ["a", "attributes.new", "attributes.p", "list"]
        );
    }

    #[test]
    fn a_merge_keeps_what_nobody_spoke_of_and_then_nothing_differs() {
        let wanted = json!({"a": 2, "attributes": {"p": "r"}});
        let merged = merge(&wanted, &json!({"a": 1, "b": 3, "attributes": {"p": "q", "o": "z"}}));
        assert_eq!(merged, json!({"a": 2, "b": 3, "attributes": {"p": "r", "o": "z"}}));
        assert!(differences(&wanted, &merged).is_empty());
    }
}
