//! A token whose signature holds, prepared once: what each later request with it needs, and nothing that can change.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderValue;
use bytes::Bytes;
use ipnet::IpNet;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serializer as _;
use serde::ser::SerializeMap as _;
use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::{PatId, UserId};
use crate::owner::Authority;
use crate::principal::{Credential, Principal};
use crate::store::TokenRecord;
use crate::verify::Claims;

/// Whatever is not visible ASCII, the comma that stands between roles, and the sign that this is written with.
const IN_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'%');
/// The claim of the name at login.
const USERNAME: &str = "preferred_username";

/// A token that is what it says, as far as its signature goes.
pub struct Token {
    /// Whose it is.
    pub user_id: UserId,
    /// The name at login; empty where an access token does not say it.
    pub username: String,
    /// What it is.
    pub kind: Kind,
    /// Its roles: `name`, or `client:name`.
    pub roles: Vec<String>,
    /// Its scopes.
    pub scopes: Vec<String>,
    /// Whom it is for.
    pub audience: Vec<String>,
    /// What forward-auth tells.
    pub identity: Identity,
    pub(super) ends_at: Timestamp,
    pub(super) kid: Box<str>,
    /// How many bytes it takes, roughly.
    pub(super) weight: u64,
    /// The answer of introspection, once somebody asked for it.
    introspection: OnceLock<Bytes>,
    /// Second and address of the last use that was noted, as one number.
    noted: AtomicU64,
}

/// What a token is.
pub enum Kind {
    /// A personal access token of ours.
    Pat(Pat),
    /// An access token of the realm.
    AccessToken(AccessToken),
}

/// What is fixed of a personal access token.
pub struct Pat {
    /// Its id.
    pub id: PatId,
    /// It was restricted below its owner's rights.
    pub narrowed: bool,
    /// It was narrowed to audiences: others are not told that it is good.
    pub narrowed_in_audience: bool,
    networks: Option<Vec<IpNet>>,
}

/// What an access token says beside.
pub struct AccessToken {
    /// The client that it was issued to.
    pub client_id: String,
    /// What it says that its holder may do at Hallpass.
    pub authority: Authority,
    /// An administrator of Keycloak acts in the user's name.
    pub impersonated: bool,
}

/// The values of the headers that say who calls, encoded as such. A clone shares them.
pub struct Identity {
    /// The user's id.
    pub user_id: HeaderValue,
    /// The name at login.
    pub username: HeaderValue,
    /// The email address.
    pub email: HeaderValue,
    /// The roles, with commas between.
    pub roles: HeaderValue,
    /// The scope.
    pub scope: HeaderValue,
    /// The token's id.
    pub token_id: HeaderValue,
}

/// Claims by which a token says that somebody acts in the user's name: our mapper's, and the actor of RFC 8693 §4.1.
const IMPERSONATION: [&str; 2] = ["impersonator", "act"];

impl Identity {
    fn new(claims: &Claims, username: &str, roles: &[String], scope: &str) -> Self {
        let mut encoded = Encoded(String::with_capacity(TYPICAL_IDENTITY));
        let email = claim(claims, "email").unwrap_or_default();
        let [user_id, username, email] =
            [&*claims.sub, username, email].map(|one| encoded.add([one]));
        let roles = encoded.add(roles.iter().map(String::as_str));
        let [scope, token_id] = [scope, &*claims.jti].map(|one| encoded.add([one]));
        let all = encoded.finish();
        let [user_id, username, email, roles, scope, token_id] =
            [user_id, username, email, roles, scope, token_id].map(|range| value(&all, range));
        Self { user_id, username, email, roles, scope, token_id }
    }
}

impl Pat {
    /// Whether it may be used from there; from an address that nobody knows only where any is good.
    #[must_use]
    pub fn may_be_used_from(&self, address: Option<IpAddr>) -> bool {
        let Some(networks) = &self.networks else { return true };
        let address = address.map(|address| address.to_canonical());
        address.is_some_and(|address| networks.iter().any(|network| network.contains(&address)))
    }
}

impl Token {
    /// A personal access token with this record.
    pub(super) fn pat(id: PatId, claims: &Claims, record: &TokenRecord) -> Self {
        let pat = Pat {
            id,
            narrowed: record.is_narrowed(),
            narrowed_in_audience: record.audience.is_some(),
            // What cannot be read as a network holds no address.
            networks: record
                .allowed_cidrs
                .as_ref()
                .map(|networks| networks.iter().filter_map(|text| text.parse().ok()).collect()),
        };
        let username = claim(claims, USERNAME).unwrap_or(&record.username).to_owned();
        let ends_at = Timestamp::from_seconds(claims.exp).min(record.expires_at);
        Self { ends_at, ..Self::new(claims, username, Kind::Pat(pat)) }
    }

    /// A personal access token whose record adds nothing to its claims, which say the username.
    pub(super) fn plain_pat(id: PatId, claims: &Claims) -> Self {
        let pat = Pat { id, narrowed: false, narrowed_in_audience: false, networks: None };
        let username = claim(claims, USERNAME).unwrap_or_default().to_owned();
        Self::new(claims, username, Kind::Pat(pat))
    }

    /// An access token of the realm.
    pub(super) fn access_token(claims: &Claims, authority: Authority) -> Self {
        let username = claim(claims, USERNAME).unwrap_or_default().to_owned();
        let kind = Kind::AccessToken(AccessToken {
            client_id: claims.azp.clone().unwrap_or_default(),
            authority,
            impersonated: IMPERSONATION.iter().any(|claim| claims.rest.contains_key(*claim)),
        });
        Self::new(claims, username, kind)
    }

    fn new(claims: &Claims, username: String, kind: Kind) -> Self {
        let roles = roles(&claims.rest);
        let scope = claim(claims, "scope").unwrap_or_default();
        let identity = Identity::new(claims, &username, &roles, scope);
        Self {
            scopes: scope.split_ascii_whitespace().map(str::to_owned).collect(),
            ends_at: Timestamp::from_seconds(claims.exp),
            user_id: UserId::new(&*claims.sub),
            username,
            kind,
            roles,
            audience: claims.aud.clone(),
            identity,
            kid: Box::default(),
            weight: 0,
            introspection: OnceLock::new(),
            noted: AtomicU64::new(0),
        }
    }

    /// The caller of the API whose token it is. What a personal access token's owner may do there, it does not say.
    #[must_use]
    pub fn principal(&self) -> Principal {
        let (authority, credential) = match &self.kind {
            Kind::Pat(Pat { id, narrowed, .. }) => {
                (None, Credential::Pat { pat_id: *id, narrowed: *narrowed })
            }
            Kind::AccessToken(AccessToken { authority, impersonated, .. }) => {
                (Some(authority), Credential::AccessToken { impersonated: *impersonated })
            }
        };
        let authority = authority.cloned().unwrap_or_default();
        Principal {
            user_id: self.user_id.clone(),
            username: self.username.clone(),
            roles: authority.roles,
            account: authority.account,
            credential,
        }
    }

    /// The answer of introspection, where it is active and was prepared.
    pub(super) fn introspection(&self) -> Option<Bytes> {
        self.introspection.get().cloned()
    }

    /// Prepares the answer of introspection from the token's claims.
    pub(super) fn prepare_introspection(&self, claims: &Claims) -> Result<Bytes, Error> {
        let answer = introspection(claims, &self.username)?;
        Ok(self.introspection.get_or_init(|| answer).clone())
    }

    /// As it was found in this text.
    pub(super) fn found(self, text: &str, kid: &str) -> Self {
        // An introspection says about as much as the token does.
        let weight = self.weigh() + text.len() as u64;
        Self { kid: kid.into(), weight, ..self }
    }

    /// Whether this use is another than the last one that was noted: by its second or its address.
    pub(super) fn is_noteworthy(&self, at: Timestamp, address: IpAddr) -> bool {
        let mut hasher = DefaultHasher::new();
        (at.seconds(), address).hash(&mut hasher);
        let mark = hasher.finish();
        self.noted.swap(mark, Ordering::Relaxed) != mark
    }

    /// Never so few that very many would fit.
    fn weigh(&self) -> u64 {
        const ITSELF: usize = 1024;
        let texts = [&self.roles, &self.scopes, &self.audience].into_iter().flatten();
        let Identity { user_id, username, email, roles, scope, token_id } = &self.identity;
        let identity = [user_id, username, email, roles, scope, token_id].map(HeaderValue::len);
        let bytes = texts.map(|text| text.len() + size_of::<String>()).sum::<usize>()
            + identity.iter().sum::<usize>()
            + self.username.len()
            + self.user_id.as_str().len()
            + ITSELF;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// Whether the claims say the name at login, or the record has to.
pub(super) fn says_username(claims: &Claims) -> bool {
    claim(claims, USERNAME).is_some()
}

fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.rest.get(name).and_then(Value::as_str)
}

/// Values of headers, one after the other, encoded, and so visible ASCII. They share one piece of memory: each answer takes
/// them all.
#[derive(Default)]
struct Encoded(String);

impl Encoded {
    /// Adds a value: these texts with commas between.
    fn add<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) -> Range<usize> {
        let begin = self.0.len();
        for (number, text) in texts.into_iter().enumerate() {
            if number > 0 {
                self.0.push(',');
            }
            self.0.extend(utf8_percent_encode(text, IN_HEADER));
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

/// The roles as Keycloak's mappers write them. What is malformed gives none.
fn roles(claims: &Map<String, Value>) -> Vec<String> {
    fn names(access: &Value) -> impl Iterator<Item = &str> {
        access
            .get("roles")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }
    let of_realm = || claims.get("realm_access").into_iter().flat_map(names);
    let clients = || claims.get("resource_access").and_then(Value::as_object).into_iter().flatten();
    let of_clients =
        || clients().flat_map(|(client, access)| names(access).map(move |role| (client, role)));
    let mut roles = Vec::with_capacity(of_realm().count() + of_clients().count());
    roles.extend(of_realm().map(str::to_owned));
    roles.extend(of_clients().map(|(client, role)| [client, ":", role].concat()));
    roles
}

/// The members of an introspection (RFC 7662 §2.2), and those that Keycloak says beside.
const OWN_MEMBERS: [&str; 13] = [
    "active",
    "scope",
    "client_id",
    "username",
    "token_type",
    "exp",
    "iat",
    "sub",
    "aud",
    "iss",
    "jti",
    "typ",
    "azp",
];

/// These members, then the token's other claims: none of those takes the place of one of them.
fn introspection(claims: &Claims, username: &str) -> Result<Bytes, Error> {
    let mut text = Vec::with_capacity(TYPICAL_INTROSPECTION);
    write_introspection(&mut text, claims, username).map_err(Error::internal)?;
    text.shrink_to_fit();
    Ok(text.into())
}

/// Room for most; what is over is given back.
const TYPICAL_INTROSPECTION: usize = 2048;
const TYPICAL_IDENTITY: usize = 512;

fn write_introspection(
    text: &mut Vec<u8>,
    claims: &Claims,
    username: &str,
) -> Result<(), serde_json::Error> {
    let mut serializer = serde_json::Serializer::new(text);
    let mut answer = serializer.serialize_map(None)?;
    answer.serialize_entry("active", &true)?;
    answer.serialize_entry("scope", claim(claims, "scope").unwrap_or_default())?;
    answer.serialize_entry("client_id", &claims.azp)?;
    answer.serialize_entry("username", username)?;
    answer.serialize_entry("token_type", "Bearer")?;
    answer.serialize_entry("exp", &claims.exp)?;
    answer.serialize_entry("iat", &claims.iat)?;
    answer.serialize_entry("sub", &claims.sub)?;
    answer.serialize_entry("aud", &claims.aud)?;
    answer.serialize_entry("iss", &claims.iss)?;
    answer.serialize_entry("jti", &claims.jti)?;
    answer.serialize_entry("typ", &claims.typ)?;
    answer.serialize_entry("azp", &claims.azp)?;
    for (name, value) in &claims.rest {
        if !OWN_MEMBERS.contains(&name.as_str()) {
            answer.serialize_entry(name, value)?;
        }
    }
    answer.end()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            assert_eq!(encoded.add([text]), 0..expected.len());
            assert_eq!(encoded.finish(), expected);
            let decoded = percent_encoding::percent_decode_str(expected).decode_utf8().unwrap();
            assert_eq!(decoded, text);
        }
    }

    #[test]
    fn roles_are_read_as_mappers_write_them_and_nothing_else_is() {
        let claims = json!({"realm_access": {"roles": ["a", 7, "b"]}, "resource_access": {
            "x": {"roles": ["c"]}, "y": {"roles": "d"}, "z": 1}, "roles": ["e"]});
        assert_eq!(roles(claims.as_object().unwrap()), ["a", "b", "x:c"]);
        let malformed = json!({"realm_access": [], "resource_access": ["x"]});
        assert!(roles(malformed.as_object().unwrap()).is_empty());
    }
}
