//! The URI policy: what an API client may be given as an address. Pure.
//!
//! Keycloak takes `*`, `https://*.example/*` and much else, and expands `${…}`; so the strict rules are here. A URI
//! is taken only in the one spelling that a parser would write (RFC 3986 §6.2.2, WHATWG URL): what is compared as
//! text, as redirect URIs are, then says the same to everybody.

use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// The longest URI, in characters; Keycloak's columns end there.
const MAX_LENGTH: usize = 255;

/// What an authorization server adds to a redirect (RFC 6749 §4.1.2, OpenID Connect, RFC 9207, JARM): in a registered
/// query it would be mistaken for an answer.
const RESPONSE_PARAMETERS: [&str; 14] = [
    "access_token",
    "code",
    "error",
    "error_description",
    "error_uri",
    "expires_in",
    "id_token",
    "iss",
    "kc_action_status",
    "response",
    "scope",
    "session_state",
    "state",
    "token_type",
];

type Reason = &'static str;

/// Where a browser may be sent after login: absolute, relative to `root`, or an app's own scheme (RFC 8252 §7.1).
pub(super) fn check_redirect(text: &str, root: Option<&str>) -> Result<(), Reason> {
    check_text(text)?;
    if is_private_use(text) {
        return check_private_use(text);
    }
    check_web(text, root, Wildcard::Allowed)
}

/// Where a browser may be sent after logout.
pub(super) fn check_post_logout(text: &str, root: Option<&str>) -> Result<(), Reason> {
    check_text(text)?;
    check_web(text, root, Wildcard::Allowed)
}

/// Where Keycloak's pages link to.
pub(super) fn check_home(text: &str, root: Option<&str>) -> Result<(), Reason> {
    check_text(text)?;
    check_web(text, root, Wildcard::Refused)
}

/// What relative URIs are appended to.
pub(super) fn check_root(text: &str) -> Result<(), Reason> {
    check_text(text)?;
    let url = parse_absolute(text)?;
    if url.query().is_some() {
        return Err("has a query");
    }
    check_web(text, None, Wildcard::Refused)
}

/// What Keycloak calls itself. Whether the address is public has to be asked as well.
pub(super) fn check_called(text: &str) -> Result<Url, Reason> {
    check_text(text)?;
    check_web(text, None, Wildcard::Refused)?;
    parse_absolute(text)
}

/// An exact origin (RFC 6454 §6.1), or `+`: those of the redirect URIs.
pub(super) fn check_origin(text: &str) -> Result<(), Reason> {
    if text == "+" {
        return Ok(());
    }
    check_text(text)?;
    let url = parse_absolute(text)?;
    check_scheme(&url)?;
    check_host(text, &url)?;
    if url.origin().ascii_serialization() == text {
        return Ok(());
    }
    Err(
        "is not an origin: write scheme, host and, where it is not the usual one, port, in lower case",
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wildcard {
    Allowed,
    Refused,
}

/// What holds for every URI, before anything parses it.
fn check_text(text: &str) -> Result<(), Reason> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.len() > MAX_LENGTH {
        return Err("has more than 255 characters");
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err("has a character that a URI has only in its percent-encoded form");
    }
    if text.contains(['{', '}', '\\', '"', '<', '>', '^', '`', '|']) {
        return Err("has a brace, a backslash or another character that no URI has");
    }
    if text.contains('#') {
        return Err("has a fragment");
    }
    let decoded =
        percent_decode_str(text).decode_utf8().map_err(|_| "has a malformed percent-encoding")?;
    if !is_well_encoded(text) {
        return Err("has a malformed percent-encoding");
    }
    if decoded.chars().any(|c| c.is_control() || matches!(c, '\\' | '{' | '}')) {
        return Err("has an encoded control character, backslash or brace");
    }
    Ok(())
}

fn is_well_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

fn check_web(text: &str, root: Option<&str>, wildcard: Wildcard) -> Result<(), Reason> {
    let whole = match (text.strip_prefix('/'), root) {
        (Some(rest), _) if rest.starts_with('/') => return Err("begins with two slashes"),
        (Some(_), None) => return Err("is relative, and there is no `rootUrl`"),
        // As Keycloak does it: appended, not resolved.
        (Some(_), Some(root)) => format!("{}{text}", root.trim_end_matches('/')),
        (None, _) => text.to_owned(),
    };
    check_wildcard(text, wildcard)?;
    let url = parse_absolute(&whole)?;
    check_scheme(&url)?;
    check_spelling(&whole, &url)?;
    check_path(url.path())?;
    check_query(&url)
}

fn parse_absolute(text: &str) -> Result<Url, Reason> {
    let url = Url::parse(text).map_err(|_| "is not an absolute URI")?;
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return Err("does not begin with `https://`");
    }
    if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
        return Err("has a user in it");
    }
    Ok(url)
}

/// The text between `://` and the next `/` or `?`.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

fn check_scheme(url: &Url) -> Result<(), Reason> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        _ => Err("must be `https`; `http` is for loopback hosts only"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn check_host(text: &str, url: &Url) -> Result<(), Reason> {
    let plain = url.host_str().is_some_and(|host| !host.ends_with('.') && !host.contains('*'));
    if plain && !authority(text).is_empty() { Ok(()) } else { Err("has no plain host") }
}

fn check_spelling(text: &str, url: &Url) -> Result<(), Reason> {
    check_host(text, url)?;
    let written = url.as_str();
    // A parser writes the root's slash, which people leave out.
    if written == text
        || (url.path() == "/" && url.query().is_none() && written.trim_end_matches('/') == text)
    {
        return Ok(());
    }
    Err(
        "is not in its plain form: lower-case host, no usual port, no dot segments, nothing to be encoded",
    )
}

fn check_path(path: &str) -> Result<(), Reason> {
    for segment in path.split('/') {
        let segment = percent_decode_str(segment).decode_utf8_lossy();
        if segment == ".." || segment == "." || segment.starts_with("..;") {
            return Err("has a dot segment");
        }
        if segment.contains('/') {
            return Err("has an encoded slash");
        }
    }
    Ok(())
}

fn check_query(url: &Url) -> Result<(), Reason> {
    if url.query_pairs().any(|(name, _)| RESPONSE_PARAMETERS.contains(&&*name.to_ascii_lowercase()))
    {
        return Err("has a parameter in its query that the answer of a login has");
    }
    Ok(())
}

/// A wildcard is the last character, after a slash of the path; so it can never reach into the host.
fn check_wildcard(text: &str, wildcard: Wildcard) -> Result<(), Reason> {
    let Some(at) = text.find('*') else { return Ok(()) };
    if wildcard == Wildcard::Refused {
        return Err("has a wildcard");
    }
    let path = text.split_once("://").map_or(0, |(scheme, _)| scheme.len() + 3);
    let in_path = text[path..].contains('/') && text.ends_with("/*") && !text.contains('?');
    if at + 1 == text.len() && in_path {
        return Ok(());
    }
    Err("has a wildcard that is not the last character after a `/` of the path")
}

/// RFC 8252 §7.1: the reverse of a domain name, so it has a dot.
fn is_private_use(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.contains('.')
            && scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.chars().all(|c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '+')
            })
    })
}

fn check_private_use(text: &str) -> Result<(), Reason> {
    let (scheme, path) = text.split_once(':').unwrap_or_default();
    if scheme.ends_with('.') || scheme.contains("..") {
        return Err("has a scheme that is no reversed domain name");
    }
    if !path.starts_with('/') || path.starts_with("//") {
        return Err("must have one slash after its scheme, such as `com.example.app:/callback`");
    }
    if path.contains('*') {
        return Err("has a wildcard, which an app's own scheme cannot have");
    }
    let url = Url::parse(text).map_err(|_| "is not a URI")?;
    if url.as_str() != text {
        return Err("is not in its plain form");
    }
    check_path(url.path())?;
    check_query(&url)
}

#[cfg(test)]
#[path = "uri_tests.rs"]
mod tests;
