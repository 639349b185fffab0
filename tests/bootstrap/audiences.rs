//! Scopes that say whom a token is for: `aud`, without which a system cannot tell that a token is meant for it.

use hallpass::bootstrap::{Mode, Options, ScopeAudience, ScopeRequest};
use serde_json::{Value, json};

use super::Ground;
use super::snapshot::assert_same;
use crate::support::{claims_of, http, keycloak_is_at_least, options};

/// Reports are for the reports service; nothing is said about the audience of the others.
fn with_reports() -> Options {
    let scopes = ["reports=Read reports", "other=Nobody's"].map(|text| text.parse().unwrap());
    let audiences: Vec<ScopeAudience> = vec!["reports=reports-service".parse().unwrap()];
    let scopes = ScopeRequest::with_audiences(scopes.into(), audiences).unwrap();
    Options { scopes, ..options() }
}

async fn post(ground: &Ground, path: &str, client: &str, form: &[(&str, &str)]) -> Value {
    let url = format!("{}/protocol/openid-connect/{path}", ground.issuer());
    let request = http().post(url).basic_auth(client, Some("secret")).form(form);
    request.send().await.unwrap().json().await.unwrap()
}

/// A client with a service account; with these scopes.
async fn client(ground: &Ground, id: &str, scopes: &[&str]) {
    let client = json!({"clientId": id, "secret": "secret", "serviceAccountsEnabled": true,
        "publicClient": false, "fullScopeAllowed": false, "defaultClientScopes": ["basic"],
        "optionalClientScopes": scopes});
    ground.admin.post(&ground.path("/clients"), &client).await;
}

async fn token(ground: &Ground, client: &str, scope: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", scope)];
    let answer = post(ground, "token", client, &form).await;
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test]
async fn a_system_tells_by_the_audience_that_a_token_is_for_it() {
    let ground = Ground::new().await;
    let done = ground.bootstrap_with(with_reports()).await;
    assert!(done.lines.contains(&"create client scope reports".to_owned()), "{:?}", done.lines);
    client(&ground, "reports-service", &[]).await;
    client(&ground, "job", &["reports", "other"]).await;
    for (scope, audience, active) in [
        ("reports", json!("reports-service"), true),
        ("other", Value::Null, false),
        ("reports other", json!("reports-service"), true),
    ] {
        let token = token(&ground, "job", scope).await;
        assert_eq!(claims_of(&token)["aud"], audience, "{scope}");
        let form = [("token", token.as_str())];
        let found = post(&ground, "token/introspect", "reports-service", &form).await;
        // An older one tells everybody.
        let active = active || !keycloak_is_at_least(26, 6);
        assert_eq!(found["active"], active, "{scope}: {found}");
    }
}

#[tokio::test]
async fn a_scope_that_is_there_gets_an_audience_and_loses_it_with_the_removal() {
    let ground = Ground::new().await;
    let theirs = json!({"name": "reports", "description": "Theirs", "protocol": "openid-connect",
        "attributes": {"include.in.token.scope": "true"}});
    ground.admin.post(&ground.path("/client-scopes"), &theirs).await;
    let before = ground.snapshot().await;
    let done = ground.bootstrap_with(Options { adopt: true, ..with_reports() }).await;
    let put = "put an audience into tokens with scope reports".to_owned();
    assert!(done.lines.contains(&put), "{:?}", done.lines);
    assert_eq!(ground.bootstrap_with(with_reports()).await.lines, Vec::<String>::new());

    // Another audience is another choice; of which nothing is said, it stays.
    let mut other = with_reports();
    let audience = "reports=elsewhere".parse().unwrap();
    other.scopes = ScopeRequest::with_audiences(other.scopes, vec![audience]).unwrap();
    assert_eq!(ground.bootstrap_with(other).await.lines, std::slice::from_ref(&put));
    let silent = ["reports=Theirs", "other=x"].map(|text| text.parse().unwrap()).into();
    let done = ground.bootstrap_with(Options { scopes: silent, ..options() }).await;
    assert_eq!(done.lines, Vec::<String>::new());
    client(&ground, "job", &["reports"]).await;
    assert_eq!(claims_of(&token(&ground, "job", "reports").await)["aud"], "elsewhere");
    let job = ground.client("job").await;
    ground.admin.delete(&ground.path(&format!("/clients/{}", job["id"].as_str().unwrap()))).await;

    ground.remove(Mode::Apply).await;
    assert_same(&before, &ground.snapshot().await);
}
