//! The one `Authorization` header of a request: `Bearer` (RFC 6750 §2.1) or `Basic` (RFC 7617).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::SecretString;

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
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: SecretString,
    },
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
        let decoded = String::from_utf8(decoded).map_err(|_| Reason::Malformed)?;
        let (user, password) = decoded.split_once(':').ok_or(Reason::Malformed)?;
        Ok(Self::Basic { user: user.to_owned(), password: password.into() })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use base64::engine::general_purpose;
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let values = values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok());
        values.map(|value| (AUTHORIZATION, value)).collect()
    }

    fn parts(authorization: &Authorization<'_>) -> (String, String) {
        match authorization {
            Authorization::Bearer(token) => ("Bearer".to_owned(), (*token).to_owned()),
            Authorization::Basic { user, password } => {
                (user.clone(), password.expose_secret().to_owned())
            }
        }
    }

    #[test]
    fn what_is_no_single_credential_of_a_known_scheme_is_none() {
        let table: [(&[&[u8]], Reason); 11] = [
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
            (&[b"Basic /zo6"], Reason::Malformed),
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
