//! What to say about a key that no section asks for.

use std::collections::BTreeSet;

use crate::spelling;

/// Settings that are planned and that this version does not have yet.
const LATER: &[&str] = &["api_keys.enabled", "api_keys.header", "telemetry.otlp_endpoint"];

/// Why the key is refused, and what is allowed in its place.
pub(super) fn reason(key: &str, known: &BTreeSet<String>) -> String {
    if LATER.iter().any(|later| *later == key || section_of(key, later)) {
        return "belongs to a part that this version does not have yet".to_owned();
    }
    if let Some(near) = nearest(key, known) {
        return format!("is not a setting; did you mean `{near}`?");
    }
    let section = key.split_once('.').map_or(key, |(section, _)| section);
    let siblings = quoted(known.iter().filter(|name| section_of(name, section)));
    if siblings.is_empty() {
        let sections: BTreeSet<_> =
            known.iter().filter_map(|name| name.split('.').next()).collect();
        return format!(
            "is not a setting: there is no section `{section}`; allowed: {}",
            quoted(sections)
        );
    }
    format!("is not a setting; allowed: {siblings}")
}

/// Whether the key names a section that some setting is in, of this version or of a later one.
pub(super) fn is_section(key: &str, known: &BTreeSet<String>) -> bool {
    known.iter().map(String::as_str).chain(LATER.iter().copied()).any(|name| section_of(name, key))
}

fn section_of(name: &str, section: &str) -> bool {
    name.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

/// The known key that was probably meant: misspelled, or without its section.
fn nearest<'a>(key: &str, known: &'a BTreeSet<String>) -> Option<&'a str> {
    let names = known.iter().map(String::as_str);
    let without_section = names.clone().find(|name| ends_section(name, key));
    without_section.or_else(|| spelling::nearest(key, names))
}

fn ends_section(name: &str, key: &str) -> bool {
    name.split_once('.').is_some_and(|(_, last)| last == key)
}

fn quoted(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    names.join(", ")
}
