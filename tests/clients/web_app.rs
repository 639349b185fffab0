//! `web_app`: people log in at Keycloak, agree, and come back with a code.

use serde_json::json;

use super::browser::{Browser, Page, authorization_url, code, exchange, parameter};
use super::{Developer, Registered, refusal, scopes};
use crate::support::claims_of;

#[tokio::test]
async fn a_person_logs_in_agrees_and_the_client_gets_what_was_granted() {
    let developer = Developer::start(&[]).await;
    let client = developer.web_app("app").await;
    let visitor = developer.realm().person().await;
    let mut browser = Browser::new();
    let url = authorization_url(&client, &[("scope", "openid datahub-api")]);
    let page = browser.open(&url).await;
    let page = browser.log_in(page, &visitor).await;
    let (asked, page) = browser.agree(page).await;
    assert!(asked.contains(&client.id), "the id stands for a blank display name: {asked}");
    let code = code(&page);
    let (status, tokens) = exchange(&client, &code).await;
    assert_eq!(status, 200, "{tokens}");

    let claims = claims_of(tokens["access_token"].as_str().unwrap());
    assert_eq!(claims["sub"], visitor.id.as_str(), "{claims}");
    assert_eq!(claims["azp"], client.id.as_str(), "{claims}");
    assert_eq!(claims["preferred_username"], visitor.username.as_str(), "{claims}");
    // `push-data` is granted to the client as well, but was not asked for.
    assert_eq!(scopes(&claims), ["datahub-api", "email", "openid", "profile"], "{claims}");
    // The scope says whom the token is for.
    assert_eq!(claims["aud"], "datahub-api", "{claims}");
    for name in ["realm_access", "resource_access"] {
        assert!(claims.get(name).is_none(), "{name} in {claims}");
    }
    assert_eq!(claims_of(tokens["id_token"].as_str().unwrap())["aud"], client.id.as_str());

    // A code is good once (RFC 6749 §4.1.2); and that takes back what it gave.
    assert_eq!(refusal(&exchange(&client, &code).await), (400, "invalid_grant"));
    developer.server.stop().await;
}

#[tokio::test]
async fn tokens_are_refreshed_until_the_client_is_disabled() {
    let developer = Developer::start(&[]).await;
    let client = developer.web_app("app").await;
    let visitor = developer.realm().person().await;
    let mut browser = Browser::new();
    let tokens = browser.tokens(&client, &visitor, "openid push-data").await;
    let form = |tokens: &serde_json::Value| tokens["refresh_token"].as_str().unwrap().to_owned();
    let refreshed = client.grant("refresh_token", &[("refresh_token", &form(&tokens))]).await;
    assert_eq!(refreshed.0, 200, "{refreshed:?}");
    let claims = claims_of(refreshed.1["access_token"].as_str().unwrap());
    assert_eq!(claims["sub"], visitor.id.as_str());
    assert_eq!(scopes(&claims), ["email", "openid", "profile", "push-data"], "{claims}");

    // Who has agreed is not asked again.
    let again = browser.open(&authorization_url(&client, &[])).await;
    code(&again);

    let path = developer.path("app");
    developer.api.patch(&path, &json!({"enabled": false})).await.expect(200);
    let refused = client.grant("refresh_token", &[("refresh_token", &form(&refreshed.1))]).await;
    assert_eq!(refusal(&refused), (401, "invalid_client"));
    assert_refused(&client, &[]).await;

    developer.api.patch(&path, &json!({"enabled": true})).await.expect(200);
    code(&browser.open(&authorization_url(&client, &[])).await);
    developer.server.stop().await;
}

#[tokio::test]
async fn without_s256_and_a_registered_redirect_uri_nobody_is_asked_to_log_in() {
    let developer = Developer::start(&[]).await;
    let client = developer.web_app("app").await;
    for changes in [
        &[("code_challenge", ""), ("code_challenge_method", "")][..],
        &[("code_challenge_method", "plain")],
        &[("code_challenge_method", "")],
    ] {
        let page = Browser::new().open(&authorization_url(&client, changes)).await;
        let Page::Sent(url) = page else { panic!("{changes:?}: {page:?}") };
        assert_eq!(parameter(&url, "error").as_deref(), Some("invalid_request"), "{url}");
        assert_eq!(parameter(&url, "code"), None, "{url}");
    }
    for uri in [
        "https://app.example/cb/more",
        "https://app.example/CB",
        "https://app.example/cb?x=1",
        "https://app.example/",
        "https://app.example.evil.example/cb",
        "http://app.example/cb",
        "https://app.example/cb/../cb",
    ] {
        assert_refused(&client, &[("redirect_uri", uri)]).await;
    }
    // The one that is registered is taken.
    let page = Browser::new().open(&authorization_url(&client, &[])).await;
    assert!(matches!(page, Page::Login(_)), "{page:?}");
    developer.server.stop().await;
}

#[tokio::test]
async fn a_code_is_worth_nothing_without_secret_and_verifier() {
    let developer = Developer::start(&[]).await;
    let client = developer.web_app("app").await;
    let visitor = developer.realm().person().await;
    let mut browser = Browser::new();
    browser.tokens(&client, &visitor, "openid").await;
    let mut next_code = async || code(&browser.open(&authorization_url(&client, &[])).await);

    let thief = Registered { secret: "not-the-secret".to_owned(), ..client.clone() };
    let refused = exchange(&thief, &next_code().await).await;
    assert_eq!(refusal(&refused), (401, "unauthorized_client"));
    let code = next_code().await;
    let form = [("redirect_uri", super::REDIRECT_URI), ("code", code.as_str())];
    let refused = client.grant("authorization_code", &form).await;
    assert_eq!(refusal(&refused), (400, "invalid_grant"));
    developer.server.stop().await;
}

#[tokio::test]
async fn a_scope_that_was_not_granted_is_not_to_be_had() {
    let developer = Developer::start(&[]).await;
    let fields = json!({
        "capabilities": ["web_app"], "scopes": ["datahub-api"],
        "redirectUris": [super::REDIRECT_URI],
    });
    let client = developer.create("app", fields).await;
    for scope in ["push-data", "offline_access", "roles", "phone", "microprofile-jwt"] {
        let scope = format!("openid {scope}");
        let page = Browser::new().open(&authorization_url(&client, &[("scope", &scope)])).await;
        let Page::Sent(url) = page else { panic!("{scope}: {page:?}") };
        assert_eq!(parameter(&url, "error").as_deref(), Some("invalid_scope"), "{url}");
    }
    developer.server.stop().await;
}

#[tokio::test]
async fn an_operator_can_do_without_consent() {
    let developer = Developer::start(&[("HALLPASS_CLIENTS__CONSENT", "never")]).await;
    let client = developer.web_app("app").await;
    let visitor = developer.realm().person().await;
    let mut browser = Browser::new();
    let page = browser.open(&authorization_url(&client, &[])).await;
    let page = browser.log_in(page, &visitor).await;
    assert_eq!(exchange(&client, &code(&page)).await.0, 200);
    developer.server.stop().await;
}

#[tokio::test]
async fn who_does_not_agree_is_sent_back_without_a_code() {
    let developer = Developer::start(&[]).await;
    let client = developer.web_app("app").await;
    let visitor = developer.realm().person().await;
    let mut browser = Browser::new();
    let page = browser.open(&authorization_url(&client, &[])).await;
    let page = browser.log_in(page, &visitor).await;
    let Page::Sent(url) = browser.disagree(page).await else { panic!("not sent back") };
    assert_eq!(parameter(&url, "error").as_deref(), Some("access_denied"), "{url}");
    assert_eq!(parameter(&url, "code"), None, "{url}");
    developer.server.stop().await;
}

/// Keycloak shows an error, and sends nobody anywhere.
async fn assert_refused(client: &Registered, changes: &[(&str, &str)]) {
    let page = Browser::new().open(&authorization_url(client, changes)).await;
    assert!(matches!(page, Page::Other(400)), "{changes:?}: {page:?}");
}
