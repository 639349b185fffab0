//! What tokens will be like.

use super::finding::{BOOTSTRAP, Checked, Verdict};
use super::{Examination, left};
use crate::keycloak::{AudienceMapper, KeycloakError};

/// Audiences that mappers add and the claims rule leaves out: ids of the realm's clients.
pub(super) async fn audiences(examination: &Examination) -> Checked {
    let tokens = &examination.settings.tokens;
    let keycloak = &examination.keycloak;
    let client = keycloak.find_client_document(&tokens.client_id).await?;
    let client = client.ok_or_else(|| KeycloakError::NotFound(tokens.client_id.clone()))?;
    let mappers = keycloak.list_token_mappers(&client).await?;
    let mut dropped = Vec::new();
    for AudienceMapper { audience } in mappers.iter().filter_map(AudienceMapper::read) {
        if !tokens.audiences.contains(&audience)
            && !dropped.contains(&audience)
            && keycloak.find_client(&audience).await?.is_some()
        {
            dropped.push(audience);
        }
    }
    if dropped.is_empty() {
        return Ok(Verdict::ok("no audience of a mapper is left out"));
    }
    Ok(Verdict::warn(
        format!(
            "mappers add audiences that tokens do not get, since they are the realm's clients: {}",
            dropped.join(", ")
        ),
        "name them in `tokens.audiences` if tokens are meant for them, or remove the mappers",
    ))
}

pub(super) async fn grantable_scopes(examination: &Examination) -> Checked {
    let scopes = examination.keycloak.list_scope_details().await?;
    let names: Vec<&str> =
        scopes.iter().filter(|scope| scope.is_grantable()).map(|scope| &*scope.name).collect();
    if names.is_empty() {
        return Ok(Verdict::warn(
            "no client scope can be granted to API clients",
            "run `hallpass bootstrap` with `--scope NAME=DESCRIPTION`",
        ));
    }
    Ok(Verdict::ok(format!("these can be granted: {}", names.join(", "))))
}

/// The claims of a token, as the designated client's mappers give them for our own account, and a signature.
pub(super) async fn minting(examination: &Examination) -> Checked {
    let client_id = &examination.settings.tokens.client_id;
    let absent = || KeycloakError::NotFound(client_id.clone());
    let client = examination.keycloak.find_client(client_id).await?.ok_or_else(absent)?;
    let subject = &left(&examination.login)?.login.subject;
    let claims = examination.keycloak.evaluate_claims(&client, subject, "openid").await?;
    let claims = claims.ok_or_else(absent)?;
    if claims.get("sub").and_then(|sub| sub.as_str()) != Some(subject.as_str()) {
        return Ok(Verdict::fail("the evaluation of a token names no user", BOOTSTRAP));
    }
    match left(&examination.signer)?.sign("hallpass doctor") {
        Ok(_) => Ok(Verdict::ok("claims can be evaluated, and the key signs")),
        Err(_) => Ok(Verdict::fail("the signing key does not sign", BOOTSTRAP)),
    }
}
