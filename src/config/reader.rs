//! Reads settings key by key and collects every problem, instead of stopping at the first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::sources::{Layer, Layers, Raw, RawValue};
use super::{Problems, SettingFault, Sources};

/// What is wrong with a value, as the end of a sentence that begins with it. Fixed text, so that no
/// reason can repeat a secret.
pub(super) type Reason = &'static str;

/// No secret is longer; a device that never ends is not read to its end.
const LONGEST_SECRET: u64 = 64 * 1024;

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

/// A setting that was asked for, for the reference.
pub(super) struct Asked {
    pub(super) key: Key,
    pub(super) need: Need,
    pub(super) secret: bool,
}

/// Lists by table and name.
pub(super) type Tables<'a, T> = BTreeMap<String, BTreeMap<&'a str, Vec<T>>>;

pub(super) struct Reader {
    layers: Vec<Layer>,
    folder: PathBuf,
    whole: bool,
    problems: Vec<SettingFault>,
    asked: Vec<Asked>,
    known: BTreeSet<String>,
    undivided: Vec<String>,
}

impl Reader {
    pub(super) fn new(sources: &Sources) -> Self {
        let Layers { rising: layers, problems, whole, folder, undivided } = sources.layers();
        let (asked, known) = (Vec::new(), BTreeSet::new());
        Self { layers, folder, whole, problems, asked, known, undivided }
    }

    /// One value, parsed; `None` after a problem.
    pub(super) fn value<T>(
        &mut self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, Reason>,
    ) -> Option<T> {
        self.optional(key, Need::Required, parse).flatten()
    }

    /// As [`Reader::value`], for a setting that may be left out: `Some(None)`.
    #[expect(clippy::option_option, reason = "absent and wrong are different things here")]
    pub(super) fn optional<T>(
        &mut self,
        key: Key,
        need: Need,
        parse: impl FnOnce(&str) -> Result<T, Reason>,
    ) -> Option<Option<T>> {
        self.declare(Asked { key, need, secret: false });
        let Some(raw) = self.find(key.name).cloned().or_else(|| default(key)) else {
            return self.absent(key, need);
        };
        let RawValue::Text(text) = &raw.value else {
            return self.refuse(key, &raw.origin, "is not a single value");
        };
        match parse(text) {
            Ok(value) => Some(Some(value)),
            Err(reason) => self.refuse(key, &raw.origin, &format!("{} {reason}", shown(text))),
        }
    }

    /// A list: an array in the file, commas elsewhere. Every bad entry is named.
    pub(super) fn list<T>(
        &mut self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, Reason>,
    ) -> Option<Vec<T>> {
        self.declare(Asked { key, need: Need::Optional, secret: false });
        let Some(raw) = self.find(key.name).cloned().or_else(|| default(key)) else {
            return Some(Vec::new());
        };
        if matches!(raw.value, RawValue::Nested) {
            return self.refuse(key, &raw.origin, "is not a list of values");
        }
        let parsed: Vec<Option<T>> = entries(&raw.value)
            .iter()
            .map(|entry| match parse(entry) {
                Ok(value) => Some(value),
                Err(reason) => self.refuse(key, &raw.origin, &format!("{} {reason}", shown(entry))),
            })
            .collect();
        parsed.into_iter().collect()
    }

    /// Tables by name below the key, each with some of these lists, whose entries `parse` reads; or all of them as JSON, in one value.
    pub(super) fn tables<'a, T>(
        &mut self,
        key: Key,
        check_name: impl Fn(&str) -> Result<(), Reason>,
        lists: &[&'a str],
        parse: impl Fn(&str, &str) -> Result<T, Reason>,
    ) -> Option<Tables<'a, T>> {
        self.declare(Asked { key, need: Need::Optional, secret: false });
        let mut tables = Some(Tables::new());
        for (full, raw) in self.entries_below(key)? {
            let path = full.get(key.name.len() + 1..).unwrap_or_default();
            let (name, list) = path.split_once('.').unwrap_or((path, ""));
            let known = lists.iter().copied().find(|known| *known == list);
            let read = check_name(name).and_then(|()| match (known, &raw.value) {
                (Some(known), RawValue::Text(_) | RawValue::List(_)) => {
                    let parsed: Result<Vec<_>, _> =
                        entries(&raw.value).iter().map(|text| parse(known, text)).collect();
                    Ok(Some((known, parsed?)))
                }
                // A table with nothing in it.
                (None, RawValue::Nested) if list.is_empty() => Ok(None),
                _ => Err("is none of these lists"),
            });
            match read {
                Ok(read) => {
                    if let Some(tables) = &mut tables {
                        tables.entry(name.to_owned()).or_default().extend(read);
                    }
                }
                Err(reason) => {
                    let reason = format!("{reason}; allowed: {}", key.allowed);
                    self.problems.push(SettingFault::new(&full, Some(&raw.origin), reason));
                    tables = None;
                }
            }
        }
        tables
    }

    /// What is given below a key, or in its own value.
    fn entries_below(&mut self, key: Key) -> Option<Layer> {
        let prefix = format!("{}.", key.name);
        let mut below: Layer =
            self.layers.iter().flatten().map(|(key, raw)| (key.clone(), raw.clone())).collect();
        below.retain(|key, _| key.starts_with(&prefix));
        self.known.extend(below.keys().cloned());
        let whole = self.find(key.name).cloned().or_else(|| default(key));
        let Some(Raw { value: RawValue::Text(text), origin }) = whole else { return Some(below) };
        let json = super::sources::layer_of_json(key.name, &text, &origin);
        match (json, below.is_empty()) {
            (None, _) => self.refuse(key, &origin, "is no JSON object of objects"),
            (Some(json), true) => Some(json),
            (Some(json), false) if json.is_empty() => Some(below),
            (Some(_), false) => self.refuse(key, &origin, "is given twice: here and as tables"),
        }
    }

    /// A secret: given itself, or as the path of a file that holds it (`key_file`). The highest layer
    /// that has either wins.
    #[expect(clippy::option_option, reason = "absent and wrong are different things here")]
    pub(super) fn secret<T>(
        &mut self,
        key: Key,
        need: Need,
        parse: impl FnOnce(SecretString) -> Result<T, Reason>,
    ) -> Option<Option<T>> {
        self.declare(Asked { key, need, secret: true });
        let (text, origin) = match self.find_secret(key) {
            Ok(Some(found)) => found,
            Ok(None) => return self.absent(key, need),
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        match parse(SecretString::from(text)) {
            Ok(value) => Some(Some(value)),
            Err(reason) => self.refuse(key, &origin, reason),
        }
    }

    /// The secret's text and its origin.
    fn find_secret(&self, key: Key) -> Result<Option<(String, String)>, SettingFault> {
        let file_key = file_key(key.name);
        let given =
            self.layers.iter().rev().map(|layer| (layer.get(key.name), layer.get(&file_key)));
        let default = default(key);
        let (raw, is_file) =
            match given.into_iter().find(|(itself, file)| itself.or(*file).is_some()) {
                Some((Some(itself), Some(file))) => {
                    let reason = format!("is given twice: `{file_key}` (from {}) too", file.origin);
                    return Err(SettingFault::new(key.name, Some(&itself.origin), reason));
                }
                Some((Some(itself), None)) => (itself, false),
                Some((None, Some(file))) => (file, true),
                Some((None, None)) | None => match &default {
                    Some(raw) => (raw, false),
                    None => return Ok(None),
                },
            };
        let name = if is_file { &file_key } else { key.name };
        let RawValue::Text(text) = &raw.value else {
            return Err(SettingFault::new(name, Some(&raw.origin), "is not a single value"));
        };
        if !is_file {
            return Ok(Some((text.clone(), raw.origin.clone())));
        }
        // The path is not repeated: it may be the secret itself, given under the wrong key.
        let text = read_secret(&self.path(name, text)).map_err(|error| {
            SettingFault::new(name, Some(&raw.origin), format!("the file cannot be read: {error}"))
        })?;
        Ok(Some((text, format!("the file of {}", raw.origin))))
    }

    /// A problem of a value beside another one.
    pub(super) fn problem(&mut self, key: Key, reason: &str) {
        // A value that the unread file may hold is not known to be wrong.
        if !self.whole {
            return;
        }
        let origin = self.find(key.name).map_or("the default", |raw| &raw.origin).to_owned();
        self.problems.push(SettingFault::new(key.name, Some(&origin), reason));
    }

    /// What was read, or all that is wrong.
    pub(super) fn finish<T>(mut self, read: Option<T>) -> Result<T, Problems> {
        for (key, raw) in self.layers.iter().flatten() {
            if !self.known.contains(key) && !is_empty_section(key, raw, &self.known) {
                let reason = super::unknown::reason(key, &self.known);
                self.problems.push(SettingFault::new(key, Some(&raw.origin), reason));
            }
        }
        for name in &self.undivided {
            let meant = self.known.iter().find(|key| variable(key).replace("__", "_") == *name);
            if let Some(key) = meant {
                let reason = format!("is not read: write {}, with two underscores", variable(key));
                self.problems.push(SettingFault::new(key, Some(name), reason));
            }
        }
        match read {
            Some(read) if self.problems.is_empty() => Ok(read),
            _ => Err(Problems(self.problems)),
        }
    }

    /// The settings that were asked for, in that order.
    pub(super) fn asked(&self) -> &[Asked] {
        &self.asked
    }

    fn declare(&mut self, asked: Asked) {
        self.known.insert(asked.key.name.to_owned());
        if asked.secret {
            self.known.insert(file_key(asked.key.name));
        }
        self.asked.push(asked);
    }

    /// A path that the setting `name` has: in the settings file it is relative to that file, as it is where nobody gave
    /// it; elsewhere to the working folder, as paths on a command line are.
    pub(super) fn path(&self, name: &str, path: impl AsRef<Path>) -> PathBuf {
        let above = self.layers.iter().skip(1).any(|layer| layer.contains_key(name));
        if above { path.as_ref().to_owned() } else { self.folder.join(path) }
    }

    fn find(&self, name: &str) -> Option<&Raw> {
        self.layers.iter().rev().find_map(|layer| layer.get(name))
    }

    #[expect(clippy::option_option, reason = "absent and wrong are different things here")]
    fn absent<T>(&mut self, key: Key, need: Need) -> Option<Option<T>> {
        if need == Need::Optional {
            return Some(None);
        }
        // The unread file may hold it.
        if self.whole {
            let reason = format!(
                "must be set, in the file or as {}; allowed: {}",
                variable(key.name),
                key.allowed
            );
            self.problems.push(SettingFault::new(key.name, None, reason));
        }
        None
    }

    fn refuse<T>(&mut self, key: Key, origin: &str, reason: &str) -> Option<T> {
        let reason = format!("{reason}; allowed: {}", key.allowed);
        self.problems.push(SettingFault::new(key.name, Some(origin), reason));
        None
    }
}

/// The environment variable of a setting.
pub(super) fn variable(name: &str) -> String {
    format!("HALLPASS_{}", name.to_ascii_uppercase().replace('.', "__"))
}

/// The key under which a secret's file is named.
pub(super) fn file_key(name: &str) -> String {
    format!("{name}_file")
}

/// The entries of a list: an array, or text with commas.
fn entries(value: &RawValue) -> Vec<String> {
    match value {
        RawValue::List(entries) => entries.clone(),
        RawValue::Text(text) => text
            .split(',')
            .map(|entry| entry.trim().to_owned())
            .filter(|entry| !entry.is_empty())
            .collect(),
        RawValue::Nested => Vec::new(),
    }
}

fn default(key: Key) -> Option<Raw> {
    let value = RawValue::Text(key.default?.to_owned());
    Some(Raw { value, origin: "the default".to_owned() })
}

fn is_empty_section(key: &str, raw: &Raw, known: &BTreeSet<String>) -> bool {
    matches!(raw.value, RawValue::Nested) && super::unknown::is_section(key, known)
}

fn read_secret(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST_SECRET + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_SECRET {
        return Err(io::Error::other("it is too long for a secret"));
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}

/// A value in quotes, as far as it may be shown: one with an `@` may be a URL with a password.
fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.contains('@') {
        return "the value".to_owned();
    }
    let start: String = text.chars().take(LONGEST).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{more}")
}
