//! Ways to break a realm by hand, one after the other: each is found by its check, and mended as its advice says.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use reqwest::Method;
use serde_json::{Value, json};

use super::Case;
use crate::support::{Database, LOGIN_CLIENT};

const LIGHTWEIGHT: &str = "client.use.lightweight.access.token.enabled";
const SIGNED_WITH: &str = "access.token.signed.response.alg";

#[tokio::test]
async fn what_is_changed_on_the_service_client_is_found_and_mended() {
    let case = Case::new().await;
    let path = case.client("hallpass").await;
    let attribute = |name: &str, value: &str| json!({"attributes": {name: value}});
    for (members, check, detail) in [
        (json!({"enabled": false}), "login", "invalid_client"),
        (
            json!({"serviceAccountsEnabled": false}),
            "login",
            "not enabled to retrieve service account",
        ),
        (json!({"standardFlowEnabled": false}), "service-client", "standardFlowEnabled"),
        (json!({"implicitFlowEnabled": true}), "service-client", "implicitFlowEnabled"),
        (json!({"webOrigins": ["*"]}), "service-client", "webOrigins"),
        (attribute("pkce.code.challenge.method", ""), "service-client", "pkce"),
        (attribute("standard.token.exchange.enabled", "true"), "service-client", "token.exchange"),
        (attribute("oidc.ciba.grant.enabled", "true"), "service-client", "ciba"),
        (attribute(LIGHTWEIGHT, "true"), "service-client", "lightweight"),
        (attribute("dpop.bound.access.tokens", "true"), "login", "DPoP"),
        (attribute(SIGNED_WITH, "ES512"), "signatures", "ES512"),
    ] {
        let mut client = case.admin().await.get(&path).await;
        super::merge(&mut client, &members);
        case.admin().await.put(&path, &client).await;
        case.mended_by_bootstrap(check, detail).await;
    }
    // By these the client loses its secret.
    let before = case.admin().await.get(&path).await;
    for (members, detail) in [
        (json!({"publicClient": true}), "Public client"),
        (json!({"clientAuthenticatorType": "client-jwt"}), "client_assertion"),
    ] {
        case.change(&path, members).await;
        let report = case.examine().await;
        report.expect_one_failure("login", detail);
        report.expect_advice("login", "`--write-config`");
        case.admin().await.put(&path, &before).await;
    }
    case.examine().await.expect_good();
}

#[tokio::test]
async fn what_is_changed_on_the_other_clients_is_found_and_mended() {
    let case = Case::new().await;
    let attribute = |name: &str, value: &str| json!({"attributes": {name: value}});
    for (client_id, members, check, detail) in [
        ("hallpass-cli", json!({"enabled": false}), "command-line-client", "enabled"),
        (
            "hallpass-cli",
            json!({"consentRequired": false}),
            "command-line-client",
            "consentRequired",
        ),
        ("hallpass-cli", json!({"fullScopeAllowed": true}), "command-line-client", "fullScope"),
        (
            "hallpass-cli",
            attribute("oauth2.device.authorization.grant.enabled", "false"),
            "command-line-client",
            "device",
        ),
        ("hallpass-cli", attribute(SIGNED_WITH, "HS256"), "signatures", "hallpass-cli with HS256"),
        ("hallpass-pat", json!({"fullScopeAllowed": false}), "designated-client", "fullScope"),
        ("hallpass-pat", json!({"serviceAccountsEnabled": true}), "designated-client", "service"),
        ("hallpass-probe", json!({"fullScopeAllowed": false}), "probe-client", "fullScope"),
        ("hallpass-probe", json!({"enabled": true}), "probe-client", "enabled"),
        ("hallpass-probe", attribute(LIGHTWEIGHT, "true"), "probe-client", "lightweight"),
    ] {
        let path = case.client(client_id).await;
        let mut client = case.admin().await.get(&path).await;
        super::merge(&mut client, &members);
        case.admin().await.put(&path, &client).await;
        case.mended_by_bootstrap(check, detail).await;
    }
    case.admin().await.delete(&case.client("hallpass-probe").await).await;
    case.mended_by_bootstrap("probe-client", "there is no client hallpass-probe").await;
    case.admin().await.delete(&case.client("hallpass-pat").await).await;
    case.mended_by_bootstrap("designated-client", "there is no client hallpass-pat").await;
    case.examine().await.expect_good();
}

#[tokio::test]
async fn what_is_taken_from_logins_is_found_and_mended() {
    let case = Case::new().await;
    let cli = case.client("hallpass-cli").await;
    let models = format!("{cli}/protocol-mappers/models");
    let mappers = case.admin().await.get(&models).await;
    assert_eq!(mappers.as_array().unwrap().len(), 6);
    for mapper in mappers.as_array().unwrap() {
        case.admin().await.delete(&format!("{models}/{}", mapper["id"].as_str().unwrap())).await;
        let missing =
            format!("the mapper `{}` is missing on hallpass-cli", mapper["name"].as_str().unwrap());
        case.mended_by_bootstrap("mappers", &missing).await;
    }
    let service = case.client("hallpass").await;
    let own = service.rsplit('/').next().unwrap().to_owned();
    let shown = format!("{cli}/scope-mappings/clients/{own}");
    let roles = case.admin().await.get(&shown).await;
    case.admin().await.call(Method::DELETE, &shown, Some(&roles)).await;
    case.mended_by_bootstrap("command-line-client", "do not show the roles create-tokens").await;

    case.admin().await.delete(&format!("{service}/roles/create-tokens")).await;
    case.mended_by_bootstrap("roles", "lacks the roles create-tokens").await;
    let parts = format!("{service}/roles/administrator/composites");
    let composites = case.admin().await.get(&parts).await;
    case.admin().await.call(Method::DELETE, &parts, Some(&composites)).await;
    case.mended_by_bootstrap("roles", "the role administrator lacks").await;
    case.admin().await.delete(&format!("{service}/roles/administrator")).await;
    case.mended_by_bootstrap("roles", "lacks the roles administrator").await;

    let flows = case.admin().await.get(&case.path("/authentication/flows")).await;
    let flow = flows.as_array().unwrap().iter().find(|flow| flow["alias"] == "browser").unwrap();
    case.change(&cli, json!({"authenticationFlowBindingOverrides": {"browser": flow["id"]}})).await;
    case.mended_by_bootstrap("command-line-client", "authenticationFlowBindingOverrides").await;
    case.examine().await.expect_good();
}

#[tokio::test]
async fn what_is_given_to_logins_is_found() {
    let case = Case::new().await;
    let cli = case.client("hallpass-cli").await;
    let models = format!("{cli}/protocol-mappers/models");
    let forged = json!({"name": "more", "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-claim-mapper", "config": {
        "claim.name": "resource_access.hallpass.roles", "claim.value": "[\"administrator\"]",
        "jsonType.label": "JSON", "access.token.claim": "true"}});
    case.admin().await.post(&models, &forged).await;
    case.examine()
        .await
        .expect_one_failure("mappers", "the mapper `more` is too much on hallpass-cli");
    let mappers = case.admin().await.get(&models).await;
    let more = mappers.as_array().unwrap().iter().find(|one| one["name"] == "more").unwrap();
    case.admin().await.delete(&format!("{models}/{}", more["id"].as_str().unwrap())).await;

    let scopes = case.admin().await.get(&case.path("/client-scopes")).await;
    let roles = scopes.as_array().unwrap().iter().find(|one| one["name"] == "roles").unwrap();
    for kind in ["default-client-scopes", "optional-client-scopes"] {
        let path = format!("{cli}/{kind}/{}", roles["id"].as_str().unwrap());
        case.admin().await.call(Method::PUT, &path, None).await;
        let found = "the client scope roles is too much on hallpass-cli";
        case.examine().await.expect_one_failure("mappers", found);
        case.admin().await.delete(&path).await;
    }
    case.examine().await.expect_good();
}

#[tokio::test]
async fn what_is_done_to_the_service_account_is_found() {
    let case = Case::new().await;
    let service = case.client("hallpass").await;
    let account = case.admin().await.get(&format!("{service}/service-account-user")).await;
    let account = case.path(&format!("/users/{}", account["id"].as_str().unwrap()));

    case.change(&account, json!({"enabled": false})).await;
    let report = case.examine().await;
    report.expect_one_failure("login", "disabled");
    report.expect_advice("login", "enable the user");
    case.change(&account, json!({"enabled": true})).await;

    // Of another client, and by way of a group: bootstrap takes both away.
    let other = case.admin().await.client_uuid(&case.realm.name, "account").await;
    let role =
        case.admin().await.get(&case.path(&format!("/clients/{other}/roles/manage-account"))).await;
    case.admin()
        .await
        .post(&format!("{account}/role-mappings/clients/{other}"), &json!([role]))
        .await;
    case.mended_by_bootstrap("no-more-permissions", "account:manage-account").await;
    case.admin().await.post(&case.path("/groups"), &json!({"name": "crew"})).await;
    let groups = case.admin().await.get(&case.path("/groups")).await;
    let group = groups[0]["id"].as_str().unwrap();
    let mapping = case.path(&format!("/groups/{group}/role-mappings/clients/{other}"));
    case.admin().await.post(&mapping, &json!([role])).await;
    case.admin().await.call(Method::PUT, &format!("{account}/groups/{group}"), None).await;
    case.mended_by_bootstrap("no-more-permissions", "account:manage-account").await;

    case.admin().await.delete(&account).await;
    case.mended_by_bootstrap("login", "service account for the client does not exist").await;

    let renamed = |name: &str| json!({"clientId": name});
    case.change(&service, renamed("hallpass-old")).await;
    let report = case.examine().await;
    report.expect_one_failure("login", "invalid_client");
    report.expect_advice("login", "there is none of this name");
    case.change(&service, renamed("hallpass")).await;
    case.examine().await.expect_good();
    let wrong = [("HALLPASS_KEYCLOAK__CLIENT_SECRET", "wrong")];
    let report = case.examine_with(&wrong, &[]).await;
    report.expect_one_failure("login", "Invalid client or Invalid client credentials");
    report.expect_advice("login", "set `keycloak.client_secret`");
}

#[tokio::test]
async fn what_is_changed_of_the_realm_is_found() {
    let case = Case::new().await;
    let realm = case.path("");
    for (members, restored, check, detail, advice) in [
        (
            json!({"enabled": false}),
            json!({"enabled": true}),
            "login",
            "Realm not enabled",
            "enable the realm",
        ),
        (
            json!({"sslRequired": "all"}),
            json!({"sslRequired": "external"}),
            "keycloak",
            "requires https",
            "`keycloak.url`",
        ),
        (
            json!({"attributes": {"frontendUrl": "https://sso.example"}}),
            json!({"attributes": {"frontendUrl": ""}}),
            "issuer",
            "https://sso.example/realms/",
            "`keycloak.public_url`",
        ),
        (
            json!({"notBefore": 2_000_000_000}),
            json!({"notBefore": 0}),
            "manage-clients",
            "refuses",
            "Revoke tokens issued before",
        ),
    ] {
        case.admin().await.put(&realm, &members).await;
        let report = case.examine().await;
        assert!(report.named("fail").contains(&check), "{report:#?}");
        report.expect_detail(check, detail);
        report.expect_advice(check, advice);
        case.admin().await.put(&realm, &restored).await;
    }
    case.examine().await.expect_good();
    what_tokens_are_signed_with(&case).await;
    policies(&case).await;
}

async fn what_tokens_are_signed_with(case: &Case) {
    let realm = case.path("");
    case.admin().await.put(&realm, &json!({"defaultSignatureAlgorithm": "ES512"})).await;
    let report = case.examine().await;
    assert_eq!(report.named("fail"), ["signatures", "allowed-clients"], "{report:#?}");
    report.expect_detail("signatures", "ES512");
    case.bootstrap().await;
    let report = case.examine().await;
    report.expect_one_failure(
        "allowed-clients",
        &format!("tokens of {LOGIN_CLIENT} are signed with ES512"),
    );
    let login = case.client(LOGIN_CLIENT).await;
    case.admin()
        .await
        .put(&login, &json!({"clientId": LOGIN_CLIENT, "attributes": {SIGNED_WITH: "RS256"}}))
        .await;
    case.examine().await.expect_good();
}

async fn policies(case: &Case) {
    let profiles = json!({"profiles": [{"name": "light", "executors": [
        {"executor": "use-lightweight-access-token", "configuration": {}}]}]});
    let policies = json!({"policies": [{"name": "light", "enabled": true, "profiles": ["light"],
        "conditions": [{"condition": "any-client", "configuration": {}}]}]});
    for (part, body) in [("profiles", profiles), ("policies", policies)] {
        case.admin().await.put(&case.path(&format!("/client-policies/{part}")), &body).await;
    }
    // The clients of the tests are made for that too; this one is not.
    case.examine().await.expect_good();
    let client = json!({"clientId": "plain", "publicClient": true});
    case.admin().await.post(&case.path("/clients"), &client).await;
    let allowed = format!("hallpass,hallpass-cli,{LOGIN_CLIENT},plain");
    let allowed = [("HALLPASS_SERVER__ALLOWED_CLIENTS", allowed.as_str())];
    let report = case.examine_with(&allowed, &[]).await;
    report.expect_one_failure(
        "allowed-clients",
        "tokens of plain do not say that an administrator impersonates",
    );
    report.expect_detail("allowed-clients", "leaves the audience out of the tokens of plain");
    let absent = [("HALLPASS_SERVER__ALLOWED_CLIENTS", "hallpass,hallpass-cli,nobody")];
    case.examine_with(&absent, &[]).await.expect_one_warning("allowed-clients", "no client nobody");
}

#[tokio::test]
async fn accounts_that_are_not_a_persons_own_are_found() {
    let case = Case::new().await;
    let group = json!({"name": "outer"});
    case.admin().await.post(&case.path("/groups"), &group).await;
    let groups = case.admin().await.get(&case.path("/groups")).await;
    let outer = case.path(&format!("/groups/{}", groups[0]["id"].as_str().unwrap()));
    let inner = json!({"name": "inner", "attributes": {"account_id": ["acme"]}});
    case.admin().await.post(&format!("{outer}/children"), &inner).await;
    case.examine().await.expect_one_failure("account-groups", "/outer/inner");
    case.admin().await.delete(&outer).await;

    let path = case.path("/users/profile");
    let declared = case.admin().await.get(&path).await;
    let mut profile = declared.clone();
    let attributes = profile["attributes"].as_array_mut().unwrap();
    let own = attributes.iter_mut().find(|one| one["name"] == "account_id").unwrap();
    own["multivalued"] = true.into();
    case.admin().await.put(&path, &profile).await;
    case.examine().await.expect_one_failure("account-attribute", "several values");
    case.admin().await.put(&path, &declared).await;
    case.examine().await.expect_good();
}

#[tokio::test]
async fn client_scopes_that_come_and_go_are_found() {
    let case = Case::new().await;
    let new = json!({"name": "department", "protocol": "openid-connect"});
    case.admin().await.post(&case.path("/client-scopes"), &new).await;
    let scopes = case.admin().await.get(&case.path("/client-scopes")).await;
    let id = |name: &str, scopes: &Value| {
        let found = scopes.as_array().unwrap().iter().find(|one| one["name"] == name);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    };
    let department = id("department", &scopes);
    let default = case.path(&format!("/default-default-client-scopes/{department}"));
    case.admin().await.call(Method::PUT, &default, None).await;
    case.examine().await.expect_one_warning("designated-client", "department");
    // Who makes it optional has chosen.
    let pat = case.client("hallpass-pat").await;
    let optional = format!("{pat}/optional-client-scopes/{department}");
    case.admin().await.call(Method::PUT, &optional, None).await;
    case.examine().await.expect_good();

    case.admin()
        .await
        .delete(&case.path(&format!("/client-scopes/{}", id("email", &scopes))))
        .await;
    let report = case.examine().await;
    assert_eq!(
        (report.named("fail"), report.named("warn")),
        (vec!["designated-client"], vec!["client-scopes"])
    );
    report.expect_detail("designated-client", "`hallpass email` is missing");
    case.bootstrap().await;
    case.examine().await.expect_one_warning("client-scopes", "email");
}

#[tokio::test]
async fn a_key_that_the_realm_does_not_show_any_more_is_found() {
    let case = Case::new().await;
    let path = case.path("/components?type=org.keycloak.keys.KeyProvider");
    let providers = case.admin().await.get(&path).await;
    let ours = |one: &&Value| one["name"].as_str().unwrap().starts_with("hallpass-");
    let provider = providers.as_array().unwrap().iter().find(ours).unwrap();
    let path = case.path(&format!("/components/{}", provider["id"].as_str().unwrap()));
    let mut config = provider["config"].clone();
    config["enabled"] = json!(["false"]);
    case.change(&path, json!({"config": config})).await;
    case.mended_by_bootstrap("published-key", "the realm's JWKS lacks the key").await;
    case.examine().await.expect_good();
}

#[tokio::test]
async fn a_database_that_cannot_be_written_and_a_misspelled_variable_are_found() {
    let case = Case::in_shared_realm().await;
    let Database::Sqlite(path) = &case.database else { panic!("no file") };
    fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap();
    case.examine().await.expect_one_failure("store-files", "mode 0400");
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(case.folder.path(), Permissions::from_mode(0o500)).unwrap();
    case.examine().await.expect_one_failure("store-files", "mode 0500");
    fs::set_permissions(case.folder.path(), Permissions::from_mode(0o700)).unwrap();

    let undivided = [("HALLPASS_SERVER_LISTEN", "127.0.0.1:1")];
    let report = case.examine_with(&undivided, &[]).await;
    report.expect_one_failure("settings", "write HALLPASS_SERVER__LISTEN, with two underscores");
}
