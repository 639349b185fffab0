//! Writes the generated documents into a folder: run by `make generate`.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use hallpass::audit::Act;
use hallpass::decide::Reason;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "docs".to_owned());
    let folder = Path::new(&folder);
    std::fs::write(folder.join("settings.md"), hallpass::config::reference())?;
    std::fs::write(folder.join("commands.md"), hallpass::cli::reference())?;
    let document = serde_json::to_string_pretty(&hallpass::http::document())?;
    std::fs::write(folder.join("openapi.json"), document + "\n")?;

    let page = folder.join("logging.md");
    let actions = table("action", Act::ALL.iter().map(|one| (one.name(), one.meaning())));
    let reasons = table("reason", Reason::ALL.iter().map(|one| (one.code(), one.meaning())));
    let text = std::fs::read_to_string(&page)?;
    let text = fill(&fill(&text, "actions", &actions)?, "reasons", &reasons)?;
    Ok(std::fs::write(page, text)?)
}

fn table<'a>(word: &str, rows: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut table = format!("| {word} | meaning |\n|---|---|\n");
    for (name, meaning) in rows {
        let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(table, "| `{name}` | {meaning} |");
    }
    table
}

/// The page with this in the place that is marked for it.
fn fill(page: &str, place: &str, with: &str) -> anyhow::Result<String> {
    let (begin, end) =
        (format!("<!-- {place}, from the code -->\n"), format!("<!-- {place} end -->"));
    let (before, rest) =
        page.split_once(&begin).with_context(|| format!("no place for {place}"))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("no end of {place}"))?;
    Ok(format!("{before}{begin}\n{with}\n{end}{after}"))
}
