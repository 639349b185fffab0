//! Answers of Keycloak, read within bounds: what others put into the realm is not to be our memory.

use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;

use super::KeycloakError;
use super::elements::{Bounds, Elements};

/// Nothing that we read whole is larger; a realm with everything in it is a few hundred kilobytes.
const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// Sends a request; what comes back may be of any status.
pub(super) async fn send_once(
    call: &str,
    request: RequestBuilder,
) -> Result<Response, KeycloakError> {
    request.send().await.map_err(|error| KeycloakError::from_transport(call, error))
}

/// Reads an answer as JSON.
pub(super) async fn decode<T: DeserializeOwned>(
    call: &str,
    answer: Response,
) -> Result<T, KeycloakError> {
    let body = read(call, answer).await?;
    serde_json::from_slice(&body).map_err(|error| KeycloakError::Protocol {
        call: call.to_owned(),
        // The position, not the text: what Keycloak answers may hold a secret.
        reason: format!("not the expected JSON at column {}", error.column()),
    })
}

/// Reads a list, each element by `each`, as it comes in. It may be of any length: the call's time bounds it.
pub(super) async fn split<T>(
    call: &str,
    mut answer: Response,
    bounds: Bounds,
    each: impl Fn(&[u8]) -> T,
) -> Result<Vec<T>, KeycloakError> {
    let (mut elements, mut all) = (Elements::within(bounds), Vec::new());
    while let Some(chunk) =
        answer.chunk().await.map_err(|error| KeycloakError::from_transport(call, error))?
    {
        elements.take(&chunk, |element| all.push(each(element)));
    }
    if elements.is_whole() {
        return Ok(all);
    }
    let reason = "not a list in JSON".to_owned();
    Err(KeycloakError::Protocol { call: call.to_owned(), reason })
}

/// Reads a whole answer.
pub(super) async fn read(call: &str, mut answer: Response) -> Result<Vec<u8>, KeycloakError> {
    let mut body = Vec::new();
    while let Some(chunk) =
        answer.chunk().await.map_err(|error| KeycloakError::from_transport(call, error))?
    {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(KeycloakError::Protocol {
                call: call.to_owned(),
                reason: format!("more than {MAX_ANSWER} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
