//! The one `Authorization` header of a request: `Bearer` (RFC 6750 §2.1) or `Basic` (RFC 7617).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::decide::Reason;

/// Padding is often forgotten, and says nothing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request authenticates with.
pub(super) enum Authorization<'a> {
    /// A token.
    Bearer(&'a str),
    /// A name and a password.
    Basic(Basic),
}

/// A name and a password. RFC 7617 §2.1 leaves their encoding open: `None` is what is not UTF-8.
pub(super) struct Basic {
    /// The name. Some tools have room for a token here only.
    pub(super) user: Option<SecretString>,
    /// The password.
    pub(super) password: Option<SecretString>,
}

impl Basic {
    /// What tools put in the password's place that send a token as the name.
    const NO_PASSWORD: [&str; 2] = ["", "x-oauth-basic"];

    /// The token: the password, whatever the name is; or the name, where there is no password.
    pub(super) fn token(&self) -> Option<&str> {
        let password = self.password.as_ref()?.expose_secret();
        if Self::NO_PASSWORD.contains(&password) {
            return self.user.as_ref().map(ExposeSecret::expose_secret);
        }
        Some(password)
    }
}

impl<'a> Authorization<'a> {
    /// Reads it. Two headers are ambiguous: somebody else may read the other one.
    pub(super) fn read(headers: &'a HeaderMap) -> Result<Self, Reason> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(Reason::NoCredential)?;
        if values.next().is_some() {
            return Err(Reason::SeveralCredentials);
        }
        // As `HeaderValue::to_str`, which looks at one byte after the other: a token is long.
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| Reason::Malformed)?;
        if text.is_ascii() { Self::parse(text) } else { Err(Reason::Malformed) }
    }

    fn parse(value: &'a str) -> Result<Self, Reason> {
        let (scheme, credential) = value.split_once(' ').ok_or(Reason::NoCredential)?;
        let credential = credential.trim();
        if scheme.eq_ignore_ascii_case("Bearer") {
            return Ok(Self::Bearer(credential));
        }
        if !scheme.eq_ignore_ascii_case("Basic") {
            return Err(Reason::NoCredential);
        }
        let decoded = BASE64.decode(credential).map_err(|_| Reason::Malformed)?;
        let decoded = Zeroizing::new(decoded);
        let colon = decoded.iter().position(|byte| *byte == b':').ok_or(Reason::Malformed)?;
        let text = |bytes| std::str::from_utf8(bytes).ok().map(SecretString::from);
        let (user, password) = (text(&decoded[..colon]), text(&decoded[colon + 1..]));
        Ok(Self::Basic(Basic { user, password }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use base64::engine::general_purpose;
    use proptest::prelude::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let values = values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok());
        values.map(|value| (AUTHORIZATION, value)).collect()
    }

    fn parts(authorization: &Authorization<'_>) -> (String, String) {
        match authorization {
            Authorization::Bearer(token) => ("Bearer".to_owned(), (*token).to_owned()),
            Authorization::Basic(Basic { user, password }) => {
                let [user, password] =
                    [user, password].map(|part| part.as_ref().unwrap().expose_secret().to_owned());
                (user, password)
            }
        }
    }

    /// What is taken for the token of a name and a password.
    fn token_of(user: &[u8], password: &[u8]) -> Option<String> {
        let value =
            format!("Basic {}", general_purpose::STANDARD.encode([user, b":", password].concat()));
        let headers = headers(&[value.as_bytes()]);
        let Ok(Authorization::Basic(basic)) = Authorization::read(&headers) else {
            panic!("{value}")
        };
        basic.token().map(str::to_owned)
    }

    #[test]
    fn the_token_is_the_password_or_the_name_without_one() {
        for user in [&b""[..], b"x", b"\xe9", "Zo\u{eb}".as_bytes(), b"\xff\x00", b"a.b.c"] {
            assert_eq!(token_of(user, b"t").as_deref(), Some("t"));
            assert_eq!(token_of(user, b"t:x").as_deref(), Some("t:x"));
            assert_eq!(token_of(user, b"\xff"), None);
        }
        for password in [&b""[..], b"x-oauth-basic"] {
            assert_eq!(token_of(b"t", password).as_deref(), Some("t"));
            assert_eq!(token_of(b"\xff", password), None);
        }
        assert_eq!(token_of(b"t", b"X-OAuth-Basic").as_deref(), Some("X-OAuth-Basic"));
    }

    #[test]
    fn what_is_no_single_credential_of_a_known_scheme_is_none() {
        let table: [(&[&[u8]], Reason); 10] = [
            (&[], Reason::NoCredential),
            (&[b"Bearer a", b"Bearer a"], Reason::SeveralCredentials),
            (&[b"Basic YTpi", b"Bearer a"], Reason::SeveralCredentials),
            (&[b""], Reason::NoCredential),
            (&[b"Bearer"], Reason::NoCredential),
            (&[b"Bearer\ta"], Reason::NoCredential),
            (&[b"Digest a"], Reason::NoCredential),
            (&[b"Bearer \xff"], Reason::Malformed),
            (&[b"Basic !"], Reason::Malformed),
            (&[b"Basic YQ=="], Reason::Malformed),
        ];
        for (values, reason) in table {
            let found = Authorization::read(&headers(values)).map(|_| ());
            assert_eq!(found, Err(reason), "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_breaks_it(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Authorization::read(&headers(&[&value])).map(|_| ());
            for scheme in [&b"Bearer "[..], b"basic "] {
                let _ = Authorization::read(&headers(&[&[scheme, &value].concat()])).map(|_| ());
            }
        }

        #[test]
        fn a_bearer_token_is_read_as_it_is(token in "[!-~]{1,100}", scheme in "[Bb][Ee][Aa][Rr][Ee][Rr]", blanks in " {1,3}") {
            let value = format!("{scheme}{blanks}{token}");
            let headers = headers(&[value.as_bytes()]);
            let found = Authorization::read(&headers).map(|found| parts(&found));
            prop_assert_eq!(found, Ok(("Bearer".to_owned(), token)));
        }

        #[test]
        fn name_and_password_are_read_as_they_are(user in "[^:\\pC]{0,20}", password in "\\PC{0,60}", padded: bool) {
            let engine = if padded { general_purpose::STANDARD } else { general_purpose::STANDARD_NO_PAD };
            let value = format!("Basic {}", engine.encode(format!("{user}:{password}")));
            let headers = headers(&[value.as_bytes()]);
            let found = Authorization::read(&headers).map(|found| parts(&found));
            prop_assert_eq!(found, Ok((user, password)));
        }
    }
}
