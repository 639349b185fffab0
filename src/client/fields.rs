//! The fields of an API client.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The names of all capabilities.
pub const CAPABILITIES: [&str; 3] = ["web_app", "backchannel", "script"];
/// So many entries of a list that was made in Keycloak are kept, and so many bytes of a text.
const MAX_KEPT: usize = 100;
const MAX_KEPT_TEXT: usize = 1024;

/// What an API client can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Logs people in: the authorization code flow with PKCE.
    WebApp,
    /// Is told when they log out: OpenID Connect Back-Channel Logout 1.0.
    Backchannel,
    /// Acts on its own: the client credentials grant.
    Script,
}

/// The fields of an API client that people choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientSpec {
    /// What people see; where it is blank, they see the client id.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What it can do: at least one.
    pub capabilities: BTreeSet<Capability>,
    /// The client scopes that it may ask for.
    pub scopes: BTreeSet<String>,
    /// What relative URIs are appended to.
    pub root_url: Option<String>,
    /// Where Keycloak's pages link to.
    pub home_url: Option<String>,
    /// Where a browser may be sent after login.
    pub redirect_uris: Vec<String>,
    /// Where a browser may be sent after logout.
    pub post_logout_redirect_uris: Vec<String>,
    /// The origins from which browsers may call (CORS).
    pub web_origins: Vec<String>,
    /// Where Keycloak pushes revocation policies.
    pub admin_url: Option<String>,
    /// Where Keycloak posts logout tokens.
    pub backchannel_logout_url: Option<String>,
    /// Whether it can be used.
    pub enabled: bool,
}

impl ClientSpec {
    /// What a creation starts from.
    #[must_use]
    pub fn new() -> Self {
        Self { enabled: true, ..Self::default() }
    }

    /// Itself with these members of `other`.
    pub(super) fn overlaid<'m>(
        &self,
        other: &Self,
        members: impl Iterator<Item = &'m String>,
    ) -> serde_json::Result<Self> {
        let (mut own, mut other) = (serde_json::to_value(self)?, serde_json::to_value(other)?);
        for name in members {
            own[name] = other[name].take();
        }
        serde_json::from_value(own)
    }

    /// As much of it as is kept and shown: in Keycloak's console a client can be given more than here, and lists are of
    /// many clients.
    pub(super) fn bounded(mut self) -> Self {
        for uris in
            [&mut self.redirect_uris, &mut self.post_logout_redirect_uris, &mut self.web_origins]
        {
            uris.truncate(MAX_KEPT);
            uris.iter_mut().for_each(shorten);
        }
        let texts = [
            &mut self.display_name,
            &mut self.description,
            &mut self.root_url,
            &mut self.home_url,
            &mut self.admin_url,
            &mut self.backchannel_logout_url,
        ];
        texts.into_iter().flatten().for_each(shorten);
        self.scopes = self.scopes.into_iter().take(MAX_KEPT).collect();
        self
    }

    /// Whether it has this capability.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}

/// The members that [`read`] takes.
pub const MEMBERS: [&str; 12] = [
    "displayName",
    "description",
    "capabilities",
    "scopes",
    "rootUrl",
    "homeUrl",
    "redirectUris",
    "postLogoutRedirectUris",
    "webOrigins",
    "adminUrl",
    "backchannelLogoutUrl",
    "enabled",
];

fn shorten(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_KEPT_TEXT));
}
