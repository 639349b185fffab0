//! What our clients look like: every flag on purpose. Pure. Bootstrap makes them so, `doctor` compares.

use serde_json::{Value, json};

use super::MANAGED;
use super::compare::merge;
use crate::config::{BootstrapSettings, Settings};
use crate::owner::PROBE_CLIENT;

/// What gives a token of a person its `sub`, name and address; every realm has them.
pub(crate) const PERSON_SCOPES: [&str; 3] = ["basic", "profile", "email"];
/// What Keycloak itself gives to every client with a service account.
pub(crate) const SERVICE_ACCOUNT_SCOPE: &str = "service_account";
/// What gives a token its roles.
pub(crate) const ROLES_SCOPE: &str = "roles";

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

/// A client with no way to use it; the base of all of ours.
fn inert(client_id: &str, name: &str, description: &str) -> Value {
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
        "attributes": {MANAGED: "true", DEVICE_GRANT: "false"},
    })
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

/// The mappers of the interactive clients: Hallpass in `aud`, only Hallpass's roles, the account, and who
/// impersonates.
pub(crate) fn interactive_mappers<'a>(names: impl Into<Names<'a>>) -> Vec<Value> {
    let Names { service, account_claim, .. } = names.into();
    vec![
        mapper(
            "hallpass audience",
            "oidc-audience-mapper",
            &json!({"included.client.audience": service}),
        ),
        mapper(
            "hallpass roles",
            "oidc-usermodel-client-role-mapper",
            &json!({
                "usermodel.clientRoleMapping.clientId": service,
                "claim.name": "resource_access.${client_id}.roles",
                "jsonType.label": "String",
                "multivalued": "true",
            }),
        ),
        mapper(
            "hallpass account",
            "oidc-usermodel-attribute-mapper",
            &json!({
                "user.attribute": super::profile::ACCOUNT_ATTRIBUTE,
                "claim.name": account_claim,
                "jsonType.label": "String",
            }),
        ),
        mapper(
            "hallpass impersonator",
            "oidc-usersessionmodel-note-mapper",
            &json!({
                "user.session.note": "IMPERSONATOR_ID",
                "claim.name": "impersonator",
                "jsonType.label": "String",
            }),
        ),
    ]
}

/// The probe's mappers: roles, all of them, and nothing else.
pub(crate) fn probe_mappers() -> Vec<Value> {
    let roles = |claim: &str| json!({"claim.name": claim, "jsonType.label": "String", "multivalued": "true"});
    vec![
        mapper("realm roles", "oidc-usermodel-realm-role-mapper", &roles("realm_access.roles")),
        mapper(
            "client roles",
            "oidc-usermodel-client-role-mapper",
            &roles("resource_access.${client_id}.roles"),
        ),
    ]
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
