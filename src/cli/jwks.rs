//! `hallpass jwks`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::settings::SettingsArgs;
use crate::config::BootstrapSettings;
use crate::keycloak::{fetch_jwks, http_client};
use crate::keys::pem_of_jwk;
use crate::store::{Store, StoreError};

#[derive(Debug, Subcommand)]
pub(super) enum Jwks {
    /// Print the realm's verification keys, or write them to a file.
    Export(Export),
}

#[derive(Args, Debug)]
pub(super) struct Export {
    #[command(flatten)]
    settings: SettingsArgs,
    /// A JWK Set (RFC 7517) with all keys, or the keys of personal access tokens as PEM, the one that signs first.
    #[arg(long, value_enum, default_value_t = Format::Jwks)]
    format: Format,
    /// With `--format pem`: the realm's other keys, too, after those of personal access tokens.
    #[arg(long)]
    all: bool,
    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Jwks,
    Pem,
}

impl Jwks {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Export(export) = self;
        export.run().await
    }
}

impl Export {
    async fn run(self) -> anyhow::Result<()> {
        // Public keys need no secret of ours.
        let settings = BootstrapSettings::load(&self.settings.sources(None))?;
        let http = http_client()?;
        let keys = fetch_jwks(&http, &settings.realm).await?;
        let text = match self.format {
            Format::Jwks => {
                serde_json::to_string_pretty(&serde_json::json!({"keys": keys}))? + "\n"
            }
            Format::Pem => {
                let ours = own_keys(&settings, &http, &keys).await?;
                let others = keys.iter().filter(|key| self.all && !ours.contains(key));
                pem(ours.iter().copied().chain(others))?
            }
        };
        match self.output {
            Some(path) => std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display())),
            None => Ok(std::io::stdout().write_all(text.as_bytes())?),
        }
    }
}

/// Those of the realm's keys that are for personal access tokens, the one that signs first: a library that takes one key takes
/// the first. The store knows them; where it is not at hand, the service.
async fn own_keys<'a>(
    settings: &BootstrapSettings,
    http: &reqwest::Client,
    keys: &'a [Value],
) -> anyhow::Result<Vec<&'a Value>> {
    let ours = match own_kids(settings).await {
        Ok(kids) => {
            let find = |kid: &String| keys.iter().find(|key| key["kid"] == kid.as_str());
            kids.iter().filter_map(find).collect::<Vec<_>>()
        }
        Err(error) => {
            let url = format!("{}/public-keys", settings.server.public_url);
            let text = own_pem(http, &url).await.with_context(|| {
                format!(
                    "which of the realm's keys are for personal access tokens says neither the store ({error}) \
                     nor {url}: give the settings of the service"
                )
            })?;
            let is_shown = |key: &&Value| pem_of_jwk(key).is_some_and(|pem| text.contains(&pem));
            keys.iter().filter(is_shown).collect()
        }
    };
    anyhow::ensure!(!ours.is_empty(), "the realm publishes no key for personal access tokens");
    Ok(ours)
}

async fn own_kids(settings: &BootstrapSettings) -> Result<Vec<String>, StoreError> {
    let store = Store::open_to_inspect(&settings.store_url).await?;
    let kids = store.list_kids_in_use().await;
    store.close().await;
    kids
}

async fn own_pem(http: &reqwest::Client, url: &str) -> Result<String, reqwest::Error> {
    http.get(url).send().await?.error_for_status()?.text().await
}

/// Each RSA key behind a line that names it; PEM has no place for a `kid`, but allows text around it.
fn pem<'a>(keys: impl Iterator<Item = &'a Value>) -> anyhow::Result<String> {
    let mut text = String::new();
    for key in keys {
        let kid = key["kid"].as_str().unwrap_or_default();
        match pem_of_jwk(key) {
            Some(pem) => text = format!("{text}kid: {kid}\n{pem}"),
            None => eprintln!("left out: the key {kid} is not an RSA key"),
        }
    }
    anyhow::ensure!(!text.is_empty(), "the realm publishes no RSA key");
    Ok(text)
}
