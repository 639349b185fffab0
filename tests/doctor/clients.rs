//! Faults of our clients.

use reqwest::Method;
use serde_json::{Value, json};

use super::Case;

#[tokio::test]
async fn each_change_of_our_clients_is_found_and_mended() {
    let case = Case::new().await;
    case.examine().await.expect_good();

    let cli = case.client("hallpass-cli").await;
    let mappers = format!("{cli}/protocol-mappers/models");
    remove_named(&case, &mappers, "hallpass impersonator").await;
    let missing = "the mapper `hallpass impersonator` is missing on hallpass-cli";
    case.mended_by_bootstrap("mappers", missing).await;

    let mapper = json!({"name": "theirs", "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-claim-mapper", "config": {
            "claim.name": "resource_access.hallpass.roles", "claim.value": "[\"administrator\"]",
            "jsonType.label": "JSON", "access.token.claim": "true"}});
    case.admin().await.post(&mappers, &mapper).await;
    let extra = "the mapper `theirs` is too much on hallpass-cli";
    case.mended_by_bootstrap("mappers", extra).await;

    let service = case.client("hallpass").await;
    let uris =
        json!({"redirectUris": ["http://localhost:8090/auth/callback", "https://x.example/*"]});
    case.change(&service, uris).await;
    case.mended_by_bootstrap("login-redirect", "https://x.example/*").await;
    case.change(&service, json!({"directAccessGrantsEnabled": true})).await;
    case.mended_by_bootstrap("service-client", "directAccessGrantsEnabled").await;
    case.change(&service, json!({"fullScopeAllowed": true})).await;
    case.mended_by_bootstrap("no-more-permissions", "full scope").await;

    case.change(&case.client("hallpass-pat").await, json!({"enabled": true})).await;
    case.mended_by_bootstrap("designated-client", "enabled").await;

    let probe = case.client("hallpass-probe").await;
    let mapper = json!({"name": "other", "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-role-mapper", "config": {"role": "offline_access"}});
    case.admin().await.post(&format!("{probe}/protocol-mappers/models"), &mapper).await;
    case.mended_by_bootstrap("probe-client", "the mapper `other` is too much").await;

    case.admin().await.delete(&cli).await;
    case.mended_by_bootstrap("command-line-client", "there is no client hallpass-cli").await;
    case.examine().await.expect_good();
}

#[tokio::test]
async fn a_client_of_our_name_that_bootstrap_did_not_make_is_found() {
    let case = Case::new().await;
    let probe = case.client("hallpass-probe").await;
    let document = case.admin().await.get(&probe).await;
    case.admin().await.delete(&probe).await;
    let mut planted = document;
    planted.as_object_mut().unwrap().remove("id");
    case.admin().await.post(&case.path("/clients"), &planted).await;
    let report = case.examine().await;
    report.expect_detail("made-by-bootstrap", "hallpass-probe");
    assert!(report.named("fail").contains(&"made-by-bootstrap"), "{report:?}");
}

#[tokio::test]
async fn what_an_operator_does_to_the_designated_client_is_judged() {
    let case = Case::new().await;
    let designated = case.client("hallpass-pat").await;

    let lightweight =
        |value: &str| json!({"attributes": {"client.use.lightweight.access.token.enabled": value}});
    case.change(&designated, lightweight("true")).await;
    case.examine().await.expect_one_failure("designated-client", "lightweight");
    case.change(&designated, lightweight("false")).await;

    let scope = |name: &str, scopes: &Value| {
        let found = scopes.as_array().unwrap().iter().find(|scope| scope["name"] == name).unwrap();
        format!("{designated}/default-client-scopes/{}", found["id"].as_str().unwrap())
    };
    let scopes = case.admin().await.get(&case.path("/client-scopes")).await;
    case.admin().await.delete(&scope("basic", &scopes)).await;
    case.examine().await.expect_one_failure("designated-client", "`basic`");
    case.admin().await.call(Method::PUT, &scope("basic", &scopes), None).await;
    case.admin().await.delete(&scope("email", &scopes)).await;
    case.examine().await.expect_one_warning("designated-client", "email");
    case.admin().await.call(Method::PUT, &scope("email", &scopes), None).await;

    // Mappers are theirs, but an audience that is the id of a client does not reach the token.
    let audience = |name: &str, key: &str, audience: &str| {
        json!({"name": name, "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {key: audience, "access.token.claim": "true"}})
    };
    let path = format!("{designated}/protocol-mappers/models");
    case.admin().await.post(&path, &audience("a", "included.custom.audience", "data-lake")).await;
    case.examine().await.expect_good();
    case.admin().await.post(&path, &audience("b", "included.client.audience", "test-login")).await;
    case.examine().await.expect_one_warning("audiences", ": test-login");
    let named = [("HALLPASS_TOKENS__AUDIENCES", "test-login")];
    case.examine_with(&named, &[]).await.expect_good();
}

async fn remove_named(case: &Case, path: &str, name: &str) {
    let found = case.admin().await.get(path).await;
    let found = found.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    case.admin().await.delete(&format!("{path}/{}", found["id"].as_str().unwrap())).await;
}
