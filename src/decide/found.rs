//! A token as somebody found it: in a log, in a chat, in a script, broken over lines.
//!
//! Only to end it or to say what it is. What is used is used as it is: another spelling of a token is none.

use std::borrow::Cow;

/// What may be the token in a text, the likeliest first: white space, quotes and invisible characters may stand anywhere in it,
/// or around it, and other words may stand before it and behind it. A text without one is given back as it is.
pub(super) fn tokens_in(text: &str) -> Vec<Cow<'_, str>> {
    if text.starts_with(BEGINNING) && text.bytes().all(is_of_token) {
        return vec![Cow::Borrowed(text)];
    }
    let joined: String = text.chars().filter(|c| !is_noise(*c)).collect();
    let mut found = Vec::new();
    if let Some(token) = first_in(&joined) {
        found.push(Cow::Owned(token.to_owned()));
    }
    // What stands behind it need not belong to it.
    if let Some(token) = first_in(text)
        && !found.iter().any(|other| other == token)
    {
        found.push(Cow::Borrowed(token));
    }
    if found.is_empty() {
        found.push(Cow::Borrowed(text));
    }
    found
}

fn first_in(text: &str) -> Option<&str> {
    let token = &text[text.find(BEGINNING)?..];
    let end = token.bytes().position(|byte| !is_of_token(byte)).unwrap_or(token.len());
    // The end of a sentence.
    Some(token[..end].trim_end_matches('.'))
}

/// The beginning of every JSON object in base64url that has a member at once.
const BEGINNING: &str = "eyJ";

/// Base64url, and the dots between the segments (RFC 7515 §7.1).
const fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// White space, quotes, the sign that continues a line, and what is not seen.
fn is_noise(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '"' | '\'' | '`' | '\\' | '«' | '»' | '\u{ad}' | '\u{feff}')
        || matches!(c, '\u{2018}'..='\u{201f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln_-A";

    #[test]
    fn a_token_is_found_as_it_was_found() {
        for text in [
            TOKEN.to_owned(),
            format!(" {TOKEN}\r\n"),
            format!("\t\u{a0}{TOKEN}\u{feff}"),
            format!("\"{TOKEN}\""),
            format!("'{TOKEN}',"),
            format!("`{TOKEN}`."),
            format!("\u{201c}{TOKEN}\u{201d}"),
            format!("Bearer {TOKEN}"),
            format!("bearer\t{TOKEN}"),
            format!("BEARER\n{TOKEN}"),
            format!("Authorization: Bearer {TOKEN}"),
            format!("-H \"Authorization: Bearer {TOKEN}\""),
            format!("{{\"token\": \"{TOKEN}\", \"x\": 1}}"),
            format!("export TOKEN='{TOKEN}'"),
            format!("token={TOKEN}&x=y"),
            format!("<{TOKEN}>"),
            format!("{TOKEN}=="),
            TOKEN.replace("JSUz", "JS\r\n  Uz"),
            TOKEN.replace("JSUz", "JS\\\nUz"),
            TOKEN.chars().flat_map(|c| [c, ' ']).collect(),
            TOKEN.chars().flat_map(|c| [c, '\u{200b}']).collect(),
        ] {
            assert_eq!(tokens_in(&text)[0], TOKEN, "{text:?}");
        }
        for text in [
            format!("INFO Authorization: Bearer {TOKEN} 200 OK"),
            format!("curl -H \"Authorization: Bearer {TOKEN}\" https://hallpass.example/"),
            format!("look: {TOKEN}\nthanks"),
        ] {
            assert_eq!(tokens_in(&text)[1], TOKEN, "{text:?}");
        }
        for text in
            ["", "x", "Bearer", "hunter2", "a.b.c", "\0", "01890000-0000-7000-8000-000000000000"]
        {
            assert_eq!(tokens_in(text), [text]);
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,40}(eyJ)?[\\PC\\s]{0,40}") {
            let found = tokens_in(&text);
            prop_assert!((1..=2).contains(&found.len()));
            for token in found {
                prop_assert!(token.len() <= text.len());
                prop_assert_eq!(tokens_in(&token), [&*token]);
            }
        }
    }
}
