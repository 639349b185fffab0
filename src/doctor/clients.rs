//! Our clients in the realm, compared with what bootstrap makes.

use serde_json::Value;

use super::finding::{BOOTSTRAP, Checked, Verdict};
use super::{Examination, left};
use crate::bootstrap::desired::{
    self, CLAIM_SCOPES, CLI_CLIENT, PERSON_SCOPES, SERVICE_ACCOUNT_SCOPE,
};
use crate::bootstrap::{ADMINISTRATOR, ADMINISTRATORS_ROLES, client_faults, differences};
use crate::keycloak::{ClientDocument, KeycloakError};
use crate::principal::Role;
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
/// Without this scope an evaluation names nobody.
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
    let client = compare(examination, &wanted, &["name", "description"]).await?;
    let own = &examination.settings.keycloak.client_id;
    let shown = examination.keycloak.get_scope_mappings(client.uuid()).await?.names();
    let missing: Vec<_> =
        role_names().filter(|role| !shown.contains(&format!("{own}:{role}"))).collect();
    if missing.is_empty() {
        return Ok(as_made(&wanted));
    }
    Ok(Verdict::fail(
        format!("tokens of {CLI_CLIENT} do not show the roles {}", missing.join(", ")),
        BOOTSTRAP,
    ))
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

/// The roles that people have at Hallpass, and what the role of its administrators is made of.
pub(super) async fn roles(examination: &Examination) -> Checked {
    let keycloak = &examination.keycloak;
    let client_id = &examination.settings.keycloak.client_id;
    let client = keycloak.find_client(client_id).await?;
    let client = client.ok_or_else(|| KeycloakError::NotFound(format!("client {client_id}")))?;
    let found = keycloak.list_role_names(client.uuid()).await?;
    let missing: Vec<_> =
        role_names().filter(|role| !found.iter().any(|found| found == role)).collect();
    if !missing.is_empty() {
        let detail = format!("the client {client_id} lacks the roles {}", missing.join(", "));
        return Ok(Verdict::fail(detail, BOOTSTRAP));
    }
    let parts = keycloak.list_composite_names(client.uuid(), ADMINISTRATOR).await?;
    let missing = ADMINISTRATORS_ROLES.map(Role::name).into_iter();
    let missing: Vec<_> = missing.filter(|role| !parts.iter().any(|part| part == role)).collect();
    if !missing.is_empty() {
        let detail = format!("the role {ADMINISTRATOR} lacks {}", missing.join(", "));
        return Ok(Verdict::fail(detail, BOOTSTRAP));
    }
    Ok(Verdict::ok("the roles for people are there"))
}

fn role_names() -> impl Iterator<Item = &'static str> {
    Role::ALL.map(Role::name).into_iter().chain([ADMINISTRATOR])
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
        let scopes = default_scopes(&client).into_iter().chain(scopes_of(&client, OPTIONAL));
        let extra = scopes.filter(|scope| {
            !PERSON_SCOPES.contains(&scope.as_str()) && scope != SERVICE_ACCOUNT_SCOPE
        });
        of_client.extend(extra.map(|scope| format!("the client scope {scope} is too much")));
        faults.extend(of_client.into_iter().map(|fault| format!("{fault} on {client_id}")));
    }
    if faults.is_empty() {
        let mapped = "subject, name, audience, roles, account and impersonator are mapped";
        return Ok(Verdict::ok(mapped));
    }
    Ok(Verdict::fail(faults.join("; "), BOOTSTRAP))
}

/// Inert and disabled, so that Keycloak finds no personal access token active; and its tokens are whole.
pub(super) async fn designated(examination: &Examination) -> Checked {
    let wanted = desired::designated(&examination.settings);
    let client = compare(examination, &wanted, &["name", "description"]).await?;
    let keycloak = &examination.keycloak;
    let realm = keycloak.list_scope_details().await?;
    let has = |name: &str| realm.iter().any(|one| one.name == name && one.is_openid_connect());
    let stand_ins = mapper_faults(&desired::stand_ins(has), &mappers_of(&client));
    if !stand_ins.is_empty() {
        return Ok(Verdict::fail(
            format!("{}, and the realm lacks the client scope that has it", stand_ins.join("; ")),
            BOOTSTRAP,
        ));
    }
    if has(SUBJECT_SCOPE) && !default_scopes(&client).iter().any(|found| found == SUBJECT_SCOPE) {
        return Ok(Verdict::fail(
            format!("it lacks the default client scope `{SUBJECT_SCOPE}`"),
            format!("add `{SUBJECT_SCOPE}` to its default client scopes in Keycloak"),
        ));
    }
    // Who made one optional has chosen that tokens ask for it.
    let known: Vec<_> =
        default_scopes(&client).into_iter().chain(scopes_of(&client, OPTIONAL)).collect();
    let of_realm = keycloak.list_default_scopes().await?;
    let of_realm = of_realm.iter().filter(|one| one.is_openid_connect());
    let stock = CLAIM_SCOPES.into_iter().filter(|name| has(name));
    let mut missing: Vec<&str> = stock.chain(of_realm.map(|one| one.name.as_str())).collect();
    missing.retain(|name| !known.iter().any(|known| known == name));
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(as_made(&wanted));
    }
    Ok(Verdict::warn(
        format!(
            "it lacks client scopes that a new client of the realm gets: {}",
            missing.join(", ")
        ),
        "add them to its client scopes in Keycloak: as default ones, or as optional ones if tokens shall not have their \
         claims without asking",
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
    let mut differing = client_faults(wanted, &found.to_value());
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

fn mappers_of(client: &ClientDocument) -> Vec<Value> {
    client.member("protocolMappers").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn extra_mappers(wanted: &[Value], found: &[Value]) -> Vec<String> {
    let extra = desired::extra_mappers(wanted, found);
    extra.map(|mapper| format!("the mapper {} is too much", name_of(mapper))).collect()
}

const OPTIONAL: &str = "optionalClientScopes";

fn default_scopes(client: &ClientDocument) -> Vec<String> {
    scopes_of(client, "defaultClientScopes")
}

fn scopes_of(client: &ClientDocument, member: &str) -> Vec<String> {
    let scopes = client.member(member).and_then(Value::as_array);
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
