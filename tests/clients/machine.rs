//! `script`: a program acts on its own, with the client credentials grant; and every other grant is closed.

use serde_json::{Value, json};

use super::browser::{Browser, Page, authorization_url};
use super::template::{capabilities, fields_for};
use super::{Developer, Registered, refusal, scopes};
use crate::support::{claims_of, http, service};

#[tokio::test]
async fn a_script_gets_the_scope_that_was_granted_and_no_other() {
    let developer = Developer::start(&[]).await;
    let client = developer.script("job").await;
    let (status, answer) = client.machine_grant("datahub-api").await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.get("refresh_token").is_none(), "{answer}");
    let claims = claims_of(answer["access_token"].as_str().unwrap());
    assert_eq!(scopes(&claims), ["datahub-api", "email", "profile"], "{claims}");
    assert_eq!(claims["client_id"], client.id.as_str(), "{claims}");
    assert!(claims["sub"].is_string(), "{claims}");
    for scope in ["push-data", "datahub-api push-data", "offline_access", "roles"] {
        assert_eq!(refusal(&client.machine_grant(scope).await), (400, "invalid_scope"), "{scope}");
    }
    // What is granted later can be had later, and what is taken away cannot.
    let change = json!({"scopes": ["push-data"]});
    developer.api.patch(&developer.path("job"), &change).await.expect(200);
    assert_eq!(client.machine_grant("push-data").await.0, 200);
    assert_eq!(refusal(&client.machine_grant("datahub-api").await), (400, "invalid_scope"));
    developer.server.stop().await;
}

#[tokio::test]
async fn a_scripts_token_opens_neither_hallpass_nor_keycloak() {
    let developer = Developer::start(&[]).await;
    let client = developer.script("job").await;
    let (_, answer) = client.machine_grant("datahub-api").await;
    let token = answer["access_token"].as_str().unwrap();
    let claims = claims_of(token);
    // It is for the system that the scope stands for, and for nobody else.
    assert_eq!(claims["aud"], "datahub-api", "{claims}");
    for name in ["realm_access", "resource_access", "account_id"] {
        assert!(claims.get(name).is_none(), "{name} in {claims}");
    }
    let script = developer.server.with_token(token);
    for path in ["/api/pat/v1/tokens", super::CLIENTS, "/api/clients/v1/quota"] {
        script.get(path).await.expect_problem(401, "unauthenticated");
    }
    let body = json!({"name": "mine"});
    script.post("/api/pat/v1/tokens", &body).await.expect_problem(401, "unauthenticated");

    let keycloak = service("HALLPASS_TEST_KEYCLOAK_URL");
    let realm = &developer.realm().name;
    for (path, status) in [
        (format!("/admin/realms/{realm}"), 403),
        (format!("/admin/realms/{realm}/users"), 403),
        (format!("/admin/realms/{realm}/clients"), 403),
        (format!("/realms/{realm}/account"), 401),
    ] {
        let request = http().get(format!("{keycloak}{path}")).bearer_auth(token);
        let answer = request.header("Accept", "application/json").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
    developer.server.stop().await;
}

#[tokio::test]
async fn a_new_secret_ends_the_old_one_at_once() {
    let developer = Developer::start(&[]).await;
    let client = developer.script("job").await;
    assert_eq!(client.plain_grant().await.0, 200);
    let path = format!("{}/secret", developer.path("job"));
    let renewed = developer.api.post_empty(&path).await.expect(201);
    assert_eq!(refusal(&client.plain_grant().await), (401, "unauthorized_client"));
    let secret = renewed["clientSecret"].as_str().unwrap().to_owned();
    let renewed = Registered { secret, ..client.clone() };
    assert_eq!(renewed.plain_grant().await.0, 200);

    let path = developer.path("job");
    developer.api.patch(&path, &json!({"enabled": false})).await.expect(200);
    assert_eq!(refusal(&renewed.plain_grant().await), (401, "invalid_client"));
    assert_eq!(developer.api.delete(&path).await.status, 204);
    assert_eq!(refusal(&renewed.plain_grant().await), (401, "invalid_client"));
    developer.server.stop().await;
}

#[tokio::test]
async fn every_client_has_the_grants_of_its_capabilities_and_no_others() {
    let developer = Developer::start(&[("HALLPASS_CLIENTS__QUOTA", "10")]).await;
    let visitor = developer.realm().person().await;
    let visitors_token = developer.realm().access_token(&visitor).await;
    for (name, capabilities) in capabilities() {
        let mut fields = fields_for(&capabilities);
        // So that it is the flow that is refused, and not the address.
        fields["redirectUris"] = json!([super::REDIRECT_URI]);
        let client = developer.create(name, fields).await;
        let can = |capability| capabilities.contains(&capability);
        for (grant, form, refused) in closed_grants(&visitor.username, &visitors_token) {
            let answer = client.grant(grant, &form).await;
            assert_eq!(refusal(&answer), refused, "{name}: {grant}: {}", answer.1);
        }
        for (endpoint, refused) in [
            ("auth/device", (400, "unauthorized_client")),
            ("ext/ciba/auth", (401, "invalid_grant")),
        ] {
            let form = [("scope", "openid"), ("login_hint", visitor.username.as_str())];
            let answer = client.post(endpoint, &form).await;
            assert_eq!(refusal(&answer), refused, "{name}: {endpoint}: {}", answer.1);
        }
        for response_type in ["token", "id_token", "id_token token", "code token", "code id_token"]
        {
            let changes = [("response_type", response_type), ("nonce", "n")];
            assert_eq!(error_of(&client, &changes).await, "unauthorized_client", "{name}");
        }
        if can("web_app") {
            let page = Browser::new().open(&authorization_url(&client, &[])).await;
            assert!(matches!(page, Page::Login(_)), "{name}: {page:?}");
        } else {
            assert_eq!(error_of(&client, &[]).await, "unauthorized_client", "{name}");
        }
        let answer = client.grant(UMA, &[("audience", "hallpass")]).await;
        let refused =
            if can("script") { (400, "invalid_request") } else { (401, "unauthorized_client") };
        assert_eq!(refusal(&answer), refused, "{name}: {}", answer.1);
        let answer = client.plain_grant().await;
        if can("script") {
            assert_eq!(answer.0, 200, "{name}: {answer:?}");
        } else {
            assert_eq!(refusal(&answer), (401, "unauthorized_client"), "{name}");
        }
    }
    developer.server.stop().await;
}

/// Permissions of a client that has authorization services: none has.
const UMA: &str = "urn:ietf:params:oauth:grant-type:uma-ticket";

type Refusal = (u16, &'static str);
/// Its type, its parameters, and how it is refused.
type Grant<'a> = (&'static str, Vec<(&'static str, &'a str)>, Refusal);

fn closed_grants<'a>(username: &'a str, token: &'a str) -> [Grant<'a>; 5] {
    const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    [
        (
            "password",
            vec![("username", username), ("password", crate::support::PASSWORD)],
            (400, "unauthorized_client"),
        ),
        (
            "urn:ietf:params:oauth:grant-type:token-exchange",
            vec![("subject_token", token), ("subject_token_type", ACCESS_TOKEN)],
            (400, "invalid_request"),
        ),
        (
            "urn:ietf:params:oauth:grant-type:device_code",
            vec![("device_code", "a-code")],
            (400, "invalid_grant"),
        ),
        (
            "urn:openid:params:grant-type:ciba",
            vec![("auth_req_id", "an-id")],
            (400, "invalid_grant"),
        ),
        (
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            vec![("assertion", token)],
            (400, "invalid_grant"),
        ),
    ]
}

/// The `error` with which an authorization request comes back, in query or fragment.
async fn error_of(client: &Registered, changes: &[(&str, &str)]) -> String {
    let page = Browser::new().open(&authorization_url(client, changes)).await;
    let Page::Sent(url) = page else { panic!("{changes:?}: {page:?}") };
    let answer = url.fragment().or(url.query()).unwrap_or_default();
    let answer: Vec<(String, String)> =
        url::form_urlencoded::parse(answer.as_bytes()).into_owned().collect();
    let parameters: Value = answer.into_iter().collect();
    for name in ["code", "access_token", "id_token"] {
        assert!(parameters.get(name).is_none(), "{parameters}");
    }
    parameters["error"].as_str().unwrap_or_else(|| panic!("{url}")).to_owned()
}
