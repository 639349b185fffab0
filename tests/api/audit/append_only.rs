//! Nothing changes or removes what is in the audit log.

use std::fs;
use std::path::Path;

use super::{EVENTS, reader};
use crate::support::TestServer;

/// All Rust files below `src`, each with its text.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// What a text does to the table, other than reading it and adding to it.
fn offences(text: &str) -> Vec<String> {
    // A statement may go over lines, in a text that `\` continues.
    let words: Vec<_> = text
        .split(|c: char| c.is_whitespace() || matches!(c, '\\' | '"' | '(' | ')' | ';' | '{' | '}'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let mentions = words.iter().enumerate().filter(|(_, word)| word.contains("audit_events"));
    let before = |at: usize| at.checked_sub(1).map_or("", |before| words[before].as_str());
    mentions
        .filter(|(at, _)| {
            let first = at.checked_sub(2).map_or("", |first| words[first].as_str());
            !matches!((first, before(*at)), ("insert", "into") | (_, "from")) || first == "delete"
        })
        .map(|(at, word)| format!("{} {word}", before(at)))
        .collect()
}

#[test]
fn no_statement_of_the_service_changes_or_removes_an_event() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 50, "the tree was not read");
    let mentions = found.iter().filter(|(_, text)| text.contains("audit_events")).count();
    assert!(mentions > 0, "the table has another name");
    for (path, text) in &found {
        // Documentation names the table, and the list's methods too.
        let code: Vec<_> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| line.replace("list_audit_events", ""))
            .collect();
        let code = code.join("\n");
        assert_eq!(offences(&code), [""; 0], "{path}");
    }
}

#[test]
fn a_statement_that_changes_an_event_is_found() {
    for bad in [
        "\"UPDATE audit_events SET reason = ''\"",
        "\"DELETE FROM audit_events\"",
        "\"delete \\\n from audit_events WHERE 1 = 1\"",
        "\"TRUNCATE audit_events\"",
        "\"DROP TABLE audit_events\"",
        "\"REPLACE INTO audit_events VALUES (1)\"",
        "const TABLE: &str = \"audit_events\";",
    ] {
        assert_eq!(offences(bad).len(), 1, "{bad}");
    }
    for good in [
        "\"INSERT INTO audit_events (event_id) VALUES ($1)\"",
        "\"SELECT reason FROM audit_events{}\"",
    ] {
        assert_eq!(offences(good), [""; 0], "{good}");
    }
}

/// No method of the log but reading, whoever asks.
#[tokio::test]
async fn the_log_has_no_way_to_change_it() {
    let server = TestServer::start().await;
    let reader = reader(&server).await;
    reader.delete(EVENTS).await.expect_problem(405, "method-not-allowed");
    reader.post_empty(EVENTS).await.expect_problem(405, "method-not-allowed");
    reader.delete(&format!("{EVENTS}/1")).await.expect_problem(404, "not-found");
    server.stop().await;
}
