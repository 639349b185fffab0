//! The `hallpass` command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    hallpass::cli::run().await
}
