//! JSON in which no object names a member twice (RFC 7515 §4, RFC 7519 §4).
//!
//! Two readers of the same token could otherwise each see another value. Nesting is bounded by
//! `serde_json` (128 levels).

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads `bytes` as exactly one JSON object. `None` for anything else, a repeated member at any
/// depth included.
pub(crate) fn parse_object(bytes: &[u8]) -> Option<Map<String, Value>> {
    parse_members(bytes, []).map(|([], all)| all)
}

/// The members of an object with these names, in their order, and all others.
pub(crate) type Members<const N: usize> = ([Option<Value>; N], Map<String, Value>);

/// The same, but for the members with these names: each of a map's members would be moved twice.
pub(crate) fn parse_members<const N: usize>(bytes: &[u8], names: [&str; N]) -> Option<Members<N>> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let members = deserializer.deserialize_map(MembersVisitor { names }).ok()?;
    deserializer.end().ok()?;
    Some(members)
}

struct MembersVisitor<'a, const N: usize> {
    names: [&'a str; N],
}

impl<'de, const N: usize> Visitor<'de> for MembersVisitor<'_, N> {
    type Value = Members<N>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object without repeated members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members<N>, A::Error> {
        let (mut known, mut rest) = ([const { None }; N], Map::new());
        while let Some(Name(name)) = members.next_key()? {
            let Strict(value) = members.next_value()?;
            let repeated = match self.names.iter().position(|known| *known == name) {
                Some(place) => known[place].replace(value),
                None => rest.insert(name.into_owned(), value),
            };
            if repeated.is_some() {
                return Err(A::Error::custom("a repeated member"));
            }
        }
        Ok((known, rest))
    }
}

/// The name of a member; borrowed where it is written without escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(name.into()))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(name.to_owned().into()))
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON without repeated members")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number without a value"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Value, A::Error> {
        let ([], all) = MembersVisitor { names: [] }.visit_map(members)?;
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{parse_members, parse_object};

    #[test]
    fn reads_what_serde_json_reads() {
        let text = r#"{"a":[1,-2,3.5,true,null,"é\u00e9"],"b":{"a":{}},"c":18446744073709551615}"#;
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::Value::Object(parse_object(text.as_bytes()).unwrap()), expected);
    }

    #[test]
    fn refuses_repeated_members_at_any_depth() {
        for text in
            [r#"{"a":1,"a":1}"#, r#"{"x":[{"a":1,"\u0061":2}]}"#, r#"{"x":{"a":1,"b":2,"a":3}}"#]
        {
            assert_eq!(parse_object(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn members_are_the_same_with_names_or_without() {
        let text = r#"{"a":[1],"\u0062":{"x":2},"c":3,"d\u0065":4}"#;
        let ([b, none, c], rest) = parse_members(text.as_bytes(), ["b", "z", "c"]).unwrap();
        let all = parse_object(text.as_bytes()).unwrap();
        assert_eq!((b.as_ref(), none, c.as_ref()), (all.get("b"), None, all.get("c")));
        assert_eq!(serde_json::Value::Object(rest), serde_json::json!({"a": [1], "de": 4}));
        for text in [
            r#"{"a":1,"\u0061":1}"#,
            r#"{"b":1,"b":1}"#,
            "{} x",
            "[]",
            r#"{"a":{"x":1,"x":1}}"#,
            "",
        ] {
            assert_eq!(parse_members(text.as_bytes(), ["a"]), None, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_one_object() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
        for text in [
            "",
            "1",
            "[]",
            "null",
            "{} {}",
            "{}x",
            "{",
            r#"{"a":"\ud800"}"#,
            r#"{"a":1e999}"#,
            &deep,
        ] {
            assert_eq!(parse_object(text.as_bytes()), None);
        }
        assert_eq!(parse_object(b"{\"a\":\"\xff\"}"), None);
    }
}
