//! What people say about an API client: its fields, read from JSON, all errors at once. Pure but for the addresses
//! that Keycloak will call, which are looked up.
//!
//! A creation and a change (JSON merge patch, RFC 7396) are one thing: members are put over what was there before,
//! `null` takes one away, and the whole is checked.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;

use super::{address, uri};
use crate::config::{Clients as Settings, Profile};
use crate::error::{Error, FieldError};

/// The longest text in Keycloak's columns, in UTF-16 units; beyond it Keycloak answers 500.
const MAX_TEXT: usize = 255;
const MAX_URIS: usize = 50;

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

/// `base` with `members` put over it. `grantable`: the scopes that can be had. `errors`: what is wrong already.
pub(super) async fn read(
    base: &ClientSpec,
    members: &Map<String, Value>,
    grantable: &BTreeSet<String>,
    settings: &Settings,
    errors: Vec<FieldError>,
) -> Result<ClientSpec, Error> {
    let mut reading = Reading { members, errors };
    let spec = reading.fields(base);
    reading.whole(&spec, grantable, settings.profile);
    reading.addresses(&spec, base, settings).await;
    if reading.errors.is_empty() { Ok(spec) } else { Err(Error::invalid(reading.errors)) }
}

struct Reading<'a> {
    members: &'a Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Reading<'_> {
    fn fields(&mut self, base: &ClientSpec) -> ClientSpec {
        let enabled = self.members.get("enabled").map_or(Some(base.enabled), |value| match value {
            Value::Null => Some(true),
            value => value.as_bool(),
        });
        if enabled.is_none() {
            self.error("enabled", "must be true or false");
        }
        ClientSpec {
            display_name: self.text("displayName", base.display_name.as_deref(), Lines::One),
            description: self.text("description", base.description.as_deref(), Lines::Many),
            capabilities: self.capabilities(&base.capabilities),
            scopes: self.texts("scopes", base.scopes.iter()).into_iter().collect(),
            root_url: self.text("rootUrl", base.root_url.as_deref(), Lines::One),
            home_url: self.text("homeUrl", base.home_url.as_deref(), Lines::One),
            redirect_uris: self.texts("redirectUris", base.redirect_uris.iter()),
            post_logout_redirect_uris: self
                .texts("postLogoutRedirectUris", base.post_logout_redirect_uris.iter()),
            web_origins: self.texts("webOrigins", base.web_origins.iter()),
            admin_url: self.text("adminUrl", base.admin_url.as_deref(), Lines::One),
            backchannel_logout_url: self.text(
                "backchannelLogoutUrl",
                base.backchannel_logout_url.as_deref(),
                Lines::One,
            ),
            enabled: enabled.unwrap_or(true),
        }
    }

    /// What holds between fields, and for each URI.
    fn whole(&mut self, spec: &ClientSpec, grantable: &BTreeSet<String>, profile: Profile) {
        if spec.capabilities.is_empty() {
            self.error("capabilities", "needs at least one of `web_app`, `backchannel`, `script`");
        }
        if spec.can(Capability::WebApp) && spec.redirect_uris.is_empty() {
            self.error("redirectUris", "needs at least one, since the client is a `web_app`");
        }
        if spec.can(Capability::Backchannel) && spec.backchannel_logout_url.is_none() {
            self.error("backchannelLogoutUrl", "is required, since the client has `backchannel`");
        }
        if profile == Profile::Domo {
            for (name, text) in
                [("displayName", &spec.display_name), ("description", &spec.description)]
            {
                if text.is_none() {
                    self.error(name, "is required");
                }
            }
        }
        if let Some(other) = spec.scopes.iter().find(|scope| !grantable.contains(*scope)) {
            let all: Vec<_> = grantable.iter().map(|scope| format!("`{scope}`")).collect();
            self.error(
                "scopes",
                format!("{other:?} cannot be granted; what can be: {}", all.join(", ")),
            );
        }
        self.uris(spec);
    }

    fn uris(&mut self, spec: &ClientSpec) {
        let root = spec.root_url.as_deref();
        self.check_each("rootUrl", spec.root_url.iter(), uri::check_root);
        self.check_each("homeUrl", spec.home_url.iter(), |text| uri::check_home(text, root));
        self.check_each("redirectUris", &spec.redirect_uris, |text| {
            uri::check_redirect(text, root)
        });
        self.check_each("postLogoutRedirectUris", &spec.post_logout_redirect_uris, |text| {
            uri::check_post_logout(text, root)
        });
        self.check_each("webOrigins", &spec.web_origins, uri::check_origin);
        self.check_each("adminUrl", spec.admin_url.iter(), |text| {
            uri::check_called(text).map(drop)
        });
        self.check_each("backchannelLogoutUrl", spec.backchannel_logout_url.iter(), |text| {
            uri::check_called(text).map(drop)
        });
    }

    /// Looks up what Keycloak will call, where it is new.
    async fn addresses(&mut self, spec: &ClientSpec, base: &ClientSpec, settings: &Settings) {
        let called = [
            ("adminUrl", &spec.admin_url, &base.admin_url),
            ("backchannelLogoutUrl", &spec.backchannel_logout_url, &base.backchannel_logout_url),
        ];
        for (name, url, before) in called {
            let Some(text) = url.as_deref().filter(|_| url != before) else { continue };
            let Ok(url) = Url::parse(text) else { continue };
            if let Err(reason) = address::check_public(&url, &settings.allowed_networks).await
                && !self.errors.iter().any(|error| error.field == name)
            {
                self.error(name, reason);
            }
        }
    }

    fn check_each<'t>(
        &mut self,
        name: &str,
        texts: impl IntoIterator<Item = &'t String>,
        check: impl Fn(&str) -> Result<(), &'static str>,
    ) {
        for text in texts {
            if let Err(reason) = check(text) {
                let shown: String = text.chars().take(80).collect();
                self.error(name, format!("{shown:?} {reason}"));
            }
        }
    }

    fn text(&mut self, name: &str, before: Option<&str>, lines: Lines) -> Option<String> {
        let text = match self.members.get(name) {
            None => return before.map(str::to_owned),
            Some(Value::Null) => return None,
            Some(Value::String(text)) => text.trim(),
            Some(_) => {
                self.error(name, "must be text");
                return None;
            }
        };
        if text.encode_utf16().count() > MAX_TEXT {
            self.error(name, "must have at most 255 characters");
        }
        let breaks = |c| lines == Lines::Many && matches!(c, '\n' | '\r' | '\t');
        if text.chars().any(|c| c.is_control() && !breaks(c)) {
            self.error(name, "must not have control characters");
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn texts<'t>(&mut self, name: &str, before: impl Iterator<Item = &'t String>) -> Vec<String> {
        let entries = match self.members.get(name) {
            None => return before.cloned().collect(),
            Some(Value::Null) => return Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                self.error(name, "must be a list");
                return Vec::new();
            }
        };
        if entries.len() > MAX_URIS {
            self.error(name, "must have at most 50 entries");
            return Vec::new();
        }
        let mut texts: Vec<String> = Vec::new();
        for entry in entries {
            match entry.as_str() {
                None => self.error(name, "must be a list of texts"),
                Some(text) if texts.iter().any(|known| known == text) => {}
                Some(text) => texts.push(text.to_owned()),
            }
        }
        texts
    }

    fn capabilities(&mut self, before: &BTreeSet<Capability>) -> BTreeSet<Capability> {
        let Some(value) = self.members.get("capabilities") else { return before.clone() };
        if value.is_null() {
            return BTreeSet::new();
        }
        serde_json::from_value(value.clone()).unwrap_or_else(|_| {
            self.error("capabilities", "must be a list of `web_app`, `backchannel`, `script`");
            BTreeSet::new()
        })
    }

    fn error(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Many,
}
