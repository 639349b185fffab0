//! The token of a request (RFC 6750 §2.1).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::challenge::Denial;

/// The one bearer token. Of two headers somebody else may read the other.
pub(super) fn token(headers: &HeaderMap) -> Result<&str, Denial> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Denial::NoToken) };
    if values.next().is_some() {
        return Err(Denial::InvalidRequest);
    }
    let value = value.to_str().map_err(|_| Denial::InvalidRequest)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(Denial::NoToken);
    }
    let token = token.trim_matches(' ');
    if token.is_empty() || token.contains([' ', '\t']) {
        return Err(Denial::InvalidRequest);
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(value: &[u8]) -> Option<Result<String, Denial>> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
        Some(token(&headers).map(str::to_owned))
    }

    proptest! {
        #[test]
        fn a_token_is_found_however_it_is_written(
            token in "[A-Za-z0-9._~+/-]{1,80}=*", scheme in "[Bb][Ee][Aa][Rr][Ee][Rr]", gap in " {1,3}",
        ) {
            let value = format!("{scheme}{gap}{token}");
            prop_assert_eq!(read(value.as_bytes()), Some(Ok(token)));
        }

        #[test]
        fn whatever_is_sent_at_most_one_word_of_it_is_the_token(
            value in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..80),
                "(?i)bearer[ \t]?[ -~\t]{0,40}".prop_map(String::into_bytes),
            ],
        ) {
            if let Some(Ok(token)) = read(&value) {
                let text = String::from_utf8(value).unwrap();
                let words: Vec<_> = text.split_ascii_whitespace().collect();
                prop_assert_eq!(words.len(), 2, "{:?}", text);
                prop_assert!(words[0].eq_ignore_ascii_case("bearer"));
                prop_assert_eq!(words[1], token);
            }
        }
    }
}
