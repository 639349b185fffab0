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

#[derive(Debug, Subcommand)]
pub(super) enum Jwks {
    /// Print the realm's verification keys, or write them to a file.
    Export(Export),
}

#[derive(Args, Debug)]
pub(super) struct Export {
    #[command(flatten)]
    settings: SettingsArgs,
    /// A JWK Set (RFC 7517), or the keys as PEM one after the other.
    #[arg(long, value_enum, default_value_t = Format::Jwks)]
    format: Format,
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
        let keys = fetch_jwks(&http_client()?, &settings.realm).await?;
        let text = match self.format {
            Format::Jwks => {
                serde_json::to_string_pretty(&serde_json::json!({"keys": keys}))? + "\n"
            }
            Format::Pem => pem(&keys)?,
        };
        match self.output {
            Some(path) => std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display())),
            None => Ok(std::io::stdout().write_all(text.as_bytes())?),
        }
    }
}

/// Each RSA key behind a line that names it; PEM has no place for a `kid`, but allows text around it.
fn pem(keys: &[Value]) -> anyhow::Result<String> {
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
