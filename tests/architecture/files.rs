//! What a file may be called, how long it may be, and what it must not be left with.

use super::Source;
use super::rust_tokens::{Token, tokens};

const MAX_LINES: usize = 400;
const WRITTEN: [&str; 10] = ["rs", "py", "mjs", "js", "sh", "sql", "html", "css", "toml", "md"];
/// Names for what found no home.
const EMPTY_NAMES: [&str; 8] =
    ["utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"];

pub fn check_length(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (source.has_extension(&WRITTEN) && lines > MAX_LINES)
        .then(|| format!("{} has {lines} lines; {MAX_LINES} are the most", source.path))
}

pub fn check_names(source: &Source) -> Vec<String> {
    let parts = source.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let mut names: Vec<String> = parts.map(str::to_owned).collect();
    if source.has_extension(&["rs"]) {
        let modules = tokens(&source.text);
        let inline = modules.windows(2).filter(|pair| pair[0].text == "mod");
        names.extend(inline.map(|pair| pair[1].text.clone()));
    }
    names.retain(|name| EMPTY_NAMES.contains(&name.as_str()));
    names.sort();
    names.dedup();
    names
        .iter()
        .map(|name| format!("{}: `{name}` names nothing; say what it owns", source.path))
        .collect()
}

pub fn check_undone(source: &Source) -> Vec<String> {
    if !source.has_extension(&["rs"]) {
        return Vec::new();
    }
    let tokens = tokens(&source.text);
    // `make soak` runs these.
    let may_ignore = source.path.starts_with("tests/") && source.path.contains("/soak/");
    let mut found: Vec<&Token> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let rest = &tokens[at..];
        if matches!(token.text.as_str(), "todo" | "unimplemented") && is_next(rest, "!") {
            found.push(token);
        }
        if !may_ignore && token.text == "#" && is_next(rest, "[") && is_ignore(&rest[2..]) {
            found.push(token);
        }
    }
    found
        .iter()
        .map(|token| format!("{}:{}: undone, or left out of the run", source.path, token.line))
        .collect()
}

fn is_next(tokens: &[Token], text: &str) -> bool {
    tokens.get(1).is_some_and(|token| token.text == text)
}

/// The attribute `ignore`, also where `cfg_attr` gives it; not `ignore` as an argument of any other.
fn is_ignore(attribute: &[Token]) -> bool {
    let mut words =
        attribute.iter().map(|token| token.text.as_str()).take_while(|word| *word != "]");
    match words.next() {
        Some("ignore") => true,
        Some("cfg_attr") => words.any(|word| word == "ignore"),
        _ => false,
    }
}

#[test]
fn a_file_over_the_bound_is_found() {
    let lines = |count: usize| Source::new("src/a.rs", &"x\n".repeat(count));
    assert_eq!(check_length(&lines(400)), None);
    assert!(check_length(&lines(401)).unwrap().contains("401 lines"));
    // What a package manager writes is as long as it is.
    let lock = Source::new("tests/clients/package-lock.json", &"x\n".repeat(4000));
    assert_eq!(check_length(&lock), None);
}

#[test]
fn an_empty_name_is_found_as_file_folder_and_module() {
    for (path, text) in [
        ("src/utils.rs", ""),
        ("tests/common/mod.rs", ""),
        ("src/token/helpers.rs", ""),
        ("src/token/mod.rs", "mod manager { }"),
    ] {
        assert_eq!(check_names(&Source::new(path, text)).len(), 1, "{path}");
    }
    let good =
        Source::new("src/token/mod.rs", "mod claims; // mod utils\nconst A: &str = \"mod utils\";");
    assert_eq!(check_names(&good), [""; 0]);
}

#[test]
fn what_is_undone_or_left_out_is_found() {
    for text in [
        "fn a() { todo!() }",
        "fn a() { unimplemented!(\"later\") }",
        "#[ignore]\nfn a() {}",
        "#[ignore = \"slow\"]\nfn a() {}",
        "#[cfg_attr(debug_assertions, ignore)]\nfn a() {}",
    ] {
        assert_eq!(check_undone(&Source::new("src/a.rs", text)).len(), 1, "{text}");
    }
    let soak = "#[ignore = \"make soak\"]\nfn a() { todo!() }";
    assert_eq!(check_undone(&Source::new("tests/a/soak/b.rs", soak)).len(), 1);
    assert_eq!(check_undone(&Source::new("src/soak/b.rs", soak)).len(), 2);
    let good = "// todo!\n#[schema(ignore)] fn a(todo: u8) { \"todo!()\" }";
    assert_eq!(check_undone(&Source::new("src/a.rs", good)), [""; 0]);
}
