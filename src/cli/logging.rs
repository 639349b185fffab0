//! Log lines on standard error.

mod lines;

use std::io::{IsTerminal as _, Stderr, stderr};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;
use lines::{Guard, Lines};

/// Starts logging: `RUST_LOG` chooses what; default: `info`. A second start changes nothing. With the answer
/// goes what was not written yet: it is to live as long as the command.
#[must_use]
pub(super) fn start(format: LogFormat) -> Guard<Stderr> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let (lines, guard) = Lines::new(stderr());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(lines);
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    guard
}
