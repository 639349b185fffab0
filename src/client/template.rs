//! An API client's fields as a Keycloak client, and back: every flag on purpose. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::fields::{Capability, ClientSpec};
use crate::config::Consent;
use crate::id::{AccountId, ClientId};
use crate::keycloak::ClientDocument;

/// What every API client has: a user token without `basic` has no `sub`.
pub(super) const DEFAULT_SCOPES: [&str; 5] = ["acr", "basic", "email", "profile", "web-origins"];
/// Keycloak adds this one itself to a client with a service account.
const SERVICE_ACCOUNT_SCOPE: &str = "service_account";

/// The attribute that names the record for which a client was made.
pub(super) const RECORD: &str = "hallpass.client";
const ACCOUNT: &str = "hallpass.account";
const BACKCHANNEL_URL: &str = "backchannel.logout.url";
const POST_LOGOUT: &str = "post.logout.redirect.uris";
/// No redirect after logout; left out, Keycloak would take the redirect URIs.
const NO_POST_LOGOUT: &str = "-";
/// When Keycloak made the secret, in seconds since the epoch.
const SECRET_CREATED: &str = "client.secret.creation.time";
/// The end of the year 9999, in seconds since the epoch.
const LAST_SECOND: i64 = 253_402_300_799;

/// What the realm decides for all clients: how long sessions and tokens live, how they are signed and encrypted, how
/// people have to log in.
const UNSET: [&str; 15] = [
    "access.token.lifespan",
    "access.token.signed.response.alg",
    "authorization.encrypted.response.alg",
    "authorization.signed.response.alg",
    "client.offline.session.idle.timeout",
    "client.offline.session.max.lifespan",
    "client.session.idle.timeout",
    "client.session.max.lifespan",
    "default.acr.values",
    "id.token.encrypted.response.alg",
    "id.token.signed.response.alg",
    "minimum.acr.value",
    "token.endpoint.auth.signing.alg",
    "user.info.encrypted.response.alg",
    "user.info.response.signature.alg",
];

/// Which client the fields belong to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity<'a> {
    pub(super) client_id: &'a ClientId,
    pub(super) record_id: &'a str,
    pub(super) account: &'a AccountId,
}

/// The default client scopes that a realm with these scopes lacks: trimmed and older realms do.
pub(super) fn lacking<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let found: BTreeSet<&str> = names.into_iter().collect();
    let wanted = DEFAULT_SCOPES.into_iter().chain([SERVICE_ACCOUNT_SCOPE]);
    wanted.filter(|name| !found.contains(name)).map(str::to_owned).collect()
}

/// The members of the Keycloak client that are ours to say. Scopes are in it as a creation takes them; a change of
/// them goes through sub-resources. `lacking`: default scopes that the realm does not have.
pub(super) fn document(
    identity: Identity<'_>,
    spec: &ClientSpec,
    consent: Consent,
    lacking: &BTreeSet<String>,
) -> Value {
    let web_app = spec.can(Capability::WebApp);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    json!({
        "clientId": identity.client_id,
        "name": text(&spec.display_name),
        "description": text(&spec.description),
        "protocol": "openid-connect",
        "enabled": spec.enabled,
        "publicClient": false,
        "bearerOnly": false,
        "clientAuthenticatorType": "client-secret",
        "standardFlowEnabled": web_app,
        "implicitFlowEnabled": false,
        "directAccessGrantsEnabled": false,
        "serviceAccountsEnabled": spec.can(Capability::Script),
        "authorizationServicesEnabled": false,
        "consentRequired": web_app && consent == Consent::Always,
        "fullScopeAllowed": false,
        "frontchannelLogout": false,
        "alwaysDisplayInConsole": false,
        "surrogateAuthRequired": false,
        "rootUrl": text(&spec.root_url),
        "baseUrl": text(&spec.home_url),
        "adminUrl": text(&spec.admin_url),
        "redirectUris": spec.redirect_uris,
        "webOrigins": spec.web_origins,
        "attributes": attributes(identity, spec),
        "protocolMappers": [],
        "defaultClientScopes": default_scopes(spec, lacking),
        "optionalClientScopes": spec.scopes,
    })
}

fn attributes(identity: Identity<'_>, spec: &ClientSpec) -> Value {
    let backchannel = spec.can(Capability::Backchannel);
    let backchannel_url = spec.backchannel_logout_url.clone().filter(|_| backchannel);
    let post_logout = match (&*spec.post_logout_redirect_uris, &*spec.redirect_uris) {
        // There is none to take; and policies of realms find fault with a `-`.
        ([], []) => None,
        ([], _) => Some(NO_POST_LOGOUT.to_owned()),
        (uris, _) => Some(uris.join("##")),
    };
    let mut attributes = json!({
        RECORD: identity.record_id,
        ACCOUNT: identity.account,
        // Null takes an attribute away (an empty one is not stored).
        "pkce.code.challenge.method": spec.can(Capability::WebApp).then_some("S256"),
        POST_LOGOUT: post_logout,
        BACKCHANNEL_URL: backchannel_url,
        "backchannel.logout.session.required": "true",
        "backchannel.logout.revoke.offline.tokens": "false",
        "oauth2.device.authorization.grant.enabled": "false",
        "oidc.ciba.grant.enabled": "false",
        "oauth2.jwt.authorization.grant.enabled": "false",
        "standard.token.exchange.enabled": "false",
        "client_credentials.use_refresh_token": "false",
        "client.use.lightweight.access.token.enabled": "false",
        "use.refresh.tokens": "true",
        "dpop.bound.access.tokens": "false",
        "tls.client.certificate.bound.access.tokens": "false",
        "require.pushed.authorization.requests": "false",
        "display.on.consent.screen": "false",
    });
    for name in UNSET {
        attributes[name] = Value::Null;
    }
    attributes
}

fn default_scopes(spec: &ClientSpec, lacking: &BTreeSet<String>) -> BTreeSet<&'static str> {
    let service_account = spec.can(Capability::Script).then_some(SERVICE_ACCOUNT_SCOPE);
    let wanted = DEFAULT_SCOPES.into_iter().chain(service_account);
    wanted.filter(|name| !lacking.contains(*name)).collect()
}

/// What to POST so that Keycloak makes it. It leaves out the attributes that a change would take away, and the root
/// URL where there are no redirect URIs: Keycloak would make up `{rootUrl}/*` as one, of a blank one `/*`.
pub(super) fn creation(wanted: &Value) -> Value {
    let mut body = wanted.clone();
    if let Some(attributes) = body.get_mut("attributes").and_then(Value::as_object_mut) {
        attributes.retain(|_, value| !value.is_null());
    }
    if is_empty(&wanted["redirectUris"])
        && let Some(members) = body.as_object_mut()
    {
        members.remove("rootUrl");
    }
    body
}

/// What to PUT after the creation: the root URL that it left out. A change that says the lists makes nothing up.
pub(super) fn after_creation(wanted: &Value) -> Option<Value> {
    let left_out = is_empty(&wanted["redirectUris"]) && wanted["rootUrl"] != "";
    let names = ["clientId", "rootUrl", "redirectUris", "webOrigins"];
    left_out.then(|| names.into_iter().map(|name| (name, wanted[name].clone())).collect())
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

/// The names of the members that Keycloak has otherwise than `wanted`.
pub(super) fn differences(wanted: &Value, stored: &ClientDocument) -> Vec<String> {
    let mut names = Vec::new();
    for (name, value) in wanted.as_object().into_iter().flatten() {
        if name == "attributes" {
            let attributes = value.as_object().into_iter().flatten();
            let differing = attributes.filter(|(name, value)| !same(value, stored.attribute(name)));
            names.extend(differing.map(|(name, _)| format!("attributes.{name}")));
        } else if !same(value, stored.member(name)) {
            names.push(name.clone());
        }
    }
    // Never ours, never a caller's: what overrides flows or maps claims was put there by somebody else.
    let flows = stored.member("authenticationFlowBindingOverrides");
    if flows.is_some_and(|flows| flows.as_object().is_some_and(|flows| !flows.is_empty())) {
        names.push("authenticationFlowBindingOverrides".to_owned());
    }
    names
}

/// Equal, where Keycloak leaves out what is empty or false and keeps no order in lists.
fn same(wanted: &Value, stored: Option<&Value>) -> bool {
    match (wanted, stored) {
        (Value::Array(wanted), Some(Value::Array(stored))) => {
            wanted.len() == stored.len() && wanted.iter().all(|one| stored.contains(one))
        }
        (Value::Array(wanted), None) => wanted.is_empty(),
        (Value::String(wanted), None) => wanted.is_empty() || wanted == "false",
        (Value::Bool(wanted), None) => !wanted,
        (Value::Null, Some(Value::String(stored))) => stored.is_empty(),
        (Value::Null, None) => true,
        (wanted, Some(stored)) => wanted == stored,
        (_, None) => false,
    }
}

/// What to PUT so that the client changes from `before` to `after`, and nothing that somebody else changed is
/// reverted. Redirect URIs and origins are always said: left out, Keycloak would make up its own.
pub(super) fn change(before: &Value, after: &Value, stored: &ClientDocument) -> Value {
    let mut body = Map::new();
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return Value::Object(body);
    };
    for (name, value) in after {
        let unchanged = before.get(name) == Some(value);
        match name.as_str() {
            "clientId" => {
                body.insert(name.clone(), value.clone());
            }
            "redirectUris" | "webOrigins" => {
                let kept = stored.member(name).filter(|_| unchanged);
                body.insert(name.clone(), kept.unwrap_or(value).clone());
            }
            "attributes" => {
                let old = &before[name];
                let changed = value.as_object().into_iter().flatten();
                let changed: Map<_, _> = changed
                    .filter(|(name, value)| old.get(name.as_str()) != Some(value))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                body.insert(name.clone(), Value::Object(changed));
            }
            // Sub-resources.
            "defaultClientScopes" | "optionalClientScopes" | "protocolMappers" => {}
            _ if unchanged => {}
            _ => {
                body.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(body)
}

/// The fields as Keycloak has them now. What Keycloak does not keep (an address that is not in use) stays as it was.
pub(super) fn fields(stored: &ClientDocument, known: &ClientSpec) -> ClientSpec {
    let text = |name: &str| filled(stored.member(name));
    let flag = |name: &str| stored.member(name).and_then(Value::as_bool).unwrap_or(false);
    let list = |name: &str| texts(stored.member(name));
    let backchannel = filled(stored.attribute(BACKCHANNEL_URL));
    let capabilities = [
        (Capability::WebApp, flag("standardFlowEnabled")),
        (Capability::Backchannel, backchannel.is_some()),
        (Capability::Script, flag("serviceAccountsEnabled")),
    ];
    let post_logout = filled(stored.attribute(POST_LOGOUT)).unwrap_or_default();
    ClientSpec {
        display_name: text("name"),
        description: text("description"),
        capabilities: capabilities.into_iter().filter(|(_, on)| *on).map(|(one, _)| one).collect(),
        scopes: list("optionalClientScopes").into_iter().collect(),
        root_url: text("rootUrl"),
        home_url: text("baseUrl"),
        redirect_uris: in_known_order(list("redirectUris"), &known.redirect_uris),
        post_logout_redirect_uris: post_logout
            .split("##")
            .filter(|text| !text.is_empty() && *text != NO_POST_LOGOUT)
            .map(str::to_owned)
            .collect(),
        web_origins: in_known_order(list("webOrigins"), &known.web_origins),
        admin_url: text("adminUrl"),
        backchannel_logout_url: backchannel.or_else(|| known.backchannel_logout_url.clone()),
        enabled: flag("enabled"),
    }
}

/// When Keycloak made the secret, in seconds since the epoch. Anybody can write something else there in its console: what
/// is no moment of this calendar is not believed.
pub(super) fn secret_created(stored: &ClientDocument) -> Option<i64> {
    let seconds = stored.attribute(SECRET_CREATED)?.as_str()?.parse().ok()?;
    (0..=LAST_SECOND).contains(&seconds).then_some(seconds)
}

/// Whether this client was made for this record.
pub(super) fn is_of(stored: &ClientDocument, record_id: &str) -> bool {
    stored.attribute(RECORD).and_then(Value::as_str) == Some(record_id)
}

fn filled(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let entries = value.and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
}

/// Keycloak keeps a set; people keep an order.
fn in_known_order(mut found: Vec<String>, known: &[String]) -> Vec<String> {
    found.sort();
    found.sort_by_key(|text| known.iter().position(|other| other == text).unwrap_or(usize::MAX));
    found
}
