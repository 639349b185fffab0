//! The sections `keycloak` and `accounts`: the realm, our own client in it, the account claim.

use std::mem;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::PublicUrl;
use super::reader::{Key, Need, Reader, Reason};

/// The realm, and the client by which Hallpass acts in it.
#[derive(Clone, Debug)]
pub struct KeycloakSettings {
    /// The realm.
    pub realm: Realm,
    /// The `client_id` of Hallpass's own client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
}

impl KeycloakSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let realm = Realm::read(reader);
        let client_id = read_client_id(reader);
        let client_secret = read_client_secret(reader, Need::Required);
        Some(Self { realm: realm?, client_id: client_id?, client_secret: client_secret?? })
    }
}

/// A realm: how we reach it, and what it calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    url: PublicUrl,
    public_url: PublicUrl,
    name: String,
}

/// What RFC 3986 allows in a path segment stays as it is: so Keycloak writes its `iss`.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

impl Realm {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let url = reader.value(URL, PublicUrl::parse);
        let public_url = reader.optional(PUBLIC_URL, Need::Optional, PublicUrl::parse);
        let name = reader.value(REALM, parse_realm);
        let url = url?;
        Some(Self { public_url: public_url?.unwrap_or_else(|| url.clone()), url, name: name? })
    }

    /// The realm's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the realm calls itself: the `iss` of its tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        realm_url(&self.public_url, &self.name)
    }

    /// The realm as we reach it.
    #[must_use]
    pub fn internal_url(&self) -> String {
        realm_url(&self.url, &self.name)
    }

    /// Another realm of the same Keycloak, as we reach it.
    #[must_use]
    pub fn sibling_url(&self, name: &str) -> String {
        realm_url(&self.url, name)
    }

    /// The realm's JWK Set, as we reach it.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("{}/protocol/openid-connect/certs", self.internal_url())
    }

    /// The realm's JWK Set, as its users reach it.
    #[must_use]
    pub fn public_jwks_url(&self) -> String {
        format!("{}/protocol/openid-connect/certs", self.issuer())
    }

    /// The realm's resource in the admin REST API.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("{}/admin/realms/{}", self.url, segment(&self.name))
    }

    /// How we reach Keycloak, and how its users do.
    #[must_use]
    pub fn base_urls(&self) -> (&str, &str) {
        (self.url.as_str(), self.public_url.as_str())
    }
}

/// A name as one segment of a path.
#[must_use]
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

fn realm_url(base: &PublicUrl, name: &str) -> String {
    format!("{base}/realms/{}", segment(name))
}

pub(super) fn read_client_id(reader: &mut Reader) -> Option<String> {
    reader.value(CLIENT_ID, parse_client_id)
}

#[expect(clippy::option_option, reason = "absent and wrong are different things here")]
pub(super) fn read_client_secret(reader: &mut Reader, need: Need) -> Option<Option<SecretString>> {
    reader.secret(CLIENT_SECRET, need, |secret| {
        if secret.expose_secret().is_empty() { Err("is empty") } else { Ok(secret) }
    })
}

pub(super) fn read_account_claim(reader: &mut Reader) -> Option<ClaimPath> {
    reader.value(CLAIM, ClaimPath::parse)
}

pub(super) fn parse_client_id(text: &str) -> Result<String, Reason> {
    let fits = (1..=255).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err("is no client id") }
}

fn parse_realm(text: &str) -> Result<String, Reason> {
    let fits = (1..=255).contains(&text.chars().count())
        && !text.chars().any(|c| c.is_control() || c == '/' || c == '\\')
        && text != "."
        && text != "..";
    if fits { Ok(text.to_owned()) } else { Err("is no realm name") }
}

const URL: Key = Key {
    name: "keycloak.url",
    default: None,
    allowed: "an `http` or `https` URL without user, query and fragment",
    meaning: "How Hallpass reaches Keycloak.",
};
const PUBLIC_URL: Key = Key {
    name: "keycloak.public_url",
    default: None,
    allowed: "an `http` or `https` URL without user, query and fragment",
    meaning: "How users reach Keycloak: what `iss` shows. Left out, it is `keycloak.url`.",
};
const REALM: Key = Key {
    name: "keycloak.realm",
    default: None,
    allowed: "1 to 255 characters, no slash and no control character",
    meaning: "The realm that this Hallpass serves.",
};
const CLIENT_ID: Key = Key {
    name: "keycloak.client_id",
    default: Some("hallpass"),
    allowed: "1 to 255 visible ASCII characters",
    meaning: "Hallpass's own client in the realm.",
};
const CLIENT_SECRET: Key = Key {
    name: "keycloak.client_secret",
    default: None,
    allowed: "the secret that bootstrap wrote, not empty",
    meaning: "Its secret.",
};
const CLAIM: Key = Key {
    name: "accounts.claim",
    default: Some("account_id"),
    allowed: r"names separated by dots; `\.` is a dot within a name",
    meaning: "The access-token claim that names the caller's account.",
};

/// Where a claim stands: dots descend into objects, `\.` is a dot within a name. As in Keycloak's mappers, a
/// backslash takes away the meaning of any character after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath {
    text: String,
    names: Vec<String>,
}

impl ClaimPath {
    pub(super) fn parse(text: &str) -> Result<Self, Reason> {
        let mut names = Vec::new();
        let mut name = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '.' => names.push(mem::take(&mut name)),
                '\\' => name.push(characters.next().ok_or("ends with a backslash")?),
                other => name.push(other),
            }
        }
        names.push(name);
        if names.iter().any(String::is_empty) {
            return Err("has an empty name");
        }
        if text.contains(char::is_control) {
            return Err("has a control character");
        }
        Ok(Self { text: text.to_owned(), names })
    }

    /// The path as it is written in settings and in Keycloak's mappers.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of the claim that it is, or is in.
    #[must_use]
    pub fn claim(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// The claim's value, where the claims have it.
    #[must_use]
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.names.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, name| value.get(name))
    }
}
