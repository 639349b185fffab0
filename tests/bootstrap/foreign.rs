//! What carries our names and marks, and is somebody else's.

use hallpass::bootstrap::{BootstrapError, Mode, Options};
use hallpass::keys::SigningKey;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::snapshot::assert_same;
use super::{Ground, dry_run, silent};
use crate::support::{administrator, http, options};

const KNOWN_SECRET: &str = "planted-and-known";

fn adopting() -> Options {
    Options { adopt: true, ..options() }
}

/// A mapper by which everybody who logs in with the client administers Hallpass.
fn administrators_for_all() -> Value {
    json!({"name": "hallpass roles", "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-claim-mapper", "config": {
            "claim.name": "resource_access.hallpass.roles", "claim.value": "[\"administrator\"]",
            "jsonType.label": "JSON", "access.token.claim": "true"}})
}

/// A stranger's registration of clients, by an initial access token: what it answers has a registration access token.
async fn plant(ground: &Ground, client: &Value) -> Value {
    let token = json!({"count": 1, "expiration": 600});
    let path = ground.path("/clients-initial-access");
    let token = ground.admin.call(Method::POST, &path, Some(&token)).await;
    let url = format!("{}/clients-registrations/default", ground.issuer());
    let request = http().post(url).bearer_auth(token["token"].as_str().unwrap()).json(client);
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let planted: Value = answer.json().await.unwrap();
    assert_eq!(status, 201, "{planted}");
    planted
}

/// What a registration access token reads of its client.
async fn read_registration(ground: &Ground, client_id: &str, token: &str) -> StatusCode {
    let url = format!("{}/clients-registrations/default/{client_id}", ground.issuer());
    http().get(url).bearer_auth(token).send().await.unwrap().status()
}

async fn log_in(ground: &Ground, secret: &str) -> StatusCode {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "hallpass"),
        ("client_secret", secret),
    ];
    let url = format!("{}/protocol/openid-connect/token", ground.issuer());
    http().post(url).form(&form).send().await.unwrap().status()
}

fn planted_service() -> Value {
    json!({"clientId": "hallpass", "secret": KNOWN_SECRET, "serviceAccountsEnabled": true,
        "directAccessGrantsEnabled": true, "redirectUris": ["https://elsewhere.example/*"],
        "adminUrl": "https://elsewhere.example/", "attributes": {"hallpass.managed": "true",
        "access.token.lifespan": "999999"}})
}

#[tokio::test]
async fn a_client_that_a_stranger_planted_is_refused_whatever_mark_it_has() {
    let ground = Ground::new().await;
    plant(&ground, &planted_service()).await;
    let before = ground.snapshot().await;
    for options in [options(), dry_run()] {
        let error = ground.try_bootstrap(options, silent()).await.unwrap_err();
        assert!(matches!(error, BootstrapError::Foreign { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(": client hallpass;") && text.contains("--adopt"), "{text}");
    }
    assert_same(&before, &ground.snapshot().await);
    assert!(!ground.database_exists(), "nothing is made");
}

/// Everything else of Hallpass's names, with mappers that make administrators.
async fn plant_the_others(ground: &Ground) {
    for client_id in ["hallpass-cli", "hallpass-pat", "hallpass-probe"] {
        let client = json!({"clientId": client_id, "publicClient": client_id == "hallpass-cli",
            "attributes": {"hallpass.managed": "true"},
            "defaultClientScopes": ["basic", "profile", "address"],
            "protocolMappers": [administrators_for_all()]});
        ground.admin.post(&ground.path("/clients"), &client).await;
    }
    let scope = json!({"name": "push-data", "protocol": "openid-connect",
        "attributes": {"hallpass.managed": "true"}, "protocolMappers": [administrators_for_all()]});
    ground.admin.post(&ground.path("/client-scopes"), &scope).await;
}

#[tokio::test]
async fn what_is_taken_over_keeps_nothing_of_who_planted_it() {
    let ground = Ground::new().await;
    let planted = plant(&ground, &planted_service()).await;
    let flows = ground.admin.get(&ground.path("/authentication/flows")).await;
    let direct = flows.as_array().unwrap().iter().find(|flow| flow["alias"] == "direct grant");
    let path = ground.path(&format!("/clients/{}", planted["id"].as_str().unwrap()));
    let overridden =
        json!({"authenticationFlowBindingOverrides": {"browser": direct.unwrap()["id"]}});
    ground.admin.put(&path, &overridden).await;
    // Roles that it would give on: to everybody, and to itself.
    let management = ground.admin.client_uuid(&ground.realm.name, "realm-management").await;
    let role = ground.path(&format!("/clients/{management}/roles/manage-users"));
    let role = json!([ground.admin.get(&role).await]);
    ground.admin.post(&format!("{path}/roles"), &json!({"name": "create-tokens"})).await;
    ground.admin.post(&format!("{path}/roles/create-tokens/composites"), &role).await;
    let account = ground.admin.get(&format!("{path}/service-account-user")).await;
    let account = ground.path(&format!("/users/{}", account["id"].as_str().unwrap()));
    let held = format!("{account}/role-mappings/clients/{management}");
    ground.admin.post(&held, &role).await;
    plant_the_others(&ground).await;

    let dry = Options { mode: Mode::DryRun, ..adopting() };
    let promised = ground.bootstrap_with(dry).await.lines;
    let promised: Vec<_> =
        promised.iter().map(|line| line.trim_start_matches("would: ").to_owned()).collect();
    let done = ground.bootstrap_with(adopting()).await;
    assert_eq!(promised, done.lines);
    assert_eq!(ground.bootstrap().await.lines, Vec::<String>::new());

    assert_eq!(log_in(&ground, KNOWN_SECRET).await, 401);
    assert_eq!(log_in(&ground, done.outcome.client_secret.unwrap().expose_secret()).await, 200);
    let token = planted["registrationAccessToken"].as_str().unwrap();
    assert_eq!(read_registration(&ground, "hallpass", token).await, 401);
    let own = ground.client("hallpass").await;
    assert_eq!(own["authenticationFlowBindingOverrides"], json!({}));
    assert_eq!(own["attributes"]["access.token.lifespan"], Value::Null);
    assert_eq!(own["adminUrl"], "");
    assert_eq!(own["redirectUris"], json!(["http://localhost:8090/auth/callback"]));
    let composites = ground.admin.get(&format!("{path}/roles/create-tokens/composites")).await;
    assert_eq!(composites, json!([]));
    let held = ground.admin.get(&held).await;
    assert!(!held.to_string().contains("manage-users"), "{held}");
    for (client_id, scopes, mappers) in [
        ("hallpass", 4, 6),
        ("hallpass-cli", 3, 6),
        ("hallpass-pat", 6, 0),
        ("hallpass-probe", 0, 2),
    ] {
        let client = ground.client(client_id).await;
        assert_eq!(client["defaultClientScopes"].as_array().unwrap().len(), scopes, "{client}");
        let path = format!("/clients/{}/protocol-mappers/models", client["id"].as_str().unwrap());
        let found = ground.admin.get(&ground.path(&path)).await;
        assert_eq!(found.as_array().unwrap().len(), mappers, "{found}");
        assert!(!found.to_string().contains("hardcoded"), "{found}");
    }
    let scopes = ground.admin.get(&ground.path("/client-scopes")).await;
    let scope = scopes.as_array().unwrap().iter().find(|scope| scope["name"] == "push-data");
    // Its own, which says whom tokens are for, and no other.
    let mappers = scope.unwrap()["protocolMappers"].as_array().unwrap();
    assert_eq!(mappers.len(), 1, "{scope:?}");
    assert_eq!(mappers[0]["name"], "hallpass-audience", "{scope:?}");
}

#[tokio::test]
async fn a_scope_that_somebody_else_made_is_refused_and_keycloaks_own_always() {
    let ground = Ground::new().await;
    let scope = json!({"name": "push-data", "protocol": "openid-connect",
        "attributes": {"hallpass.managed": "true", "hallpass.grantable": "true"}});
    ground.admin.post(&ground.path("/client-scopes"), &scope).await;
    let error = ground.try_bootstrap(options(), silent()).await.unwrap_err();
    assert!(error.to_string().contains(": client scope push-data;"), "{error}");
    let scopes = vec!["email=Theirs".parse().unwrap()];
    let error = ground.try_bootstrap(Options { scopes, ..adopting() }, silent()).await;
    assert!(matches!(error, Err(BootstrapError::StockScope(_))), "{error:?}");
}

#[tokio::test]
async fn mappers_and_scopes_that_somebody_put_on_an_interactive_client_go() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let before = ground.snapshot().await;
    let scopes = ground.admin.get(&ground.path("/client-scopes")).await;
    let address = scopes.as_array().unwrap().iter().find(|scope| scope["name"] == "address");
    let address = address.unwrap()["id"].as_str().unwrap().to_owned();
    let mut mapper = administrators_for_all();
    mapper["name"] = json!("theirs");
    let mut expected = Vec::new();
    for client_id in ["hallpass", "hallpass-cli"] {
        let id = ground.admin.client_uuid(&ground.realm.name, client_id).await;
        let path = ground.path(&format!("/clients/{id}"));
        ground.admin.post(&format!("{path}/protocol-mappers/models"), &mapper).await;
        let scope = format!("{path}/optional-client-scopes/{address}");
        ground.admin.call(Method::PUT, &scope, None).await;
        expected.push(format!("remove scope address from client {client_id}"));
        expected.push(format!("remove mapper theirs from client {client_id}"));
    }
    assert_eq!(ground.bootstrap().await.lines, expected);
    assert_same(&before, &ground.snapshot().await);
}

#[tokio::test]
async fn removal_touches_only_what_the_store_lists() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    // Somebody's own signing key, by a name that begins as ours do.
    let key = SigningKey::generate().unwrap().provider();
    let id = hallpass::id::new_keycloak_id().unwrap();
    administrator(&ground.settings).create_key_provider(&id, &key).await.unwrap();
    let mut provider = ground.admin.get(&ground.path(&format!("/components/{id}"))).await;
    provider["name"] = json!("hallpass-of-their-own");
    provider["config"]["active"] = json!(["true"]);
    ground.admin.put(&ground.path(&format!("/components/{id}")), &provider).await;
    // A client that is ours by name and mark only: the real one was removed.
    let cli = ground.client("hallpass-cli").await;
    let path = ground.path(&format!("/clients/{}", cli["id"].as_str().unwrap()));
    ground.admin.delete(&path).await;
    plant(
        &ground,
        &json!({"clientId": "hallpass-cli", "attributes": {"hallpass.managed": "true"}}),
    )
    .await;

    let removed = ground.try_remove(Mode::Apply, silent()).await.unwrap();
    assert_eq!(ground.providers().await.len(), 1);
    assert_eq!(ground.providers().await[0]["id"], id);
    assert_eq!(ground.client("hallpass-cli").await["clientId"], "hallpass-cli");
    let notes = removed.notes.join("\n");
    assert!(notes.contains("client hallpass-cli stays"), "{notes}");
    assert!(notes.contains(&format!("--remove-key {id}")), "{notes}");
    let found = ground.admin.get(&ground.path("/clients?clientId=hallpass")).await;
    assert_eq!(found, json!([]));
}
