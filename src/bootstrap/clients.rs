//! Our clients, with their client scopes and mappers.

use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

use super::compare::{differences, merge};
use super::desired::PERSON_SCOPES;
use super::policies::{self, Policies};
use super::run::{Run, text};
use super::survey::Survey;
use super::{BootstrapError, MANAGED, desired};
use crate::keycloak::KeycloakError;
use crate::owner::PROBE_CLIENT;

/// Flows of a client's own, in the place of the realm's.
const FLOWS: &str = "authenticationFlowBindingOverrides";

/// Refuses a realm in which somebody else uses one of our names, before anything is changed.
pub(super) async fn refuse_foreign(run: &Run<'_>) -> Result<(), BootstrapError> {
    let mut foreign = Vec::new();
    for client_id in names(run) {
        if let Some(client) = run.find_client(&client_id).await?
            && client["attributes"][MANAGED] != "true"
        {
            foreign.push(client_id);
        }
    }
    if foreign.is_empty() {
        return Ok(());
    }
    Err(BootstrapError::ForeignClients(foreign.join(", ")))
}

/// The ids of all our clients.
pub(super) fn names(run: &Run<'_>) -> [String; 4] {
    [
        run.settings.client_id.clone(),
        desired::CLI_CLIENT.to_owned(),
        run.settings.tokens.client_id.clone(),
        PROBE_CLIENT.to_owned(),
    ]
}

/// All of our clients. Answers Keycloak's id of the service client; `None` where a dry run did not make it.
pub(super) async fn prepare(
    run: &mut Run<'_>,
    survey: &Survey,
    grantable: &[String],
) -> Result<Option<String>, BootstrapError> {
    let person_scopes = survey.among(&PERSON_SCOPES);
    let interactive = desired::interactive_mappers(run.settings);
    let service = Wanted {
        client: survey.checkable(desired::service(run.settings)),
        default_scopes: &person_scopes,
        optional_scopes: &[],
        mappers: interactive.clone(),
    };
    let service = client(run, &service).await?;
    let command_line = Wanted {
        client: survey.checkable(desired::command_line()),
        default_scopes: &person_scopes,
        optional_scopes: &[],
        mappers: interactive,
    };
    client(run, &command_line).await?;
    // The operator shapes the designated client: what it has beside our flags is theirs.
    let designated = Wanted {
        client: desired::designated(run.settings),
        default_scopes: &survey.designated_scopes(),
        optional_scopes: grantable,
        mappers: desired::stand_ins(|name| survey.has_scope(name)),
    };
    client(run, &designated).await?;
    let probe = Wanted {
        client: desired::probe(),
        default_scopes: &[],
        optional_scopes: &[],
        mappers: desired::probe_mappers(),
    };
    if let Some(found) = client(run, &probe).await? {
        remove_other_mappers(run, &found, &probe.mappers).await?;
        no_default_scopes(run, &found).await?;
    }
    Ok(service.map(|client| text(&client, "id").to_owned()))
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

/// One of our clients, as it is to be. Client scopes are given to a new one only.
struct Wanted<'a> {
    client: Value,
    default_scopes: &'a [&'a str],
    optional_scopes: &'a [String],
    mappers: Vec<Value>,
}

/// Makes the client, or changes what differs. Answers it as it was found; `None` where a dry run did not make it.
async fn client(run: &mut Run<'_>, wanted: &Wanted<'_>) -> Result<Option<Value>, BootstrapError> {
    let client_id = text(&wanted.client, "clientId");
    let Some(found) = run.find_client(client_id).await? else {
        return create(run, wanted).await;
    };
    let document = desired::checkable(wanted.client.clone(), &found);
    let differing = faults(&document, &found);
    if !differing.is_empty()
        && run.announce(&format!("change client {client_id}: {}", differing.join(", ")))
    {
        change(run, &document, &found).await?;
        kept(run, &document).await?;
    }
    mappers(run, &found, &wanted.mappers).await?;
    Ok(Some(found))
}

async fn create(run: &mut Run<'_>, wanted: &Wanted<'_>) -> Result<Option<Value>, BootstrapError> {
    let client_id = text(&wanted.client, "clientId");
    if !run.announce(&format!("create client {client_id}")) {
        return Ok(None);
    }
    // Given on creation, these replace the realm's own lists and Keycloak's own mappers.
    let mut new = wanted.client.clone();
    new["defaultClientScopes"] = wanted.default_scopes.into();
    new["optionalClientScopes"] = wanted.optional_scopes.into();
    new["protocolMappers"] = wanted.mappers.clone().into();
    let to = (Method::POST, "/clients");
    match policies::send(run, client_id, to.clone(), &new).await {
        // A policy may exempt our clients, but is asked for that only when they change.
        Err(BootstrapError::Refused { .. }) if new["fullScopeAllowed"] == true => {
            new["fullScopeAllowed"] = false.into();
            policies::send(run, client_id, to, &new).await?;
        }
        other => other?,
    }
    let made = made(run, client_id).await?;
    if faults(&wanted.client, &made).is_empty() {
        return Ok(Some(made));
    }
    change(run, &wanted.client, &made).await?;
    kept(run, &wanted.client).await.map(Some)
}

async fn change(run: &Run<'_>, wanted: &Value, found: &Value) -> Result<(), BootstrapError> {
    let mut merged = merge(wanted, found);
    // An empty one is taken away; one that is left out stays.
    for (_, flow) in merged[FLOWS].as_object_mut().into_iter().flatten() {
        *flow = "".into();
    }
    let path = format!("/clients/{}", text(found, "id"));
    policies::send(run, text(wanted, "clientId"), (Method::PUT, &path), &merged).await
}

/// Reads back what was changed: a policy of the realm may have made something else of it, at each run anew.
async fn kept(run: &Run<'_>, wanted: &Value) -> Result<Value, BootstrapError> {
    let client_id = text(wanted, "clientId");
    let found = made(run, client_id).await?;
    let differing = faults(wanted, &found);
    if differing.is_empty() {
        return Ok(found);
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
    if found[FLOWS].as_object().is_some_and(|flows| !flows.is_empty()) {
        names.push(FLOWS.to_owned());
    }
    names
}

async fn mappers(run: &mut Run<'_>, client: &Value, wanted: &[Value]) -> Result<(), KeycloakError> {
    let (client_id, path) = (text(client, "clientId"), mappers_path(client));
    for mapper in wanted {
        let name = text(mapper, "name");
        match mappers_of(client).find(|found| found["name"] == name) {
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
    Ok(())
}

async fn remove_other_mappers(
    run: &mut Run<'_>,
    client: &Value,
    wanted: &[Value],
) -> Result<(), KeycloakError> {
    let (client_id, path) = (text(client, "clientId"), mappers_path(client));
    let wanted = |found: &Value| wanted.iter().any(|wanted| wanted["name"] == found["name"]);
    for mapper in mappers_of(client).filter(|found| !wanted(found)) {
        let what = format!("remove mapper {} from client {client_id}", text(mapper, "name"));
        let path = format!("{path}/{}", text(mapper, "id"));
        run.change(&what, Method::DELETE, &path, None).await?;
    }
    Ok(())
}

fn mappers_of(client: &Value) -> impl Iterator<Item = &Value> {
    client["protocolMappers"].as_array().into_iter().flatten()
}

fn mappers_path(client: &Value) -> String {
    format!("/clients/{}/protocol-mappers/models", text(client, "id"))
}

async fn no_default_scopes(run: &mut Run<'_>, client: &Value) -> Result<(), KeycloakError> {
    if client["defaultClientScopes"].as_array().is_none_or(Vec::is_empty) {
        return Ok(());
    }
    let path = format!("/clients/{}/default-client-scopes", text(client, "id"));
    for scope in run.list(&path).await? {
        let (name, client_id) = (text(&scope, "name"), text(client, "clientId"));
        let what = format!("remove scope {name} from client {client_id}");
        let path = format!("{path}/{}", text(&scope, "id"));
        run.change(&what, Method::DELETE, &path, None).await?;
    }
    Ok(())
}
