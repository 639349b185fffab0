//! Our clients, with their client scopes and mappers.

use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

use super::compare::{differences, merge};
use super::desired::{PERSON_SCOPES, ROLES_SCOPE};
use super::run::{Run, text};
use super::{BootstrapError, MANAGED, desired};
use crate::keycloak::KeycloakError;
use crate::owner::PROBE_CLIENT;

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
    grantable: &[String],
) -> Result<Option<String>, BootstrapError> {
    let existing = scope_names(run).await?;
    let missing =
        PERSON_SCOPES.into_iter().chain([ROLES_SCOPE]).find(|name| !existing.contains(*name));
    if let Some(missing) = missing {
        return Err(BootstrapError::MissingScope(missing));
    }
    let interactive = desired::interactive_mappers(run.settings);

    let service = client(run, &desired::service(run.settings), &PERSON_SCOPES, &[]).await?;
    if let Some(service) = &service {
        mappers(run, service, &interactive, Extra::Keep).await?;
    }
    if let Some(cli) = client(run, &desired::command_line(), &PERSON_SCOPES, &[]).await? {
        mappers(run, &cli, &interactive, Extra::Keep).await?;
    }
    // The operator shapes the designated client: what it has beside our flags is theirs.
    let scopes = [&PERSON_SCOPES[..], &[ROLES_SCOPE]].concat();
    client(run, &desired::designated(run.settings), &scopes, grantable).await?;
    if let Some(probe) = client(run, &desired::probe(), &[], &[]).await? {
        mappers(run, &probe, &desired::probe_mappers(), Extra::Remove).await?;
        no_default_scopes(run, &probe).await?;
    }
    Ok(service.map(|client| client.uuid))
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

struct Client {
    client_id: String,
    uuid: String,
}

/// Whether mappers that we did not ask for stay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Keep,
    Remove,
}

async fn client(
    run: &mut Run<'_>,
    wanted: &Value,
    default_scopes: &[&str],
    optional_scopes: &[String],
) -> Result<Option<Client>, BootstrapError> {
    let client_id = text(wanted, "clientId").to_owned();
    if let Some(found) = run.find_client(&client_id).await? {
        let uuid = text(&found, "id").to_owned();
        let differing = differences(wanted, &found);
        if !differing.is_empty() {
            let what = format!("change client {client_id}: {}", differing.join(", "));
            let path = format!("/clients/{uuid}");
            run.change(&what, Method::PUT, &path, Some(&merge(wanted, &found))).await?;
        }
        return Ok(Some(Client { client_id, uuid }));
    }
    // Given on creation, these replace the realm's own lists.
    let mut new = wanted.clone();
    new["defaultClientScopes"] = default_scopes.into();
    new["optionalClientScopes"] = optional_scopes.into();
    run.change(&format!("create client {client_id}"), Method::POST, "/clients", Some(&new)).await?;
    let made = run.find_client(&client_id).await?;
    Ok(made.map(|made| Client { client_id, uuid: text(&made, "id").to_owned() }))
}

async fn mappers(
    run: &mut Run<'_>,
    client: &Client,
    wanted: &[Value],
    extra: Extra,
) -> Result<(), KeycloakError> {
    let path = format!("/clients/{}/protocol-mappers/models", client.uuid);
    let found = run.list(&path).await?;
    for mapper in wanted {
        let name = text(mapper, "name");
        match found.iter().find(|found| found["name"] == name) {
            None => {
                let what = format!("create mapper {name} on client {}", client.client_id);
                run.change(&what, Method::POST, &path, Some(mapper)).await?;
            }
            Some(found) if differences(mapper, found).is_empty() => {}
            Some(found) => {
                let what = format!("change mapper {name} on client {}", client.client_id);
                let path = format!("{path}/{}", text(found, "id"));
                run.change(&what, Method::PUT, &path, Some(&merge(mapper, found))).await?;
            }
        }
    }
    let wanted = |found: &Value| wanted.iter().any(|wanted| wanted["name"] == found["name"]);
    for mapper in found.iter().filter(|found| extra == Extra::Remove && !wanted(found)) {
        let what =
            format!("remove mapper {} from client {}", text(mapper, "name"), client.client_id);
        let path = format!("{path}/{}", text(mapper, "id"));
        run.change(&what, Method::DELETE, &path, None).await?;
    }
    Ok(())
}

async fn no_default_scopes(run: &mut Run<'_>, client: &Client) -> Result<(), KeycloakError> {
    let path = format!("/clients/{}/default-client-scopes", client.uuid);
    for scope in run.list(&path).await? {
        let what =
            format!("remove scope {} from client {}", text(&scope, "name"), client.client_id);
        let path = format!("{path}/{}", text(&scope, "id"));
        run.change(&what, Method::DELETE, &path, None).await?;
    }
    Ok(())
}

async fn scope_names(run: &Run<'_>) -> Result<std::collections::BTreeSet<String>, KeycloakError> {
    let scopes = run.list("/client-scopes").await?;
    Ok(scopes.iter().map(|scope| text(scope, "name").to_owned()).collect())
}
