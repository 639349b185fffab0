//! Where settings come from: file, environment, flags, in rising order.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::SettingFault;

const DEFAULT_FILE: &str = "hallpass.toml";
const PREFIX: &str = "HALLPASS_";

/// What to read. The environment and the folder are given, so that tests need not touch the process.
#[derive(Clone, Default)]
pub struct Sources {
    /// A file that was named: it must be there.
    pub file: Option<PathBuf>,
    /// The folder of `hallpass.toml`, which is read where it exists and no other file is named.
    pub folder: PathBuf,
    /// A settings file that is going to be written: until then, what is relative is relative to its folder.
    pub new_file: Option<PathBuf>,
    /// All variables of the environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags: key and value.
    pub flags: Vec<(&'static str, String)>,
}

/// Without the values of environment and flags: secrets are among them.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Sources {
    /// The process's own environment and working folder.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Self {
        let environment = std::env::vars_os().collect();
        Self { file, folder: PathBuf::new(), new_file: None, environment, flags }
    }

    /// The settings file that is read, where there is one.
    #[must_use]
    pub fn settings_file(&self) -> Option<PathBuf> {
        let path = self.file.clone().unwrap_or_else(|| self.folder.join(DEFAULT_FILE));
        path.exists().then_some(path)
    }

    /// What relative paths in the settings file are relative to, and those that nobody gave.
    fn settings_folder(&self) -> PathBuf {
        let file = self.settings_file().or_else(|| self.new_file.clone());
        let folder = file.and_then(|file| file.parent().map(Path::to_owned));
        folder.unwrap_or_else(|| self.folder.clone())
    }

    pub(super) fn layers(&self) -> Layers {
        let mut problems = Vec::new();
        let (file, whole) = match self.file_layer() {
            Ok(layer) => (layer, true),
            Err(problem) => {
                problems.push(problem);
                (Layer::new(), false)
            }
        };
        let environment = self.environment_layer(&mut problems);
        let undivided = self.undivided();
        let rising = vec![file, environment, self.flag_layer()];
        Layers { rising, problems, whole, folder: self.settings_folder(), undivided }
    }

    fn file_layer(&self) -> Result<Layer, SettingFault> {
        let path = self.file.clone().unwrap_or_else(|| self.folder.join(DEFAULT_FILE));
        let origin = path.display().to_string();
        let refuse = |reason: String| SettingFault::new("settings file", Some(&origin), reason);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && self.file.is_none() => {
                return Ok(Layer::new());
            }
            Err(error) => return Err(refuse(error.to_string())),
        };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            // The message alone: the error's `Display` quotes the line, which may hold a secret.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            refuse(format!("line {}: {}", before.matches('\n').count() + 1, error.message()))
        })?;
        let mut layer = Layer::new();
        for (name, value) in table {
            flatten(&segment(&name), value, &origin, &mut layer);
        }
        Ok(layer)
    }

    /// `HALLPASS_SECTION__KEY`. Without the double underscore it is not a setting (`HALLPASS_ADMIN_PASSWORD`),
    /// and an empty value is not set: compose files pass on what they do not have.
    fn environment_layer(&self, problems: &mut Vec<SettingFault>) -> Layer {
        let mut layer = Layer::new();
        for (name, value) in self.environment.iter().filter(|(_, value)| !value.is_empty()) {
            let Some(name) = name.to_str() else { continue };
            let Some((section, key)) =
                name.strip_prefix(PREFIX).and_then(|rest| rest.split_once("__"))
            else {
                continue;
            };
            let key = format!("{section}.{key}").to_ascii_lowercase().replace("__", ".");
            // Two spellings would name one setting, and their order is not defined.
            if name.chars().any(|c| c.is_ascii_lowercase()) {
                problems.push(SettingFault::new(&key, Some(name), "is written in upper case only"));
            } else if let Some(text) = value.to_str() {
                let value = RawValue::Text(text.to_owned());
                layer.insert(key, Raw { value, origin: name.to_owned() });
            } else {
                problems.push(SettingFault::new(&key, Some(name), "is not UTF-8"));
            }
        }
        layer
    }

    /// Variables of ours that name no section.
    fn undivided(&self) -> Vec<String> {
        let set = self.environment.iter().filter(|(_, value)| !value.is_empty());
        set.filter_map(|(name, _)| name.to_str())
            .filter(|name| name.starts_with(PREFIX) && !name.contains("__"))
            .map(str::to_owned)
            .collect()
    }

    fn flag_layer(&self) -> Layer {
        let raw =
            |value: &String| Raw { value: RawValue::Text(value.clone()), origin: "a flag".into() };
        self.flags.iter().map(|(key, value)| ((*key).to_owned(), raw(value))).collect()
    }
}

/// All that the sources give.
pub(super) struct Layers {
    /// From the lowest to the highest.
    pub(super) rising: Vec<Layer>,
    /// What could not be read at all.
    pub(super) problems: Vec<SettingFault>,
    /// Whether what is not here was really not given.
    pub(super) whole: bool,
    /// What relative paths of the lowest layer, the file, are relative to.
    pub(super) folder: PathBuf,
    /// Variables that are not settings, but may be misspelled ones.
    pub(super) undivided: Vec<String>,
}

/// One source's values by key.
pub(super) type Layer = BTreeMap<String, Raw>;

/// A value before it is parsed, and where it stands. No `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) struct Raw {
    pub(super) value: RawValue,
    pub(super) origin: String,
}

#[derive(Clone)]
pub(super) enum RawValue {
    Text(String),
    List(Vec<String>),
    /// An empty table, or a list that holds lists or tables: no setting is like that.
    Nested,
}

fn flatten(key: &str, value: toml::Value, origin: &str, layer: &mut Layer) {
    let value = match value {
        toml::Value::Table(table) if !table.is_empty() => {
            for (name, value) in table {
                flatten(&format!("{key}.{}", segment(&name)), value, origin, layer);
            }
            return;
        }
        toml::Value::Table(_) => RawValue::Nested,
        toml::Value::Array(items) => items
            .into_iter()
            .map(scalar)
            .collect::<Option<_>>()
            .map_or(RawValue::Nested, RawValue::List),
        value => scalar(value).map_or(RawValue::Nested, RawValue::Text),
    };
    layer.insert(key.to_owned(), Raw { value, origin: origin.to_owned() });
}

/// What a JSON object gives below this key; `None` where it is none.
pub(super) fn layer_of_json(key: &str, json: &str, origin: &str) -> Option<Layer> {
    let table: toml::Table = serde_json::from_str(json).ok()?;
    let mut layer = Layer::new();
    for (name, value) in table {
        flatten(&format!("{key}.{}", segment(&name)), value, origin, &mut layer);
    }
    Some(layer)
}

/// The environment has only text, so numbers and switches are text here too.
fn scalar(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Table(_) | toml::Value::Array(_) => None,
        other => Some(other.to_string()),
    }
}

/// Quoted where it is not plain: `"server.listen"` at the top is not `listen` below `[server]`.
fn segment(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain { name.to_owned() } else { format!("{name:?}") }
}
