//! What must not be found, in every form in which it would be as good as itself.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Secrets, each with a form to look for.
#[derive(Default)]
pub struct Secrets(Vec<(String, String)>);

impl Secrets {
    pub fn text(&mut self, what: &str, text: &str) {
        assert!(text.len() >= 16, "{what} is too short to be looked for");
        self.0.push((what.to_owned(), text.to_owned()));
    }

    /// Found by its signature: that is in the whole, and nobody knows it without the token.
    pub fn jwt(&mut self, what: &str, token: &str) {
        let [_, _, signature] = *token.split('.').collect::<Vec<_>>() else {
            panic!("{what} is no JWT");
        };
        self.text(what, signature);
    }

    /// 32 bytes, in each way to write them.
    pub fn key(&mut self, what: &str, base64: &str) {
        let bytes = STANDARD.decode(base64).unwrap();
        self.text(what, &STANDARD_NO_PAD.encode(&bytes));
        self.text(what, &URL_SAFE_NO_PAD.encode(&bytes));
        self.text(
            what,
            &bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat(),
        );
        self.text(what, &bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Which of them are in the text.
    pub fn found_in(&self, text: &str) -> BTreeSet<&str> {
        let found = self.0.iter().filter(|(_, form)| text.contains(&**form));
        found.map(|(what, _)| &**what).collect()
    }

    /// Those that some answer shows to whom they belong.
    pub fn of_answers(&self) -> BTreeSet<&str> {
        let kinds = ["a personal access token", "a client's secret"];
        let names = self.0.iter().map(|(what, _)| &**what);
        names.filter(|what| kinds.iter().any(|kind| what.starts_with(kind))).collect()
    }

    /// To see at once where it comes from.
    pub fn first_line_of_a_leak<'text>(&self, text: &'text str) -> &'text str {
        text.lines().find(|line| !self.found_in(line).is_empty()).unwrap_or("not in the log")
    }
}

#[test]
fn each_form_of_a_secret_is_found() {
    let mut secrets = Secrets::default();
    let signature = "s".repeat(40);
    secrets.jwt("token", &format!("header.claims.{signature}"));
    secrets.key("key", &STANDARD.encode([0xfb; 32]));
    for (text, expected) in [
        (format!("token={signature}."), vec!["token"]),
        (STANDARD.encode([0xfb; 32]), vec!["key"]),
        (URL_SAFE_NO_PAD.encode([0xfb; 32]), vec!["key"]),
        (format!("{:?}", [0xfb_u8; 32]), vec!["key"]),
        ("fb".repeat(32), vec!["key"]),
        (format!("header.{}", "s".repeat(39)), vec![]),
    ] {
        assert_eq!(secrets.found_in(&text), expected.into_iter().collect(), "{text}");
    }
}
