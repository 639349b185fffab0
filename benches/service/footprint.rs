//! What a service takes that nobody uses: memory, by how many live tokens it knows, and the time of a start.

use crate::release::{QUIET, Release};
use crate::support::{Database, TestRealm, TestServer};
use crate::{Report, cpu, crowd, median};

/// How often it is started.
const STARTS: usize = 11;
/// In milliseconds.
const START: f64 = 150.0;

pub async fn measure(report: &mut Report) {
    report.section(
        "Memory and start",
        "Of the release build on SQLite, as the system counts resident memory, when the work of a start is done. From the start \
         of the process to the first good `/readyz`, median of eleven.",
        "| live tokens, of a thousand owners | resident, MiB | target | start, ms | target |\n|---:|---:|---:|---:|---:|",
    );
    for (each, target) in [(0, 35.0), (100, 55.0), (1_000, 100.0)] {
        let realm = TestRealm::own().await;
        let mut server = TestServer::start_with(realm.clone(), Database::sqlite, &[]).await;
        if each > 0 {
            crowd::fill(&realm, &server, each).await;
        }
        server.halt().await;
        let folder = tempfile::tempdir().unwrap();
        let mut took = Vec::new();
        for _ in 1..STARTS {
            let hallpass = Release::serve(&realm, &server.database, folder.path(), QUIET).await;
            took.push(hallpass.took.as_secs_f64() * 1e3);
            hallpass.stop().await;
        }
        let hallpass = Release::serve(&realm, &server.database, folder.path(), QUIET).await;
        took.push(hallpass.took.as_secs_f64() * 1e3);
        let hallpass = hallpass.until_at_rest().await;
        let resident = cpu::resident(&[hallpass.id()]);
        hallpass.stop().await;
        let start = median(took);
        let tokens = each * crowd::OWNERS;
        let row = format!("| {tokens} | {resident:.0} | {target:.0} | {start:.0} | {START:.0} |");
        report.row(&row, resident <= target && start <= START);
    }
}
