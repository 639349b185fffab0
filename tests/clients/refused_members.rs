//! Whatever a caller sends, the Keycloak client is the template with the fields that people may choose.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::template::{capabilities, fields_for, similar};
use super::{CLIENTS, Developer, Registered, document};
use crate::support::{Admin, Answer};

/// Names that are not ours to give away: Keycloak's, in its spelling and others; almost ours; and odd ones.
const ALIEN: [&str; 66] = [
    "protocolMappers",
    "protocol_mappers",
    "fullScopeAllowed",
    "full_scope_allowed",
    "directAccessGrantsEnabled",
    "direct_access_grants_enabled",
    "implicitFlowEnabled",
    "implicit_flow_enabled",
    "standardFlowEnabled",
    "serviceAccountsEnabled",
    "service_accounts_enabled",
    "serviceAccountRoles",
    "serviceAccountClientId",
    "publicClient",
    "public_client",
    "bearerOnly",
    "secret",
    "clientSecret",
    "client_secret",
    "attributes",
    "attributes.access.token.lifespan",
    "defaultClientScopes",
    "default_client_scopes",
    "optionalClientScopes",
    "optional_client_scopes",
    "defaultRoles",
    "scopeMappings",
    "scope_mappings",
    "roles",
    "realmRoles",
    "clientRoles",
    "authorizationServicesEnabled",
    "authorizationSettings",
    "authenticationFlowBindingOverrides",
    "clientAuthenticatorType",
    "clientTemplate",
    "consentRequired",
    "consent",
    "id",
    "uuid",
    "recordId",
    "keycloakId",
    "name",
    "baseUrl",
    "protocol",
    "access",
    "type",
    "registrationAccessToken",
    "nodeReRegistrationTimeout",
    "notBefore",
    "frontchannelLogout",
    "surrogateAuthRequired",
    "alwaysDisplayInConsole",
    "display_name",
    "DisplayName",
    " displayName",
    "displayName ",
    "displayName\u{0}",
    "redirect_uris",
    "scope",
    "ENABLED",
    "",
    "__proto__",
    "constructor",
    "prototype",
    "hallpass.managed",
];

/// What those names would be good for, if they were taken.
fn alien_value(name: &str) -> Value {
    let mapper = json!({
        "name": "roles", "protocol": "openid-connect", "protocolMapper": "oidc-hardcoded-role-mapper",
        "config": {"role": "realm-management.realm-admin"},
    });
    match name {
        "protocolMappers" | "protocol_mappers" => json!([mapper]),
        "attributes" => json!({
            "access.token.lifespan": "99999999", "oauth2.device.authorization.grant.enabled": "true",
            "protocolMappers": [mapper], "fullScopeAllowed": true, "hallpass.client": "another",
        }),
        "__proto__" | "constructor" | "prototype" => {
            json!({"fullScopeAllowed": true, "secret": "mine"})
        }
        "defaultClientScopes" | "optionalClientScopes" => json!(["roles", "offline_access"]),
        "serviceAccountRoles" | "roles" | "realmRoles" => json!(["realm-admin", "create-tokens"]),
        "clientRoles" => json!({"hallpass": ["administrator"]}),
        "secret" | "clientSecret" | "client_secret" | "id" => json!("chosen-by-the-caller"),
        _ => json!(true),
    }
}

fn field_names(problem: &Value) -> BTreeSet<&str> {
    let errors = problem["errors"].as_array().unwrap();
    errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn members_that_are_not_the_callers_to_choose_are_refused_by_name() {
    let developer = Developer::start(&[]).await;
    let admin = Admin::log_in().await;
    let client = developer.web_app("app").await;
    let before = document::of(&admin, &client).await;
    let read_only = ["accountId", "owner", "status", "createdAt", "secretCreatedAt"];
    let alien: Map<_, _> = ALIEN
        .iter()
        .chain(&read_only)
        .map(|name| ((*name).to_owned(), alien_value(name)))
        .collect();
    let expected: BTreeSet<_> = ALIEN.into_iter().chain(read_only).collect();

    let mut fields = super::web_app();
    fields.as_object_mut().unwrap().extend(alien.clone());
    let problem = developer.try_create("other", fields).await.expect_problem(400, "invalid");
    assert_eq!(field_names(&problem), expected);
    let mut change = alien;
    change.insert("clientId".to_owned(), json!(developer.id("renamed")));
    let answer = developer.api.patch(&developer.path("app"), &change.into()).await;
    let problem = answer.expect_problem(400, "invalid");
    assert_eq!(field_names(&problem), expected.into_iter().chain(["clientId"]).collect());

    // And each alone, so that none hides behind another.
    for name in ALIEN {
        let change = json!({"displayName": "Changed", name: alien_value(name)});
        let answer = developer.api.patch(&developer.path("app"), &change).await;
        let problem = answer.expect_problem(400, "invalid");
        assert_eq!(field_names(&problem), BTreeSet::from([name]));
    }
    similar(&document::of(&admin, &client).await, &before);
    assert!(developer.in_keycloak("other").await.is_none());
    assert_eq!(developer.used_quota().await, 1);
    developer.server.stop().await;
}

#[tokio::test]
async fn a_member_that_is_given_twice_is_refused_by_name() {
    let developer = Developer::start(&[]).await;
    let client = developer.web_app("app").await;
    let before = document::of(&Admin::log_in().await, &client).await;
    let id = developer.id("other");
    for (name, pair) in [
        ("scopes", r#""scopes": [], "scopes": ["datahub-api"]"#),
        ("displayName", r#""displayName": "one", "display\u004eame": "other""#),
        ("enabled", r#""enabled": true, "enabled": true"#),
        ("capabilities", r#""capabilities": ["script"], "capabilities": ["web_app"]"#),
    ] {
        let created = format!(
            r#"{{"clientId": "{id}", "redirectUris": ["https://app.example/cb"], {pair}{}}}"#,
            if name == "capabilities" { "" } else { r#", "capabilities": ["script"]"# }
        );
        let answer = send(&developer, Method::POST, CLIENTS, created).await;
        let problem = answer.expect_problem(400, "invalid");
        assert_eq!(field_names(&problem), BTreeSet::from([name]));
        let (path, change) = (developer.path("app"), format!("{{{pair}}}"));
        let answer = send(&developer, Method::PATCH, &path, change).await;
        let problem = answer.expect_problem(400, "invalid");
        assert_eq!(field_names(&problem), BTreeSet::from([name]));
    }
    let twice =
        format!(r#"{{"clientId": "{id}", "clientId": "{id}", "capabilities": ["script"]}}"#);
    let problem =
        send(&developer, Method::POST, CLIENTS, twice).await.expect_problem(400, "invalid");
    assert_eq!(field_names(&problem), BTreeSet::from(["clientId"]));
    similar(&document::of(&Admin::log_in().await, &client).await, &before);
    assert!(developer.in_keycloak("other").await.is_none());
    developer.server.stop().await;
}

async fn send(developer: &Developer, method: Method, path: &str, body: String) -> Answer {
    let request = developer.api.request(method, path).header("Content-Type", "application/json");
    developer.api.send(request.body(body)).await
}

#[tokio::test]
async fn a_scope_that_cannot_be_granted_is_refused_however_it_is_written() {
    let developer = Developer::start(&[]).await;
    let client = developer.web_app("app").await;
    let before = document::of(&Admin::log_in().await, &client).await;
    for scope in [
        "offline_access",
        "roles",
        "microprofile-jwt",
        "profile",
        "basic",
        "openid",
        "service_account",
        "nobody-knows-it",
        "",
        " ",
        "*",
        "%",
        "DATAHUB-API",
        "datahub-api ",
        " datahub-api",
        "datahub-api offline_access",
        "datahub-api,offline_access",
        "datahub-api\noffline_access",
        "datahub-api\u{0}",
        "datahub-api:all",
        "../datahub-api",
        "datahub%2Dapi",
        "d\u{430}tahub-api",
        "datahub\u{2010}api",
        "\u{202e}datahub-api",
        "__proto__",
        "hasOwnProperty",
        "' OR '1'='1",
        "${datahub-api}",
    ] {
        let fields = json!({"capabilities": ["script"], "scopes": ["push-data", scope]});
        let problem = developer.try_create("other", fields).await.expect_problem(400, "invalid");
        assert_eq!(field_names(&problem), BTreeSet::from(["scopes"]), "{scope:?}");
        let message = problem["errors"][0]["message"].as_str().unwrap();
        assert!(message.ends_with("what can be: `datahub-api`, `push-data`"), "{message}");
        let change = json!({"scopes": [scope]});
        let answer = developer.api.patch(&developer.path("app"), &change).await;
        answer.expect_problem(400, "invalid");
    }
    for scopes in
        [json!("datahub-api"), json!({"datahub-api": true}), json!([["datahub-api"]]), json!([7])]
    {
        let fields = json!({"capabilities": ["script"], "scopes": scopes});
        let problem = developer.try_create("other", fields).await.expect_problem(400, "invalid");
        assert_eq!(field_names(&problem), BTreeSet::from(["scopes"]), "{scopes}");
    }
    similar(&document::of(&Admin::log_in().await, &client).await, &before);
    assert!(developer.in_keycloak("other").await.is_none());
    developer.server.stop().await;
}

/// A body that may be a client, and a member that may spoil it.
fn body() -> impl Strategy<Value = Value> {
    let chosen = prop_oneof![
        Just(("displayName", json!("Reports"))),
        Just(("displayName", json!("<script>${realm}</script>"))),
        Just(("description", json!("two\nlines"))),
        Just(("scopes", json!(["datahub-api", "push-data"]))),
        Just(("scopes", json!(["roles"]))),
        Just(("rootUrl", json!("https://app.example"))),
        Just(("homeUrl", json!("https://app.example/home"))),
        Just(("webOrigins", json!(["+"]))),
        Just(("webOrigins", json!(["*"]))),
        Just(("redirectUris", json!(["https://app.example/*", "com.example.app:/cb"]))),
        Just(("postLogoutRedirectUris", json!(["https://app.example/bye"]))),
        Just(("postLogoutRedirectUris", json!(["-"]))),
        Just(("adminUrl", json!("https://app.example/admin"))),
        Just(("adminUrl", json!("http://169.254.169.254/"))),
        Just(("enabled", json!(false))),
        Just(("enabled", json!(null))),
        ("[a-z]{0,12}", any::<i8>()).prop_map(|(_, number)| ("description", json!(number))),
        ".{0,40}".prop_map(|text| ("displayName", json!(text))),
        ".{0,40}".prop_map(|text| ("rootUrl", json!(text))),
    ];
    let chosen = proptest::collection::vec(chosen, 0..4);
    let alien = proptest::sample::select(ALIEN.to_vec());
    let alien = proptest::option::weighted(0.25, alien);
    (0..7_usize, chosen, alien).prop_map(|(combination, chosen, alien)| {
        let mut body = fields_for(&capabilities()[combination].1);
        for (name, value) in chosen {
            body[name] = value;
        }
        if let Some(name) = alien {
            body[name] = alien_value(name);
        }
        body
    })
}

#[tokio::test]
async fn whatever_is_sent_a_client_that_was_made_is_the_template() {
    const BODIES: usize = 60;
    let developer = Developer::start(&[("HALLPASS_CLIENTS__QUOTA", "10")]).await;
    let admin = Admin::log_in().await;
    let mut templates = Map::new();
    for (name, capabilities) in capabilities() {
        let client = developer.create(name, fields_for(&capabilities)).await;
        let template = document::template_of(&document::of(&admin, &client).await);
        templates.insert(json!(capabilities).to_string(), template);
    }
    let mut runner = TestRunner::deterministic();
    let mut made = 0;
    for _ in 0..BODIES {
        // A token of the console's lives a minute.
        let admin = Admin::log_in().await;
        let body = body().new_tree(&mut runner).unwrap().current();
        let answer = developer.try_create("any", body.clone()).await;
        if answer.status != 201 {
            answer.expect_problem(400, "invalid");
            assert!(developer.in_keycloak("any").await.is_none(), "{body}");
            continue;
        }
        made += 1;
        let secret = answer.json()["clientSecret"].as_str().unwrap().to_owned();
        let realm = developer.realm().clone();
        let client = Registered { realm, id: developer.id("any"), secret };
        let document = document::of(&admin, &client).await;
        similar(&document::template_of(&document), &templates[&body["capabilities"].to_string()]);
        assert_chosen(&document, &body);
        assert_eq!(developer.api.delete(&developer.path("any")).await.status, 204);
    }
    assert!((BODIES / 4..BODIES * 3 / 4).contains(&made), "{made} of {BODIES} were made");
    assert_eq!(developer.used_quota().await, 7);
    developer.server.stop().await;
}

/// Lists are what was said, and nothing that Keycloak made up.
fn assert_chosen(document: &Value, body: &Value) {
    let set = |value: &Value| -> BTreeSet<String> {
        value.as_array().into_iter().flatten().map(Value::to_string).collect()
    };
    assert_eq!(set(&document["client"]["redirectUris"]), set(&body["redirectUris"]), "{body}");
    assert_eq!(set(&document["client"]["webOrigins"]), set(&body["webOrigins"]), "{body}");
    assert_eq!(set(&document["optional scopes"]), set(&body["scopes"]), "{body}");
}
