//! Imports point down, names say something and one thing each, no file outgrows its room, and documents point at what is there.
//!
//! Each check is a plain function over texts, run on the tree here and on a bad sample beside its code:
//! a check that cannot fail proves nothing.

mod documents;
mod files;
mod imports;
mod nouns;
mod routes;
mod rust_tokens;

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the tree: its path from the root of the repository, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    fn has_extension(&self, extensions: &[&str]) -> bool {
        let extension = Path::new(&self.path).extension().and_then(|e| e.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All text files below these folders.
fn read_tree(folders: &[&str]) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What a package manager or a build left there is not ours.
                if !path.ends_with("node_modules") && !path.ends_with("target") {
                    open.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                sources
                    .push(Source::new(path.strip_prefix(root()).unwrap().to_str().unwrap(), &text));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn imports_point_down() {
    let sources = read_tree(&["src"]);
    assert!(sources.len() > 50, "the tree was not read");
    let complaints: Vec<_> = sources.iter().flat_map(imports::check).collect();
    assert_none(&complaints);
}

#[test]
fn no_file_outgrows_its_room() {
    let sources = read_tree(&["src", "tests", "verify"]);
    assert_none(&sources.iter().filter_map(files::check_length).collect::<Vec<_>>());
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    let sources = read_tree(&["src", "tests", "verify"]);
    assert_none(&sources.iter().flat_map(files::check_names).collect::<Vec<_>>());
}

#[test]
fn every_operation_is_in_the_list() {
    assert_none(&read_tree(&["src"]).iter().flat_map(routes::check).collect::<Vec<_>>());
}

#[test]
fn one_noun_is_one_type() {
    assert_none(&nouns::check(&read_tree(&["src", "verify/src"])));
}

#[test]
fn nothing_is_left_undone_and_no_test_is_left_out() {
    let sources = read_tree(&["src", "tests", "verify"]);
    assert_none(&sources.iter().flat_map(files::check_undone).collect::<Vec<_>>());
}

#[test]
fn the_architecture_document_names_every_module() {
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let document = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    assert_none(&documents::check_modules(&library, &document));
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut documents = read_tree(&["docs"]);
    for name in ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"] {
        documents.push(Source::new(name, &fs::read_to_string(root().join(name)).unwrap()));
    }
    documents.retain(|document| document.has_extension(&["md"]));
    let links: usize = documents.iter().map(|document| documents::links(document).len()).sum();
    assert!(links > 10, "only {links} links were found");
    let complaints: Vec<_> =
        documents.iter().flat_map(|document| documents::check_links(document, root())).collect();
    assert_none(&complaints);
}
