//! Everything that Keycloak has of a client, as an administrator reads it, in a form that can be compared.

use serde_json::{Value, json};

use super::Registered;
use crate::support::Admin;
use crate::support::sorted;

/// What is chosen by whom; the rest is the template's.
const CHOSEN: [&str; 8] = [
    "adminUrl",
    "baseUrl",
    "description",
    "enabled",
    "name",
    "redirectUris",
    "rootUrl",
    "webOrigins",
];
const CHOSEN_ATTRIBUTES: [&str; 2] = ["backchannel.logout.url", "post.logout.redirect.uris"];

/// The client with all that hangs on it; ids, secret, times and names that differ by run are named by their kind.
pub(super) async fn of(admin: &Admin, client: &Registered) -> Value {
    let realm = &client.realm.name;
    let uuid = admin.client_uuid(realm, &client.id).await;
    let base = format!("/{realm}/clients/{uuid}");
    let mut document = admin.get(&base).await;
    let has_service_account = document["serviceAccountsEnabled"] == true;
    let (id, attributes) = (document["id"].take(), document["attributes"].take());
    assert_eq!(id, uuid.as_str());
    document.as_object_mut().unwrap().remove("id");
    let secret = document["secret"].as_str().unwrap_or_default();
    assert!(secret.len() >= 32, "a secret of Keycloak's own");
    document["secret"] = json!("[secret]");
    document["attributes"] = with_names(attributes);
    // Which of the caller's permissions reach this client: it is about the administrator.
    document.as_object_mut().unwrap().remove("access");

    let part = async |path: &str| admin.get(&format!("{base}/{path}")).await;
    let whole = json!({
        "client": document,
        "protocol mappers": part("protocol-mappers/models").await,
        "default scopes": names(&part("default-client-scopes").await),
        "optional scopes": names(&part("optional-client-scopes").await),
        "roles in scope": part("scope-mappings").await,
        "roles of its own": part("roles").await,
        "service account": if has_service_account { service_account(admin, realm, &base).await } else { Value::Null },
    });
    let account = client.id.split('_').next().unwrap();
    let text = sorted(whole).to_string().replace(account, "[account]").replace(realm, "[realm]");
    serde_json::from_str(&text).unwrap()
}

/// The same without what people choose.
pub(super) fn template_of(document: &Value) -> Value {
    let mut rest = document.clone();
    let client = rest["client"].as_object_mut().unwrap();
    client.retain(|name, _| !CHOSEN.contains(&name.as_str()) && name != "optionalClientScopes");
    client["clientId"] = json!("[client id]");
    let attributes = client["attributes"].as_object_mut().unwrap();
    attributes.retain(|name, _| !CHOSEN_ATTRIBUTES.contains(&name.as_str()));
    rest["optional scopes"] = Value::Null;
    if rest["service account"] != Value::Null {
        rest["service account"]["user"]["username"] = json!("service-account-[client id]");
    }
    rest
}

async fn service_account(admin: &Admin, realm: &str, base: &str) -> Value {
    let mut user = admin.get(&format!("{base}/service-account-user")).await;
    let path = format!("/{realm}/users/{}", user["id"].as_str().unwrap());
    let mappings = admin.get(&format!("{path}/role-mappings")).await;
    let groups = admin.get(&format!("{path}/groups")).await;
    user.as_object_mut()
        .unwrap()
        .retain(|name, _| !["id", "createdTimestamp"].contains(&name.as_str()));
    json!({
        "user": user,
        "groups": groups,
        "realm roles": names(&mappings["realmMappings"]),
        "client roles": mappings.get("clientMappings").cloned().unwrap_or(json!({})),
    })
}

fn with_names(mut attributes: Value) -> Value {
    for (name, kind) in [("client.secret.creation.time", "[time]"), ("hallpass.client", "[record]")]
    {
        assert!(attributes[name].is_string(), "{name} in {attributes}");
        attributes[name] = json!(kind);
    }
    attributes
}

fn names(list: &Value) -> Vec<&Value> {
    list.as_array().into_iter().flatten().map(|entry| &entry["name"]).collect()
}
