//! A warning at the start: clients whose access tokens are let in, and do not say that an administrator acts in the
//! user's name. Hallpass takes such an administrator for the user.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::until;
use crate::app::App;
use crate::bootstrap::shows_impersonators;
use crate::keycloak::KeycloakError;

/// Until Keycloak has answered.
const AGAIN: Duration = Duration::from_secs(30);

pub(super) async fn warn(app: App, stopped: watch::Receiver<bool>) {
    let look = async {
        while let Err(error) = look(&app).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the clients of `server.allowed_clients` are not looked at yet"
            );
            sleep(AGAIN).await;
        }
    };
    tokio::select! {
        () = until(stopped) => {}
        () = look => {}
    }
}

async fn look(app: &App) -> Result<(), KeycloakError> {
    let keycloak = &app.clients.keycloak;
    for client_id in &app.settings.server.allowed_clients {
        let Some(client) = keycloak.find_client_document(client_id).await? else { continue };
        if !shows_impersonators(&keycloak.list_token_mappers(&client).await?) {
            tracing::warn!(
                client_id,
                "access tokens of this client do not say that an administrator impersonates the user: see `hallpass doctor`"
            );
        }
    }
    Ok(())
}
