//! Which module may import which: those that stand below it.

use super::Source;
use super::rust_tokens::{Token, tokens};

/// The house, from the top. A module imports what stands on a lower floor, never its own floor or above.
/// A module that does not exist yet has its place too.
const FLOORS: [&[&str]; 27] = [
    &["main"],
    &["cli"],
    &["serve"],
    &["doctor"],
    &["ui"],
    &["http"],
    &["proxy"],
    &["app"],
    // Use cases.
    &["lifecycle"],
    &["bootstrap", "service_account"],
    &["token", "client", "api_key", "session", "audit_log"],
    &["decide"],
    &["access"],
    &["owner"],
    &["keys"],
    // Adapters: neither knows the other.
    &["store", "keycloak"],
    // Words.
    &["throttle"],
    &["audit"],
    &["principal"],
    &["config"],
    &["claim", "credential", "fields", "names", "page", "role_name", "network"],
    &["seal"],
    &["error"],
    &["id"],
    &["clock", "spelling"],
    &["telemetry"],
    // A package of its own: nothing of ours.
    &["verify"],
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

pub fn check(source: &Source) -> Vec<String> {
    let own = module_path(&source.path);
    // The root of the library declares its modules, and stands on no floor.
    let Some(importer) = own.first() else { return Vec::new() };
    let at = |line: usize| format!("{}:{line}", source.path);
    let Some(own_floor) = floor(importer) else {
        return vec![unknown(&at(1), importer)];
    };
    imports(&own, &tokens(&source.text))
        .into_iter()
        .filter(|(imported, _)| imported != importer)
        .filter_map(|(imported, line)| match floor(&imported) {
            _ if matches!(&*imported, "*" | "self" | "") => {
                Some(format!("{}: names the whole crate; name the module", at(line)))
            }
            None => Some(unknown(&at(line), &imported)),
            Some(floor) if floor > own_floor => None,
            Some(_) => Some(format!(
                "{}: `{importer}` imports `{imported}`, which does not stand below it",
                at(line)
            )),
        })
        .collect()
}

fn unknown(place: &str, module: &str) -> String {
    format!(
        "{place}: the module `{module}` has no floor: add it to FLOORS in tests/architecture/imports.rs"
    )
}

/// `src/token/issue.rs` is `token::issue`; the roots are the path without segments and `main`.
fn module_path(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let path = path.trim_end_matches("/mod");
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// The top-level modules that a file names, each with its line. Paths that begin with `self` or with a name in
/// scope stay inside the module or come from one of these.
fn imports(own: &[String], tokens: &[Token]) -> Vec<(String, usize)> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    // The inline modules around the token; `None` for any other pair of braces.
    let mut braces: Vec<Option<&str>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins_path = text(at + 1) == "::" && (at == 0 || text(at - 1) != "::");
        match text(at) {
            "{" => braces.push((at > 1 && text(at - 2) == "mod").then(|| text(at - 1))),
            "}" => drop(braces.pop()),
            first @ ("crate" | "hallpass" | "super" | "self") if begins_path => {
                let scope: Vec<&str> = own
                    .iter()
                    .map(String::as_str)
                    .chain(braces.iter().flatten().copied())
                    .collect();
                let base = if matches!(first, "crate" | "hallpass") { Vec::new() } else { scope };
                let from = if matches!(first, "super") { at } else { at + 2 };
                resolve(base, tokens, from, &mut found);
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Follows a path or an import tree that begins at `at`, below `base`. Answers where it ends.
fn resolve(
    mut base: Vec<&str>,
    tokens: &[Token],
    mut at: usize,
    found: &mut Vec<(String, usize)>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    while text(at) == "super" && text(at + 1) == "::" {
        base.pop();
        at += 2;
    }
    if text(at) == "{" {
        at += 1;
        while !matches!(text(at), "}" | "") {
            at = if text(at) == "," { at + 1 } else { resolve(base.clone(), tokens, at, found) };
        }
        return at + 1;
    }
    let line = tokens.get(at).map_or(0, |token| token.line);
    let imported = base.first().map_or_else(|| text(at), |module| *module);
    found.push((imported.to_owned(), line));
    // To the end of this branch.
    let mut depth = 0;
    while !matches!((depth, text(at)), (_, "" | ";") | (0, "," | "}" | ")")) {
        depth += i32::from(text(at) == "{") - i32::from(text(at) == "}");
        at += 1;
    }
    at
}

/// What the check says of a file with this text.
#[cfg(test)]
fn complaints(path: &str, text: &str) -> Vec<String> {
    check(&Source::new(path, text))
}

#[test]
fn imports_of_what_stands_below_are_good() {
    for (path, text) in [
        (
            "src/token/issue.rs",
            "use crate::store::{self, Store}; use super::claims; use super::super::keys;",
        ),
        ("src/token/mod.rs", "mod a; fn f() { crate::audit::g(crate::clock::now()) }"),
        ("src/app.rs", "mod tests { use super::*; use super::super::store; }"),
        ("src/http/api/pat.rs", "pub(in crate::http) fn f() {} use super::super::problem;"),
        ("src/error.rs", "//! See [`crate::http`].\nconst A: &str = \"crate::http\";"),
        ("src/main.rs", "fn main() { hallpass::cli::run() }"),
        ("src/lib.rs", "pub mod app; pub use hallpass_verify as verify;"),
        (
            "src/client/mod.rs",
            "use crate::{keycloak::Keycloak, store::{Store, StoreError}, error};",
        ),
    ] {
        assert_eq!(complaints(path, text), [""; 0], "{path}");
    }
}

#[test]
fn an_upward_import_is_found_in_each_form() {
    for (path, text) in [
        ("src/token/issue.rs", "use crate::http::problem;"),
        ("src/token/issue.rs", "fn f() { let x = crate::app::App; }"),
        ("src/token/issue.rs", "use crate::{store::{Store}, serve, error};"),
        ("src/token/mod.rs", "use super::app;"),
        ("src/token/issue.rs", "use super::super::app::App;"),
        ("src/token/issue.rs", "use super::{claims, super::app};"),
        ("src/token/mod.rs", "#[cfg(test)] mod tests { use super::super::app::App; }"),
        ("src/token/mod.rs", "#[cfg(test)] mod tests { use crate::app::App; }"),
        ("src/token/mod.rs", "macro_rules! m { () => { $crate::app::App } }"),
        ("src/token/mod.rs", "use self::super::app;"),
        ("src/token/mod.rs", "use hallpass::app;"),
        // A neighbour on the same floor.
        ("src/store/mod.rs", "use crate::keycloak::Keycloak;"),
        ("src/client/mod.rs", "use crate::token::Tokens;"),
        // An adapter knows no use case, and a word only words.
        ("src/store/mod.rs", "use crate::token::TokenName;"),
        ("src/error.rs", "use crate::store::StoreError;"),
        // The whole crate.
        ("src/token/mod.rs", "use crate::*;"),
    ] {
        assert_eq!(complaints(path, text).len(), 1, "{path}: {text}");
    }
}

#[test]
fn a_module_without_a_floor_is_to_be_added() {
    for complaint in [
        complaints("src/novelty/mod.rs", "use crate::error::Error;"),
        complaints("src/app.rs", "use crate::novelty::Novelty;"),
    ] {
        assert_eq!(complaint.len(), 1);
        assert!(complaint[0].contains("`novelty` has no floor: add it to FLOORS"), "{complaint:?}");
    }
}
