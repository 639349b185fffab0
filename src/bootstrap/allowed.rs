//! What a client in `server.allowed_clients` needs, beside what lets its access tokens in.

use serde_json::Value;

/// The session note by which Keycloak says that an administrator acts in the user's name.
pub(crate) const IMPERSONATOR_NOTE: &str = "IMPERSONATOR_ID";
const IMPERSONATOR: &str = "impersonator";

/// Whether access tokens with these mappers say that an administrator impersonates the user. Without it Hallpass takes
/// them for the user.
#[must_use]
pub fn shows_impersonators(mappers: &[Value]) -> bool {
    mappers.iter().any(|mapper| {
        let config = &mapper["config"];
        mapper["protocolMapper"] == "oidc-usersessionmodel-note-mapper"
            && config["user.session.note"] == IMPERSONATOR_NOTE
            && config["claim.name"] == IMPERSONATOR
            && config["access.token.claim"] == "true"
    })
}
