//! What users and operators wait for, on a release build with a real Keycloak: lists as long as they get, on each database, and
//! how soon changes in Keycloak are followed. `make bench`; its arguments name the parts that are measured.
//!
//! Every answer is checked. Writes `docs/benchmarks.md`, where parts that were not measured stay as they are, and fails where
//! something is over its target.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]
#![allow(unreachable_pub, missing_docs)]

mod clients;
mod cpu;
mod crowd;
mod followed;
mod footprint;
mod minted;
mod noticed;
mod release;
mod revoked;
#[allow(dead_code, unused_imports)]
#[path = "../../tests/support/mod.rs"]
mod support;
mod tokens;
mod validation;

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

/// What was measured, by section.
#[derive(Default)]
pub struct Report {
    sections: Vec<(String, String)>,
    slow: bool,
}

impl Report {
    /// Begins a section; `head` is the first line of its table, and the line below it.
    pub fn section(&mut self, title: &str, what: &str, head: &str) {
        println!("{title}");
        self.sections.push((title.to_owned(), format!("{what}\n\n{head}\n")));
    }

    /// A section of lists.
    pub fn lists(&mut self, title: &str, what: &str) {
        self.section(
            title,
            what,
            "| database | question | median, ms | 95 %, ms |\n|---|---|---:|---:|",
        );
    }

    /// A row of the section that was begun last.
    pub fn row(&mut self, row: &str, is_good: bool) {
        println!("{row}");
        self.slow |= !is_good;
        if let Some((_, text)) = self.sections.last_mut() {
            let _ = writeln!(text, "{row}");
        }
    }

    /// The document with what was measured in the place of what stood there.
    fn written_into(&self, document: &str) -> String {
        let body = document.split_once("\n## ").map_or("", |(_, body)| body);
        let old = body.split("\n## ").filter_map(|section| section.split_once("\n\n"));
        let mut sections: Vec<_> =
            old.map(|(title, text)| (title.to_owned(), format!("{}\n", text.trim_end()))).collect();
        for (title, text) in &self.sections {
            match sections.iter_mut().find(|(old, _)| old == title) {
                Some((_, old)) => old.clone_from(text),
                None => sections.push((title.clone(), text.clone())),
            }
        }
        sections.iter().fold(HEAD.to_owned(), |document, (title, text)| {
            format!("{document}\n## {title}\n\n{text}")
        })
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
            let (median_ms, late_ms) = (median.as_secs_f64() * 1e3, late.as_secs_f64() * 1e3);
            let row = format!("| {database} | {} | {median_ms:.1} | {late_ms:.1} |", question.name);
            self.row(&row, median <= TARGET);
        }
    }

    /// A kind of change: how long it took to be seen, each time.
    pub fn change(&mut self, name: &str, mut times: Vec<Duration>, target: Duration) {
        times.sort();
        let (median, maximum) = (times[times.len() / 2], times[times.len() - 1]);
        let row = format!(
            "| {name} | {:.2} | {:.2} | {} |",
            median.as_secs_f64(),
            maximum.as_secs_f64(),
            target.as_secs_f64()
        );
        self.row(&row, maximum <= target);
    }
}

/// The one in the middle.
#[must_use]
pub fn median<T: PartialOrd + Copy>(mut values: Vec<T>) -> T {
    values.sort_by(|one, other| one.partial_cmp(other).expect("they can be compared"));
    values[values.len() / 2]
}

const PARTS: [&str; 9] = [
    "validation",
    "minted",
    "revoked",
    "footprint",
    "followed",
    "crowd",
    "noticed",
    "tokens",
    "clients",
];

#[tokio::main]
async fn main() {
    // `cargo bench` adds one of its own.
    let asked: Vec<_> = std::env::args().skip(1).filter(|part| part != "--bench").collect();
    let unknown = asked.iter().find(|asked| !PARTS.contains(&asked.as_str()));
    assert!(unknown.is_none(), "{unknown:?} is none of {PARTS:?}");
    let mut report = Report::default();
    for part in PARTS {
        if !asked.is_empty() && !asked.iter().any(|asked| asked == part) {
            continue;
        }
        match part {
            "validation" => Box::pin(validation::measure(&mut report)).await,
            "minted" => minted::measure(&mut report).await,
            "revoked" => revoked::measure(&mut report).await,
            "footprint" => Box::pin(footprint::measure(&mut report)).await,
            "followed" => Box::pin(followed::measure(&mut report)).await,
            "crowd" => crowd::measure(&mut report).await,
            "noticed" => noticed::measure(&mut report).await,
            "tokens" => tokens::measure(&mut report).await,
            "clients" => Box::pin(clients::measure(&mut report)).await,
            _ => unreachable!("{part} is not measured"),
        }
        // What was measured is not lost when a later part fails.
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/benchmarks.md");
        let document = std::fs::read_to_string(path).unwrap_or_default();
        std::fs::write(path, report.written_into(&document)).unwrap();
    }
    assert!(!report.slow, "something is over its target");
}

const HEAD: &str = "# Benchmarks

<!-- Written by `make bench`. -->

From one machine with 2 cores, where Keycloak, both databases and Hallpass run. Each question of a list is asked 101 times over HTTP, in turn
with the others. Target: 50 ms at the median.
";
