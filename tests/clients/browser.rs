//! The way of a browser through the code flow: what Keycloak asks, and what comes of it.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use url::Url;

use super::{REDIRECT_URI, Registered};
use crate::support::{self, PASSWORD, Person, Stop, service};

/// RFC 7636 asks for 43 characters or more.
const VERIFIER: &str = "a-verifier-of-43-characters-or-more-as-rfc-7636-asks";

/// Where the browser is.
#[derive(Debug)]
pub(super) enum Page {
    /// Keycloak asks who it is.
    Login(Stop),
    /// Keycloak asks whether the client may.
    Consent(Stop),
    /// The browser was sent away from Keycloak: with what is in the address.
    Sent(Url),
    /// A page that asks for nothing, with its status.
    Other(u16),
}

impl From<Stop> for Page {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Away(url) => Self::Sent(url),
            Stop::Page { ref html, .. } if html.contains("/login-actions/authenticate?") => {
                Self::Login(stop)
            }
            Stop::Page { ref html, .. } if html.contains("/login-actions/consent?") => {
                Self::Consent(stop)
            }
            Stop::Page { status, .. } => Self::Other(status),
        }
    }
}

pub(super) struct Browser(support::Browser);

impl Browser {
    pub(super) fn new() -> Self {
        Self(support::Browser::new(&service("HALLPASS_TEST_KEYCLOAK_URL")))
    }

    pub(super) async fn open(&mut self, url: &str) -> Page {
        self.0.open(url).await.into()
    }

    /// Fills in the login form.
    pub(super) async fn log_in(&mut self, page: Page, person: &Person) -> Page {
        let Page::Login(form) = page else { panic!("no login: {page:?}") };
        let fields = [("username", person.username.as_str()), ("password", PASSWORD)];
        self.0.send_form(form, &fields).await.into()
    }

    /// Agrees; answers what the consent page said as well.
    pub(super) async fn agree(&mut self, page: Page) -> (String, Page) {
        let Page::Consent(form) = page else { panic!("no consent: {page:?}") };
        let Stop::Page { ref html, .. } = form else { panic!("no page: {form:?}") };
        let text = html.clone();
        (text, self.0.send_form(form, &[("accept", "Yes")]).await.into())
    }

    pub(super) async fn disagree(&mut self, page: Page) -> Page {
        let Page::Consent(form) = page else { panic!("no consent: {page:?}") };
        self.0.send_form(form, &[("cancel", "No")]).await.into()
    }

    /// The whole way of a first login: authorization request, login, consent, code, tokens.
    pub(super) async fn tokens(
        &mut self,
        client: &Registered,
        person: &Person,
        scope: &str,
    ) -> Value {
        let page = self.open(&authorization_url(client, &[("scope", scope)])).await;
        let page = self.log_in(page, person).await;
        let (_, page) = self.agree(page).await;
        let (status, tokens) = exchange(client, &code(&page)).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }
}

/// An authorization request with PKCE; `changes` replace parameters, an empty one is left out.
pub(super) fn authorization_url(client: &Registered, changes: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let mut parameters = BTreeMap::from([
        ("client_id", client.id.as_str()),
        ("response_type", "code"),
        ("scope", "openid"),
        ("redirect_uri", REDIRECT_URI),
        ("state", "the-state"),
        ("code_challenge_method", "S256"),
        ("code_challenge", &challenge),
    ]);
    parameters.extend(changes.iter().copied());
    parameters.retain(|_, value| !value.is_empty());
    let url = format!("{}/protocol/openid-connect/auth", client.realm.issuer());
    Url::parse_with_params(&url, parameters).unwrap().into()
}

/// Exchanges a code with the client's secret.
pub(super) async fn exchange(client: &Registered, code: &str) -> (u16, Value) {
    let form = [("redirect_uri", REDIRECT_URI), ("code", code), ("code_verifier", VERIFIER)];
    client.grant("authorization_code", &form).await
}

/// The code with which Keycloak sent the browser back.
pub(super) fn code(page: &Page) -> String {
    let Page::Sent(url) = page else { panic!("no code: {page:?}") };
    assert!(url.as_str().starts_with(REDIRECT_URI), "{url}");
    assert_eq!(parameter(url, "state").as_deref(), Some("the-state"), "{url}");
    parameter(url, "code").unwrap_or_else(|| panic!("{url}"))
}

pub(super) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}
