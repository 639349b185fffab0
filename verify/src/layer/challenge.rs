//! What is answered to a request that does not pass (RFC 6750 §3, RFC 9110 §11.6.1).

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    NoToken,
    InvalidRequest,
    InvalidToken,
    InsufficientScope,
    /// They are fetched again after the cool-down.
    KeysUnavailable,
    /// It is asked again after a second.
    HallpassUnavailable,
}

/// The name of what is protected, as it stands in `WWW-Authenticate`.
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    realm: String,
}

impl Challenge {
    /// What cannot stand between quotes is left out.
    pub(super) fn new(realm: &str) -> Self {
        Self { realm: realm.chars().filter(|c| is_quotable(*c)).collect() }
    }

    /// The answer; `scopes` are those that the service requires.
    pub(super) fn answer<B: Default>(&self, denial: Denial, scopes: &[String]) -> Response<B> {
        let mut answer = Response::new(B::default());
        let (status, error) = match denial {
            Denial::NoToken => (StatusCode::UNAUTHORIZED, None),
            Denial::InvalidRequest => (StatusCode::BAD_REQUEST, Some("invalid_request")),
            Denial::InvalidToken => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
            Denial::InsufficientScope => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
            Denial::KeysUnavailable => return unavailable(answer, "10"),
            Denial::HallpassUnavailable => return unavailable(answer, "1"),
        };
        let mut challenge = format!("Bearer realm=\"{}\"", self.realm);
        if let Some(error) = error {
            challenge.push_str(", error=\"");
            challenge.push_str(error);
            challenge.push('"');
        }
        if denial == Denial::InsufficientScope && !scopes.is_empty() {
            let scopes: String = scopes.join(" ").chars().filter(|c| is_quotable(*c)).collect();
            challenge.push_str(", scope=\"");
            challenge.push_str(&scopes);
            challenge.push('"');
        }
        *answer.status_mut() = status;
        // Visible ASCII is always a value.
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

fn unavailable<B>(mut answer: Response<B>, seconds: &'static str) -> Response<B> {
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    answer
}

const fn is_quotable(c: char) -> bool {
    matches!(c, ' '..='~') && c != '"' && c != '\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(denial: Denial, scopes: &[&str]) -> (u16, String) {
        let scopes: Vec<_> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let answer: Response<()> = Challenge::new("the \"data\"\r\nhub").answer(denial, &scopes);
        let header = answer.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
        (answer.status().as_u16(), header.unwrap_or_default().to_owned())
    }

    #[test]
    fn the_challenges_are_those_of_the_rfc() {
        for (denial, scopes, status, challenge) in [
            (Denial::NoToken, &[][..], 401, "Bearer realm=\"the datahub\""),
            (
                Denial::InvalidRequest,
                &[],
                400,
                "Bearer realm=\"the datahub\", error=\"invalid_request\"",
            ),
            (
                Denial::InvalidToken,
                &["a"],
                401,
                "Bearer realm=\"the datahub\", error=\"invalid_token\"",
            ),
            (
                Denial::InsufficientScope,
                &["a", "b"],
                403,
                "Bearer realm=\"the datahub\", error=\"insufficient_scope\", scope=\"a b\"",
            ),
            (Denial::KeysUnavailable, &[], 503, ""),
            (Denial::HallpassUnavailable, &[], 503, ""),
        ] {
            assert_eq!(answered(denial, scopes), (status, challenge.to_owned()));
        }
    }

    #[test]
    fn who_cannot_be_told_now_is_told_when() {
        for (denial, seconds) in
            [(Denial::KeysUnavailable, "10"), (Denial::HallpassUnavailable, "1")]
        {
            let answer: Response<()> = Challenge::new("x").answer(denial, &[]);
            assert_eq!(answer.headers()[RETRY_AFTER], seconds);
        }
    }
}
