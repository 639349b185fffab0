//! What people write about a token, checked once.

/// A token's name: trimmed, lower-case, 1 to 64 characters of `a-z`, `0-9`, `.` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenName(String);

impl TokenName {
    /// Reads a name; the error is for the caller.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.trim().to_ascii_lowercase();
        match name.chars().find(|c| !is_allowed(*c)) {
            _ if name.is_empty() => Err("must not be empty".to_owned()),
            None if name.len() > MAX_NAME => {
                Err(format!("has {} characters; {MAX_NAME} are allowed", name.len()))
            }
            None => Ok(Self(name)),
            Some(refused) => Err(format!(
                "must have letters a to z, digits, dots and hyphens only; {refused:?} is none of them{}",
                suggestion(&name).map(|name| format!(": `{name}` would do")).unwrap_or_default()
            )),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The longest name, in characters.
const MAX_NAME: usize = 64;

const fn is_allowed(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-')
}

/// A name that is much like this one and can be had.
fn suggestion(text: &str) -> Option<String> {
    let words = text.split(|c| !is_allowed(c)).filter(|word| !word.is_empty());
    let name: String = words.collect::<Vec<_>>().join("-").chars().take(MAX_NAME).collect();
    name.contains(|c: char| c.is_ascii_alphanumeric()).then_some(name)
}

/// What a person says of a revocation: one line of at most 255 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationNote(String);

impl RevocationNote {
    /// Reads it; the error is for the caller.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !(1..=255).contains(&text.chars().count()) {
            return Err("must have 1 to 255 characters".to_owned());
        }
        if text.contains(char::is_control) {
            return Err("must be one line, without control characters".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a token is for: at most 255 characters, none of them a control character but line breaks and tabs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// Reads a description; the error is for the caller.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > 255 {
            return Err("must have at most 255 characters".to_owned());
        }
        // NUL cannot be stored on PostgreSQL, and none of the others belongs in a list on a terminal.
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err("must not have control characters".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names() {
        for (text, name) in [("ci", "ci"), (" My-Token.2 ", "my-token.2"), ("A", "a")] {
            assert_eq!(TokenName::parse(text).unwrap().as_str(), name);
        }
        let long = "x".repeat(65);
        for bad in ["", "  ", "a b", "a_b", "ä", "İ", "a\n", "a/b", "a\0b", long.as_str()] {
            assert!(TokenName::parse(bad).is_err() || bad.trim() == "a", "{bad:?}");
        }
    }

    #[test]
    fn what_is_refused_of_a_name_is_shown_and_one_that_would_do() {
        let of = |text: &str| TokenName::parse(text).unwrap_err();
        let only = "must have letters a to z, digits, dots and hyphens only;";
        for (text, message) in [
            ("My Laptop", format!("{only} ' ' is none of them: `my-laptop` would do")),
            ("ci_cd", format!("{only} '_' is none of them: `ci-cd` would do")),
            ("a/b//c!", format!("{only} '/' is none of them: `a-b-c` would do")),
            ("a\nb", format!("{only} '\\n' is none of them: `a-b` would do")),
            ("müll", format!("{only} 'ü' is none of them: `m-ll` would do")),
            ("__", format!("{only} '_' is none of them")),
            ("-_-", format!("{only} '_' is none of them")),
            (" ", "must not be empty".to_owned()),
            (&"x".repeat(65), "has 65 characters; 64 are allowed".to_owned()),
        ] {
            assert_eq!(of(text), message);
        }
        let long = format!("{}_", "x y".repeat(100));
        let suggested = of(&long).split('`').nth(1).unwrap().to_owned();
        assert!(TokenName::parse(&suggested).is_ok(), "{suggested}");
    }

    #[test]
    fn notes_are_one_line() {
        for (text, note) in [("stolen laptop", "stolen laptop"), (" ä😀 ", "ä😀")] {
            assert_eq!(RevocationNote::parse(text).unwrap().as_str(), note);
        }
        assert!(RevocationNote::parse(&"😀".repeat(255)).is_ok());
        for bad in ["", "  ", "a\nb", "\0", "a\u{1b}[31m", &"x".repeat(256)] {
            assert!(RevocationNote::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn descriptions() {
        for good in ["", "line\nline", "مرحبا", &"😀".repeat(255)] {
            assert_eq!(Description::parse(good).unwrap().as_str(), good);
        }
        for bad in ["\0", "\u{1b}[31m", &"x".repeat(256)] {
            assert!(Description::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_taken_is_in_its_one_form(text in ".{0,80}") {
            if let Ok(name) = TokenName::parse(&text) {
                prop_assert_eq!(TokenName::parse(name.as_str()).unwrap(), name);
            }
        }
    }
}
