//! Lists over HTTP, as long as they get, on each database, and how soon they show what happens in Keycloak: `make bench`.
//!
//! Every answer is checked. Writes `docs/benchmarks.md`, and fails where something is over its target.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]
#![allow(unreachable_pub, missing_docs)]

mod clients;
mod noticed;
#[allow(dead_code, unused_imports)]
#[path = "../../tests/support/mod.rs"]
mod support;
mod tokens;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use support::Api;

const ROUNDS: usize = 101;
const TARGET: Duration = Duration::from_millis(50);

/// What is asked, and how many there are of it.
pub struct Question {
    pub name: &'static str,
    pub path: String,
    pub total: u64,
}

/// The document, as far as it is.
pub struct Report {
    text: String,
    slow: bool,
}

impl Report {
    pub fn section(&mut self, title: &str, what: &str) {
        let _ = write!(
            self.text,
            "\n## {title}\n\n{what}\n\n| database | question | median, ms | 95 %, ms |\n|---|---|---:|---:|\n"
        );
    }

    /// All questions in turn, so that a busy moment hits each of them.
    pub async fn ask(&mut self, database: &str, user: &Api, questions: &[Question]) {
        let mut times = vec![Vec::new(); questions.len()];
        for _ in 0..ROUNDS {
            for (question, times) in questions.iter().zip(&mut times) {
                let began = Instant::now();
                let answer = user.get(&question.path).await;
                times.push(began.elapsed());
                let total = answer.expect(200)["pagination"]["total"].clone();
                assert_eq!(total, question.total, "{database}: {}", question.path);
            }
        }
        for (question, mut times) in questions.iter().zip(times) {
            times.sort();
            let (median, late) = (times[ROUNDS / 2], times[ROUNDS * 95 / 100]);
            self.slow |= median > TARGET;
            let row = format!(
                "| {database} | {} | {:.1} | {:.1} |",
                question.name,
                median.as_secs_f64() * 1e3,
                late.as_secs_f64() * 1e3
            );
            println!("{row}");
            let _ = writeln!(self.text, "{row}");
        }
    }

    /// Each kind of change, with its median and its maximum.
    pub fn noticed(&mut self, rows: &[(&str, Duration, Duration)], target: Duration) {
        let _ = write!(
            self.text,
            "\n## Changes in Keycloak\n\nFrom the answer of Keycloak to the list of API clients that shows the change, 20 times each. \
             Target: {} s at most.\n\n| change | median, s | maximum, s |\n|---|---:|---:|\n",
            target.as_secs()
        );
        for (name, median, maximum) in rows {
            self.slow |= *maximum > target;
            let (median, maximum) = (median.as_secs_f64(), maximum.as_secs_f64());
            let row = format!("| {name} | {median:.2} | {maximum:.2} |");
            println!("{row}");
            let _ = writeln!(self.text, "{row}");
        }
    }
}

#[tokio::main]
async fn main() {
    let mut report = Report { text: HEAD.to_owned(), slow: false };
    tokens::measure(&mut report).await;
    noticed::measure(&mut report).await;
    clients::measure(&mut report).await;
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/benchmarks.md"), report.text)
        .unwrap();
    assert!(!report.slow, "something is over its target");
}

const HEAD: &str = "# Benchmarks

<!-- Written by `make bench`. -->

From one machine with 2 cores, where Keycloak, both databases and Hallpass run. Each question of a list is asked 101 times over HTTP, in turn
with the others. Target: 50 ms at the median.
";
