//! What forward-auth tells of who calls, as values of headers: prepared once.

use std::ops::Range;

use axum::http::HeaderValue;
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::clock::Timestamp;
use crate::role_name::NamedRole;
use crate::verify::Claims;

/// Whatever is not visible ASCII, the comma that stands between roles, and the sign that this is written with.
const IN_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'%');
/// Room for most; what is over is given back.
const TYPICAL: usize = 512;

/// The values of the headers that say who calls, encoded as such. A clone shares them.
pub struct Identity {
    /// The user's id.
    pub user_id: HeaderValue,
    /// The name at login.
    pub username: HeaderValue,
    /// The email address.
    pub email: HeaderValue,
    /// The roles in their [spelling](NamedRole::spelled), with commas between. Those of a personal access token are what its
    /// record says, whatever claim the realm writes roles to.
    pub roles: HeaderValue,
    /// The scope.
    pub scope: HeaderValue,
    /// The token's id.
    pub token_id: HeaderValue,
    /// When the token ends (RFC 3339).
    pub expires: HeaderValue,
}

/// What the headers say beside the roles, plain.
pub(super) struct Said<'a> {
    pub(super) username: &'a str,
    pub(super) email: &'a str,
    pub(super) scope: &'a str,
    pub(super) ends_at: Timestamp,
}

impl Identity {
    pub(super) fn new<'r>(
        claims: &Claims,
        said: &Said<'_>,
        roles: impl Iterator<Item = NamedRole<'r>>,
    ) -> Self {
        let mut encoded = Encoded(String::with_capacity(TYPICAL));
        let [user_id, username, email] =
            [&*claims.sub, said.username, said.email].map(|text| encoded.add(text));
        let roles = encoded.add_roles(roles);
        let expires = said.ends_at.to_string();
        let [scope, token_id, expires] =
            [said.scope, &*claims.jti, &*expires].map(|text| encoded.add(text));
        let all = encoded.finish();
        let [user_id, username, email, roles, scope, token_id, expires] =
            [user_id, username, email, roles, scope, token_id, expires]
                .map(|range| value(&all, range));
        Self { user_id, username, email, roles, scope, token_id, expires }
    }

    /// Whether this is one of the roles, in its spelling.
    pub(super) fn has_role(&self, spelled: &str) -> bool {
        self.roles.as_bytes().split(|byte| *byte == b',').any(|role| role == spelled.as_bytes())
    }

    /// How many bytes it takes.
    pub(super) fn len(&self) -> usize {
        let Self { user_id, username, email, roles, scope, token_id, expires } = self;
        let values = [user_id, username, email, roles, scope, token_id, expires];
        values.map(HeaderValue::len).iter().sum()
    }
}

/// Values of headers, one after the other, encoded, and so visible ASCII. They share one piece of memory: each answer takes
/// them all.
#[derive(Default)]
struct Encoded(String);

impl Encoded {
    fn add(&mut self, text: &str) -> Range<usize> {
        let begin = self.0.len();
        self.0.extend(utf8_percent_encode(text, IN_HEADER));
        begin..self.0.len()
    }

    /// Adds roles in their spelling, with commas between.
    fn add_roles<'r>(&mut self, roles: impl Iterator<Item = NamedRole<'r>>) -> Range<usize> {
        let begin = self.0.len();
        for role in roles {
            if self.0.len() > begin {
                self.0.push(',');
            }
            role.spell(&mut self.0);
        }
        begin..self.0.len()
    }

    fn finish(mut self) -> Bytes {
        self.0.shrink_to_fit();
        self.0.into()
    }
}

fn value(all: &Bytes, range: Range<usize>) -> HeaderValue {
    HeaderValue::from_maybe_shared(all.slice(range)).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_visible_is_encoded_and_so_are_comma_and_percent() {
        for (text, expected) in [
            ("plain-._~!$&'()*+;=:@/?#[]\"<>\\^`{|}", "plain-._~!$&'()*+;=:@/?#[]\"<>\\^`{|}"),
            ("a,b", "a%2Cb"),
            ("100%", "100%25"),
            ("a b\tc\r\nX-Auth-Roles: admin", "a%20b%09c%0D%0AX-Auth-Roles:%20admin"),
            ("Zoë\u{7f}\0", "Zo%C3%AB%7F%00"),
            ("", ""),
        ] {
            let mut encoded = Encoded::default();
            assert_eq!(encoded.add(text), 0..expected.len());
            assert_eq!(encoded.finish(), expected);
            let decoded = percent_encoding::percent_decode_str(expected).decode_utf8().unwrap();
            assert_eq!(decoded, text);
        }
    }
}
