//! One noun, one type: a reader who meets a name knows what it is.

use std::collections::BTreeMap;

use super::Source;
use super::rust_tokens::tokens;

const KINDS: [&str; 5] = ["struct", "enum", "trait", "type", "union"];

/// Public types of the same name, each with where they stand.
pub fn check(sources: &[Source]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources {
        let tokens = tokens(&source.text);
        for window in tokens.windows(3) {
            let [visibility, kind, name] = window else { continue };
            // What is visible within its own room only may be called as it is called there.
            if visibility.text == "pub" && KINDS.contains(&kind.text.as_str()) {
                let place = format!("{}:{}", source.path, name.line);
                places.entry(name.text.clone()).or_default().push(place);
            }
        }
    }
    let twice = places.into_iter().filter(|(_, places)| places.len() > 1);
    twice
        .map(|(name, places)| format!("{}: two types are called `{name}`", places.join(", ")))
        .collect()
}

#[test]
fn a_second_type_of_a_name_is_found() {
    let sources = |texts: &[&str]| -> Vec<Source> {
        let numbered = texts.iter().zip(1..);
        numbered.map(|(text, number)| Source::new(&format!("src/{number}.rs"), text)).collect()
    };
    for texts in [
        ["pub struct Caller {\n}", "pub struct Caller;"],
        ["pub enum Caller { A }", "pub trait Caller {}"],
        ["pub type Caller = u8;", "mod inner { #[derive(Debug)] pub struct Caller<'a>(&'a str); }"],
    ] {
        assert_eq!(check(&sources(&texts)).len(), 1, "{texts:?}");
    }
    for texts in [
        ["pub struct Caller;", "pub(super) struct Caller;"],
        ["pub struct Caller;", "struct Caller; // pub struct Caller;"],
        ["pub struct Caller;", "pub use crate::Caller; pub fn caller() -> Caller { Caller }"],
    ] {
        assert_eq!(check(&sources(&texts)), [""; 0], "{texts:?}");
    }
}
