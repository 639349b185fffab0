//! What our clients look like: every flag on purpose. Pure.

use serde_json::{Value, json};

use super::MANAGED;
use super::compare::merge;
use crate::config::BootstrapSettings;
use crate::owner::PROBE_CLIENT;

/// The public client of the command line.
pub(super) const CLI_CLIENT: &str = "hallpass-cli";

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
pub(super) fn service(settings: &BootstrapSettings) -> Value {
    let public_url = settings.server.public_url.as_str();
    let base = inert(&settings.client_id, "Hallpass", "Personal access tokens and API clients");
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
pub(super) fn command_line() -> Value {
    let base = inert(CLI_CLIENT, "Hallpass command line", "Device login of the command hallpass");
    merge(
        &json!({"publicClient": true, "consentRequired": true, "attributes": {DEVICE_GRANT: "true"}}),
        &base,
    )
}

/// The designated client: no flows and disabled, so that Keycloak finds no token of its `azp` active.
pub(super) fn designated(settings: &BootstrapSettings) -> Value {
    let base = inert(
        &settings.tokens.client_id,
        "Personal access tokens",
        "Its mappers shape the claims of Hallpass's personal access tokens",
    );
    merge(&json!({"enabled": false, "fullScopeAllowed": true}), &base)
}

/// The probe: its evaluation shows a user's effective roles.
pub(super) fn probe() -> Value {
    let base =
        inert(PROBE_CLIENT, "Hallpass probe", "Shows Hallpass the effective roles of a user");
    merge(&json!({"enabled": false, "fullScopeAllowed": true}), &base)
}

/// The mappers of the interactive clients: Hallpass in `aud`, only Hallpass's roles, the account, and who
/// impersonates.
pub(super) fn interactive_mappers(settings: &BootstrapSettings) -> Vec<Value> {
    let service = settings.client_id.as_str();
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
                "claim.name": settings.account_claim.as_str(),
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
pub(super) fn probe_mappers() -> Vec<Value> {
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
