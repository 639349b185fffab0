//! `hallpass bootstrap`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use secrecy::SecretString;

use super::logging;
use super::settings::SettingsArgs;
use crate::bootstrap::{
    Mode, Options, ScopeAudience, ScopeRequest, bootstrap, remove, write_config,
};
use crate::clock::Clock;
use crate::config::{BootstrapSettings, SealingKey};
use crate::keycloak::{Credentials, Keycloak, http_client};

/// Where the administrator's secret comes from when no file is named.
const PASSWORD_VARIABLE: &str = "HALLPASS_ADMIN_PASSWORD";

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of a command line")]
pub(super) struct Bootstrap {
    #[command(flatten)]
    settings: SettingsArgs,
    /// An administrator's name. The password comes from `HALLPASS_ADMIN_PASSWORD` or a file.
    #[arg(long, value_name = "NAME", required_unless_present = "admin_client")]
    admin_user: Option<String>,
    /// Instead of a user, a client with a service account. Its secret comes the same ways.
    #[arg(long, value_name = "CLIENT_ID", conflicts_with = "admin_user")]
    admin_client: Option<String>,
    /// A file with the administrator's password or the client's secret.
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// The realm in which the administrator logs in.
    #[arg(long, value_name = "NAME", default_value = "master")]
    admin_realm: String,
    /// A client scope that can be granted; repeatable. `datahub-api` and `push-data` where none is named.
    #[arg(long = "scope", value_name = "NAME=DESCRIPTION")]
    scopes: Vec<ScopeRequest>,
    /// Whom tokens with a scope are for: what they have in `aud`; repeatable. By default `datahub-api` and `push-data` are
    /// each their own audience, and a scope that you name has none.
    #[arg(long = "scope-audience", value_name = "NAME=AUDIENCE")]
    scope_audiences: Vec<ScopeAudience>,
    /// Do not give everybody the right to create tokens.
    #[arg(long)]
    no_default_role: bool,
    /// Leave the realm's event settings alone: role changes and departures are then noticed by the
    /// regular sweep only, not within seconds.
    #[arg(long)]
    no_events: bool,
    /// Prepare even the realm `master`, which administers all others.
    #[arg(long)]
    allow_master: bool,
    /// Change nothing; print what would be changed.
    #[arg(long)]
    dry_run: bool,
    /// Take everything back that a bootstrap made in the realm.
    #[arg(long)]
    remove: bool,
    /// Write all that `hallpass serve` needs into this file, with mode 0600. What is there already is read
    /// first, and kept.
    #[arg(long, value_name = "FILE")]
    write_config: Option<PathBuf>,
}

impl Bootstrap {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let credentials = self.credentials()?;
        let written = self.write_config.clone().filter(|path| path.exists());
        let settings = BootstrapSettings::load(&self.settings.sources(written))?;
        let _lines = logging::start(settings.log_format);
        let keycloak = Keycloak::new(http_client()?, settings.realm.clone(), credentials);
        let mode = if self.dry_run { Mode::DryRun } else { Mode::Apply };
        let clock = Clock::system();
        let report = || Box::new(|line: &str| println!("{line}"));
        if self.remove {
            let changes = remove(&keycloak, &settings, &clock, mode, report()).await?;
            summarize(changes, mode);
            return Ok(());
        }

        let scopes = if self.scopes.is_empty() { ScopeRequest::defaults() } else { self.scopes };
        let scopes = ScopeRequest::with_audiences(scopes, self.scope_audiences)
            .map_err(anyhow::Error::msg)?;
        let key = sealing_key(&settings, self.write_config.is_some() || self.dry_run)?;
        let options = Options {
            scopes,
            default_role: !self.no_default_role,
            events: !self.no_events,
            allow_master: self.allow_master,
            mode,
        };
        // The key is kept before it seals anything: a crash in between must not lose what it sealed.
        if let (Some(path), Mode::Apply) = (&self.write_config, mode) {
            write_config(path, &settings, None, &key)?;
        }
        let outcome = bootstrap(&keycloak, &settings, &key, &clock, &options, report()).await?;
        if let (Some(path), Some(secret)) = (&self.write_config, &outcome.client_secret) {
            write_config(path, &settings, Some(secret), &key)?;
        }
        for note in &outcome.notes {
            println!("note: {note}");
        }
        summarize(outcome.changes, mode);
        if let (Some(path), Mode::Apply) = (&self.write_config, mode) {
            println!("settings for `hallpass serve --config {0}` are in {0}", path.display());
        }
        Ok(())
    }

    fn credentials(&self) -> anyhow::Result<Credentials> {
        let secret = self.admin_secret()?;
        let realm = self.admin_realm.clone();
        Ok(match (&self.admin_user, &self.admin_client) {
            (Some(username), _) => {
                Credentials::Administrator { realm, username: username.clone(), password: secret }
            }
            (None, Some(client_id)) => {
                Credentials::Client { realm, client_id: client_id.clone(), client_secret: secret }
            }
            (None, None) => bail!("name an administrator with --admin-user or --admin-client"),
        })
    }

    fn admin_secret(&self) -> anyhow::Result<SecretString> {
        let text = match &self.admin_password_file {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?,
            None => std::env::var(PASSWORD_VARIABLE).with_context(|| {
                format!("set {PASSWORD_VARIABLE}, or name a file with --admin-password-file")
            })?,
        };
        Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
    }
}

/// The key of the settings, or a new one where it will be written down (or nothing will be made).
fn sealing_key(settings: &BootstrapSettings, may_generate: bool) -> anyhow::Result<SealingKey> {
    match &settings.encryption_key {
        Some(key) => Ok(key.clone()),
        None if may_generate => SealingKey::generate().context("no randomness for a key"),
        None => bail!(
            "there is no `store.encryption_key`: name a file with --write-config and one is made, or set it"
        ),
    }
}

fn summarize(changes: usize, mode: Mode) {
    match (changes, mode) {
        (0, _) => println!("nothing to change"),
        (changes, Mode::Apply) => println!("done: {changes} changes"),
        (changes, Mode::DryRun) => println!("dry run: {changes} changes would be made"),
    }
}
