//! The command `hallpass`, as a child process: what it prints, where, and how it ends.

mod backup;
mod jwks;
mod refusals;

use std::process::Output;

use crate::support::{hallpass, run};

/// Runs the command in an empty folder, without settings.
async fn bare(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    run(hallpass(folder.path(), arguments)).await
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn help_and_version_are_printed_and_are_no_failure() {
    let version = bare(&["--version"]).await;
    assert_eq!(version.status.code(), Some(0), "{version:?}");
    assert_eq!(stdout(&version), format!("hallpass {}\n", env!("CARGO_PKG_VERSION")));
    for arguments in [&["--help"][..], &["help"], &["serve", "--help"], &["jwks", "export", "-h"]] {
        let help = bare(arguments).await;
        assert_eq!(help.status.code(), Some(0), "{arguments:?} {help:?}");
        assert!(stdout(&help).contains("Usage: hallpass"), "{arguments:?} {help:?}");
        assert_eq!(stderr(&help), "", "{arguments:?}");
    }
    for command in ["serve", "bootstrap", "jwks"] {
        assert!(stdout(&bare(&["--help"]).await).contains(command), "{command}");
    }
}

#[tokio::test]
async fn misuse_is_said_on_standard_error_with_code_2() {
    let misuses: [(&[&str], &str); 8] = [
        (&[], "Usage"),
        (&["sevre"], "unrecognized subcommand"),
        (&["serve", "--nonsense"], "--nonsense"),
        (&["jwks"], "Usage"),
        (&["jwks", "export", "--format", "der"], "possible values: jwks, pem"),
        (&["bootstrap"], "--admin-user"),
        (&["admin", "tokens", "revoke-all", "--issued-before", "tomorrow"], "is written as"),
        (
            &["admin", "tokens", "revoke-all", "--issued-before", "2999-01-01T00:00:00Z"],
            "it is in the future",
        ),
    ];
    for (arguments, said) in misuses {
        let output = bare(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {output:?}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(stderr(&output).contains(said), "{arguments:?} {output:?}");
    }
}
