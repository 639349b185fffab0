//! What a token is asked to be narrowed to: four lists, read once at the edge, every wrong entry named.
//!
//! Whether the owner has what is asked for is not known here: see [`super::grant`].

use std::ops::RangeInclusive;

use ipnet::IpNet;
use serde_json::Value;

use crate::error::Error;
use crate::fields::{Fields, Read, Together as _};
use crate::network::parse_network;
use crate::store::Restrictions;

const MAX_NAMES: usize = 100;
const MAX_NETWORKS: usize = 32;
/// As in Keycloak's columns, where all of these names come from.
const MAX_CHARACTERS: usize = 255;

/// What a request says, unread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// `scopes`
    pub scopes: Option<&'a Value>,
    /// `roles`
    pub roles: Option<&'a Value>,
    /// `audience`
    pub audience: Option<&'a Value>,
    /// `allowedCidrs`
    pub allowed_cidrs: Option<&'a Value>,
}

/// What a token is to be narrowed to; `None`: not in this respect. Nothing at all: not narrowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    pub(super) scopes: Option<Names>,
    pub(super) roles: Option<Names>,
    pub(super) audience: Option<Names>,
    pub(super) allowed_cidrs: Option<Networks>,
}

impl Narrowing {
    /// Reads what is asked for; what is wrong with it is noted in `fields`.
    pub fn read(fields: &mut Fields, wanted: Wanted<'_>) -> Read<Self> {
        let all = (
            names(fields, "scopes", wanted.scopes, 0),
            names(fields, "roles", wanted.roles, 0),
            names(fields, "audience", wanted.audience, 1),
            networks(fields, "allowedCidrs", wanted.allowed_cidrs),
        );
        let narrowing = |(scopes, roles, audience, allowed_cidrs)| Self {
            scopes,
            roles,
            audience,
            allowed_cidrs,
        };
        all.together().map(narrowing)
    }

    /// What the record of a token says: for its successor.
    pub fn of_record(stored: &Restrictions) -> Result<Self, Error> {
        let names = |list: &Option<Vec<String>>| list.clone().map(Names);
        let networks = stored.allowed_cidrs.as_ref().map(|list| {
            let networks = list.iter().map(|text| Network::parse(text));
            networks.collect::<Result<_, _>>().map(Networks).map_err(Error::internal)
        });
        Ok(Self {
            scopes: names(&stored.scopes),
            roles: names(&stored.roles),
            audience: names(&stored.audience),
            allowed_cidrs: networks.transpose()?,
        })
    }

    /// The scopes that are asked for.
    pub(super) fn scopes(&self) -> &[String] {
        self.scopes.as_ref().map_or(&[], |names| &names.0)
    }

    /// Whether anything is asked for. A token that is narrowed has nothing else.
    #[must_use]
    pub fn is_any(&self) -> bool {
        [&self.scopes, &self.roles, &self.audience].iter().any(|list| list.is_some())
            || self.allowed_cidrs.is_some()
    }
}

/// Names of roles, scopes or audiences, each once, in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names(pub(super) Vec<String>);

/// Networks, each once, in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Networks(Vec<Network>);

impl Networks {
    /// Those of these that are not within one of the others.
    pub(super) fn outside(&self, others: &Self) -> Vec<String> {
        let within = |one: &&Network| others.0.iter().any(|other| other.0.contains(&one.0));
        self.0.iter().filter(|one| !within(one)).map(|one| one.0.to_string()).collect()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.0.iter().map(|network| network.0.to_string()).collect()
    }
}

/// A network in its one form: no host bits, and IPv4 as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network(IpNet);

impl Network {
    fn parse(text: &str) -> Result<Self, String> {
        parse_network(text).map(Self).map_err(|error| error.to_string())
    }
}

/// `min`: the fewest that mean anything.
fn names(
    fields: &mut Fields,
    field: &str,
    wanted: Option<&Value>,
    min: usize,
) -> Read<Option<Names>> {
    let Some(wanted) = wanted else { return Read::of(None) };
    let name = |text: &str| {
        if !(1..=MAX_CHARACTERS).contains(&text.chars().count()) {
            return Err("must have 1 to 255 characters".to_owned());
        }
        // NUL cannot be stored on PostgreSQL, and no name has any of the others.
        if text.chars().any(char::is_control) {
            return Err("must not have control characters".to_owned());
        }
        Ok(text.to_owned())
    };
    list(fields, field, wanted, min..=MAX_NAMES, name).map(|names| Some(Names(names)))
}

fn networks(fields: &mut Fields, field: &str, wanted: Option<&Value>) -> Read<Option<Networks>> {
    let Some(wanted) = wanted else { return Read::of(None) };
    let networks = list(fields, field, wanted, 1..=MAX_NETWORKS, Network::parse);
    networks.map(|networks| Some(Networks(networks)))
}

/// Every wrong entry is noted.
fn list<T: PartialEq>(
    fields: &mut Fields,
    field: &str,
    wanted: &Value,
    count: RangeInclusive<usize>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Read<Vec<T>> {
    let entries = match wanted.as_array() {
        None => Err("must be a list".to_owned()),
        Some(entries) if entries.len() > *count.end() => {
            Err(format!("must have at most {} entries", count.end()))
        }
        Some(entries) if entries.len() < *count.start() => {
            Err("must not be empty; leave it out instead".to_owned())
        }
        Some(entries) => Ok(entries),
    };
    let mut list = Vec::new();
    for (entry, number) in entries.iter().copied().flatten().zip(1..) {
        match entry.as_str().map(&parse) {
            None => fields.refuse(field, format!("entry {number} must be text")),
            Some(Err(reason)) => fields.refuse(field, named(entry, &reason)),
            Some(Ok(one)) if list.contains(&one) => {}
            Some(Ok(one)) => list.push(one),
        }
    }
    fields.read(field, entries.map(|_| list))
}

/// What is wrong with an entry, which may be long and have anything in it.
fn named(entry: &Value, reason: &str) -> String {
    let shown: String = entry.as_str().unwrap_or_default().chars().take(80).collect();
    format!("{shown:?} {reason}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::error::FieldError;

    fn read(body: &Value) -> Result<Narrowing, Vec<(String, String)>> {
        let mut fields = Fields::default();
        let wanted = Wanted {
            scopes: body.get("scopes"),
            roles: body.get("roles"),
            audience: body.get("audience"),
            allowed_cidrs: body.get("allowedCidrs"),
        };
        let narrowing = Narrowing::read(&mut fields, wanted);
        let pairs = |error: &FieldError| (error.field.clone(), error.message.clone());
        fields.finish(narrowing).map_err(|error| error.fields().iter().map(pairs).collect())
    }

    fn networks(texts: &[&str]) -> Result<Vec<String>, Vec<String>> {
        read(&json!({"allowedCidrs": texts}))
            .map(|narrowing| narrowing.allowed_cidrs.unwrap().texts())
            .map_err(|errors| errors.into_iter().map(|(_, message)| message).collect())
    }

    #[test]
    fn networks_have_one_form() {
        for (text, network) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.7/32", "192.0.2.7/32"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::FFFF:0:0/96", "0.0.0.0/0"),
            ("2001:DB8:0::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(networks(&[text]).unwrap(), [network], "{text}");
        }
        assert_eq!(networks(&["10.0.0.1", "::ffff:a00:1", "10.0.0.1/32"]).unwrap().len(), 1);
    }

    #[test]
    fn host_bits_are_refused_with_the_network_that_was_meant() {
        for (text, meant) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.1/0", "0.0.0.0/0"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
            ("2001:db8::1/32", "2001:db8::/32"),
        ] {
            let expected = format!("{text:?} has bits behind its prefix; `{meant}` is the network");
            assert_eq!(networks(&[text]).unwrap_err(), [expected]);
        }
        for bad in
            ["", " ", "10.0.0.0/33", "::/129", "10.0.0/8", "localhost", "010.0.0.1", "10.0.0.1 "]
        {
            let expected = format!("{bad:?} is no address and no network");
            assert_eq!(networks(&[bad]).unwrap_err(), [expected]);
        }
    }

    #[test]
    fn every_wrong_entry_of_every_field_is_named() {
        let body = json!({
            "scopes": "email",
            "roles": ["", "ok", 7, "a\u{0}b", "x".repeat(256)],
            "audience": [],
            "allowedCidrs": ["10.0.0.1/8", null],
        });
        let errors = read(&body).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|(field, _)| field.as_str()).collect();
        let expected = [
            "scopes",
            "roles",
            "roles",
            "roles",
            "roles",
            "audience",
            "allowedCidrs",
            "allowedCidrs",
        ];
        assert_eq!(fields, expected);
        assert_eq!(errors[2].1, "entry 3 must be text");
        assert_eq!(errors[3].1, "\"a\\0b\" must not have control characters");
        let names = vec!["x"; 101];
        for (body, message) in [
            (json!({"roles": names}), "must have at most 100 entries"),
            (json!({"allowedCidrs": vec!["::1"; 33]}), "must have at most 32 entries"),
            (json!({"allowedCidrs": []}), "must not be empty; leave it out instead"),
            (json!({"audience": {}}), "must be a list"),
        ] {
            let errors = read(&body).unwrap_err();
            assert_eq!((errors.len(), errors[0].1.as_str()), (1, message));
        }
    }

    #[test]
    fn duplicates_fall_together_and_an_empty_list_is_something() {
        let narrowing = read(&json!({"roles": ["b", "a", "b"], "scopes": []})).unwrap();
        assert_eq!(narrowing.roles, Some(Names(vec!["b".to_owned(), "a".to_owned()])));
        assert_eq!(narrowing.scopes, Some(Names(Vec::new())));
        assert!(narrowing.is_any());
        assert!(!read(&json!({})).unwrap().is_any());
        let longest = "ä".repeat(255);
        assert!(read(&json!({"roles": [longest], "scopes": vec!["x"; 100]})).is_ok());
    }

    proptest! {
        #[test]
        fn a_network_that_is_taken_is_in_its_one_form(address: [u8; 16], prefix in 0_u8..=128, v4: bool) {
            let text = if v4 {
                let [a, b, c, d, ..] = address;
                format!("{a}.{b}.{c}.{d}/{}", prefix % 33)
            } else {
                format!("{}/{prefix}", std::net::Ipv6Addr::from(address))
            };
            match Network::parse(&text) {
                Ok(network) => prop_assert_eq!(Network::parse(&network.0.to_string()), Ok(network)),
                Err(reason) => {
                    let meant = reason.split('`').nth(1).unwrap();
                    prop_assert!(Network::parse(meant).is_ok(), "{}", reason);
                }
            }
        }
    }
}
