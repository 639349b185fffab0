//! `hallpass doctor`.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use clap::Args;

use super::output::Output;
use super::settings::SettingsArgs;
use crate::clock::Clock;
use crate::config::Settings;
use crate::doctor::{Finding, Outcome, examine};

#[derive(Args, Debug)]
pub(super) struct Doctor {
    #[command(flatten)]
    settings: SettingsArgs,
    /// A line for each check, or a JSON array of `{check, result, detail, advice}`.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Doctor {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let sources = self.settings.sources(None);
        let file = sources.settings_file();
        let settings = Settings::load(&sources);
        let findings = examine(settings, file.as_deref(), &Clock::system())
            .await
            .context("the HTTP client cannot be made")?;
        let text = match self.output {
            Output::Text => lines(&findings, std::io::stdout().is_terminal()),
            Output::Json => serde_json::to_string_pretty(&findings)? + "\n",
        };
        std::io::stdout().write_all(text.as_bytes())?;
        let failed = findings.iter().filter(|finding| finding.result == Outcome::Fail).count();
        anyhow::ensure!(failed == 0, "{failed} of {} checks failed", findings.len());
        Ok(())
    }
}

/// A line for each check; below it, what to do. Colours only where a person looks.
fn lines(findings: &[Finding], colours: bool) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let mut text = String::new();
    for Finding { check, result, detail, advice } in findings {
        let (word, colour) = match result {
            Outcome::Ok => ("ok", "32"),
            Outcome::Warn => ("warn", "33"),
            Outcome::Fail => ("FAIL", "1;31"),
            Outcome::Skipped => ("skip", "2"),
        };
        // Keycloak's words stand in some details: nothing in them reaches the terminal but text.
        let detail: String = detail.chars().filter(|c| !c.is_control()).collect();
        let word = format!("{word:<4}");
        let word = if colours { format!("\x1b[{colour}m{word}\x1b[0m") } else { word };
        text = format!("{text}{word}  {check:<width$}  {detail}\n");
        if let Some(advice) = advice {
            text = format!("{text}{:>1$}-> {advice}\n", "", width + 8);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_was_found_and_the_next_what_to_do() {
        let finding = |check, result, detail: &str, advice: Option<&str>| Finding {
            check,
            result,
            detail: detail.to_owned(),
            advice: advice.map(str::to_owned),
        };
        let findings = [
            finding("a", Outcome::Ok, "good", None),
            finding("long", Outcome::Fail, "bad\x1b[2J", Some("mend it")),
        ];
        let plain = "ok    a     good\nFAIL  long  bad[2J\n            -> mend it\n";
        assert_eq!(lines(&findings, false), plain);
        assert!(lines(&findings, true).starts_with("\x1b[32mok  \x1b[0m  a     good\n"));
    }
}
