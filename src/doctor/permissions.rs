//! What the service account may do in the realm: three things, each really tried, and nothing else.

use serde_json::{Map, Value};

use super::finding::{BOOTSTRAP, Checked, Verdict};
use super::{Examination, left};
use crate::bootstrap::{RUN_TIME_ROLES, management_client};
use crate::keycloak::KeycloakError;
use crate::owner::PROBE_CLIENT;

/// What `view-users` is made of.
const COMPOSED: [&str; 2] = ["query-groups", "query-users"];

/// Keycloak says itself whether we may change a client: trying it would leave a trace.
pub(super) async fn manage_clients(examination: &Examination) -> Checked {
    let client_id = &examination.settings.keycloak.client_id;
    match examination.keycloak.find_client_document(client_id).await {
        Ok(Some(client)) if client.to_value()["access"]["manage"] == true => {
            Ok(Verdict::ok("clients can be read and changed"))
        }
        Ok(_) => Ok(missing("clients can be read, but not changed")),
        Err(error) => forbidden(error, "clients cannot be read"),
    }
}

pub(super) async fn view_users(examination: &Examination) -> Checked {
    let subject = &left(&examination.login)?.login.subject;
    match examination.keycloak.find_user(subject).await {
        Ok(_) => Ok(Verdict::ok("users can be read")),
        Err(error) => forbidden(error, "users cannot be read"),
    }
}

pub(super) async fn view_events(examination: &Examination) -> Checked {
    match examination.keycloak.try_events().await {
        Ok(()) => Ok(Verdict::ok("admin events and user events can be read")),
        Err(error) => forbidden(error, "events cannot be read"),
    }
}

/// Effective roles as the probe shows them, the client's scope, and full scope.
pub(super) async fn no_more(examination: &Examination) -> Checked {
    let keycloak = &examination.keycloak;
    let client_id = &examination.settings.keycloak.client_id;
    let absent = || KeycloakError::NotFound("our own clients".to_owned());
    let client = keycloak.find_client_document(client_id).await?.ok_or_else(absent)?;
    let probe = keycloak.find_client(PROBE_CLIENT).await?.ok_or_else(absent)?;
    let subject = &left(&examination.login)?.login.subject;
    let claims = keycloak.evaluate_claims(&probe, subject, "openid").await?.ok_or_else(absent)?;

    let management = management_client(&examination.settings.keycloak.realm);
    // Logged in by these three, it has them: who does not see them is blind.
    let shown = role_names(&claims);
    if RUN_TIME_ROLES.iter().any(|role| !shown.contains(&format!("{management}:{role}"))) {
        return Ok(Verdict::fail(
            "the probe does not show the roles that this account has",
            BOOTSTRAP,
        ));
    }
    let mut held: Vec<String> = beyond(shown, management);
    held.extend(
        beyond(keycloak.get_scope_mappings(client.uuid()).await?.names(), management)
            .into_iter()
            .map(|name| format!("{name} in the client's scope")),
    );
    if client.member("fullScopeAllowed") != Some(&Value::Bool(false)) {
        held.push("full scope".to_owned());
    }
    if held.is_empty() {
        return Ok(Verdict::ok("the service account has its three permissions and no other"));
    }
    Ok(Verdict::fail(
        format!("{client_id} has more than its three permissions: {}", held.join(", ")),
        "take it away in Keycloak (client roles, groups, scope), or run `hallpass bootstrap` again",
    ))
}

/// `role` and `client:role`, of a user's claims.
fn role_names(claims: &Map<String, Value>) -> Vec<String> {
    let names = |access: &Value| -> Vec<String> {
        let roles = access["roles"].as_array().into_iter().flatten();
        roles.filter_map(|role| role.as_str().map(str::to_owned)).collect()
    };
    let mut all = claims.get("realm_access").map(names).unwrap_or_default();
    for (client, access) in
        claims.get("resource_access").and_then(Value::as_object).into_iter().flatten()
    {
        all.extend(names(access).iter().map(|role| format!("{client}:{role}")));
    }
    all
}

fn beyond(names: Vec<String>, management: &str) -> Vec<String> {
    let allowed: Vec<String> =
        RUN_TIME_ROLES.iter().chain(&COMPOSED).map(|role| format!("{management}:{role}")).collect();
    names.into_iter().filter(|name| !allowed.contains(name)).collect()
}

fn forbidden(error: KeycloakError, what: &str) -> Checked {
    match error {
        KeycloakError::Forbidden(_) => Ok(missing(what)),
        other => Err(other.into()),
    }
}

fn missing(what: &str) -> Verdict {
    Verdict::fail(format!("{what}: the permission is missing"), BOOTSTRAP)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_beyond_the_three_is_named() {
        let claims = json!({"realm_access": {"roles": ["offline_access"]}, "resource_access": {
            "realm-management": {"roles": ["manage-clients", "query-users", "manage-users"]},
            "hallpass": {"roles": ["manage-clients"]}}});
        assert_eq!(
            beyond(role_names(claims.as_object().unwrap()), "realm-management"),
            ["offline_access", "hallpass:manage-clients", "realm-management:manage-users"]
        );
        assert_eq!(beyond(role_names(&Map::new()), "realm-management"), [""; 0]);
    }
}
