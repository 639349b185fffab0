//! How a command's result is printed.

use clap::ValueEnum;

/// For people, or for programs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Output {
    /// A line for each thing.
    Text,
    /// JSON.
    Json,
}
