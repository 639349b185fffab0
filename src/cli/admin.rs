//! `hallpass admin`, and of it what concerns tokens.

use std::fmt;
use std::io::Write as _;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::Output;
use super::settings::SettingsArgs;
use super::store::{Backup, Copy, Restore};
use crate::app::decisions;
use crate::clock::{Clock, Timestamp};
use crate::config::Settings;
use crate::credential::EndReason;
use crate::error::Error;
use crate::id::UserId;
use crate::lifecycle::{Decisions, Released};
use crate::owner::RolesDifference;
use crate::store::HeldOwner;

#[derive(Debug, Subcommand)]
pub(super) enum Admin {
    /// Decide about personal access tokens, beside a service that runs.
    #[command(subcommand)]
    Tokens(TokensCommand),
    /// Write all of a SQLite store into a file, also while it is served.
    Backup(Backup),
    /// Put a backup in the place of a SQLite store that is not served, and revoke its tokens.
    Restore(Restore),
    /// Move a SQLite store that is not served to PostgreSQL, with its signing keys.
    Copy(Copy),
}

#[derive(Debug, Subcommand)]
pub(super) enum TokensCommand {
    /// List the owners whose tokens `lifecycle.brake` suspended, with what changed of their roles.
    Held(Held),
    /// Let happen what the brake stopped: tokens are revoked or deleted.
    Confirm(Decide),
    /// Let tokens live on that the brake suspended, but for those that carry a role which their owner has lost.
    Release(Decide),
    /// Revoke every token that was issued before a moment: after a restore from backup, say.
    RevokeAll(RevokeAll),
}

#[derive(Args, Debug)]
pub(super) struct Held {
    #[command(flatten)]
    settings: SettingsArgs,
    /// A line for each owner, or a JSON array of `{userId, username, heldAt, reason, tokens, roles: {added, removed}}`.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Args, Debug)]
pub(super) struct Decide {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The id of one owner, as often as wanted; without it, all.
    #[arg(long, value_name = "ID")]
    owner: Vec<String>,
    /// Only say whose tokens it would be.
    #[arg(long)]
    dry_run: bool,
    /// A line for each owner, or a JSON array of `{userId, username, heldAt, reason, tokens}`.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Args, Debug)]
pub(super) struct RevokeAll {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The moment, as RFC 3339: `2026-11-26T09:30:00Z`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    issued_before: Timestamp,
    /// Only say how many it would be.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy)]
enum Decision {
    Confirm,
    Release,
}

impl Admin {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Tokens(command) => command.run().await,
            Self::Backup(backup) => backup.run().await,
            Self::Restore(restore) => restore.run().await,
            Self::Copy(copy) => copy.run().await,
        }
    }
}

impl TokensCommand {
    async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Held(held) => held.run().await,
            Self::Confirm(decide) => decide.run(Decision::Confirm).await,
            Self::Release(decide) => decide.run(Decision::Release).await,
            Self::RevokeAll(command) => command.run().await,
        }
    }
}

impl Held {
    async fn run(self) -> anyhow::Result<()> {
        let decisions = open(self.settings).await?;
        let found = decisions.list_held().await?;
        let (mut rows, count) = (Vec::new(), found.len());
        for owner in &found {
            let difference = match decisions.find_difference(&owner.user_id).await {
                Ok(difference) => difference,
                Err(error) => {
                    eprintln!("{}: roles are not known now: {}", owner.user_id, error.chain());
                    None
                }
            };
            rows.push(Row { roles: difference.as_ref().map(Difference::from), ..Row::from(owner) });
            if rows.len() % 100 == 0 {
                eprintln!("{} of {count} owners", rows.len());
            }
        }
        print(&rows, self.output)
    }
}

impl Decide {
    async fn run(self, decision: Decision) -> anyhow::Result<()> {
        let decisions = open(self.settings).await?;
        let mut held = decisions.list_held().await?;
        let named: Vec<_> = self.owner.into_iter().map(UserId::new).collect();
        for owner in &named {
            let is_held = held.iter().any(|held| held.user_id == *owner);
            anyhow::ensure!(
                is_held,
                "the tokens of {owner} are not held: see `hallpass admin tokens held`"
            );
        }
        if !named.is_empty() {
            held.retain(|held| named.contains(&held.user_id));
        }
        if self.dry_run {
            return print(&rows_of(&held), self.output);
        }
        let mut failures = 0;
        let (mut done, count) = (Vec::new(), held.len());
        for owner in held {
            match decision.carry_out(&decisions, &owner.user_id).await {
                Ok(None) => done.push(owner),
                Ok(Some(reason)) => {
                    failures += 1;
                    eprintln!("{}: {reason}", owner.user_id);
                }
                Err(error) => {
                    failures += 1;
                    eprintln!("{}: {}", owner.user_id, error.chain());
                }
            }
            if done.len() % 100 == 0 && !done.is_empty() {
                eprintln!("{} of {count} owners", done.len());
            }
        }
        print(&rows_of(&done), self.output)?;
        anyhow::ensure!(failures == 0, "{failures} of {count} owners are still held");
        Ok(())
    }
}

impl Decision {
    /// Answers why the owner is still held, where they are.
    async fn carry_out(
        self,
        decisions: &Decisions,
        owner: &UserId,
    ) -> Result<Option<&'static str>, Error> {
        Ok(match self {
            Self::Confirm => {
                decisions.confirm(owner).await?;
                None
            }
            Self::Release => match decisions.release(owner).await? {
                Released::All => None,
                Released::NotWhatWasLost => Some(
                    "tokens that carry what the owner has lost stay suspended: give it back in the realm, or confirm",
                ),
                Released::Nothing => Some("the owner is disabled or gone, or seems to be"),
            },
        })
    }
}

impl RevokeAll {
    async fn run(self) -> anyhow::Result<()> {
        let decisions = open(self.settings).await?;
        if self.dry_run {
            let count = decisions.count_issued_before(self.issued_before).await?;
            println!("{count} tokens would be revoked");
            return Ok(());
        }
        let revoked = revoke_before(&decisions, self.issued_before).await?;
        println!("{revoked} tokens are revoked");
        Ok(())
    }
}

/// Revokes all tokens that were issued before a moment, and answers how many.
pub(super) async fn revoke_before(
    decisions: &Decisions,
    moment: Timestamp,
) -> anyhow::Result<usize> {
    let count = decisions.count_issued_before(moment).await?;
    let mut revoked = 0;
    loop {
        match decisions.revoke_some(moment).await? {
            0 => return Ok(revoked),
            some => revoked += some,
        }
        eprintln!("{revoked} of {count} tokens");
    }
}

async fn open(settings: SettingsArgs) -> anyhow::Result<Decisions> {
    let settings = Settings::load(&settings.sources(None))?;
    decisions(&settings, Clock::system()).await.context("nothing can be decided")
}

/// An owner as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    user_id: &'a str,
    username: &'a str,
    held_at: Timestamp,
    reason: EndReason,
    tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Difference>,
}

/// What of an owner's roles is new, and what is gone.
#[derive(Serialize)]
struct Difference {
    added: Vec<String>,
    removed: Vec<String>,
}

impl<'a> From<&'a HeldOwner> for Row<'a> {
    fn from(owner: &'a HeldOwner) -> Self {
        Self {
            user_id: owner.user_id.as_str(),
            username: &owner.username,
            held_at: owner.held_at,
            reason: owner.reason,
            tokens: owner.tokens,
            roles: None,
        }
    }
}

impl From<&RolesDifference> for Difference {
    fn from(difference: &RolesDifference) -> Self {
        Self { added: difference.added().to_vec(), removed: difference.removed().to_vec() }
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user_id, username, held_at, reason, tokens, roles } = self;
        write!(f, "{user_id}  {username}  {held_at}  {reason}  {tokens} suspended")?;
        let Some(Difference { added, removed }) = roles else { return Ok(()) };
        for (word, names) in [("added", added), ("removed", removed)] {
            if !names.is_empty() {
                write!(f, "  {word} {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

fn rows_of(owners: &[HeldOwner]) -> Vec<Row<'_>> {
    owners.iter().map(Row::from).collect()
}

fn print(rows: &[Row<'_>], output: Output) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match output {
        Output::Text => {
            for row in rows {
                writeln!(out, "{row}")?;
            }
            writeln!(out, "{} owners", rows.len())?;
        }
        Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?,
    }
    Ok(())
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let moment = Timestamp::parse(text)
        .map_err(|error| format!("{error}; it is written as 2026-11-26T09:30:00Z"))?;
    if moment > Clock::system().now() {
        return Err(
            "it is in the future; tokens that are issued until then would be revoked as well"
                .to_owned(),
        );
    }
    Ok(moment)
}
