//! The settings file with everything that `serve` needs, private to its owner.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use toml_edit::{DocumentMut, Item, Table, TableLike, value};

use super::BootstrapError;
use crate::config::{BootstrapSettings, SealingKey, StoreUrl};

/// Writes what bootstrap found out into `path` (mode 0600). What an operator wrote there beside it stays,
/// comments included. The new text replaces the old one at once, so that a crash leaves one of them.
/// Answers whether anything changed.
pub fn write_config(
    path: &Path,
    settings: &BootstrapSettings,
    client_secret: Option<&SecretString>,
    encryption_key: KeyPlace<'_>,
) -> Result<bool, BootstrapError> {
    let failed =
        |reason: String| BootstrapError::ConfigFile { path: path.display().to_string(), reason };
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error.to_string())),
    };
    let mut document: DocumentMut =
        before.parse().map_err(|_| failed("it is not well-formed TOML".to_owned()))?;
    for (section, key, text) in entries(settings, client_secret, encryption_key) {
        let table = document.entry(section).or_insert(Item::Table(Table::new()));
        let table = table
            .as_table_like_mut()
            .ok_or_else(|| failed(format!("`{section}` is not a section")))?;
        let other = other_form(key);
        match table.get(&other).and_then(Item::as_str) {
            // The key is to stand in a file now.
            Some(_) if key.ends_with("_file") => {
                table.remove(&other);
                put(table, key, text.expose_secret());
            }
            // A secret that stands in a file of its own stays there.
            Some(file) => {
                let file = path.parent().unwrap_or(Path::new("")).join(file);
                write_secret(&file, &text)?;
            }
            None => put(table, key, text.expose_secret()),
        }
    }
    let after = document.to_string();
    if after == before && is_private(path) {
        return Ok(false);
    }
    replace(path, &after).map_err(|error| failed(in_folder(path, &error)))?;
    Ok(true)
}

/// Where the encryption key is to stand.
#[derive(Clone, Copy)]
pub enum KeyPlace<'a> {
    /// In the settings file, unless they name a file that has it.
    Settings(&'a SealingKey),
    /// In this file, which has it.
    File(&'a Path),
}

/// Writes a secret into a file of its own (mode 0600), where the file does not have it yet.
pub fn write_secret(path: &Path, secret: &SecretString) -> Result<(), BootstrapError> {
    let text = fs::read_to_string(path).unwrap_or_default();
    if text.trim_end_matches(['\r', '\n']) == secret.expose_secret() && is_private(path) {
        return Ok(());
    }
    replace(path, &format!("{}\n", secret.expose_secret())).map_err(|error| {
        BootstrapError::ConfigFile {
            path: path.display().to_string(),
            reason: in_folder(path, &error),
        }
    })
}

/// `key_file` for `key`, and the other way round: a secret is given in one of two forms.
fn other_form(key: &str) -> String {
    key.strip_suffix("_file").map_or_else(|| format!("{key}_file"), str::to_owned)
}

/// A file is replaced by a new one beside it, so that it is the folder that may refuse.
fn in_folder(path: &Path, error: &std::io::Error) -> String {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).display();
    format!("{error}; this user must be able to make files in the folder {folder}")
}

/// Changes a value that differs and leaves the comments around it.
fn put(table: &mut dyn TableLike, key: &str, text: &str) {
    match table.get_mut(key) {
        Some(found) if found.as_str() == Some(text) => {}
        Some(Item::Value(found)) => {
            let around = found.decor().clone();
            *found = text.into();
            *found.decor_mut() = around;
        }
        _ => {
            table.insert(key, value(text));
        }
    }
}

fn entries(
    settings: &BootstrapSettings,
    client_secret: Option<&SecretString>,
    encryption_key: KeyPlace<'_>,
) -> Vec<(&'static str, &'static str, SecretString)> {
    let (url, public_url) = settings.realm.base_urls();
    let absolute = |path: &Path| {
        let absolute = std::path::absolute(path);
        absolute.as_deref().unwrap_or(path).display().to_string()
    };
    let store_url = match &settings.store_url {
        StoreUrl::Sqlite(path) => SecretString::from(format!("sqlite://{}", absolute(path))),
        StoreUrl::Postgres(url) => url.clone(),
    };
    let (key_name, key) = match encryption_key {
        KeyPlace::Settings(key) => ("encryption_key", key.to_base64()),
        KeyPlace::File(path) => ("encryption_key_file", absolute(path).into()),
    };
    let mut entries: Vec<(&str, &str, SecretString)> = vec![
        ("server", "public_url", settings.server.public_url.as_str().into()),
        ("keycloak", "url", url.into()),
        ("keycloak", "public_url", public_url.into()),
        ("keycloak", "realm", settings.realm.name().into()),
        ("keycloak", "client_id", settings.client_id.as_str().into()),
        ("store", "url", store_url),
        ("store", key_name, key),
        ("tokens", "client_id", settings.tokens.client_id.as_str().into()),
        ("accounts", "claim", settings.account_claim.as_str().into()),
    ];
    entries.extend(client_secret.map(|secret| ("keycloak", "client_secret", secret.clone())));
    entries
}

fn is_private(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.mode() & 0o077 == 0)
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = Path::new(&temporary);
    // One that a crash left behind may have another mode.
    if let Err(error) = fs::remove_file(temporary)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, path)
}
