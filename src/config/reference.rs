//! The reference of all settings, from what the sections ask for.

use std::fmt::Write as _;

use super::reader::{Asked, Need, Reader, file_key, variable};
use super::{Settings, Sources};

const HEAD: &str = "# Settings

<!-- Written from `src/config`: do not edit. -->

`hallpass` reads, in rising order: the defaults, a TOML file (`--config FILE`, else `hallpass.toml` in the working directory where it
exists), the environment, flags. `server.listen` is `listen` below `[server]` in the file, and `HALLPASS_SERVER__LISTEN` in the environment.

- In the environment lists are written with commas (a lone comma is an empty list), and an empty value counts as not set.
- A secret can come from a file: `keycloak.client_secret_file` holds the path of a file with what `keycloak.client_secret` would
  hold. Newlines at its end are dropped, and a relative path starts at the working directory. Both in the same place are refused; else the higher place wins.
- An unknown key or an invalid value stops the start; all problems are listed at once.
";

/// The contents of `docs/settings.md`.
#[must_use]
pub fn reference() -> String {
    let mut reader = Reader::new(&Sources::default());
    // Nothing is given, so this fails: what matters is what it asked for.
    let _ = Settings::read(&mut reader);
    let mut text = HEAD.to_owned();
    let mut section = "";
    for asked in reader.asked() {
        let of = asked.key.name.split('.').next().unwrap_or_default();
        if of != section {
            section = of;
            let _ = write!(text, "\n## `{section}`\n\n{COLUMNS}");
        }
        text.push_str(&row(asked));
    }
    text
}

const COLUMNS: &str =
    "| key | default | allowed | meaning | environment |\n|---|---|---|---|---|\n";

fn row(Asked { key, need, secret }: &Asked) -> String {
    let default = match (key.default, need) {
        (Some(""), _) => "empty".to_owned(),
        (Some(default), _) => format!("`{default}`"),
        (None, Need::Required) => "required".to_owned(),
        (None, Need::Optional) => "none".to_owned(),
    };
    let also = |name: &str| if *secret { format!(", `{name}`") } else { String::new() };
    let file = file_key(key.name);
    let cells = [
        format!("`{}`{}", key.name, also(&file)),
        default,
        key.allowed.to_owned(),
        key.meaning.to_owned(),
        format!("`{}`{}", variable(key.name), also(&variable(&file))),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', r"\|")).join(" | "))
}
