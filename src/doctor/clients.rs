//! Our clients in the realm, compared with what bootstrap makes.

use serde_json::Value;

use super::finding::{BOOTSTRAP, Checked, Verdict};
use super::{Examination, left};
use crate::bootstrap::desired::{
    self, CLI_CLIENT, PERSON_SCOPES, ROLES_SCOPE, SERVICE_ACCOUNT_SCOPE,
};
use crate::bootstrap::differences;
use crate::keycloak::ClientDocument;
use crate::store::ObjectKind;

/// What people read, and what other checks look at.
const APART: [&str; 7] = [
    "name",
    "description",
    "rootUrl",
    "baseUrl",
    // `no-more-permissions`
    "fullScopeAllowed",
    // `login-redirect`
    "redirectUris",
    "attributes.post.logout.redirect.uris",
];
/// Most claims vanish from the tokens of a client that has this.
const LIGHTWEIGHT: &str = "client.use.lightweight.access.token.enabled";
/// Without this scope a token has no `sub`.
const SUBJECT_SCOPE: &str = PERSON_SCOPES[0];

pub(super) async fn service(examination: &Examination) -> Checked {
    let wanted = desired::service(&examination.settings);
    compare(examination, &wanted, &APART).await?;
    Ok(as_made(&wanted))
}

/// The web UI's login comes back to us and to nobody else.
pub(super) async fn login_redirect(examination: &Examination) -> Checked {
    let wanted = desired::service(&examination.settings)["redirectUris"].clone();
    let client_id = &examination.settings.keycloak.client_id;
    let client = examination.keycloak.find_client_document(client_id).await?;
    let found = client.and_then(|client| client.member("redirectUris").cloned());
    let found = found.unwrap_or_default();
    if wanted == found {
        return Ok(Verdict::ok(format!("logins come back to {}", list(&found))));
    }
    Ok(Verdict::fail(
        format!("logins come back to {}, not to {}", list(&found), list(&wanted)),
        "mend `server.public_url`, or run `hallpass bootstrap` again after a change of it",
    ))
}

pub(super) async fn command_line(examination: &Examination) -> Checked {
    let wanted = desired::command_line();
    compare(examination, &wanted, &["name", "description"]).await?;
    Ok(as_made(&wanted))
}

/// Keycloak's ids are those that the store lists: another client of the same name is somebody else's.
pub(super) async fn made_by_bootstrap(examination: &Examination) -> Checked {
    let objects = left(&examination.store)?.list_realm_objects().await?;
    if objects.is_empty() {
        return Ok(Verdict::warn("the store has no list of what bootstrap made", BOOTSTRAP));
    }
    let mut others = Vec::new();
    for object in objects.iter().filter(|object| object.kind == ObjectKind::Client) {
        if let Some(found) = examination.keycloak.find_client(&object.name).await?
            && found.uuid() != object.id
        {
            others.push(object.name.as_str());
        }
    }
    if others.is_empty() {
        return Ok(Verdict::ok("the clients are those that bootstrap made"));
    }
    Ok(Verdict::fail(
        format!("bootstrap did not make the clients of these names: {}", others.join(", ")),
        "look who made them and remove them, or take them over with `hallpass bootstrap --adopt`",
    ))
}

/// The mappers of both clients by which people log in. Hallpass believes what their tokens say: another mapper, or a
/// client scope that has one, could make anybody an administrator.
pub(super) async fn mappers(examination: &Examination) -> Checked {
    let wanted = desired::interactive_mappers(&examination.settings);
    let mut faults = Vec::new();
    for client_id in [examination.settings.keycloak.client_id.as_str(), CLI_CLIENT] {
        let Some(client) = examination.keycloak.find_client_document(client_id).await? else {
            continue;
        };
        let found = mappers_of(&client);
        let mut of_client = mapper_faults(&wanted, &found);
        of_client.extend(extra_mappers(&wanted, &found));
        let scopes = default_scopes(&client).into_iter().chain(optional_scopes(&client));
        let extra = scopes.filter(|scope| {
            !PERSON_SCOPES.contains(&scope.as_str()) && scope != SERVICE_ACCOUNT_SCOPE
        });
        of_client.extend(extra.map(|scope| format!("the client scope {scope} is too much")));
        faults.extend(of_client.into_iter().map(|fault| format!("{fault} on {client_id}")));
    }
    if faults.is_empty() {
        return Ok(Verdict::ok("audience, roles, account and impersonator are mapped"));
    }
    Ok(Verdict::fail(faults.join("; "), BOOTSTRAP))
}

/// Inert and disabled, so that Keycloak finds no personal access token active; and its tokens are whole.
pub(super) async fn designated(examination: &Examination) -> Checked {
    let wanted = desired::designated(&examination.settings);
    let client = compare(examination, &wanted, &["name", "description"]).await?;
    if client.attribute(LIGHTWEIGHT).is_some_and(|value| value == "true") {
        return Ok(Verdict::fail(
            "its tokens are lightweight: most claims are missing in them",
            "switch off \"Always use lightweight access token\" of this client in Keycloak",
        ));
    }
    let missing = |scope: &str| !default_scopes(&client).iter().any(|found| found == scope);
    if missing(SUBJECT_SCOPE) {
        return Ok(Verdict::fail(
            format!("it lacks the default client scope `{SUBJECT_SCOPE}`"),
            format!("add `{SUBJECT_SCOPE}` to its default client scopes in Keycloak"),
        ));
    }
    let others = PERSON_SCOPES[1..].iter().chain([&ROLES_SCOPE]).copied();
    let others: Vec<&str> = others.filter(|scope| missing(scope)).collect();
    if others.is_empty() {
        return Ok(as_made(&wanted));
    }
    Ok(Verdict::warn(
        format!("it lacks the default client scopes {}", others.join(", ")),
        "add them in Keycloak, unless tokens shall not have their claims",
    ))
}

/// Nothing but role mappers: else what it shows is not a user's effective roles.
pub(super) async fn probe(examination: &Examination) -> Checked {
    let wanted = desired::probe();
    let client = compare(examination, &wanted, &["name", "description"]).await?;
    let (wanted_mappers, found) = (desired::probe_mappers(), mappers_of(&client));
    let mut faults = mapper_faults(&wanted_mappers, &found);
    faults.extend(extra_mappers(&wanted_mappers, &found));
    let scopes = default_scopes(&client);
    faults.extend(scopes.iter().map(|scope| format!("the client scope {scope} is too much")));
    if faults.is_empty() {
        return Ok(as_made(&wanted));
    }
    Ok(Verdict::fail(faults.join("; "), BOOTSTRAP))
}

/// The client, where it differs from `wanted` in nothing but what is looked at elsewhere.
async fn compare(
    examination: &Examination,
    wanted: &Value,
    apart: &[&str],
) -> Result<ClientDocument, Verdict> {
    let client_id = wanted["clientId"].as_str().unwrap_or_default();
    let found = examination.keycloak.find_client_document(client_id).await?;
    let found =
        found.ok_or_else(|| Verdict::fail(format!("there is no client {client_id}"), BOOTSTRAP))?;
    let mut differing = differences(wanted, &found.to_value());
    differing.retain(|name| !apart.contains(&name.as_str()));
    if differing.is_empty() {
        return Ok(found);
    }
    let detail =
        format!("client {client_id} is not as bootstrap makes it: {}", differing.join(", "));
    Err(Verdict::fail(detail, BOOTSTRAP))
}

fn as_made(wanted: &Value) -> Verdict {
    Verdict::ok(format!("client {} is as bootstrap makes it", list(&wanted["clientId"])))
}

fn mapper_faults(wanted: &[Value], found: &[Value]) -> Vec<String> {
    let fault = |wanted: &Value| match found.iter().find(|one| one["name"] == wanted["name"]) {
        None => Some(format!("the mapper {} is missing", name_of(wanted))),
        Some(found) => {
            let differing = differences(wanted, found).join(", ");
            (!differing.is_empty())
                .then(|| format!("the mapper {} differs in {differing}", name_of(wanted)))
        }
    };
    wanted.iter().filter_map(fault).collect()
}

pub(super) fn mappers_of(client: &ClientDocument) -> Vec<Value> {
    client.member("protocolMappers").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn extra_mappers(wanted: &[Value], found: &[Value]) -> Vec<String> {
    let extra = found.iter().filter(|found| !wanted.iter().any(|one| one["name"] == found["name"]));
    extra.map(|mapper| format!("the mapper {} is too much", name_of(mapper))).collect()
}

pub(super) fn default_scopes(client: &ClientDocument) -> Vec<String> {
    scopes_of(client, "defaultClientScopes")
}

fn optional_scopes(client: &ClientDocument) -> Vec<String> {
    scopes_of(client, "optionalClientScopes")
}

fn scopes_of(client: &ClientDocument, list: &str) -> Vec<String> {
    let scopes = client.member(list).and_then(Value::as_array);
    scopes.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

fn name_of(mapper: &Value) -> String {
    format!("`{}`", mapper["name"].as_str().unwrap_or_default())
}

/// One or more texts, for people.
fn list(value: &Value) -> String {
    let texts = match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => Vec::from_iter(other.as_str()),
    };
    if texts.is_empty() { "nowhere".to_owned() } else { texts.join(", ") }
}
