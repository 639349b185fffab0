//! The command line: commands, what they print, their exit codes.
//!
//! 0: done. 1: failed, with the reason and its causes on standard error. 2: misuse.

mod admin;
mod bootstrap;
mod doctor;
mod jwks;
mod logging;
mod output;
mod serve;
mod settings;
mod store;

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Personal access tokens for any Keycloak realm.
#[derive(Debug, Parser)]
#[command(name = "hallpass", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service: API, documentation, health.
    Serve(serve::Serve),
    /// Prepare a realm, idempotently; or take everything back.
    Bootstrap(bootstrap::Bootstrap),
    /// Look for what is wrong with settings, store and realm; say what to do.
    Doctor(doctor::Doctor),
    /// What operators decide.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// The realm's keys, for validators that are offline.
    #[command(subcommand)]
    Jwks(jwks::Jwks),
}

/// Runs the command that the process was started with.
pub async fn run() -> ExitCode {
    // Misuse ends the process here, with code 2.
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(command) => command.run().await,
        Command::Bootstrap(command) => command.run().await,
        Command::Doctor(command) => command.run().await,
        Command::Admin(command) => command.run().await,
        Command::Jwks(command) => command.run().await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The reference of all commands, as Markdown: the contents of `docs/commands.md`.
#[must_use]
pub fn reference() -> String {
    let mut text = "# Commands\n\n<!-- Written by `make generate` from `src/cli`. -->\n".to_owned();
    describe(Cli::command().term_width(100), "", &mut text);
    text
}

fn describe(mut command: clap::Command, path: &str, text: &mut String) {
    let path = format!("{path} {}", command.get_name()).trim().to_owned();
    let help = command.render_long_help().to_string();
    let help = help.replacen("Usage: ", &format!("Usage of `{path}`: "), 1);
    let _ = write!(text, "\n## `{path}`\n\n```text\n{}\n```\n", help.trim_end());
    for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
        describe(child.clone().term_width(100), &path, text);
    }
}
