//! Who asks: by one of three ways, never by two (RFC 6749 §2.3).

use std::borrow::Cow;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use secrecy::ExposeSecret as _;

use crate::decide::{IntrospectorCredential, Reason};
use crate::error::{Code, Error};
use crate::http::authorization::{Authorization, Basic};

/// What the caller shows, in the header or as these parameters of the form.
pub(super) fn credential<'a>(
    headers: &'a HeaderMap,
    client_id: Option<Cow<'a, str>>,
    client_secret: Option<Cow<'a, str>>,
) -> Result<IntrospectorCredential<'a>, Error> {
    if headers.contains_key(AUTHORIZATION) {
        if client_secret.is_some() {
            let detail = "Authenticate in one way: in the header or in the form.";
            return Err(Error::new(Code::Invalid, detail));
        }
        let found = Authorization::read(headers).map_err(|reason| missing().because(reason))?;
        return Ok(match found {
            Authorization::Bearer(token) => IntrospectorCredential::AccessToken(token),
            Authorization::Basic(Basic { user: Some(user), password: Some(password) }) => {
                IntrospectorCredential::Secret {
                    client_id: decode(user.expose_secret()).into(),
                    secret: decode(password.expose_secret()).into(),
                }
            }
            Authorization::Basic(_) => return Err(missing().because(Reason::Malformed)),
        });
    }
    match (client_id, client_secret) {
        (Some(client_id), Some(secret)) => {
            Ok(IntrospectorCredential::Secret { client_id, secret: secret.into_owned().into() })
        }
        _ => Err(missing()),
    }
}

/// RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

fn missing() -> Error {
    let detail =
        "Authenticate with client_id and client_secret, or with an access token of the client.";
    Error::new(Code::Unauthenticated, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_are_decoded() {
        assert_eq!(decode("a+b%2Bc%25%3A%C3%A4"), "a b+c%:ä");
        assert_eq!(decode("plain-._~"), "plain-._~");
        assert_eq!(decode("100%"), "100%");
    }
}
