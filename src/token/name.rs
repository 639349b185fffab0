//! What people write about a token, checked once.

/// A token's name: trimmed, lower-case, 1 to 64 characters of `a-z`, `0-9`, `.` and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenName(String);

impl TokenName {
    /// Reads a name; the error is for the caller.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.trim().to_ascii_lowercase();
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
        if (1..=64).contains(&name.len()) && name.chars().all(allowed) {
            return Ok(Self(name));
        }
        Err("must have 1 to 64 characters: letters a to z, digits, dots and hyphens".to_owned())
    }

    /// The name.
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
