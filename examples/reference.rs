//! Writes the generated documents into a folder: run by `make generate`.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "docs".to_owned());
    let folder = Path::new(&folder);
    std::fs::write(folder.join("settings.md"), hallpass::config::reference())?;
    std::fs::write(folder.join("commands.md"), hallpass::cli::reference())?;
    let document = serde_json::to_string_pretty(&hallpass::http::document())?;
    std::fs::write(folder.join("openapi.json"), document + "\n")?;
    Ok(())
}
