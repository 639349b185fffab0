//! `hallpass bootstrap`.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::logging;
use super::settings::SettingsArgs;
use crate::bootstrap::{
    KeyPlace, Looked, Mode, Options, Removal, Report, ScopeAudience, ScopeRequest, remove,
    remove_key, write_config, write_secret,
};
use crate::clock::Clock;
use crate::config::{BootstrapSettings, SealingKey, Sources, StoreUrl};
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
    /// A client scope that can be granted; repeatable. `datahub-api` and `push-data` where none was ever named.
    #[arg(long = "scope", value_name = "NAME=DESCRIPTION")]
    scopes: Vec<ScopeRequest>,
    /// Whom tokens with a scope are for: what they have in `aud`; repeatable. By default `datahub-api` and `push-data` are
    /// each their own audience, and a scope that you name has none.
    #[arg(long = "scope-audience", value_name = "NAME=AUDIENCE")]
    scope_audiences: Vec<ScopeAudience>,
    /// Give everybody the right to create tokens: the default of a first run. Later runs do what was chosen before.
    #[arg(long, conflicts_with = "no_default_role")]
    default_role: bool,
    /// Do not give everybody the right to create tokens.
    #[arg(long)]
    no_default_role: bool,
    /// Switch on the events that Hallpass needs: the default of a first run. Later runs do what was chosen before.
    #[arg(long, conflicts_with = "no_events")]
    events: bool,
    /// Leave the realm's event settings alone: role changes and departures are then noticed by the
    /// regular sweep only, not within seconds.
    #[arg(long)]
    no_events: bool,
    /// Take over what somebody else made under Hallpass's names: new secret and registration token, and nothing is left
    /// on it that is not Hallpass's.
    #[arg(long)]
    adopt: bool,
    /// Prepare even the realm `master`, which administers all others.
    #[arg(long)]
    allow_master: bool,
    /// Change nothing; print what would be changed.
    #[arg(long)]
    dry_run: bool,
    /// Take everything back that a bootstrap made in the realm.
    #[arg(long)]
    remove: bool,
    /// With `--remove`: do it without the store. The signing keys in it stay, and are good again when they are
    /// published again.
    #[arg(long, requires = "remove")]
    without_store: bool,
    /// Remove the signing key of another, lost store from the realm, by the id of its key provider, and do nothing else.
    #[arg(long, value_name = "ID", conflicts_with = "remove")]
    remove_key: Option<String>,
    /// Write all that `hallpass serve` needs into this file, with mode 0600. What is there already is read
    /// first, and kept.
    #[arg(long, value_name = "FILE")]
    write_config: Option<PathBuf>,
    /// Keep the encryption key in this file, apart from the settings; it is made, with mode 0600, where it is missing.
    #[arg(long, value_name = "FILE")]
    encryption_key_file: Option<PathBuf>,
}

impl Bootstrap {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let credentials = self.credentials()?;
        let sources = self.sources();
        let settings = BootstrapSettings::load(&sources)?;
        let _lines = logging::start(settings.log_format);
        let keycloak = Keycloak::new(http_client()?, settings.realm.clone(), credentials);
        let (realm, mode) = ((&keycloak, &settings), self.mode());
        let clock = Clock::system();
        tell_of_loose_settings(&sources);
        if let Some(id) = &self.remove_key {
            let changes = remove_key(realm, &clock, mode, id, report()).await?;
            summarize(changes, &[], mode);
            return Ok(());
        }
        if self.remove {
            let removal = Removal { mode, without_store: self.without_store };
            let removed = remove(&keycloak, &settings, &clock, removal, report()).await?;
            summarize(removed.changes, &removed.notes, mode);
            return Ok(());
        }
        let files = MadeFiles::watch(&self, &settings);
        let prepared = self.prepare(realm, &clock).await;
        if prepared.is_err() {
            files.tell();
        }
        let secret = prepared?;
        if let (Some(path), Mode::Apply) = (&self.write_config, mode) {
            println!("settings for `hallpass serve --config {0}` are in {0}", path.display());
        }
        self.check_secret(secret.as_ref(), settings)
    }

    /// Answers the secret of Hallpass's client, where it is known.
    async fn prepare(
        &self,
        (keycloak, settings): (&Keycloak, &BootstrapSettings),
        clock: &Clock,
    ) -> anyhow::Result<Option<SecretString>> {
        let mode = self.mode();
        let key = self.sealing_key(settings)?;
        let options = self.options()?;
        let looked = Looked::look((keycloak, settings), clock, &options, report()).await?;
        // The key is kept before it seals anything: a crash in between must not lose what it sealed.
        if mode == Mode::Apply {
            if let Some(path) = &self.encryption_key_file {
                write_secret(path, &key.to_base64())?;
            }
            self.write_settings(settings, None, &key)?;
        }
        let outcome = looked.prepare(&key).await?;
        if mode == Mode::Apply {
            self.write_settings(settings, outcome.client_secret.as_ref(), &key)?;
        }
        summarize(outcome.changes, &outcome.notes, mode);
        Ok(outcome.client_secret)
    }

    fn write_settings(
        &self,
        settings: &BootstrapSettings,
        client_secret: Option<&SecretString>,
        key: &SealingKey,
    ) -> anyhow::Result<()> {
        if let Some(path) = &self.write_config {
            let place = match &self.encryption_key_file {
                Some(file) => KeyPlace::File(file),
                None => KeyPlace::Settings(key),
            };
            write_config(path, settings, client_secret, place)?;
        }
        Ok(())
    }

    /// Whether `serve` can log in with what the settings say now.
    fn check_secret(
        &self,
        actual: Option<&SecretString>,
        before: BootstrapSettings,
    ) -> anyhow::Result<()> {
        let Some(actual) = actual else { return Ok(()) };
        let written = self.write_config.is_some() && self.mode() == Mode::Apply;
        let settings = if written { BootstrapSettings::load(&self.sources())? } else { before };
        let client_id = &settings.client_id;
        match &settings.client_secret {
            Some(known) if known.expose_secret() == actual.expose_secret() => Ok(()),
            Some(_) if written => bail!(
                "`keycloak.client_secret` is set elsewhere too, to what is not the secret of client {client_id}: take \
                 it out of the environment"
            ),
            Some(_) if self.write_config.is_none() => bail!(
                "`keycloak.client_secret` in the settings is not the secret of client {client_id}, so `serve` cannot \
                 log in: `hallpass bootstrap --write-config FILE` writes the right one"
            ),
            None if self.write_config.is_none() => {
                println!(
                    "note: the settings have no `keycloak.client_secret`; `--write-config FILE` writes it"
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn sources(&self) -> Sources {
        let written = self.write_config.clone();
        let there = written.clone().filter(|path| path.exists());
        Sources { new_file: written, ..self.settings.clone().sources(there) }
    }

    const fn mode(&self) -> Mode {
        if self.dry_run { Mode::DryRun } else { Mode::Apply }
    }

    fn options(&self) -> anyhow::Result<Options> {
        let chosen = |yes: bool, no: bool| if yes || no { Some(yes) } else { None };
        let mut scopes = self.scopes.clone();
        if scopes.is_empty() {
            scopes = ScopeRequest::defaults();
            // The others are chosen by nobody, and may have been left out before.
            scopes
                .retain(|scope| self.scope_audiences.iter().any(|one| one.scope() == scope.name()));
        }
        let scopes = ScopeRequest::with_audiences(scopes, self.scope_audiences.clone());
        Ok(Options {
            scopes: scopes.map_err(anyhow::Error::msg)?,
            default_role: chosen(self.default_role, self.no_default_role),
            events: chosen(self.events, self.no_events),
            allow_master: self.allow_master,
            adopt: self.adopt,
            mode: self.mode(),
        })
    }

    /// The key of the settings or of its own file, or a new one where it will be written down (or nothing will be made).
    fn sealing_key(&self, settings: &BootstrapSettings) -> anyhow::Result<SealingKey> {
        let of_file = match &self.encryption_key_file {
            Some(path) if path.exists() => Some(read_key(path)?),
            _ => None,
        };
        let may_generate =
            self.write_config.is_some() || self.encryption_key_file.is_some() || self.dry_run;
        match (&settings.encryption_key, of_file) {
            (Some(known), Some(other)) if known.bytes() != other.bytes() => bail!(
                "the file of `--encryption-key-file` has another key than `store.encryption_key`: take out the wrong one"
            ),
            (Some(key), _) => Ok(key.clone()),
            (None, Some(key)) => Ok(key),
            (None, None) if may_generate => {
                SealingKey::generate().context("no randomness for a key")
            }
            (None, None) => bail!(
                "there is no `store.encryption_key`: name a file with --write-config or --encryption-key-file and one \
                 is made, or set it"
            ),
        }
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

fn report() -> Report {
    Box::new(|line: &str| println!("{line}"))
}

fn read_key(path: &Path) -> anyhow::Result<SealingKey> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let text = SecretString::from(text);
    SealingKey::parse(text.expose_secret().trim_end_matches(['\r', '\n']))
        .map_err(|reason| anyhow!("{name} {reason}: it is to hold 32 bytes in base64"))
}

/// The settings file has secrets in it.
fn tell_of_loose_settings(sources: &Sources) {
    let Some(path) = sources.settings_file() else { return };
    if let Ok(mode) = path.metadata().map(|metadata| metadata.mode() & 0o777)
        && mode & 0o077 != 0
    {
        let name = path.display();
        println!("note: {name} can be read by others (mode {mode:04o}): run `chmod 600 {name}`");
    }
}

/// Files that a run may make: one that fails says which are there that were not before.
struct MadeFiles(Vec<PathBuf>);

impl MadeFiles {
    fn watch(command: &Bootstrap, settings: &BootstrapSettings) -> Self {
        let mut files: Vec<PathBuf> =
            command.write_config.iter().chain(&command.encryption_key_file).cloned().collect();
        if let StoreUrl::Sqlite(path) = &settings.store_url {
            files.push(path.clone());
        }
        files.retain(|path| !path.exists());
        Self(files)
    }

    fn tell(&self) {
        let made = self.0.iter().filter(|path| path.exists());
        let made: Vec<String> = made.map(|path| path.display().to_string()).collect();
        if !made.is_empty() {
            eprintln!("note: this run made {}; the next one goes on with it", made.join(", "));
        }
    }
}

fn summarize(changes: usize, notes: &[String], mode: Mode) {
    for note in notes {
        println!("note: {note}");
    }
    let s = if changes == 1 { "" } else { "s" };
    match (changes, mode) {
        (0, _) => println!("nothing to change"),
        (changes, Mode::Apply) => println!("done: {changes} change{s}"),
        (changes, Mode::DryRun) => println!("dry run: {changes} change{s} would be made"),
    }
}
