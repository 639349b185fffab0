//! What the documents say of the tree.

use std::path::Path;

use super::Source;
use super::rust_tokens::tokens;

/// The document names a module in backticks, alone or among others.
pub fn check_modules(library: &str, document: &str) -> Vec<String> {
    let mut named: Vec<&str> = Vec::new();
    for line in document.lines() {
        let spans = line.split('`').skip(1).step_by(2);
        named.extend(spans.flat_map(|span| span.split(|c: char| !c.is_alphanumeric() && c != '_')));
    }
    modules(library)
        .into_iter()
        .filter(|module| !named.contains(&module.as_str()))
        .map(|module| format!("docs/architecture.md does not say what `{module}` owns"))
        .collect()
}

/// The modules that a crate's root declares, and the packages that it lends a name.
pub fn modules(library: &str) -> Vec<String> {
    let tokens = tokens(library);
    let declared = tokens.windows(2).filter(|pair| matches!(&*pair[0].text, "mod" | "as"));
    declared.map(|pair| pair[1].text.clone()).collect()
}

/// The targets of inline links, without what is in fenced code.
pub fn links(document: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_fence = false;
    for line in document.text.lines() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        }
        if !in_fence {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            found.extend(targets.map(str::to_owned));
        }
    }
    found
}

pub fn check_links(document: &Source, root: &Path) -> Vec<String> {
    let folder = Path::new(&document.path).parent().unwrap_or(Path::new(""));
    links(document)
        .into_iter()
        .filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        .filter_map(|link| {
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => root.join(&document.path),
                path => root.join(folder).join(path),
            };
            if !target.exists() {
                return Some(format!("{}: `{link}` is not there", document.path));
            }
            let text = if path.is_empty() {
                document.text.clone()
            } else {
                std::fs::read_to_string(target).unwrap_or_default()
            };
            (!heading.is_empty() && !has_heading(&text, heading))
                .then(|| format!("{}: `{link}` names no heading", document.path))
        })
        .collect()
}

/// By the rule of GitHub's and GitLab's renderers: lower case, hyphens for spaces, no other signs.
fn has_heading(text: &str, anchor: &str) -> bool {
    text.lines().filter(|line| line.starts_with('#')).any(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).eq(anchor.chars())
    })
}

#[test]
fn a_module_that_the_document_does_not_name_is_found() {
    let library = "pub mod a; pub mod b; pub use other as c; // pub mod d;";
    assert_eq!(check_modules(library, "| `x`, `a` | b |\n| `b c` | |"), [""; 0]);
    let complaints = check_modules(library, "`a`: and b without its backticks, `c`");
    assert_eq!(complaints, ["docs/architecture.md does not say what `b` owns"]);
}

#[test]
fn a_link_to_nothing_is_found() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("docs")).unwrap();
    std::fs::write(folder.path().join("docs/a.md"), "").unwrap();
    std::fs::write(folder.path().join("README.md"), "# Two words, and `more`").unwrap();
    let check = |text: &str| check_links(&Source::new("docs/a.md", text), folder.path());
    for good in [
        "[a](../README.md)",
        "[a](../README.md#two-words-and-more)",
        "[a](https://example.org/none)",
        "# Here\n[a](#here)",
        "```\n[a](none.md)\n```",
    ] {
        assert_eq!(check(good), [""; 0], "{good}");
    }
    for bad in
        ["[a](README.md)", "[a](../README.md#three-words)", "[b](x), [a](../README.md)", "[a](#b)"]
    {
        assert_eq!(check(bad).len(), 1, "{bad}");
    }
}
