//! Our clients, with their client scopes and mappers.

use reqwest::Method;
use secrecy::SecretString;
use serde_json::Value;

use super::adopt::remove_other_scopes;
use super::claim::{Allowed, Claim};
use super::compare::{differences, merge};
use super::desired::{PERSON_SCOPES, ROLES_SCOPE};
use super::run::{Run, text};
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
    grantable: &[String],
) -> Result<String, BootstrapError> {
    let existing = scope_names(run).await?;
    let missing =
        PERSON_SCOPES.into_iter().chain([ROLES_SCOPE]).find(|name| !existing.contains(*name));
    if let Some(missing) = missing {
        return Err(BootstrapError::MissingScope(missing));
    }
    let interactive_mappers = desired::interactive_mappers(run.settings);
    let interactive = Allowed { default_scopes: &PERSON_SCOPES, optional_scopes: &[] };

    // Whatever else these two had in their tokens, Hallpass would believe.
    let service = client(run, &desired::service(run.settings), &interactive, Extra::Remove).await?;
    mappers(run, &service, &interactive_mappers, Extra::Remove).await?;
    let cli = client(run, &desired::command_line(), &interactive, Extra::Remove).await?;
    mappers(run, &cli, &interactive_mappers, Extra::Remove).await?;
    // The operator shapes the designated client: what it has beside our flags is theirs.
    let scopes = [&PERSON_SCOPES[..], &[ROLES_SCOPE]].concat();
    let shaped = Allowed { default_scopes: &scopes, optional_scopes: grantable };
    client(run, &desired::designated(run.settings), &shaped, Extra::Keep).await?;
    let nothing = Allowed { default_scopes: &[], optional_scopes: &[] };
    let probe = client(run, &desired::probe(), &nothing, Extra::Remove).await?;
    mappers(run, &probe, &desired::probe_mappers(), Extra::Remove).await?;
    Ok(service.uuid)
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

struct Client {
    client_id: String,
    uuid: String,
}

/// Whether mappers and client scopes that we did not ask for stay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Keep,
    Remove,
}

async fn client(
    run: &mut Run<'_>,
    wanted: &Value,
    allowed: &Allowed<'_>,
    extra: Extra,
) -> Result<Client, BootstrapError> {
    let client_id = text(wanted, "clientId").to_owned();
    let Some(found) = run.find_client(&client_id).await? else {
        let uuid = run.inventory.choose(ObjectKind::Client, &client_id).await?;
        let mut new = wanted.clone();
        new["id"] = uuid.as_str().into();
        // Given on creation, these replace the realm's own lists.
        new["defaultClientScopes"] = allowed.default_scopes.into();
        new["optionalClientScopes"] = allowed.optional_scopes.into();
        let what = format!("create client {client_id}");
        run.change(&what, Method::POST, "/clients", Some(&new)).await?;
        run.inventory.confirm(&uuid).await?;
        return Ok(Client { client_id, uuid });
    };
    let found = claim::client(run, wanted, found, allowed).await?;
    let uuid = text(&found, "id").to_owned();
    let differing = differences(wanted, &found);
    if !differing.is_empty() {
        let what = format!("change client {client_id}: {}", differing.join(", "));
        let path = format!("/clients/{uuid}");
        run.change(&what, Method::PUT, &path, Some(&merge(wanted, &found))).await?;
    }
    if extra == Extra::Remove {
        remove_other_scopes(run, &found, allowed).await?;
    }
    Ok(Client { client_id, uuid })
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

async fn scope_names(run: &Run<'_>) -> Result<std::collections::BTreeSet<String>, KeycloakError> {
    let scopes = run.list("/client-scopes").await?;
    Ok(scopes.iter().map(|scope| text(scope, "name").to_owned()).collect())
}
