//! What our clients look like: every flag on purpose. Pure. Bootstrap makes them so, `doctor` compares.

use serde_json::{Value, json};

use super::MANAGED;
use super::compare::merge;
use crate::config::{BootstrapSettings, Settings};
use crate::keycloak::LIGHTWEIGHT;
use crate::owner::PROBE_CLIENT;

/// What says who a person is, where the realm has it: the client scopes of our interactive clients.
pub(crate) const PERSON_SCOPES: [&str; 3] = ["basic", "profile", "email"];
/// What Keycloak itself gives to every client with a service account.
pub(crate) const SERVICE_ACCOUNT_SCOPE: &str = "service_account";
/// The stock client scopes that shape a personal access token.
pub(crate) const CLAIM_SCOPES: [&str; 4] = ["basic", "profile", "email", "roles"];
/// How a client's access tokens are signed; left out, as the realm's default says.
pub(crate) const SIGNED_WITH: &str = "access.token.signed.response.alg";

/// What the settings say about our clients.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    service: &'a str,
    designated: &'a str,
    public_url: &'a str,
    account_claim: &'a str,
}

impl<'a> From<&'a BootstrapSettings> for Names<'a> {
    fn from(settings: &'a BootstrapSettings) -> Self {
        Self {
            service: &settings.client_id,
            designated: &settings.tokens.client_id,
            public_url: settings.server.public_url.as_str(),
            account_claim: settings.account_claim.as_str(),
        }
    }
}

impl<'a> From<&'a Settings> for Names<'a> {
    fn from(settings: &'a Settings) -> Self {
        Self {
            service: &settings.keycloak.client_id,
            designated: &settings.tokens.client_id,
            public_url: settings.server.public_url.as_str(),
            account_claim: settings.account_claim.as_str(),
        }
    }
}

/// The public client of the command line.
pub(crate) const CLI_CLIENT: &str = "hallpass-cli";

/// The attribute by which PKCE is required (RFC 7636).
const PKCE: &str = "pkce.code.challenge.method";
const DEVICE_GRANT: &str = "oauth2.device.authorization.grant.enabled";
/// More ways to get tokens, and tokens that are bound to their sender.
const OTHER_WAYS: [&str; 5] = [
    "oidc.ciba.grant.enabled",
    "oauth2.jwt.authorization.grant.enabled",
    "standard.token.exchange.enabled",
    "dpop.bound.access.tokens",
    "tls.client.certificate.bound.access.tokens",
];

/// A client with no way to use it; the base of all of ours.
fn inert(client_id: &str, name: &str, description: &str) -> Value {
    let mut attributes = json!({MANAGED: "true", DEVICE_GRANT: "false", LIGHTWEIGHT: "false"});
    for way in OTHER_WAYS {
        attributes[way] = "false".into();
    }
    json!({
        "clientId": client_id,
        "name": name,
        "description": description,
        "protocol": "openid-connect",
        "enabled": true,
        "publicClient": false,
        "bearerOnly": false,
        "clientAuthenticatorType": "client-secret",
        "standardFlowEnabled": false,
        "implicitFlowEnabled": false,
        "directAccessGrantsEnabled": false,
        "serviceAccountsEnabled": false,
        "consentRequired": false,
        "fullScopeAllowed": false,
        "frontchannelLogout": false,
        "redirectUris": [],
        "webOrigins": [],
        "attributes": attributes,
    })
}

/// `client`, its access tokens signed with RS256 whatever the realm signs with.
pub(crate) fn signed_by_rsa(client: &Value) -> Value {
    merge(&json!({"attributes": {SIGNED_WITH: "RS256"}}), client)
}

/// `client`, as `found` has it, but for an algorithm that somebody chose.
pub(crate) fn checkable(client: Value, found: &Value) -> Value {
    match found["attributes"][SIGNED_WITH].as_str() {
        None | Some("") => client,
        Some(_) => signed_by_rsa(&client),
    }
}

/// Hallpass's own client: a service account, and the web UI's login.
pub(crate) fn service<'a>(names: impl Into<Names<'a>>) -> Value {
    let Names { service, public_url, .. } = names.into();
    let base = inert(service, "Hallpass", "Personal access tokens and API clients");
    merge(
        &json!({
            "serviceAccountsEnabled": true,
            "standardFlowEnabled": true,
            "rootUrl": public_url,
            "baseUrl": format!("{public_url}/"),
            "redirectUris": [format!("{public_url}/auth/callback")],
            "attributes": {PKCE: "S256", "post.logout.redirect.uris": format!("{public_url}/")},
        }),
        &base,
    )
}

/// The command line's client: device login (RFC 8628), nothing else, and the user is asked.
pub(crate) fn command_line() -> Value {
    let base = inert(CLI_CLIENT, "Hallpass command line", "Device login of the command hallpass");
    merge(
        &json!({"publicClient": true, "consentRequired": true, "attributes": {DEVICE_GRANT: "true"}}),
        &base,
    )
}

/// The designated client: no flows and disabled, so that Keycloak finds no token of its `azp` active.
pub(crate) fn designated<'a>(names: impl Into<Names<'a>>) -> Value {
    let base = inert(
        names.into().designated,
        "Personal access tokens",
        "Its mappers shape the claims of Hallpass's personal access tokens",
    );
    merge(&json!({"enabled": false, "fullScopeAllowed": true}), &base)
}

/// The probe: its evaluation shows a user's effective roles.
pub(crate) fn probe() -> Value {
    let base =
        inert(PROBE_CLIENT, "Hallpass probe", "Shows Hallpass the effective roles of a user");
    merge(&json!({"enabled": false, "fullScopeAllowed": true}), &base)
}

/// The mappers of the interactive clients: who it is, Hallpass in `aud`, only Hallpass's roles, the account, and who
/// impersonates. They are whole without any client scope, and in lightweight access tokens too, which a policy of the
/// realm may ask for.
pub(crate) fn interactive_mappers<'a>(names: impl Into<Names<'a>>) -> Vec<Value> {
    let Names { service, account_claim, .. } = names.into();
    let mappers = [
        mapper("hallpass subject", "oidc-sub-mapper", &json!({})),
        mapper(
            "hallpass username",
            "oidc-usermodel-attribute-mapper",
            &user_attribute("username", "preferred_username"),
        ),
        mapper(
            "hallpass audience",
            "oidc-audience-mapper",
            &json!({"included.client.audience": service}),
        ),
        mapper(
            "hallpass roles",
            "oidc-usermodel-client-role-mapper",
            &merge(
                &json!({"usermodel.clientRoleMapping.clientId": service}),
                &roles_at(CLIENT_ROLES),
            ),
        ),
        mapper(
            "hallpass account",
            "oidc-usermodel-attribute-mapper",
            &user_attribute(super::profile::ACCOUNT_ATTRIBUTE, account_claim),
        ),
        mapper(
            "hallpass impersonator",
            "oidc-usersessionmodel-note-mapper",
            &json!({
                "user.session.note": super::allowed::IMPERSONATOR_NOTE,
                "claim.name": "impersonator",
                "jsonType.label": "String",
            }),
        ),
    ];
    let lightweight = json!({"config": {"lightweight.claim": "true"}});
    mappers.iter().map(|mapper| merge(&lightweight, mapper)).collect()
}

/// The mappers that the designated client needs itself, since the realm lacks client scopes that have them.
pub(crate) fn stand_ins(has_scope: impl Fn(&str) -> bool) -> Vec<Value> {
    const ATTRIBUTE: &str = "oidc-usermodel-attribute-mapper";
    let mut mappers = Vec::new();
    if !has_scope("basic") {
        mappers.push(mapper("hallpass subject", "oidc-sub-mapper", &json!({})));
    }
    if !has_scope("profile") {
        for (name, attribute, claim) in [
            ("hallpass username", "username", "preferred_username"),
            ("hallpass given name", "firstName", "given_name"),
            ("hallpass family name", "lastName", "family_name"),
        ] {
            mappers.push(mapper(name, ATTRIBUTE, &user_attribute(attribute, claim)));
        }
        mappers.push(mapper("hallpass full name", "oidc-full-name-mapper", &json!({})));
    }
    if !has_scope("email") {
        mappers.push(mapper("hallpass email", ATTRIBUTE, &user_attribute("email", "email")));
        let verified = json!({"user.attribute": "emailVerified", "claim.name": "email_verified",
            "jsonType.label": "boolean"});
        mappers.push(mapper(
            "hallpass email verified",
            "oidc-usermodel-property-mapper",
            &verified,
        ));
    }
    if !has_scope("roles") {
        mappers.extend(role_mappers("hallpass "));
    }
    mappers
}

/// What Keycloak itself puts on a client with a service account where the realm lacks [`SERVICE_ACCOUNT_SCOPE`]: session
/// notes that say which client it is, and from where.
const SERVICE_ACCOUNT_NOTES: [&str; 5] =
    ["client_id", "clientId", "clientHost", "clientAddress", "client_address"];

/// The mappers that are not wanted, but for Keycloak's own.
pub(crate) fn extra_mappers<'f>(
    wanted: &[Value],
    found: &'f [Value],
) -> impl Iterator<Item = &'f Value> {
    let is_wanted = move |found: &Value| wanted.iter().any(|one| one["name"] == found["name"]);
    found.iter().filter(move |found| !is_wanted(found) && !is_keycloaks_own(found))
}

fn is_keycloaks_own(mapper: &Value) -> bool {
    let config = &mapper["config"];
    mapper["protocolMapper"] == "oidc-usersessionmodel-note-mapper"
        && [&config["user.session.note"], &config["claim.name"]]
            .iter()
            .all(|name| name.as_str().is_some_and(|name| SERVICE_ACCOUNT_NOTES.contains(&name)))
}

/// The probe's mappers: roles, all of them, and nothing else.
pub(crate) fn probe_mappers() -> Vec<Value> {
    role_mappers("").into()
}

const REALM_ROLES: &str = "realm_access.roles";
const CLIENT_ROLES: &str = "resource_access.${client_id}.roles";

fn role_mappers(prefix: &str) -> [Value; 2] {
    let named = |name: &str, kind: &str, claim: &str| {
        mapper(&format!("{prefix}{name}"), kind, &roles_at(claim))
    };
    [
        named("realm roles", "oidc-usermodel-realm-role-mapper", REALM_ROLES),
        named("client roles", "oidc-usermodel-client-role-mapper", CLIENT_ROLES),
    ]
}

fn roles_at(claim: &str) -> Value {
    json!({"claim.name": claim, "jsonType.label": "String", "multivalued": "true"})
}

fn user_attribute(attribute: &str, claim: &str) -> Value {
    json!({"user.attribute": attribute, "claim.name": claim, "jsonType.label": "String"})
}

fn mapper(name: &str, kind: &str, config: &Value) -> Value {
    let base = json!({
        "access.token.claim": "true",
        "id.token.claim": "false",
        "userinfo.token.claim": "false",
        "introspection.token.claim": "true",
    });
    json!({
        "name": name,
        "protocol": "openid-connect",
        "protocolMapper": kind,
        "config": merge(config, &base),
    })
}
