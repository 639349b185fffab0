//! What people say about an API client: its fields, read from JSON, all errors at once. Pure but for the addresses
//! that Keycloak will call, which are looked up.
//!
//! A creation and a change (JSON merge patch, RFC 7396) are one thing: members are put over what was there before, and
//! `null` takes one away. Checked is what the caller says, and what it has to fit with: of what somebody put there in
//! Keycloak's console, nobody is told who does not touch it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value};
use url::Url;

use super::fields::{CAPABILITIES, Capability, ClientSpec};
use super::{address, uri};
use crate::config::{ClientSettings, Profile};
use crate::fields::{Fields, Read};

/// The longest text in Keycloak's columns, in UTF-16 units; beyond it Keycloak answers 500.
const MAX_TEXT: usize = 255;
const MAX_URIS: usize = 50;
/// So much of a wrong text is repeated in the answer.
const MAX_SHOWN: usize = 80;

/// What a client is read from.
pub(super) struct Source<'a> {
    /// What is there before; `None`: nothing, since it is being created.
    pub(super) base: Option<&'a ClientSpec>,
    /// What the caller says.
    pub(super) members: &'a Map<String, Value>,
    /// The scopes that can be had.
    pub(super) grantable: &'a BTreeSet<String>,
}

/// `members` put over `base`. What is wrong is noted in `fields`.
pub(super) async fn read(
    source: Source<'_>,
    settings: &ClientSettings,
    fields: &mut Fields,
) -> Read<ClientSpec> {
    let Source { base, members, grantable } = source;
    let (new, creates) = (ClientSpec::new(), base.is_none());
    let base = base.unwrap_or(&new);
    let mut reading = Reading { members, base, creates, fields };
    let spec = reading.spec();
    reading.whole(&spec, grantable, settings.profile);
    reading.addresses(&spec, settings).await;
    Read::of(spec)
}

struct Reading<'a> {
    members: &'a Map<String, Value>,
    base: &'a ClientSpec,
    creates: bool,
    fields: &'a mut Fields,
}

impl Reading<'_> {
    fn spec(&mut self) -> ClientSpec {
        let base = self.base;
        let enabled = self.members.get("enabled").map_or(Some(base.enabled), |value| match value {
            Value::Null => Some(true),
            value => value.as_bool(),
        });
        if enabled.is_none() {
            self.fields.refuse("enabled", "must be true or false");
        }
        ClientSpec {
            display_name: self.text("displayName", base.display_name.as_deref(), Lines::One),
            description: self.text("description", base.description.as_deref(), Lines::Many),
            capabilities: self.capabilities(&base.capabilities),
            scopes: self.texts("scopes", base.scopes.iter()).into_iter().collect(),
            root_url: self.root_url(),
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
        if self.says(&["capabilities"]) && spec.capabilities.is_empty() {
            self.refuse_unless_wrong(
                "capabilities",
                "needs at least one of `web_app`, `backchannel`, `script`",
            );
        }
        if self.says(&["capabilities", "redirectUris"])
            && spec.can(Capability::WebApp)
            && spec.redirect_uris.is_empty()
        {
            let message = "needs at least one, since the client is a `web_app`";
            self.refuse_unless_wrong("redirectUris", message);
        }
        if self.says(&["capabilities", "backchannelLogoutUrl"])
            && spec.can(Capability::Backchannel)
            && spec.backchannel_logout_url.is_none()
        {
            let message = "is required, since the client has `backchannel`";
            self.refuse_unless_wrong("backchannelLogoutUrl", message);
        }
        if profile == Profile::Domo {
            for (name, text) in
                [("displayName", &spec.display_name), ("description", &spec.description)]
            {
                if text.is_none() {
                    self.refuse_unless_wrong(name, "is required");
                }
            }
        }
        if let Some(other) = spec.scopes.iter().find(|scope| !grantable.contains(*scope)) {
            let all: Vec<_> = grantable.iter().map(|scope| format!("`{scope}`")).collect();
            self.fields.refuse(
                "scopes",
                format!("{other:?} cannot be granted; what can be: {}", all.join(", ")),
            );
        }
        self.uris(spec);
    }

    fn uris(&mut self, spec: &ClientSpec) {
        let (base, root) = (self.base, spec.root_url.as_deref());
        self.check_each("rootUrl", &spec.root_url, &base.root_url, uri::check_root);
        self.check_each("homeUrl", &spec.home_url, &base.home_url, |text| {
            uri::check_home(text, root)
        });
        self.check_each("redirectUris", &spec.redirect_uris, &base.redirect_uris, |text| {
            uri::check_redirect(text, root)
        });
        let (after, before) = (&spec.post_logout_redirect_uris, &base.post_logout_redirect_uris);
        self.check_each("postLogoutRedirectUris", after, before, |text| {
            uri::check_post_logout(text, root)
        });
        self.check_each("webOrigins", &spec.web_origins, &base.web_origins, uri::check_origin);
        self.check_each("adminUrl", &spec.admin_url, &base.admin_url, |text| {
            uri::check_called(text).map(drop)
        });
        let (after, before) = (&spec.backchannel_logout_url, &base.backchannel_logout_url);
        self.check_each("backchannelLogoutUrl", after, before, |text| {
            uri::check_called(text).map(drop)
        });
    }

    /// Looks up what Keycloak will call, where it is new.
    async fn addresses(&mut self, spec: &ClientSpec, settings: &ClientSettings) {
        let base = self.base;
        let called = [
            ("adminUrl", &spec.admin_url, &base.admin_url),
            ("backchannelLogoutUrl", &spec.backchannel_logout_url, &base.backchannel_logout_url),
        ];
        for (name, url, before) in called {
            let Some(text) = url.as_deref().filter(|_| url != before) else { continue };
            let Ok(url) = Url::parse(text) else { continue };
            if self.fields.is_wrong(name) {
                continue;
            }
            if let Err(reason) = address::check_public(&url, &settings.allowed_networks).await {
                self.fields.refuse(name, reason);
            }
        }
    }

    /// What was there before is not checked again, unless it is relative and the root changes.
    fn check_each<'t>(
        &mut self,
        name: &str,
        texts: impl IntoIterator<Item = &'t String>,
        before: impl IntoIterator<Item = &'t String>,
        check: impl Fn(&str) -> Result<(), Cow<'static, str>>,
    ) {
        let before: BTreeSet<_> = before.into_iter().collect();
        let moves = self.says(&["rootUrl"]);
        for text in texts {
            let relative = text.starts_with('/');
            if before.contains(text) && !(moves && relative) {
                continue;
            }
            // What a wrong root would make of it, nobody knows.
            if relative && self.fields.is_wrong("rootUrl") {
                continue;
            }
            if let Err(reason) = check(text) {
                let shown: String = text.chars().take(MAX_SHOWN).collect();
                self.fields.refuse(name, format!("{shown:?} {reason}"));
            }
        }
    }

    /// A `/` at its end would be doubled: Keycloak appends relative URIs to it.
    fn root_url(&mut self) -> Option<String> {
        let root = self.text("rootUrl", self.base.root_url.as_deref(), Lines::One)?;
        if self.members.contains_key("rootUrl") {
            return Some(root.trim_end_matches('/').to_owned());
        }
        Some(root)
    }

    fn text(&mut self, name: &str, before: Option<&str>, lines: Lines) -> Option<String> {
        let text = match self.members.get(name) {
            None => return before.map(str::to_owned),
            Some(Value::Null) => return None,
            Some(Value::String(text)) => text.trim(),
            Some(_) => {
                self.fields.refuse(name, "must be text");
                return None;
            }
        };
        if text.encode_utf16().count() > MAX_TEXT {
            self.fields.refuse(name, "must have at most 255 characters");
        }
        let breaks = |c| lines == Lines::Many && matches!(c, '\n' | '\r' | '\t');
        if text.chars().any(|c| c.is_control() && !breaks(c)) {
            self.fields.refuse(name, "must not have control characters");
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn texts<'t>(
        &mut self,
        name: &str,
        before: impl Iterator<Item = &'t String> + Clone,
    ) -> Vec<String> {
        let entries = match self.members.get(name) {
            None => return before.cloned().collect(),
            Some(Value::Null) => return Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                self.fields.refuse(name, "must be a list");
                return Vec::new();
            }
        };
        // Keycloak's console takes more than here.
        if entries.iter().map(Value::as_str).eq(before.clone().map(|text| Some(text.as_str()))) {
            return before.cloned().collect();
        }
        if entries.len() > MAX_URIS {
            self.fields.refuse(name, "must have at most 50 entries");
            return Vec::new();
        }
        let mut texts: Vec<String> = Vec::new();
        for entry in entries {
            match entry.as_str() {
                None => self.fields.refuse(name, "must be a list of texts"),
                Some(text) if texts.iter().any(|known| known == text) => {}
                Some(text) => texts.push(text.to_owned()),
            }
        }
        texts
    }

    fn capabilities(&mut self, before: &BTreeSet<Capability>) -> BTreeSet<Capability> {
        let entries = match self.members.get("capabilities") {
            None => return before.clone(),
            Some(Value::Null) => return BTreeSet::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                self.fields
                    .refuse("capabilities", "must be a list of `web_app`, `backchannel`, `script`");
                return BTreeSet::new();
            }
        };
        let mut found = BTreeSet::new();
        for entry in entries.iter().take(MAX_URIS) {
            match serde_json::from_value(entry.clone()) {
                Ok(capability) => drop(found.insert(capability)),
                Err(_) => self.fields.refuse("capabilities", unknown_capability(entry)),
            }
        }
        found
    }

    /// Whether the caller says one of these; who creates a client says everything.
    fn says(&self, names: &[&str]) -> bool {
        self.creates || names.iter().any(|name| self.members.contains_key(*name))
    }

    /// What follows from another mistake in the same field is none of its own.
    fn refuse_unless_wrong(&mut self, field: &str, message: &str) {
        if !self.fields.is_wrong(field) {
            self.fields.refuse(field, message);
        }
    }
}

/// Says which capability was meant, where that can be seen.
fn unknown_capability(entry: &Value) -> String {
    let Some(text) = entry.as_str() else { return "must be a list of texts".to_owned() };
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect()
    };
    let shown: String = text.chars().take(MAX_SHOWN).collect();
    match CAPABILITIES.iter().find(|name| letters(name) == letters(text)) {
        Some(meant) => format!("{shown:?} is no capability: write `{meant}`"),
        None => format!("{shown:?} is no capability; there are `web_app`, `backchannel`, `script`"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Many,
}
