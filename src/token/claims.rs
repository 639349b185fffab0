//! The claims rule: what of Keycloak's evaluation goes into a token. Pure.
//!
//! Mappers shape every claim but the protocol's own: those are ours alone, since a mapper could forge them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::claim;
use crate::clock::Timestamp;
use crate::id::{PatId, UserId};
use crate::owner::{Roles, is_keycloaks_own_client};

/// Claims that say who the owner is (OpenID Connect Core 1.0 §5.1), as texts.
const IDENTITY: [&str; 5] = [claim::USERNAME, "name", "given_name", "family_name", claim::EMAIL];

/// What is ours to say.
#[derive(Clone, Debug)]
pub(super) struct ProtocolClaims<'a> {
    pub(super) issuer: &'a str,
    pub(super) owner: &'a UserId,
    pub(super) pat_id: PatId,
    pub(super) authorized_party: &'a str,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) audience: Vec<String>,
}

/// All claims of a token: `granted` are those that are not the protocol's own.
pub(super) fn compose(
    protocol: &ProtocolClaims<'_>,
    granted: Map<String, Value>,
) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), json!(protocol.issuer));
    claims.insert("sub".to_owned(), json!(protocol.owner));
    claims.insert("aud".to_owned(), json!(protocol.audience));
    claims.insert("azp".to_owned(), json!(protocol.authorized_party));
    claims.insert("jti".to_owned(), json!(protocol.pat_id));
    claims.insert("iat".to_owned(), json!(protocol.issued_at.seconds()));
    claims.insert("exp".to_owned(), json!(protocol.expires_at.seconds()));
    claims.insert("typ".to_owned(), json!("PAT"));
    // It names no session, so that Keycloak's own endpoints refuse the token, introspection included.
    claims.insert("sid".to_owned(), json!(protocol.pat_id));
    claims
        .extend(granted.into_iter().filter(|(name, _)| !claim::PROTOCOL.contains(&name.as_str())));
    claims
}

/// The evaluation without the roles of Keycloak's own clients.
pub(super) fn without_keycloaks_own(mut evaluated: Map<String, Value>) -> Map<String, Value> {
    if let Some(clients) = evaluated.get_mut("resource_access").and_then(Value::as_object_mut) {
        clients.retain(|client, _| !is_keycloaks_own_client(client));
    }
    evaluated
}

/// The evaluation without roles that the owner has and no token carries. Mappers write roles where the operator likes:
/// beside the two claims that are made for them, each entry of a list that has the name of such a role is left out, and
/// each text that is such a name, unless it says who the owner is.
pub(super) fn without_roles(evaluated: Map<String, Value>, denied: &Roles) -> Map<String, Value> {
    if denied.is_empty() {
        return evaluated;
    }
    let strip = |(claim, mut value): (String, Value)| {
        match claim.as_str() {
            "realm_access" => strip(&mut value, &|role| denied.has_realm_role(role)),
            "resource_access" => {
                for (client, access) in value.as_object_mut().into_iter().flatten() {
                    strip(access, &|role| denied.has_client_role(client, role));
                }
            }
            name => {
                let is_text = value.as_str().is_some_and(|text| denied.has_name(text));
                if is_text && !IDENTITY.contains(&name) && name != "scope" {
                    return None;
                }
                strip(&mut value, &|text| denied.has_name(text));
            }
        }
        Some((claim, value))
    };
    evaluated.into_iter().filter_map(strip).collect()
}

/// Takes these texts out of every list within.
fn strip(value: &mut Value, is_denied: &impl Fn(&str) -> bool) {
    match value {
        Value::Array(entries) => {
            entries.retain(|entry| !entry.as_str().is_some_and(is_denied));
            for entry in entries {
                strip(entry, is_denied);
            }
        }
        Value::Object(members) => {
            for member in members.values_mut() {
                strip(member, is_denied);
            }
        }
        _ => {}
    }
}

/// The scopes of the evaluation, each once, in its order.
pub(super) fn scopes(evaluated: &Map<String, Value>) -> Vec<String> {
    let text = evaluated.get("scope").and_then(Value::as_str).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let names = text.split(' ').filter(|name| !name.is_empty());
    names.filter(|name| seen.insert(*name)).map(str::to_owned).collect()
}

/// Adds the scopes of another evaluation of the same user, and the audiences that come with them.
pub(super) fn add_scopes(evaluated: &mut Map<String, Value>, more: &Map<String, Value>) {
    let union = |one: Vec<String>, other: Vec<String>| {
        let mut seen = BTreeSet::new();
        let all = one.into_iter().chain(other);
        all.filter(|name| seen.insert(name.clone())).collect::<Vec<_>>()
    };
    let scope = union(scopes(evaluated), scopes(more)).join(" ");
    let audience = union(evaluated_audience(evaluated), evaluated_audience(more));
    evaluated.insert("scope".to_owned(), scope.into());
    evaluated.insert("aud".to_owned(), audience.into());
}

/// Who the owner is, for a token that is narrowed: of these claims what is plain. A mapper that writes a list or
/// an object there may write roles or groups.
pub(super) fn identity(evaluated: &Map<String, Value>) -> Map<String, Value> {
    let texts = IDENTITY.iter().filter(|name| evaluated.get(**name).is_some_and(Value::is_string));
    let verified = evaluated.get(claim::EMAIL_VERIFIED).is_some_and(Value::is_boolean);
    let names = texts.copied().chain(verified.then_some(claim::EMAIL_VERIFIED));
    names.map(|name| (name.to_owned(), evaluated[name].clone())).collect()
}

/// The audiences that mappers added, in the order of the evaluation.
pub(super) fn evaluated_audience(evaluated: &Map<String, Value>) -> Vec<String> {
    match evaluated.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => {
            many.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

/// The token's audiences: the configured ones, and those from mappers that are not ids of the realm's
/// clients (`is_client`), since Keycloak adds each client that the user has roles in. Never empty: without
/// an audience some validators would take the token for their own.
pub(super) fn audience(
    configured: &[String],
    evaluated: &[String],
    is_client: &BTreeSet<String>,
    designated_client: &str,
) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let from_mappers = evaluated.iter().filter(|audience| !is_client.contains(*audience));
    let all: Vec<String> =
        configured.iter().chain(from_mappers).filter(|one| seen.insert(*one)).cloned().collect();
    if all.is_empty() { vec![designated_client.to_owned()] } else { all }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn composed(evaluated: Value) -> Map<String, Value> {
        let owner = UserId::new("owner");
        let protocol = ProtocolClaims {
            issuer: "https://sso.example/realms/demo",
            owner: &owner,
            pat_id: PatId::from(Uuid::from_u128(7)),
            authorized_party: "hallpass-pat",
            issued_at: Timestamp::from_seconds(1_000),
            expires_at: Timestamp::from_seconds(2_000),
            audience: vec!["reports".to_owned()],
        };
        let Value::Object(evaluated) = evaluated else { panic!("no object") };
        let granted = without_keycloaks_own(evaluated);
        compose(&protocol, granted)
    }

    #[test]
    fn mappers_forge_no_protocol_claim() {
        let forged: Map<_, _> =
            claim::PROTOCOL.iter().map(|name| ((*name).to_owned(), json!("forged"))).collect();
        let claims = composed(Value::Object(forged));
        let expected = json!({
            "iss": "https://sso.example/realms/demo", "sub": "owner", "aud": ["reports"],
            "azp": "hallpass-pat", "jti": "00000000-0000-0000-0000-000000000007", "iat": 1000,
            "exp": 2000, "typ": "PAT", "sid": "00000000-0000-0000-0000-000000000007",
        });
        assert_eq!(Value::Object(claims), expected);
    }

    #[test]
    fn everything_else_comes_from_the_mappers() {
        let claims = composed(json!({
            "scope": "openid profile", "department": "r&d", "realm_access": {"roles": ["analyst"]},
            "resource_access": {"account": {"roles": ["view-profile"]}, "reports": {"roles": ["read"]}},
        }));
        assert_eq!(claims["department"], "r&d");
        assert_eq!(claims["realm_access"], json!({"roles": ["analyst"]}));
        assert_eq!(claims["resource_access"], json!({"reports": {"roles": ["read"]}}));
    }

    #[test]
    fn denied_roles_are_in_no_claim_whatever_mappers_write() {
        let evaluated = json!({
            "realm_access": {"roles": ["boss", "analyst"]},
            "resource_access": {"lake": {"roles": ["drain", "read"]}, "sea": {"roles": ["drain"]}},
            "roles": ["boss", "analyst"], "flat": ["drain", "read"], "full": ["lake:drain", "sea:drain"],
            "deep": {"a": [["boss"], {"b": ["drain"]}]}, "one": "boss", "other": "bossy",
            "given_name": ["boss"], "preferred_username": "boss", "scope": "boss", "email_verified": true,
        });
        let denied = json!({"realm_access": {"roles": ["boss"]}, "resource_access": {"lake": {"roles": ["drain"]}}});
        let denied = Roles::from_claims(denied.as_object().unwrap()).unwrap();
        let evaluated = evaluated.as_object().unwrap().clone();
        let left = without_roles(evaluated.clone(), &denied);
        let expected = json!({
            "realm_access": {"roles": ["analyst"]},
            // The same name of another client is another role.
            "resource_access": {"lake": {"roles": ["read"]}, "sea": {"roles": ["drain"]}},
            "roles": ["analyst"], "flat": ["read"], "full": ["sea:drain"],
            "deep": {"a": [[], {"b": []}]}, "other": "bossy",
            "given_name": [], "preferred_username": "boss", "scope": "boss", "email_verified": true,
        });
        assert_eq!(Value::Object(left), expected);
        assert_eq!(without_roles(evaluated.clone(), &Roles::default()), evaluated);
    }

    #[test]
    fn only_plain_claims_say_who_the_owner_is() {
        let plain = json!({"preferred_username": "a", "name": "", "given_name": "G", "family_name": "F",
            "email": "a@example.org", "email_verified": false});
        let mut evaluated = plain.as_object().unwrap().clone();
        assert_eq!(Value::Object(identity(&evaluated)), plain);
        evaluated.extend([("roles".to_owned(), json!(["x"])), ("locale".to_owned(), json!("de"))]);
        assert_eq!(Value::Object(identity(&evaluated)), plain);
        for value in [json!(["x"]), json!({"x": "x"}), json!(7), Value::Null] {
            let odd: Map<_, _> = plain
                .as_object()
                .unwrap()
                .keys()
                .map(|name| (name.clone(), value.clone()))
                .collect();
            assert_eq!(identity(&odd), Map::new(), "{value}");
        }
        let odd = json!({"name": true, "email_verified": "true"});
        assert_eq!(identity(odd.as_object().unwrap()), Map::new());
    }

    #[test]
    fn audiences() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let clients = BTreeSet::from(["account".to_owned(), "reports".to_owned()]);
        let of = |configured: &[&str], evaluated: &[&str]| {
            audience(&list(configured), &list(evaluated), &clients, "hallpass-pat")
        };
        assert_eq!(of(&[], &[]), ["hallpass-pat"]);
        assert_eq!(of(&[], &["account"]), ["hallpass-pat"]);
        assert_eq!(of(&["api"], &["account", "lake"]), ["api", "lake"]);
        assert_eq!(of(&["reports"], &["reports", "account"]), ["reports"]);
        assert_eq!(of(&["api"], &["api", "api"]), ["api"]);
    }

    proptest! {
        #[test]
        fn the_audience_is_never_empty_and_has_no_client_unless_configured(
            configured in proptest::collection::vec("[a-d]", 0..3),
            evaluated in proptest::collection::vec("[a-d]", 0..4),
            clients in proptest::collection::btree_set("[a-d]", 0..4),
        ) {
            let found = audience(&configured, &evaluated, &clients, "designated");
            prop_assert!(!found.is_empty());
            for one in found {
                prop_assert!(configured.contains(&one) || !clients.contains(&one));
            }
        }
    }
}
