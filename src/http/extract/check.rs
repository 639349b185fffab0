//! What is wrong with the fields of a request, all of them at once.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::fields::{Fields, Read, Together};
use crate::spelling;

/// Reads the members of a body, and refuses those that nobody asked about.
#[derive(Default)]
pub(in crate::http) struct Check {
    pub(in crate::http) fields: Fields,
    /// The names that were asked about.
    known: Vec<&'static str>,
}

impl Check {
    pub(in crate::http) fn required<T>(
        &mut self,
        field: &'static str,
        value: Option<Value>,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Read<T> {
        self.known.push(field);
        let value = value.ok_or_else(|| "is required".to_owned());
        self.fields.read(field, value.and_then(|value| parse(&value)))
    }

    /// `null` counts as left out.
    pub(in crate::http) fn optional<T>(
        &mut self,
        field: &'static str,
        value: Option<Value>,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Read<Option<T>> {
        self.known.push(field);
        self.fields.read(field, value.map(|value| parse(&value)).transpose())
    }

    /// These fields are read elsewhere.
    pub(in crate::http) fn knows(&mut self, fields: &[&'static str]) {
        self.known.extend(fields);
    }

    /// Refuses all other fields; to be asked after those that are known.
    pub(in crate::http) fn no_others(&mut self, others: &BTreeMap<String, Value>) {
        for name in others.keys() {
            self.fields.refuse(name, unknown("field", name, &self.known));
        }
    }

    pub(in crate::http) fn finish<R: Together>(self, read: R) -> Result<R::Values, Error> {
        self.fields.finish(read)
    }
}

/// The text of a JSON string.
pub(in crate::http) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "must be text".to_owned())
}

/// Why a name is refused, with the one that was probably meant.
pub(in crate::http) fn unknown(kind: &str, name: &str, known: &[&str]) -> String {
    match spelling::nearest(name, known.iter().copied()) {
        Some(near) => format!("is not a {kind} of this request; did you mean `{near}`?"),
        None => format!("is not a {kind} of this request"),
    }
}

/// A moment, as a caller writes it. What is missing is said: a date alone is the usual mistake.
pub(in crate::http) fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|_| {
        let is_date = |text: &str| {
            let parts: Vec<_> = text.split('-').collect();
            parts.len() == 3
                && parts
                    .iter()
                    .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let with = |end: &str| Timestamp::parse(&format!("{text}{end}")).is_ok();
        if is_date(text) {
            let whole = if with("T00:00:00Z") { text } else { "2027-01-31" };
            format!("is a date without a time: write `{whole}T00:00:00Z`")
        } else if with("Z") {
            format!("has no time zone: write `{text}Z` for UTC, or an offset such as `+02:00`")
        } else {
            "must be an RFC 3339 time, such as `2027-01-31T12:00:00Z`".to_owned()
        }
    })
}

/// A length of time as a person counts it: `a minute`, `365 days`.
pub(in crate::http) fn spelled(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day", "a"), (3_600, "hour", "an"), (60, "minute", "a")];
    let unit =
        units.into_iter().find(|(length, ..)| seconds > 0 && seconds.is_multiple_of(*length));
    let (length, name, article) = unit.unwrap_or((1, "second", "a"));
    match seconds / length {
        1 => format!("{article} {name}"),
        count => format!("{count} {name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_as_a_person_counts() {
        for (seconds, said) in [
            (0, "0 seconds"),
            (1, "a second"),
            (60, "a minute"),
            (90, "90 seconds"),
            (3_600, "an hour"),
            (5_400, "90 minutes"),
            (86_400, "a day"),
            (31_536_000, "365 days"),
        ] {
            assert_eq!(spelled(Duration::from_secs(seconds)), said);
        }
    }

    #[test]
    fn what_is_missing_of_a_time_is_said() {
        for (text, part) in [
            ("2027-02-28", "write `2027-02-28T00:00:00Z`"),
            ("2027-02-31", "write `2027-01-31T00:00:00Z`"),
            ("2027-02-28T10:00:00", "write `2027-02-28T10:00:00Z` for UTC"),
            ("soon", "must be an RFC 3339 time"),
            ("", "must be an RFC 3339 time"),
            ("1796083200", "must be an RFC 3339 time"),
        ] {
            let message = moment(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
        assert!(moment("2027-02-28T10:00:00Z").is_ok());
    }
}
