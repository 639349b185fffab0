//! `hallpass admin backup`, `restore` and `copy`: the store as a whole.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use super::admin::revoke_before;
use super::settings::SettingsArgs;
use crate::app::{decisions, open_keys};
use crate::clock::Clock;
use crate::config::{Settings, StoreUrl};
use crate::store::{Candidate, Contents, ServeLock, Store};
use crate::telemetry::Metrics;

#[derive(Args, Debug)]
pub(super) struct Backup {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The file to write, with mode 0600. It must not exist.
    file: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct Restore {
    #[command(flatten)]
    settings: SettingsArgs,
    /// A file that `hallpass admin backup` wrote.
    file: PathBuf,
    /// Keep the tokens good that were good when the backup was made. Those that were revoked or deleted since
    /// then are good again: only for a backup after which nothing happened.
    #[arg(long)]
    keep_tokens: bool,
}

#[derive(Args, Debug)]
pub(super) struct Copy {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The PostgreSQL database to move to. It must exist, and be empty. A URL with a password belongs into the
    /// environment variable.
    #[arg(long, value_name = "URL", env = "HALLPASS_COPY_TO", hide_env_values = true)]
    to: Option<String>,
    /// Give up a move, or go back after one: `serve` uses the SQLite file again, as it was.
    #[arg(long, conflicts_with = "to")]
    abandon: bool,
}

impl Backup {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let settings = Settings::load(&self.settings.sources(None))?;
        let store = open(&settings.store.url).await?;
        store.back_up(&self.file).await?;
        store.close().await;
        let written = Store::open_to_inspect(&StoreUrl::Sqlite(self.file.clone())).await?;
        written.check_integrity().await?;
        let contents = written.count_contents().await?;
        written.close().await;
        println!("{}: {}", self.file.display(), told(contents));
        eprintln!(
            "keep `store.encryption_key` too, in another place: without it the signing keys cannot be read"
        );
        Ok(())
    }
}

impl Restore {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut settings = Settings::load(&self.settings.sources(None))?;
        let database = sqlite_path(&settings)?;
        refuse_live_copy(&self.file)?;
        // Nothing serves from it until the process ends.
        let _lock = ServeLock::take(&database)?;
        let candidate = Candidate::copy(&self.file, &database)?;
        settings.store.url = StoreUrl::Sqlite(candidate.path().to_owned());
        let contents = check(&settings).await.with_context(|| {
            format!("{} cannot be restored; nothing was changed", self.file.display())
        })?;
        let now = Clock::system().now();
        if !self.keep_tokens {
            let decisions = decisions(&settings, Clock::system()).await?;
            let revoked = revoke_before(&decisions, now).await?;
            decisions.close().await;
            println!(
                "{revoked} tokens are revoked: nobody knows which of them ended after the backup"
            );
        }
        let aside = candidate.replace(&format!("-replaced-{}", now.millis() / 1000))?;
        println!("{}: {}", database.display(), told(contents));
        if let Some(aside) = aside {
            println!("what was there before is in {}", aside.display());
        }
        if self.keep_tokens {
            println!(
                "tokens that were revoked or deleted after the backup are good again: \
                 `hallpass admin tokens revoke-all --issued-before {now}` ends all of them"
            );
        }
        Ok(())
    }
}

impl Copy {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut settings = Settings::load(&self.settings.sources(None))?;
        let database = sqlite_path(&settings)?;
        let _lock = ServeLock::take(&database)?;
        anyhow::ensure!(database.exists(), "there is no file {}", database.display());
        let source = Store::open_wherever(&settings.store.url).await?;
        if self.abandon {
            match source.abandon_copy().await? {
                Some(to) => println!("this store is in use again; what is at {to} is not"),
                None => println!("this store was not moved"),
            }
            return Ok(());
        }
        let Some(to) = &self.to else { bail!("name a PostgreSQL database with --to") };
        let target_url = StoreUrl::parse(to).map_err(|reason| anyhow::anyhow!("--to {reason}"))?;
        anyhow::ensure!(
            matches!(target_url, StoreUrl::Postgres(_)),
            "--to takes a PostgreSQL database: `postgres://…`"
        );
        source.check_issuer(&settings.keycloak.realm.issuer()).await?;
        let target = Store::open_wherever(&target_url).await?;
        let mut last_table = String::new();
        let mut progress = |table: &str, rows: u64| {
            if table != last_table || rows.is_multiple_of(10_000) {
                eprintln!("{table}: {rows} rows");
                table.clone_into(&mut last_table);
            }
        };
        let names = (&*settings.store.url.place(), &*target_url.place());
        let tables = source
            .copy_to(&target, names, &mut progress)
            .await
            .context("the copy is not complete: run the same command again, which goes on")?;
        settings.store.url = target_url;
        let issuer = settings.keycloak.realm.issuer();
        let keys = open_keys(&target, &settings, &issuer, &Metrics::default()).await?;
        target.close().await;
        source.close().await;
        for table in tables {
            println!("{}: {} rows, as many as before", table.name, table.rows);
        }
        if let Some(signer) = keys.active() {
            println!("the signing key {} opens there", signer.kid());
        }
        println!(
            "set `store.url` to the new database and start `hallpass serve`; the old file is not used any more"
        );
        Ok(())
    }
}

/// Opens what is there, and makes nothing.
async fn open(url: &StoreUrl) -> anyhow::Result<Store> {
    let store = Store::open_unchanged(url).await?;
    store.with_context(|| format!("{} is no store of Hallpass", url.place()))
}

fn sqlite_path(settings: &Settings) -> anyhow::Result<PathBuf> {
    match &settings.store.url {
        StoreUrl::Sqlite(path) => Ok(path.clone()),
        StoreUrl::Postgres(_) => bail!(
            "`store.url` is a PostgreSQL database, which has its own tools: `pg_dump` and `pg_restore`. After a \
             restore run `hallpass admin tokens revoke-all`"
        ),
    }
}

/// A file that was copied while it was in use has its newest rows in the log beside it.
fn refuse_live_copy(file: &Path) -> anyhow::Result<()> {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    anyhow::ensure!(
        !Path::new(&log).exists(),
        "{} has a write-ahead log beside it: it is a database in use, or a copy of one, and no backup by \
         `hallpass admin backup`",
        file.display()
    );
    Ok(())
}

/// Refuses what is damaged, of another realm, or sealed with another key; brings the tables up to date.
async fn check(settings: &Settings) -> anyhow::Result<Contents> {
    let issuer = settings.keycloak.realm.issuer();
    let inspected = Store::open_to_inspect(&settings.store.url).await?;
    let is_whole = inspected.check_integrity().await;
    inspected.close().await;
    is_whole.context("it is damaged, or no SQLite database")?;
    let store = open(&settings.store.url).await?;
    store.close().await;
    let store = Store::open(&settings.store.url).await?;
    anyhow::ensure!(store.find_issuer().await?.is_some(), "it belongs to no realm");
    store.check_issuer(&issuer).await?;
    open_keys(&store, settings, &issuer, &Metrics::default()).await?;
    let contents = store.count_contents().await?;
    store.close().await;
    Ok(contents)
}

fn told(contents: Contents) -> String {
    let Contents { tokens, clients, signing_keys: keys, acts } = contents;
    format!("{tokens} tokens, {clients} API clients, {keys} signing keys, {acts} audit events")
}
