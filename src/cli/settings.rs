//! The settings that every command can be given as flags.

use std::path::PathBuf;

use clap::Args;

use crate::config::Sources;

/// Where the settings come from. Flags win over the environment, and that over the file.
#[derive(Args, Clone, Debug)]
pub(super) struct SettingsArgs {
    /// The settings file. Default: `hallpass.toml` if there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How Hallpass reaches Keycloak: `keycloak.url`.
    #[arg(long, value_name = "URL")]
    keycloak_url: Option<String>,
    /// How users reach Keycloak, what `iss` shows: `keycloak.public_url`.
    #[arg(long, value_name = "URL")]
    keycloak_public_url: Option<String>,
    /// The realm: `keycloak.realm`.
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
    /// How users reach Hallpass: `server.public_url`.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The database: `store.url`. A URL with a password belongs in the file or the environment.
    #[arg(long, value_name = "URL")]
    store_url: Option<String>,
    /// How log lines look, `text` or `json`: `telemetry.log_format`.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl SettingsArgs {
    /// All sources, with a file to read where none was named.
    pub(super) fn sources(self, other_file: Option<PathBuf>) -> Sources {
        self.sources_with(other_file, Vec::new())
    }

    /// As [`SettingsArgs::sources`], with more flags.
    pub(super) fn sources_with(
        self,
        other_file: Option<PathBuf>,
        more: Vec<(&'static str, Option<String>)>,
    ) -> Sources {
        let mut flags = vec![
            ("keycloak.url", self.keycloak_url),
            ("keycloak.public_url", self.keycloak_public_url),
            ("keycloak.realm", self.realm),
            ("server.public_url", self.public_url),
            ("store.url", self.store_url),
            ("telemetry.log_format", self.log_format),
        ];
        flags.extend(more);
        let given = flags.into_iter().filter_map(|(key, value)| Some((key, value?)));
        Sources::of_process(self.config.or(other_file), given.collect())
    }
}
