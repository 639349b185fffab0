//! The URI policy: what an API client may be given as an address. Pure.
//!
//! Keycloak takes `*`, `https://*.example/*` and much else, and expands `${…}`; so the strict rules are here. A URI
//! is taken only in the one spelling that a parser would write (RFC 3986 §6.2.2, WHATWG URL): what is compared as
//! text, as redirect URIs are, then says the same to everybody.

use std::borrow::Cow;

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

/// What is wrong with an address, and what to write instead where that is known.
type Reason = Cow<'static, str>;

/// Where a browser may be sent after login: absolute, relative to `root`, or an app's own scheme (RFC 8252 §7.1).
pub(super) fn check_redirect(text: &str, root: Option<&str>) -> Result<(), Reason> {
    check_text(text)?;
    if is_private_use(text) {
        return check_private_use(text);
    }
    if let Some(scheme) = mistyped_scheme(text) {
        return Err(if scheme.contains('.') {
            format!(
                "has an own scheme that is not in lower case: write `{}:`",
                scheme.to_lowercase()
            )
            .into()
        } else {
            "has an own scheme without a dot: write that of a domain reversed, such as `com.example.app:/cb`".into()
        });
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
        return Err("has a query".into());
    }
    check_web(text, None, Wildcard::Refused)
}

/// What Keycloak calls itself. Whether the address is public has to be asked as well.
pub(super) fn check_called(text: &str) -> Result<Url, Reason> {
    check_text(text)?;
    if text.starts_with('/') {
        return Err(
            "is relative: Keycloak calls it, so it must be absolute, with `https://`".into()
        );
    }
    if Url::parse(text).is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url)) {
        return Err("must be `https`; for a host in an inner network the operator's setting \
                    `clients.allowed_networks` has to allow its address, too"
            .into());
    }
    check_web(text, None, Wildcard::Refused)?;
    parse_absolute(text)
}

/// An exact origin (RFC 6454 §6.1), or `+`: those of the redirect URIs.
pub(super) fn check_origin(text: &str) -> Result<(), Reason> {
    if text == "+" {
        return Ok(());
    }
    check_text(text)?;
    if text.contains('*') {
        return Err(
            "has a wildcard: list each origin, or write `+` for those of the redirect URIs".into(),
        );
    }
    let url = parse_absolute(text)?;
    check_scheme(&url)?;
    check_host(text, &url)?;
    let origin = url.origin().ascii_serialization();
    if origin == text {
        return Ok(());
    }
    let reason = match text.strip_prefix(&origin) {
        Some("/") => "ends with a `/`",
        Some(_) => "has more than scheme, host and port",
        None => "is not in its plain form",
    };
    Err(format!("{reason}: write `{origin}`").into())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wildcard {
    Allowed,
    Refused,
}

/// What holds for every URI, before anything parses it.
fn check_text(text: &str) -> Result<(), Reason> {
    if text.is_empty() {
        return Err("is empty".into());
    }
    if text.len() > MAX_LENGTH {
        return Err("has more than 255 characters".into());
    }
    if let Some(host) = international_host(text) {
        return Err(format!("has an international host: write it as `{host}`").into());
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err("has a character that a URI has only in its percent-encoded form".into());
    }
    if text.contains(['{', '}', '\\', '"', '<', '>', '^', '`', '|']) {
        return Err("has a brace, a backslash or another character that no URI has".into());
    }
    if text.contains('#') {
        return Err("has a fragment".into());
    }
    let decoded =
        percent_decode_str(text).decode_utf8().map_err(|_| "has a malformed percent-encoding")?;
    if !is_well_encoded(text) {
        return Err("has a malformed percent-encoding".into());
    }
    if decoded.chars().any(|c| c.is_control() || matches!(c, '\\' | '{' | '}')) {
        return Err("has an encoded control character, backslash or brace".into());
    }
    Ok(())
}

/// The form that goes over the wire (RFC 5890 §2.3.2.1) of a host that is not ASCII.
fn international_host(text: &str) -> Option<String> {
    if authority(text).is_ascii() {
        return None;
    }
    Url::parse(text).ok()?.host_str().map(str::to_owned)
}

fn is_well_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

fn check_web(text: &str, root: Option<&str>, wildcard: Wildcard) -> Result<(), Reason> {
    let whole = match (text.strip_prefix('/'), root) {
        (Some(rest), _) if rest.starts_with('/') => return Err("begins with two slashes".into()),
        (Some(_), None) => return Err("is relative, and there is no `rootUrl`".into()),
        (Some(_), Some(root)) if root.ends_with('/') => {
            return Err(
                "is relative, and the `rootUrl` ends with a `/`, which would be there twice: \
                        send `rootUrl` without it"
                    .into(),
            );
        }
        // As Keycloak does it: appended, not resolved.
        (Some(_), Some(root)) => format!("{root}{text}"),
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
        let mistyped = matches!(url.scheme(), "https" | "http") && text.contains("://");
        return Err(if mistyped {
            expected(&url)
        } else {
            "does not begin with `https://`".into()
        });
    }
    if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
        return Err("has a user in it".into());
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
        _ => Err("must be `https`; `http` is for loopback hosts only".into()),
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
    let host = url.host_str().unwrap_or_default();
    if host.ends_with('.') {
        return Err("has a host that ends with a dot: leave it out".into());
    }
    let plain = !host.is_empty() && !host.contains('*');
    if plain && !authority(text).is_empty() { Ok(()) } else { Err("has no plain host".into()) }
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
    Err(expected(url))
}

/// Says the one spelling that is taken, as a parser writes it.
fn expected(url: &Url) -> Reason {
    format!("is not in its plain form: write `{url}`").into()
}

fn check_path(path: &str) -> Result<(), Reason> {
    for segment in path.split('/') {
        let segment = percent_decode_str(segment).decode_utf8_lossy();
        if segment == ".." || segment == "." || segment.starts_with("..;") {
            return Err("has a dot segment".into());
        }
        if segment.contains('/') {
            return Err("has an encoded slash".into());
        }
    }
    Ok(())
}

fn check_query(url: &Url) -> Result<(), Reason> {
    if url.query_pairs().any(|(name, _)| RESPONSE_PARAMETERS.contains(&&*name.to_ascii_lowercase()))
    {
        return Err("has a parameter in its query that the answer of a login has".into());
    }
    Ok(())
}

/// A wildcard is the last character, after a slash of the path; so it can never reach into the host.
fn check_wildcard(text: &str, wildcard: Wildcard) -> Result<(), Reason> {
    let Some(at) = text.find('*') else { return Ok(()) };
    if wildcard == Wildcard::Refused {
        return Err("has a wildcard".into());
    }
    let path = text.split_once("://").map_or(0, |(scheme, _)| scheme.len() + 3);
    let in_path = text[path..].contains('/') && text.ends_with("/*") && !text.contains('?');
    if at + 1 == text.len() && in_path {
        return Ok(());
    }
    Err("has a wildcard that is not the last character after a `/` of the path".into())
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

/// An app's own scheme, but for its spelling. What a browser itself acts upon is none.
fn mistyped_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
    let known = ["http", "https", "javascript", "data", "vbscript", "file", "ftp", "blob", "about"];
    let is_known = known.iter().any(|known| scheme.eq_ignore_ascii_case(known));
    (is_scheme && !is_known && rest.starts_with('/')).then_some(scheme)
}

fn check_private_use(text: &str) -> Result<(), Reason> {
    let (scheme, path) = text.split_once(':').unwrap_or_default();
    if scheme.ends_with('.') || scheme.contains("..") {
        return Err("has a scheme that is no reversed domain name".into());
    }
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(
            "must have one slash after its scheme, such as `com.example.app:/callback`".into()
        );
    }
    if path.contains('*') {
        return Err("has a wildcard, which an app's own scheme cannot have".into());
    }
    let url = Url::parse(text).map_err(|_| "is not a URI")?;
    if url.as_str() != text {
        return Err("is not in its plain form".into());
    }
    check_path(url.path())?;
    check_query(&url)
}

#[cfg(test)]
#[path = "uri_tests.rs"]
mod tests;
