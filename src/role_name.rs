//! A role as it is written outside of a token: `name` of the realm, `client:name` of a client.
//!
//! Either name may have colons, and then `svc:eu:admin` could be a role of two clients. So a name is percent-encoded
//! (RFC 3986 §2.1): whatever is not visible ASCII, the comma that stands between roles in a list, `%`, and the colon. Each role
//! has one spelling, and no other role has the same: `svc%3Aeu:admin`.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

const IN_NAME: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'%').add(b':');

/// A role by its plain names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedRole<'a> {
    /// The client whose role it is; `None`: the realm's.
    pub client: Option<&'a str>,
    /// Its name there.
    pub name: &'a str,
}

impl NamedRole<'_> {
    /// Appends its spelling.
    pub fn spell(self, to: &mut String) {
        if let Some(client) = self.client {
            to.extend(encoded(client));
            to.push(':');
        }
        to.extend(encoded(self.name));
    }

    /// Its spelling.
    #[must_use]
    pub fn spelled(self) -> String {
        let mut spelled = String::new();
        self.spell(&mut spelled);
        spelled
    }
}

/// The spelling of the role that somebody asks for by this text. What need not be encoded to be understood need not be.
/// Refuses what could mean the roles of several clients.
pub fn parse(text: &str) -> Result<String, &'static str> {
    let (client, name) = match text.split_once(':') {
        Some((client, name)) => (Some(client), name),
        None => (None, text),
    };
    if name.is_empty() || client == Some("") {
        return Err("is no role: write `name`, or `client:name`");
    }
    if name.contains(':') {
        return Err("could mean several roles: write a colon within a name as `%3A`");
    }
    let decoded = |text| percent_decode_str(text).decode_utf8().map_err(|_| "is no text");
    let client = client.map(decoded).transpose()?;
    Ok(NamedRole { client: client.as_deref(), name: &decoded(name)? }.spelled())
}

fn encoded(name: &str) -> impl Iterator<Item = &str> {
    utf8_percent_encode(name, IN_NAME)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_role_is_asked_for_in_its_one_spelling_or_plainer() {
        for (text, spelled) in [
            ("admin", "admin"),
            ("reports:read", "reports:read"),
            ("svc%3Aeu:admin", "svc%3Aeu:admin"),
            ("svc:eu%3aadmin", "svc:eu%3Aadmin"),
            ("reports%3Aread", "reports%3Aread"),
            ("100%", "100%25"),
            ("100%25", "100%25"),
            ("a, b", "a%2C%20b"),
            ("grün", "gr%C3%BCn"),
            ("gr%C3%BCn", "gr%C3%BCn"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(spelled), "{text}");
        }
        for bad in ["", ":", "a:", ":a", "svc:eu:admin", "a::b", "::", "%ff"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_two_roles_have_the_same_spelling(
            one in ("[a:%,\\PC]{1,6}", "[a:%,\\PC]{1,6}"), other in ("[a:%,\\PC]{1,6}", "[a:%,\\PC]{1,6}"),
        ) {
            let of_client = |(client, name): &(String, String)| NamedRole { client: Some(client), name }.spelled();
            let spelled = of_client(&one);
            prop_assert!(spelled.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','));
            prop_assert_eq!(spelled == of_client(&other), one == other);
            prop_assert_ne!(&spelled, &NamedRole { client: None, name: &other.0 }.spelled());
            prop_assert_eq!(parse(&spelled), Ok(spelled));
        }
    }
}
