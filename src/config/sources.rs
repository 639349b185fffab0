//! Where settings come from: file, environment, flags, in rising order.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Problem;

const DEFAULT_FILE: &str = "hallpass.toml";
const PREFIX: &str = "HALLPASS_";

/// What to read. The environment and the folder are given, so that tests need not touch the process.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file that was named: it must be there.
    pub file: Option<PathBuf>,
    /// The folder of `hallpass.toml`, which is read where it exists and no other file is named.
    pub folder: PathBuf,
    /// All variables of the environment.
    pub environment: Vec<(String, String)>,
    /// Flags: key and value.
    pub flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// The process's own environment and working folder.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { file, folder: PathBuf::from("."), environment, flags }
    }

    /// The layers from the lowest to the highest; what cannot be read at all is a problem.
    pub(super) fn layers(&self, problems: &mut Vec<Problem>) -> Vec<Layer> {
        let file = self.file_layer().unwrap_or_else(|problem| {
            problems.push(problem);
            Layer::new()
        });
        vec![file, self.environment_layer(), self.flag_layer()]
    }

    fn file_layer(&self) -> Result<Layer, Problem> {
        let path = self.file.clone().unwrap_or_else(|| self.folder.join(DEFAULT_FILE));
        let origin = path.display().to_string();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && self.file.is_none() => {
                return Ok(Layer::new());
            }
            Err(error) => return Err(Problem::new("settings file", &origin, error.to_string())),
        };
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            // The message alone: the error's `Display` quotes the line, which may hold a secret.
            let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
            Problem::new("settings file", &origin, format!("line {line}: {}", error.message()))
        })?;
        let mut layer = Layer::new();
        for (name, value) in table {
            flatten(&name, value, &file_origin(&path), &mut layer);
        }
        Ok(layer)
    }

    /// `HALLPASS_SECTION__KEY`. Without the double underscore it is not a setting (`HALLPASS_ADMIN_PASSWORD`),
    /// and an empty value is not set: compose files pass on what they do not have.
    fn environment_layer(&self) -> Layer {
        self.environment
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| {
                let (section, key) = name.strip_prefix(PREFIX)?.split_once("__")?;
                let key = format!("{section}.{key}").to_ascii_lowercase().replace("__", ".");
                Some((key, Raw { value: RawValue::Text(value.clone()), origin: name.clone() }))
            })
            .collect()
    }

    fn flag_layer(&self) -> Layer {
        self.flags
            .iter()
            .map(|(key, value)| {
                let raw = Raw { value: RawValue::Text(value.clone()), origin: "a flag".to_owned() };
                ((*key).to_owned(), raw)
            })
            .collect()
    }
}

/// One source's values by key.
pub(super) type Layer = BTreeMap<String, Raw>;

/// A value before it is parsed, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) value: RawValue,
    pub(super) origin: String,
}

#[derive(Clone, Debug)]
pub(super) enum RawValue {
    Text(String),
    List(Vec<String>),
}

fn file_origin(path: &Path) -> String {
    path.display().to_string()
}

fn flatten(key: &str, value: toml::Value, origin: &str, layer: &mut Layer) {
    let value = match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                flatten(&format!("{key}.{name}"), value, origin, layer);
            }
            return;
        }
        toml::Value::Array(items) => RawValue::List(items.into_iter().map(text).collect()),
        scalar => RawValue::Text(text(scalar)),
    };
    layer.insert(key.to_owned(), Raw { value, origin: origin.to_owned() });
}

fn text(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        other => other.to_string(),
    }
}
