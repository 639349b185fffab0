//! The clients of `server.allowed_clients` that an operator added: bootstrap does not make them, so that they can be
//! named and no more.

use serde_json::Value;

use super::finding::{Checked, Verdict};
use super::signing_key::unchecked;
use super::{Examination, left};
use crate::bootstrap::desired::CLI_CLIENT;
use crate::bootstrap::shows_impersonators;
use crate::keycloak::fetch_jwks;

pub(super) async fn clients(examination: &Examination) -> Checked {
    let settings = &examination.settings;
    let keycloak = &examination.keycloak;
    let login = &left(&examination.login)?.login;
    let keys = fetch_jwks(keycloak.http(), &settings.keycloak.realm).await?;
    let (mut faults, mut missing) = (Vec::new(), Vec::new());
    let ours = [settings.keycloak.client_id.as_str(), CLI_CLIENT];
    let others = settings.server.allowed_clients.iter().filter(|id| !ours.contains(&id.as_str()));
    for client_id in others {
        let Some(client) = keycloak.find_client_document(client_id).await? else {
            missing.push(client_id.as_str());
            continue;
        };
        let mut mappers = keycloak.list_token_mappers(&client).await?;
        if login.lightweight {
            mappers.retain(|mapper| mapper["config"]["lightweight.claim"] == "true");
        }
        if !shows_impersonators(&mappers) {
            faults.push(format!(
                "tokens of {client_id} do not say that an administrator impersonates the user"
            ));
        }
        if login.lightweight && !has_audience(&mappers) {
            faults.push(format!(
                "a policy of the realm leaves the audience out of the tokens of {client_id}"
            ));
        }
        if let Some(algorithm) = unchecked(&client, login, &keys) {
            faults.push(format!(
                "tokens of {client_id} are signed with {algorithm}, which Hallpass cannot check"
            ));
        }
    }
    if !faults.is_empty() {
        return Ok(Verdict::fail(faults.join("; "), ADVICE));
    }
    if !missing.is_empty() {
        return Ok(Verdict::warn(
            format!("the realm has no client {}", missing.join(", ")),
            "take it out of `server.allowed_clients`: whoever makes one of this name is let in",
        ));
    }
    Ok(Verdict::ok("tokens of all allowed clients say who impersonates, and can be checked"))
}

const ADVICE: &str = "take the client out of `server.allowed_clients`, or give it what docs/realms.md says that such a \
                      client needs";

fn has_audience(mappers: &[Value]) -> bool {
    mappers.iter().any(|mapper| mapper["protocolMapper"] == "oidc-audience-mapper")
}
