//! Taking over a client that somebody else may have made: nothing of theirs is left on it.

use reqwest::Method;
use serde_json::{Value, json};

use super::claim::Allowed;
use super::compare::merge;
use super::desired::SERVICE_ACCOUNT_SCOPE;
use super::run::{Run, text};
use super::{BootstrapError, policies, roles};
use crate::keycloak::KeycloakError;

/// What Keycloak itself notes on a client.
const KEYCLOAKS_OWN: [&str; 2] = ["realm_client", "client.secret.creation.time"];
/// What a client may say of itself and we never want; absent, it is so.
const NEVER: [&str; 3] =
    ["authorizationServicesEnabled", "surrogateAuthRequired", "alwaysDisplayInConsole"];
/// Where a client is, and where Keycloak calls it.
const ADDRESSES: [&str; 3] = ["rootUrl", "baseUrl", "adminUrl"];
/// Flows of a client's own, in the place of the realm's.
pub(super) const FLOWS: &str = "authenticationFlowBindingOverrides";

/// Makes the client all that is wanted and nothing else, with a new secret and a new registration access token: who had
/// the old ones can use them no more. Answers it as it is then.
pub(super) async fn adopt(
    run: &mut Run<'_>,
    wanted: &Value,
    found: &Value,
    allowed: &Allowed<'_>,
) -> Result<Value, BootstrapError> {
    let client_id = text(found, "clientId");
    let path = format!("/clients/{}", text(found, "id"));
    // First who can still change it.
    replace_registration_token(run, client_id, &path).await?;
    let clean = clean(wanted, found);
    let what = format!("take over client {client_id}, and all settings from it that are not ours");
    run.announce(&what);
    policies::send(run, client_id, (Method::PUT, &path), &clean).await?;
    if wanted["publicClient"] != true {
        let what = format!("replace the secret of client {client_id}");
        run.change(&what, Method::POST, &format!("{path}/client-secret"), None).await?;
    }
    remove_mappers(run, &path, client_id).await?;
    remove_other_scopes(run, found, allowed).await?;
    add_missing_scopes(run, found, allowed).await?;
    remove_role_mappings(run, &format!("{path}/scope-mappings"), client_id, "the scope").await?;
    remove_composites(run, &path, client_id).await?;
    // Where it is to have none, Keycloak removed its account with the change.
    if found["serviceAccountsEnabled"] == true && wanted["serviceAccountsEnabled"] == true {
        let account = run.service_account(text(found, "id")).await?;
        let mappings = format!("/users/{account}/role-mappings");
        remove_role_mappings(run, &mappings, client_id, "the service account").await?;
    }
    Ok(clean)
}

/// What is done to a client that an earlier version made: whoever may have registered it before has no hold on it.
pub(super) async fn take_over(run: &mut Run<'_>, found: Value) -> Result<Value, KeycloakError> {
    let client_id = text(&found, "clientId").to_owned();
    let path = format!("/clients/{}", text(&found, "id"));
    replace_registration_token(run, &client_id, &path).await?;
    let overrides = without_flows(&found);
    if overrides.as_object().is_none_or(serde_json::Map::is_empty) {
        return Ok(found);
    }
    let clean = merge(&json!({ FLOWS: overrides }), &found);
    let what = format!("take the flows from client {client_id} that are not ours");
    run.change(&what, Method::PUT, &path, Some(&clean)).await?;
    Ok(clean)
}

/// Removes all mappers of a client or a client scope.
pub(super) async fn remove_mappers(
    run: &mut Run<'_>,
    path: &str,
    name: &str,
) -> Result<(), KeycloakError> {
    let path = format!("{path}/protocol-mappers/models");
    for mapper in run.list(&path).await? {
        let what = format!("remove mapper {} from {name}", text(&mapper, "name"));
        let path = format!("{path}/{}", text(&mapper, "id"));
        run.change(&what, Method::DELETE, &path, None).await?;
    }
    Ok(())
}

/// Removes the client scopes that are not allowed. `found` names those that the client has.
pub(super) async fn remove_other_scopes(
    run: &mut Run<'_>,
    found: &Value,
    allowed: &Allowed<'_>,
) -> Result<(), KeycloakError> {
    let is_default =
        |name: &str| allowed.default_scopes.contains(&name) || name == SERVICE_ACCOUNT_SCOPE;
    let is_optional = |name: &str| allowed.optional_scopes.iter().any(|one| one == name);
    let others = |member: &str, is_allowed: &dyn Fn(&str) -> bool| {
        names(found, member).any(|name| !is_allowed(name))
    };
    let path = format!("/clients/{}", text(found, "id"));
    for (member, collection, is_allowed) in [
        ("defaultClientScopes", "default-client-scopes", &is_default as &dyn Fn(&str) -> bool),
        ("optionalClientScopes", "optional-client-scopes", &is_optional),
    ] {
        if !others(member, is_allowed) {
            continue;
        }
        let collection = format!("{path}/{collection}");
        for scope in run.list(&collection).await? {
            let name = text(&scope, "name");
            if !is_allowed(name) {
                let what = format!("remove scope {name} from client {}", text(found, "clientId"));
                let path = format!("{collection}/{}", text(&scope, "id"));
                run.change(&what, Method::DELETE, &path, None).await?;
            }
        }
    }
    Ok(())
}

async fn add_missing_scopes(
    run: &mut Run<'_>,
    found: &Value,
    allowed: &Allowed<'_>,
) -> Result<(), KeycloakError> {
    let scopes = run.list("/client-scopes").await?;
    let optional: Vec<&str> = allowed.optional_scopes.iter().map(String::as_str).collect();
    for (member, collection, wanted) in [
        ("defaultClientScopes", "default-client-scopes", allowed.default_scopes),
        ("optionalClientScopes", "optional-client-scopes", &optional),
    ] {
        for name in wanted.iter().filter(|name| !names(found, member).any(|one| one == **name)) {
            let Some(scope) = scopes.iter().find(|scope| scope["name"] == *name) else { continue };
            let (client, id) = (text(found, "id"), text(scope, "id"));
            let what = format!("add scope {name} to client {}", text(found, "clientId"));
            let path = format!("/clients/{client}/{collection}/{id}");
            run.change(&what, Method::PUT, &path, None).await?;
        }
    }
    Ok(())
}

/// Roles in the client's scope, or of its service account. Those that it needs are given afterwards.
async fn remove_role_mappings(
    run: &mut Run<'_>,
    path: &str,
    client_id: &str,
    whose: &str,
) -> Result<(), KeycloakError> {
    let Some(mappings) = run.find(path).await? else { return Ok(()) };
    let of_clients = mappings["clientMappings"].as_object().into_iter().flatten();
    let of_clients = of_clients
        .map(|(_, one)| (format!("{path}/clients/{}", text(one, "id")), one["mappings"].clone()));
    let of_realm = (format!("{path}/realm"), mappings["realmMappings"].clone());
    for (path, roles) in of_clients.chain([of_realm]).collect::<Vec<_>>() {
        let Some(held) = roles.as_array().filter(|roles| !roles.is_empty()) else { continue };
        let held: Vec<&str> = held.iter().map(|role| text(role, "name")).collect();
        let what = format!("take {} from {whose} of client {client_id}", held.join(", "));
        run.map_roles(&what, Method::DELETE, &path, &roles).await?;
    }
    Ok(())
}

/// What roles of our names are made of: whoever holds one would hold that too.
async fn remove_composites(
    run: &mut Run<'_>,
    path: &str,
    client_id: &str,
) -> Result<(), KeycloakError> {
    for role in run.list(&format!("{path}/roles")).await? {
        let ours = roles::names().any(|name| role["name"] == name);
        if !ours || role["composite"] != true {
            continue;
        }
        let path = format!("{path}/roles/{}/composites", text(&role, "name"));
        let parts = run.list(&path).await?;
        if !parts.is_empty() {
            let what = format!("take apart role {} of client {client_id}", text(&role, "name"));
            run.map_roles(&what, Method::DELETE, &path, &parts.into()).await?;
        }
    }
    Ok(())
}

async fn replace_registration_token(
    run: &mut Run<'_>,
    client_id: &str,
    path: &str,
) -> Result<(), KeycloakError> {
    let what = format!("replace the registration access token of client {client_id}");
    let path = format!("{path}/registration-access-token");
    run.change(&what, Method::POST, &path, None).await
}

/// Everything that is wanted, and nothing beside it.
fn clean(wanted: &Value, found: &Value) -> Value {
    let mut clean = found.clone();
    if let Some(attributes) = clean["attributes"].as_object_mut() {
        // Attributes are merged; a null deletes one.
        for (_, value) in
            attributes.iter_mut().filter(|(name, _)| !KEYCLOAKS_OWN.contains(&name.as_str()))
        {
            *value = Value::Null;
        }
    }
    clean[FLOWS] = without_flows(found);
    for name in NEVER {
        clean[name] = json!(false);
    }
    for name in ADDRESSES {
        clean[name] = json!("");
    }
    merge(wanted, &clean)
}

/// An empty text takes a flow away.
pub(super) fn without_flows(found: &Value) -> Value {
    let overrides = found[FLOWS].as_object().into_iter().flatten();
    overrides.map(|(name, _)| (name.clone(), json!(""))).collect::<serde_json::Map<_, _>>().into()
}

fn names<'v>(found: &'v Value, member: &str) -> impl Iterator<Item = &'v str> {
    found[member].as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_is_not_wanted() {
        let found = json!({
            "clientId": "x", "adminUrl": "https://theirs", "surrogateAuthRequired": true,
            "authorizationServicesEnabled": true, "redirectUris": ["https://theirs/*"],
            "attributes": {"access.token.lifespan": "9", "kept": "no", "realm_client": "false"},
            FLOWS: {"browser": "f"},
        });
        let wanted = json!({"redirectUris": [], "attributes": {"kept": "yes"}});
        assert_eq!(
            clean(&wanted, &found),
            json!({
                "clientId": "x", "adminUrl": "", "baseUrl": "", "rootUrl": "",
                "surrogateAuthRequired": false, "authorizationServicesEnabled": false,
                "alwaysDisplayInConsole": false, "redirectUris": [],
                "attributes": {"access.token.lifespan": null, "kept": "yes", "realm_client": "false"},
                FLOWS: {"browser": ""},
            })
        );
    }
}
