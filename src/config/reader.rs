//! Reads settings key by key and collects every problem, instead of stopping at the first.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use secrecy::SecretString;

use super::sources::{Layer, Raw, RawValue};
use super::{Problem, Problems, Sources};

/// Sections that the specification names and this version does not have yet.
const LATER: &[&str] =
    &["clients.", "lifecycle.", "api_keys.", "forward_auth.", "telemetry.otlp_endpoint"];

/// A setting, declared where it is read.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// `None`: it must be set.
    pub(super) default: Option<&'static str>,
    pub(super) allowed: &'static str,
    pub(super) meaning: &'static str,
}

/// Whether a setting that has no default may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

pub(super) struct Reader {
    layers: Vec<Layer>,
    problems: Vec<Problem>,
    asked: Vec<Key>,
    known: BTreeSet<String>,
}

impl Reader {
    pub(super) fn new(sources: &Sources) -> Self {
        let mut problems = Vec::new();
        let layers = sources.layers(&mut problems);
        Self { layers, problems, asked: Vec::new(), known: BTreeSet::new() }
    }

    /// One value, parsed; `None` after a problem.
    pub(super) fn value<T>(
        &mut self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.optional(key, Need::Required, parse).flatten()
    }

    /// As [`Reader::value`], for a setting that may be left out: `Some(None)`.
    #[expect(clippy::option_option, reason = "absent and wrong are different things here")]
    pub(super) fn optional<T>(
        &mut self,
        key: Key,
        need: Need,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        self.declare(key);
        let raw = match self.find(key.name).cloned() {
            Some(raw) => raw,
            None => match key.default {
                Some(default) => {
                    Raw { value: RawValue::Text(default.into()), origin: "default".into() }
                }
                None if need == Need::Optional => return Some(None),
                None => return self.missing(key),
            },
        };
        let RawValue::Text(text) = &raw.value else {
            return self.refuse(key, &raw.origin, "is a list");
        };
        match parse(text) {
            Ok(value) => Some(Some(value)),
            Err(reason) => self.refuse(key, &raw.origin, &reason),
        }
    }

    /// A list: an array in the file, commas elsewhere. Every bad entry is named.
    pub(super) fn list<T>(
        &mut self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        self.declare(key);
        let raw = self.find(key.name).cloned().unwrap_or_else(|| Raw {
            value: RawValue::Text(key.default.unwrap_or_default().to_owned()),
            origin: "default".to_owned(),
        });
        let entries: Vec<String> = match raw.value {
            RawValue::List(entries) => entries,
            RawValue::Text(text) => text
                .split(',')
                .map(|entry| entry.trim().to_owned())
                .filter(|entry| !entry.is_empty())
                .collect(),
        };
        let parsed: Vec<Option<T>> = entries
            .iter()
            .map(|entry| match parse(entry) {
                Ok(value) => Some(value),
                Err(reason) => self.refuse(key, &raw.origin, &reason),
            })
            .collect();
        parsed.into_iter().collect()
    }

    /// A secret: given itself, or as the path of a file that holds it (`key_file`). The highest layer
    /// that has either wins.
    #[expect(clippy::option_option, reason = "absent and wrong are different things here")]
    pub(super) fn secret<T>(
        &mut self,
        key: Key,
        need: Need,
        parse: impl FnOnce(SecretString) -> Result<T, String>,
    ) -> Option<Option<T>> {
        self.declare(key);
        let file_key = format!("{}_file", key.name);
        self.known.insert(file_key.clone());
        let found = self.layers.iter().rev().find_map(|layer| {
            let both = (layer.get(key.name).cloned(), layer.get(&file_key).cloned());
            (both.0.is_some() || both.1.is_some()).then_some(both)
        });
        let (text, origin) = match found {
            Some((Some(plain), Some(_))) => {
                return self.refuse(key, &plain.origin, "is given twice, itself and as a file");
            }
            Some((Some(Raw { value: RawValue::Text(text), origin }), None)) => (text, origin),
            Some((None, Some(Raw { value: RawValue::Text(path), .. }))) => {
                match fs::read_to_string(&path) {
                    Ok(text) => (text.trim_end_matches(['\r', '\n']).to_owned(), path),
                    Err(error) => {
                        return self.refuse(key, &path, &format!("cannot be read: {error}"));
                    }
                }
            }
            Some((Some(raw), None) | (None, Some(raw))) => {
                return self.refuse(key, &raw.origin, "is a list");
            }
            Some((None, None)) | None => match (key.default, need) {
                (Some(default), _) => (default.to_owned(), "default".to_owned()),
                (None, Need::Optional) => return Some(None),
                (None, Need::Required) => return self.missing(key),
            },
        };
        match parse(SecretString::from(text)) {
            Ok(value) => Some(Some(value)),
            Err(reason) => self.refuse(key, &origin, &reason),
        }
    }

    /// A problem that is not one key's own.
    pub(super) fn problem(&mut self, key: Key, reason: &str) {
        let origin = self.find(key.name).map_or("default", |raw| &raw.origin).to_owned();
        self.refuse::<()>(key, &origin, reason);
    }

    /// What was read, or all that is wrong.
    pub(super) fn finish<T>(mut self, read: Option<T>) -> Result<T, Problems> {
        for layer in &self.layers {
            for (key, raw) in layer.iter().filter(|(key, _)| !self.known.contains(*key)) {
                self.problems.push(Problem::new(key, &raw.origin, unknown(key, &self.known)));
            }
        }
        match read {
            Some(read) if self.problems.is_empty() => Ok(read),
            _ => Err(Problems(self.problems)),
        }
    }

    /// The settings that were asked for, as Markdown.
    pub(super) fn reference(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for key in &self.asked {
            let (of, _) = key.name.split_once('.').unwrap_or((key.name, ""));
            if of != section {
                section = of;
                let _ = write!(
                    text,
                    "\n## `{section}`\n\n| key | default | allowed | meaning |\n|---|---|---|---|\n"
                );
            }
            let default = match key.default {
                Some("") => "empty".to_owned(),
                Some(default) => format!("`{default}`"),
                None => "none".to_owned(),
            };
            let _ = writeln!(
                text,
                "| `{}` | {default} | {} | {} |",
                key.name, key.allowed, key.meaning
            );
        }
        text
    }

    fn declare(&mut self, key: Key) {
        self.asked.push(key);
        self.known.insert(key.name.to_owned());
    }

    fn find(&self, name: &str) -> Option<&Raw> {
        self.layers.iter().rev().find_map(|layer| layer.get(name))
    }

    fn missing<T>(&mut self, key: Key) -> Option<T> {
        let reason = format!("must be set; allowed: {}", key.allowed);
        self.problems.push(Problem::new(key.name, "nowhere", reason));
        None
    }

    fn refuse<T>(&mut self, key: Key, origin: &str, reason: &str) -> Option<T> {
        let reason = format!("{reason}; allowed: {}", key.allowed);
        self.problems.push(Problem::new(key.name, origin, reason));
        None
    }
}

fn unknown(key: &str, known: &BTreeSet<String>) -> String {
    if LATER.iter().any(|later| key.starts_with(later)) {
        return "belongs to a part that this version does not have yet".to_owned();
    }
    let section = key.split_once('.').map_or(key, |(section, _)| section);
    let siblings: Vec<_> = known
        .iter()
        .filter(|name| name.split_once('.').is_some_and(|(of, _)| of == section))
        .map(|name| format!("`{name}`"))
        .collect();
    if siblings.is_empty() {
        return format!("is not a setting: there is no section `{section}`");
    }
    format!("is not a setting; allowed: {}", siblings.join(", "))
}
