//! The settings themselves.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::finding::Verdict;
use crate::config::Problems;

/// Settings that could be read. A file with secrets should not be everybody's.
pub(super) fn good(file: Option<&Path>) -> Verdict {
    let Some(file) = file else {
        return Verdict::ok("read from environment and flags; there is no settings file");
    };
    let name = file.display();
    match file.metadata().map(|metadata| metadata.mode() & 0o777) {
        Ok(mode) if mode & 0o007 != 0 => Verdict::warn(
            format!("{name} can be used by everybody on this machine (mode {mode:04o})"),
            format!("run `chmod 600 {name}`: there are secrets in it"),
        ),
        _ => Verdict::ok(format!("read, with the file {name}")),
    }
}

/// Everything that is wrong, at once.
pub(super) fn wrong(problems: &Problems) -> Verdict {
    let all: Vec<String> = problems.as_slice().iter().map(ToString::to_string).collect();
    Verdict::fail(all.join("; "), "mend the settings; docs/settings.md lists them all")
}
