//! A token whose signature holds, prepared once: what each later request with it needs, and nothing that can change.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use ipnet::IpNet;
use serde_json::{Map, Value};

use super::identity::{Identity, Said};
use super::{introspection, said};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::{PatId, UserId};
use crate::names::{Email, Names};
use crate::owner::{Authority, Roles};
use crate::principal::{Caller, Credential, Origin};
use crate::role_name::NamedRole;
use crate::store::TokenRecord;
use crate::verify::Claims;

/// A token that is what it says, as far as its signature goes.
pub struct Token {
    /// Whose it is.
    pub user_id: UserId,
    /// The name at login; empty where an access token does not say it.
    pub username: String,
    /// What it is.
    pub kind: TokenKind,
    /// Its scopes, with spaces between (RFC 6749 §3.3).
    pub scope: Box<str>,
    /// Whom it is for.
    pub audience: Vec<String>,
    /// What forward-auth tells.
    pub identity: Identity,
    pub(super) ends_at: Timestamp,
    pub(super) kid: Box<str>,
    /// How many bytes it takes, roughly.
    pub(super) weight: u64,
    /// Its roles, where its claims do not say them as Keycloak's own mappers do.
    unsaid_roles: Option<Box<Roles>>,
    /// What the owner is called, where its claims say something else.
    unsaid_names: Option<Box<Names>>,
    /// The store's number for what its record says of its owner.
    pub(super) renaming: u32,
    /// The answer of introspection, once somebody asked for it.
    introspection: OnceLock<Bytes>,
    /// Second and address of the last use that was noted, as one number.
    noted: AtomicU64,
}

/// What a token is prepared from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) claims: &'a Claims,
    /// Whether forward-auth also tells an address that Keycloak does not call verified.
    pub(super) unverified_email: bool,
}

/// What a token is.
pub enum TokenKind {
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
    /// It says itself that it is of that client's service account.
    pub of_service_account: bool,
}

/// Claims by which a token says that somebody acts in the user's name: our mapper's, and the actor of RFC 8693 §4.1.
const IMPERSONATION: [&str; 2] = ["impersonator", "act"];

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
    /// A personal access token with this record, which says its roles. `said` are those in its claims, if they can be read.
    pub(super) fn pat(
        id: PatId,
        source: Source<'_>,
        record: &TokenRecord,
        roles: Roles,
        said: Option<&Roles<&str>>,
    ) -> Self {
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
        let claims = source.claims;
        let names = current_names(claims, record);
        let ends_at = Timestamp::from_seconds(claims.exp).min(record.expires_at);
        let token = Self::new(source, names, TokenKind::Pat(pat), roles.iter(), ends_at);
        let is_said = said.is_some_and(|said| said.iter().eq(roles.iter()));
        let unsaid_roles = (!is_said).then(|| Box::new(roles));
        let unsaid_names = (names != said::names(claims)).then(|| Box::new(names.to_owned()));
        Self { unsaid_roles, unsaid_names, ..token }
    }

    /// A personal access token whose record adds nothing to its claims, which say these roles and what the owner is called.
    pub(super) fn plain_pat(id: PatId, source: Source<'_>, said: &Roles<&str>) -> Self {
        let pat = Pat { id, narrowed: false, narrowed_in_audience: false, networks: None };
        let names = said::names(source.claims);
        let ends_at = Timestamp::from_seconds(source.claims.exp);
        Self::new(source, names, TokenKind::Pat(pat), said.iter(), ends_at)
    }

    /// An access token of the realm.
    pub(super) fn access_token(source: Source<'_>, authority: Authority) -> Self {
        let claims = source.claims;
        let names = said::names(claims);
        let kind = TokenKind::AccessToken(AccessToken {
            of_service_account: is_of_service_account(claims, names.username),
            client_id: claims.azp.clone().unwrap_or_default(),
            authority,
            impersonated: IMPERSONATION.iter().any(|claim| claims.rest.contains_key(*claim)),
        });
        let ends_at = Timestamp::from_seconds(claims.exp);
        Self::new(source, names, kind, roles(&claims.rest), ends_at)
    }

    fn new<'r>(
        Source { claims, unverified_email }: Source<'_>,
        names: Names<&str>,
        kind: TokenKind,
        roles: impl Iterator<Item = NamedRole<'r>>,
        ends_at: Timestamp,
    ) -> Self {
        let scope = said::text(claims, "scope").unwrap_or_default();
        let told = |email: &Email<&str>| email.verified || unverified_email;
        let email = names.email.filter(told).map_or("", |email| email.address);
        let said = Said { username: names.username, email, scope, ends_at };
        let identity = Identity::new(claims, &said, roles);
        Self {
            scope: scope.into(),
            ends_at,
            user_id: UserId::new(&*claims.sub),
            username: names.username.to_owned(),
            kind,
            audience: claims.aud.clone(),
            identity,
            kid: Box::default(),
            weight: 0,
            unsaid_roles: None,
            unsaid_names: None,
            renaming: 0,
            introspection: OnceLock::new(),
            noted: AtomicU64::new(0),
        }
    }

    /// The caller of the API whose token it is. What a personal access token's owner may do there, it does not say.
    #[must_use]
    pub fn caller(&self, origin: &Origin) -> Caller {
        let (authority, client_id, credential) = match &self.kind {
            TokenKind::Pat(Pat { id, narrowed, .. }) => {
                (None, None, Credential::Pat { pat_id: *id, narrowed: *narrowed })
            }
            TokenKind::AccessToken(AccessToken { authority, impersonated, client_id, .. }) => {
                let credential = Credential::AccessToken { impersonated: *impersonated };
                (Some(authority), Some(client_id.clone()), credential)
            }
        };
        let authority = authority.cloned().unwrap_or_default();
        Caller {
            user_id: self.user_id.clone(),
            username: self.username.clone(),
            roles: authority.roles,
            account: authority.account,
            client_id,
            credential,
            origin: *origin,
        }
    }

    /// The answer of introspection, where it is active and was prepared.
    pub(super) fn introspection(&self) -> Option<Bytes> {
        self.introspection.get().cloned()
    }

    /// Prepares the answer of introspection from the token's claims.
    pub(super) fn prepare_introspection(&self, claims: &Claims) -> Result<Bytes, Error> {
        let roles = self.unsaid_roles.as_ref().map(|roles| roles.to_claims());
        let (roles, names) = (roles.as_ref(), self.unsaid_names.as_deref());
        let answer = introspection::answer(claims, &self.username, roles, names)?;
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
        // Once more as they are, and in the answer of introspection.
        let unsaid = self.unsaid_roles.as_ref().map_or(0, |_| 3 * self.identity.roles.len());
        let audience = self.audience.iter().map(|text| text.len() + size_of::<String>());
        let bytes = audience.sum::<usize>()
            + self.scope.len()
            + self.identity.len()
            + unsaid
            + self.username.len()
            + self.unsaid_names.as_ref().map_or(0, |_| size_of::<Names>() + self.identity.len())
            + self.user_id.as_str().len()
            + ITSELF;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// What the owner is called now, as far as the token may tell: its record follows them, its claims do not.
fn current_names<'a>(claims: &'a Claims, record: &'a TokenRecord) -> Names<&'a str> {
    let names = record.names.borrowed();
    if names.email.is_none() || !said::tells_email(claims) {
        return Names { email: said::names(claims).email, ..names };
    }
    names
}

/// Whether Keycloak says that the token comes from the client-credentials grant: by the name that it gives to the account, by
/// the claim `client_id`, which is a note of that grant, and by no session. All three: a person can have such a name, a mapper
/// can write such a claim for everybody, and other grants can do without a session.
fn is_of_service_account(claims: &Claims, username: &str) -> bool {
    let Some(client_id) = claims.azp.as_deref() else { return false };
    claims.sid.is_none()
        && !claims.rest.contains_key("session_state")
        && said::text(claims, "client_id") == Some(client_id)
        && username.strip_prefix("service-account-") == Some(&*client_id.to_lowercase())
}

/// The roles of an access token, as Keycloak's mappers write them. What is malformed gives none.
fn roles(claims: &Map<String, Value>) -> impl Iterator<Item = NamedRole<'_>> {
    fn names(access: &Value) -> impl Iterator<Item = &str> {
        access
            .get("roles")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    }
    let of_realm = claims.get("realm_access").into_iter().flat_map(names);
    let clients = claims.get("resource_access").and_then(Value::as_object).into_iter().flatten();
    let of_clients = clients.flat_map(|(client, access)| {
        names(access).map(move |name| NamedRole { client: Some(client), name })
    });
    of_realm.map(|name| NamedRole { client: None, name }).chain(of_clients)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_account_is_told_by_all_three_signs() {
        let good = json!({"iss": "i", "sub": "s", "exp": 2, "iat": 1, "jti": "j", "typ": "Bearer", "azp": "Svc",
            "client_id": "Svc", "preferred_username": "service-account-svc"});
        let is = |changed: &str, value: Value| {
            let mut json = good.clone();
            json[changed] = value;
            let Value::Object(mut rest) = json else { panic!() };
            let mut take =
                |name: &str| rest.remove(name).and_then(|it| it.as_str().map(str::to_owned));
            let (azp, sid, username) = (take("azp"), take("sid"), take("preferred_username"));
            let claims = Claims {
                iss: String::new(),
                sub: String::new(),
                aud: Vec::new(),
                exp: 2,
                iat: 1,
                nbf: None,
                jti: String::new(),
                typ: String::new(),
                azp,
                sid,
                rest,
            };
            is_of_service_account(&claims, &username.unwrap_or_default())
        };
        assert!(is("x", json!(1)));
        for (name, value) in [
            ("azp", json!("other")),
            ("azp", Value::Null),
            ("client_id", json!("svc")),
            ("client_id", Value::Null),
            ("preferred_username", json!("svc")),
            ("preferred_username", json!("service-account-svcx")),
            ("preferred_username", json!("service-account-")),
            ("sid", json!("a-session")),
            ("session_state", json!("a-session")),
        ] {
            assert!(!is(name, value.clone()), "{name}: {value}");
        }
    }

    #[test]
    fn roles_are_read_as_mappers_write_them_and_nothing_else_is() {
        let claims = json!({"realm_access": {"roles": ["a", 7, "b"]}, "resource_access": {
            "x:y": {"roles": ["c"]}, "y": {"roles": "d"}, "z": 1}, "roles": ["e"]});
        let spelled = |claims: &Value| {
            roles(claims.as_object().unwrap()).map(NamedRole::spelled).collect::<Vec<_>>()
        };
        assert_eq!(spelled(&claims), ["a", "b", "x%3Ay:c"]);
        let malformed = json!({"realm_access": [], "resource_access": ["x"]});
        assert!(spelled(&malformed).is_empty());
    }
}
