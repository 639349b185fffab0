//! `backchannel`: Keycloak tells the application of each logout (OpenID Connect Back-Channel Logout 1.0).

use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Form, Router};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::browser::{Browser, Page, authorization_url, code, exchange};
use super::{Developer, REDIRECT_URI, Registered, refusal};
use crate::support::{Admin, TestRealm, claims_of, http};

const LOOPBACK: (&str, &str) = ("HALLPASS_CLIENTS__ALLOWED_NETWORKS", "127.0.0.0/8");
const AFTERWARDS: &str = "https://app.example/bye";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// An application that takes logout tokens.
struct Application {
    url: String,
    posted: mpsc::UnboundedReceiver<Vec<(String, String)>>,
    serving: JoinHandle<()>,
}

impl Application {
    async fn start() -> Self {
        let (sender, posted) = mpsc::unbounded_channel();
        let router = Router::new().route("/logout", post(take)).with_state(sender);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/logout", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, posted, serving }
    }

    fn fields(&self) -> Value {
        json!({
            "capabilities": ["web_app", "backchannel"], "redirectUris": [REDIRECT_URI],
            "postLogoutRedirectUris": [AFTERWARDS], "backchannelLogoutUrl": self.url,
        })
    }

    /// The next logout token that is posted.
    async fn logout_token(&mut self) -> String {
        let form = timeout(Duration::from_secs(30), self.posted.recv()).await;
        let form = form.expect("no logout token came").unwrap();
        let [(name, token)] = form.try_into().unwrap();
        assert_eq!(name, "logout_token");
        token
    }

    fn was_told_nothing(&mut self) -> bool {
        self.posted.is_empty()
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(
    State(sender): State<mpsc::UnboundedSender<Vec<(String, String)>>>,
    Form(form): Form<Vec<(String, String)>>,
) {
    // The test may be over.
    let _ = sender.send(form);
}

#[tokio::test]
async fn an_application_is_told_when_a_person_logs_out() {
    let developer = Developer::start(&[LOOPBACK]).await;
    let mut application = Application::start().await;
    let client = developer.create("app", application.fields()).await;
    let visitor = developer.realm().person().await;
    let mut browser = Browser::new();
    let tokens = browser.tokens(&client, &visitor, "openid").await;
    let session = claims_of(tokens["access_token"].as_str().unwrap());

    let page = browser.open(&end_session_url(&client, &tokens, AFTERWARDS)).await;
    let Page::Sent(url) = page else { panic!("{page:?}") };
    assert_eq!(url.as_str(), AFTERWARDS);
    let claims = verified(&client, &application.logout_token().await).await;
    assert_eq!(claims["sub"], visitor.id.as_str(), "{claims}");
    assert_eq!(claims["sid"], session["sid"], "{claims}");
    assert_eq!(claims["events"], json!({EVENT: {}}), "{claims}");
    assert!(claims.get("nonce").is_none(), "{claims}");

    let form = [("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    assert_eq!(refusal(&client.grant("refresh_token", &form).await), (400, "invalid_grant"));
    developer.server.stop().await;
}

#[tokio::test]
async fn after_a_logout_a_browser_goes_to_registered_addresses_only() {
    let developer = Developer::start(&[LOOPBACK]).await;
    let application = Application::start().await;
    let told = developer.create("app", application.fields()).await;
    let silent = developer.web_app("silent").await;
    let visitor = developer.realm().person().await;
    let mut browser = Browser::new();
    let tokens = browser.tokens(&told, &visitor, "openid").await;
    // A redirect URI is no address for after a logout, also where none is registered for that.
    for (client, uri) in [(&told, REDIRECT_URI), (&silent, REDIRECT_URI), (&silent, AFTERWARDS)] {
        let page = browser.open(&end_session_url(client, &tokens, uri)).await;
        assert!(matches!(page, Page::Other(400)), "{uri}: {page:?}");
    }
    developer.server.stop().await;
}

#[tokio::test]
async fn an_application_is_told_when_an_administrator_logs_a_person_out() {
    let developer = Developer::start(&[LOOPBACK]).await;
    let (mut told, mut silent) = (Application::start().await, Application::start().await);
    let client = developer.create("told", told.fields()).await;
    let quiet = developer.create("silent", silent.fields()).await;
    // The address stays in the record, but without the capability nobody is told.
    let change = json!({"capabilities": ["web_app"]});
    let changed = developer.api.patch(&developer.path("silent"), &change).await.expect(200);
    assert_eq!(changed["backchannelLogoutUrl"], silent.url.as_str(), "{changed}");

    let visitor = developer.realm().person().await;
    let mut browser = Browser::new();
    let tokens = browser.tokens(&client, &visitor, "openid").await;
    // The same session at the other application.
    let page = browser.open(&authorization_url(&quiet, &[])).await;
    let (_, page) = browser.agree(page).await;
    assert_eq!(exchange(&quiet, &code(&page)).await.0, 200);

    log_out(developer.realm(), &visitor.id).await;
    let claims = verified(&client, &told.logout_token().await).await;
    let session = claims_of(tokens["access_token"].as_str().unwrap());
    assert_eq!((&claims["sub"], &claims["sid"]), (&session["sub"], &session["sid"]), "{claims}");
    // Keycloak tells all of them before it answers the administrator.
    assert!(silent.was_told_nothing() && told.was_told_nothing());

    // With the capability again, it is told of the next one.
    let change = json!({"capabilities": ["web_app", "backchannel"]});
    developer.api.patch(&developer.path("silent"), &change).await.expect(200);
    let mut browser = Browser::new();
    let page = browser.open(&authorization_url(&quiet, &[])).await;
    let page = browser.log_in(page, &visitor).await;
    assert_eq!(exchange(&quiet, &code(&page)).await.0, 200);
    log_out(developer.realm(), &visitor.id).await;
    verified(&quiet, &silent.logout_token().await).await;
    developer.server.stop().await;
}

#[tokio::test]
async fn without_the_setting_a_loopback_address_is_refused() {
    let developer = Developer::start(&[]).await;
    for url in ["http://127.0.0.1:8080/logout", "http://localhost/logout", "http://[::1]/logout"] {
        for field in ["backchannelLogoutUrl", "adminUrl"] {
            let mut fields = json!({
                "capabilities": ["web_app", "backchannel"], "redirectUris": [REDIRECT_URI],
                "backchannelLogoutUrl": "https://8.8.8.8/logout",
            });
            fields[field] = json!(url);
            let problem = developer.try_create("app", fields).await.expect_problem(400, "invalid");
            let message = if url.contains("localhost") {
                "has a host that no public name leads to; the operator's setting \
                 `clients.allowed_networks` can allow its address"
            } else {
                "leads to an address that is not public; the operator's setting \
                 `clients.allowed_networks` can allow it"
            };
            assert_eq!(problem["errors"], json!([{"field": field, "message": message}]), "{url}");
        }
    }
    assert_eq!(developer.used_quota().await, 0);
    developer.server.stop().await;
}

/// The token's claims, if a stock JWT library finds it good by the realm's JWKS and OpenID Connect Back-Channel Logout 1.0 §2.6.
async fn verified(client: &Registered, token: &str) -> Value {
    let jwks: JwkSet =
        http().get(client.realm.jwks_url()).send().await.unwrap().json().await.unwrap();
    let header = decode_header(token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("logout+jwt"));
    let jwk = jwks.find(header.kid.as_deref().unwrap()).expect("a key of the realm");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[client.realm.issuer()]);
    validation.set_audience(&[&client.id]);
    validation.set_required_spec_claims(&["iss", "aud", "exp"]);
    let key = DecodingKey::from_jwk(jwk).unwrap();
    let claims = decode::<Value>(token, &key, &validation).unwrap().claims;
    for name in ["iat", "jti"] {
        assert!(claims.get(name).is_some(), "{name}: {claims}");
    }
    claims
}

fn end_session_url(client: &Registered, tokens: &Value, afterwards: &str) -> String {
    let url = format!("{}/protocol/openid-connect/logout", client.realm.issuer());
    let parameters = [
        ("id_token_hint", tokens["id_token"].as_str().unwrap()),
        ("client_id", &client.id),
        ("post_logout_redirect_uri", afterwards),
    ];
    url::Url::parse_with_params(&url, parameters).unwrap().into()
}

async fn log_out(realm: &TestRealm, user: &str) {
    Admin::log_in().await.post(&format!("/{}/users/{user}/logout", realm.name), &json!({})).await;
}
