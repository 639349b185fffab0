//! The `hallpass` command.

use std::process::ExitCode;

/// Many small allocations of many threads for each request: the system's allocator takes a tenth of its time for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    hallpass::cli::run().await
}
