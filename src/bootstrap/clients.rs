//! Our clients, with their client scopes and mappers.

use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

use super::adopt::{FLOWS, remove_other_scopes, without_flows};
use super::claim::{Allowed, Claim};
use super::compare::{differences, merge};
use super::desired::PERSON_SCOPES;
use super::policies::{self, Policies};
use super::run::{Run, text};
use super::survey::Survey;
use super::{BootstrapError, claim, desired};
use crate::keycloak::KeycloakError;
use crate::owner::PROBE_CLIENT;
use crate::store::ObjectKind;

/// The ids of all our clients.
pub(super) fn names(run: &Run<'_>) -> [String; 4] {
    [
        run.settings.client_id.clone(),
        desired::CLI_CLIENT.to_owned(),
        run.settings.tokens.client_id.clone(),
        PROBE_CLIENT.to_owned(),
    ]
}

/// All of our clients. Answers Keycloak's id of the service client.
pub(super) async fn prepare(
    run: &mut Run<'_>,
    survey: &Survey,
    grantable: &[String],
) -> Result<String, BootstrapError> {
    let person_scopes = survey.among(&PERSON_SCOPES);
    let interactive = desired::interactive_mappers(run.settings);
    // Whatever else these two had in their tokens, Hallpass would believe.
    let service = Wanted {
        client: survey.checkable(desired::service(run.settings)),
        allowed: Allowed { default_scopes: &person_scopes, optional_scopes: &[] },
        mappers: interactive.clone(),
        extra: Extra::Remove,
    };
    let service = client(run, &service).await?;
    let command_line = Wanted {
        client: survey.checkable(desired::command_line()),
        allowed: Allowed { default_scopes: &person_scopes, optional_scopes: &[] },
        mappers: interactive,
        extra: Extra::Remove,
    };
    client(run, &command_line).await?;
    // The operator shapes the designated client: what it has beside our flags is theirs.
    let designated = Wanted {
        client: desired::designated(run.settings),
        allowed: Allowed {
            default_scopes: &survey.designated_scopes(),
            optional_scopes: grantable,
        },
        mappers: desired::stand_ins(|name| survey.has_scope(name)),
        extra: Extra::Keep,
    };
    client(run, &designated).await?;
    let probe = Wanted {
        client: desired::probe(),
        allowed: Allowed { default_scopes: &[], optional_scopes: &[] },
        mappers: desired::probe_mappers(),
        extra: Extra::Remove,
    };
    client(run, &probe).await?;
    Ok(service)
}

/// The secret of the service client, as Keycloak has it.
pub(super) async fn secret(run: &Run<'_>, service: &str) -> Result<SecretString, KeycloakError> {
    let answer = run.get(&format!("/clients/{service}/client-secret")).await?;
    let secret = text(&answer, "value");
    if secret.is_empty() {
        let reason = "there is no secret".to_owned();
        return Err(KeycloakError::Protocol { call: "GET client-secret".to_owned(), reason });
    }
    Ok(SecretString::from(secret))
}

/// As [`secret`], in a dry run: none where the client is not there, or would get a new one.
pub(super) async fn find_secret(run: &Run<'_>) -> Result<Option<SecretString>, KeycloakError> {
    let client = run.find_client(&run.settings.client_id).await?;
    let secret = client.filter(|_| run.claim != Claim::Adopt);
    Ok(secret.and_then(|client| client["secret"].as_str().map(SecretString::from)))
}

/// One of our clients, as it is to be. Client scopes are given to a new one, or one that is taken over.
struct Wanted<'a> {
    client: Value,
    allowed: Allowed<'a>,
    mappers: Vec<Value>,
    extra: Extra,
}

/// Whether mappers and client scopes that we did not ask for stay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Keep,
    Remove,
}

/// Makes the client, or changes what differs. Answers Keycloak's id of it.
async fn client(run: &mut Run<'_>, wanted: &Wanted<'_>) -> Result<String, BootstrapError> {
    let client_id = text(&wanted.client, "clientId");
    let Some(found) = run.find_client(client_id).await? else {
        return create(run, wanted).await;
    };
    let was_ours = run.inventory.has(ObjectKind::Client, text(&found, "id"));
    let found = claim::client(run, &wanted.client, found, &wanted.allowed).await?;
    let document = desired::checkable(wanted.client.clone(), &found);
    let differing = faults(&document, &found);
    if !differing.is_empty() {
        run.announce(&format!("change client {client_id}: {}", differing.join(", ")));
        change(run, &document, &found).await?;
    }
    // Nothing was changed in a dry run.
    let is_as_before = was_ours && differing.is_empty();
    if !run.is_dry() && !is_as_before {
        kept(run, &document).await?;
    }
    if wanted.extra == Extra::Remove {
        remove_other_scopes(run, &found, &wanted.allowed).await?;
    }
    mappers(run, &found, wanted).await?;
    Ok(text(&found, "id").to_owned())
}

async fn create(run: &mut Run<'_>, wanted: &Wanted<'_>) -> Result<String, BootstrapError> {
    let client_id = text(&wanted.client, "clientId");
    let uuid = run.inventory.choose(ObjectKind::Client, client_id).await?;
    let mut new = wanted.client.clone();
    new["id"] = uuid.as_str().into();
    // Given on creation, these replace the realm's own lists and Keycloak's own mappers.
    new["defaultClientScopes"] = wanted.allowed.default_scopes.into();
    new["optionalClientScopes"] = wanted.allowed.optional_scopes.into();
    new["protocolMappers"] = wanted.mappers.clone().into();
    run.announce(&format!("create client {client_id}"));
    let to = (Method::POST, "/clients");
    match policies::send(run, client_id, to.clone(), &new).await {
        // A policy may exempt our clients, but is asked for that only when they change.
        Err(BootstrapError::Refused { .. }) if new["fullScopeAllowed"] == true => {
            new["fullScopeAllowed"] = false.into();
            policies::send(run, client_id, to, &new).await?;
        }
        other => other?,
    }
    run.inventory.confirm(&uuid).await?;
    let made = made(run, client_id).await?;
    if !faults(&wanted.client, &made).is_empty() {
        change(run, &wanted.client, &made).await?;
        kept(run, &wanted.client).await?;
    }
    Ok(uuid)
}

async fn change(run: &mut Run<'_>, wanted: &Value, found: &Value) -> Result<(), BootstrapError> {
    let mut merged = merge(wanted, found);
    // One that is left out stays.
    merged[FLOWS] = without_flows(found);
    let path = format!("/clients/{}", text(found, "id"));
    policies::send(run, text(wanted, "clientId"), (Method::PUT, &path), &merged).await
}

/// Reads back what was changed: a policy of the realm may have made something else of it, at each run anew.
async fn kept(run: &Run<'_>, wanted: &Value) -> Result<(), BootstrapError> {
    let client_id = text(wanted, "clientId");
    let found = made(run, client_id).await?;
    let differing = faults(wanted, &found);
    if differing.is_empty() {
        return Ok(());
    }
    Err(BootstrapError::NotKept {
        client_id: client_id.to_owned(),
        members: differing.join(", "),
        policies: Policies::read(run).await?,
    })
}

async fn made(run: &Run<'_>, client_id: &str) -> Result<Value, KeycloakError> {
    let found = run.find_client(client_id).await?;
    found.ok_or_else(|| KeycloakError::NotFound(format!("the client {client_id}")))
}

/// What a client has otherwise than it is wanted, flows of its own included: they stand in the place of the realm's login.
pub(crate) fn faults(wanted: &Value, found: &Value) -> Vec<String> {
    let mut names = differences(wanted, found);
    // An empty text takes a flow away.
    if found[FLOWS].as_object().is_some_and(|flows| flows.values().any(|flow| flow != "")) {
        names.push(FLOWS.to_owned());
    }
    names
}

async fn mappers(
    run: &mut Run<'_>,
    client: &Value,
    wanted: &Wanted<'_>,
) -> Result<(), KeycloakError> {
    let client_id = text(client, "clientId");
    let path = format!("/clients/{}/protocol-mappers/models", text(client, "id"));
    let found = run.list(&path).await?;
    for mapper in &wanted.mappers {
        let name = text(mapper, "name");
        match found.iter().find(|found| found["name"] == name) {
            None => {
                let what = format!("create mapper {name} on client {client_id}");
                run.change(&what, Method::POST, &path, Some(mapper)).await?;
            }
            Some(found) if differences(mapper, found).is_empty() => {}
            Some(found) => {
                let what = format!("change mapper {name} on client {client_id}");
                let path = format!("{path}/{}", text(found, "id"));
                run.change(&what, Method::PUT, &path, Some(&merge(mapper, found))).await?;
            }
        }
    }
    if wanted.extra == Extra::Keep {
        return Ok(());
    }
    for mapper in desired::extra_mappers(&wanted.mappers, &found) {
        let what = format!("remove mapper {} from client {client_id}", text(mapper, "name"));
        let path = format!("{path}/{}", text(mapper, "id"));
        run.change(&what, Method::DELETE, &path, None).await?;
    }
    Ok(())
}
