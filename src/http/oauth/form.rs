//! Forms, as OAuth's endpoints take them.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use memchr::{memchr, memchr2};

use crate::error::{Code, Error};
use crate::http::MAX_BODY;
use crate::http::extract::{self, is_any_of, refuse_encoded};

/// The body of a request that is a form.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
    let form = ["application/x-www-form-urlencoded"];
    if !is_any_of(headers.get(CONTENT_TYPE), &form) {
        let detail = "Send the body as application/x-www-form-urlencoded.";
        return Err(Error::new(Code::Invalid, detail));
    }
    refuse_encoded(headers)?;
    extract::read(body, MAX_BODY).await
}

/// The values of these parameters, in their order. All others are passed over.
pub(super) fn parameters<'a, const N: usize>(
    form: &'a [u8],
    names: [&'static str; N],
) -> Result<[Option<Cow<'a, str>>; N], Error> {
    let mut values = [const { None }; N];
    for (name, value) in fields(form).filter_map(pair) {
        let Some(at) = names.iter().position(|known| *known == name) else { continue };
        // RFC 6749 §3.2: a parameter without a value counts as left out.
        if value.is_empty() {
            continue;
        }
        if values[at].replace(value).is_some() {
            let detail = format!("The parameter {} is given more than once.", names[at]);
            return Err(Error::new(Code::Invalid, detail));
        }
    }
    Ok(values)
}

fn fields(form: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(form);
    std::iter::from_fn(move || {
        let form = rest?;
        let end = memchr(b'&', form);
        rest = end.map(|end| &form[end + 1..]);
        Some(&form[..end.unwrap_or(form.len())])
    })
}

/// The name and the value of a field. A token is long and has nothing to decode: what is plain is taken as it is.
fn pair(field: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    if let Some(equals) = memchr(b'=', field)
        && field.is_ascii()
        && memchr2(b'%', b'+', field).is_none()
    {
        let text = |bytes| std::str::from_utf8(bytes).ok();
        return Some((text(&field[..equals])?.into(), text(&field[equals + 1..])?.into()));
    }
    url::form_urlencoded::parse(field).next()
}

/// A parameter that must be there.
pub(super) fn required<'a>(
    name: &'static str,
    value: Option<Cow<'a, str>>,
) -> Result<Cow<'a, str>, Error> {
    let missing = || Error::new(Code::Invalid, format!("The parameter {name} is missing."));
    value.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_known_comes_once_and_all_else_is_passed_over() {
        let read = |form: &'static str| parameters(form.as_bytes(), ["token", "client_ip"]);
        let found = read("x=1&token=a%2Bb&x=2&client_ip=").unwrap();
        assert_eq!(found, [Some("a+b".into()), None]);
        assert_eq!(read("token=&token=a").unwrap()[0], Some("a".into()));
        assert!(read("token=a&token=a").is_err());
        assert_eq!(read("").unwrap(), [None, None]);
    }

    proptest! {
        #[test]
        fn no_form_breaks_it(form in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parameters(&form, ["token", "client_id", ""]);
        }

        #[test]
        fn forms_are_read_as_everybody_reads_them(form in "([a=&]|[+%é0-9A-F]){0,40}") {
            let ours: Vec<_> = fields(form.as_bytes()).filter_map(pair).collect();
            let theirs: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}
