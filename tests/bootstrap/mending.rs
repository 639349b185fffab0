//! What somebody changed by hand is mended; what is theirs to choose stays.

use hallpass::bootstrap::Options;
use reqwest::Method;
use serde_json::{Value, json};

use super::Ground;
use super::snapshot::{assert_same, difference};
use crate::support::options;

async fn mended(ground: &Ground, before: &Value, expected: &[&str]) {
    assert_ne!(difference(before, &ground.snapshot().await), Vec::<String>::new());
    let done = ground.bootstrap().await;
    assert_eq!(done.lines, expected);
    assert_same(before, &ground.snapshot().await);
}

#[tokio::test]
async fn what_was_changed_by_hand_is_mended() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let (admin, before) = (&ground.admin, ground.snapshot().await);

    let mut client = ground.client("hallpass").await;
    let path = ground.path(&format!("/clients/{}", client["id"].as_str().unwrap()));
    client["directAccessGrantsEnabled"] = json!(true);
    client["redirectUris"] = json!(["https://elsewhere.example/*"]);
    client["attributes"]["pkce.code.challenge.method"] = json!("");
    admin.put(&path, &client).await;
    let changed = "attributes.pkce.code.challenge.method, directAccessGrantsEnabled, redirectUris";
    mended(&ground, &before, &[&format!("change client hallpass: {changed}")]).await;

    let mappers = admin.get(&format!("{path}/protocol-mappers/models")).await;
    let mut mapper = mappers.as_array().unwrap().iter().find(|it| it["name"] == "hallpass account");
    let mut mapper = mapper.take().unwrap().clone();
    mapper["config"]["user.attribute"] = json!("email");
    let mapper_path = format!("{path}/protocol-mappers/models/{}", mapper["id"].as_str().unwrap());
    admin.put(&mapper_path, &mapper).await;
    mended(&ground, &before, &["change mapper hallpass account on client hallpass"]).await;

    let mut pat = ground.client("hallpass-pat").await;
    pat["enabled"] = json!(true);
    admin.put(&ground.path(&format!("/clients/{}", pat["id"].as_str().unwrap())), &pat).await;
    mended(&ground, &before, &["change client hallpass-pat: enabled"]).await;

    let mut provider = ground.providers().await.remove(0);
    provider["config"]["active"] = json!(["true"]);
    let provider_path = format!("/components/{}", provider["id"].as_str().unwrap());
    admin.put(&ground.path(&provider_path), &provider).await;
    let kid = ground.active_kid().await.unwrap();
    mended(&ground, &before, &[&format!("make signing key {kid} passive again")]).await;

    ground.change_realm(json!({"adminEventsDetailsEnabled": false, "eventsEnabled": false})).await;
    let what = "switch on admin events with details, and the user events that Hallpass needs";
    mended(&ground, &before, &[what]).await;
}

#[tokio::test]
async fn permissions_that_were_given_or_taken_by_hand_are_put_right() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let (admin, before) = (&ground.admin, ground.snapshot().await);
    let client = ground.client("hallpass").await;
    let uuid = client["id"].as_str().unwrap();
    let management = admin.client_uuid(&ground.realm.name, "realm-management").await;
    let account = admin.get(&ground.path(&format!("/clients/{uuid}/service-account-user"))).await;
    let account = account["id"].as_str().unwrap();

    let mut roles = Vec::new();
    for name in ["manage-realm", "view-events"] {
        let path = format!("/clients/{management}/roles/{name}");
        roles.push(admin.get(&ground.path(&path)).await);
    }
    let held = ground.path(&format!("/users/{account}/role-mappings/clients/{management}"));
    let scope = ground.path(&format!("/clients/{uuid}/scope-mappings/clients/{management}"));
    for path in [&held, &scope] {
        admin.post(path, &json!([roles[0]])).await;
        admin.call(Method::DELETE, path, Some(&json!([roles[1]]))).await;
    }
    mended(
        &ground,
        &before,
        &[
            "give view-events to the scope of client hallpass",
            "take manage-realm from the scope of client hallpass",
            "give view-events to the service account",
            "take manage-realm from the service account",
        ],
    )
    .await;
}

#[tokio::test]
async fn the_probe_keeps_its_mappers_only_and_the_designated_client_all_that_it_was_given() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let mapper = json!({"name": "custom", "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": {"claim.name": "x", "claim.value": "y", "access.token.claim": "true"}});
    let mut paths = Vec::new();
    for client_id in ["hallpass-probe", "hallpass-pat"] {
        let uuid = ground.admin.client_uuid(&ground.realm.name, client_id).await;
        let path = ground.path(&format!("/clients/{uuid}/protocol-mappers/models"));
        ground.admin.post(&path, &mapper).await;
        paths.push(path);
    }
    let done = ground.bootstrap().await;
    assert_eq!(done.lines, ["remove mapper custom from client hallpass-probe"]);
    assert_eq!(ground.admin.get(&paths[0]).await.as_array().unwrap().len(), 2);
    let kept = ground.admin.get(&paths[1]).await;
    assert_eq!(kept[0]["name"], "custom");
}

#[tokio::test]
async fn without_events_the_realms_event_settings_are_left_alone() {
    let ground = Ground::new().await;
    let before = ground.admin.get(&ground.path("/events/config")).await;
    let done = ground.bootstrap_with(Options { events: Some(false), ..options() }).await;
    let touched = |line: &&String| line.contains("events") && !line.contains("view-events");
    assert_eq!(done.lines.iter().find(touched), None);
    assert_eq!(ground.admin.get(&ground.path("/events/config")).await, before);
}

#[tokio::test]
async fn events_are_switched_on_with_a_retention_and_what_was_logged_goes_on() {
    let ground = Ground::new().await;
    ground.change_realm(json!({"eventsEnabled": true, "enabledEventTypes": ["LOGIN"]})).await;
    ground.bootstrap().await;
    let config = ground.admin.get(&ground.path("/events/config")).await;
    assert_eq!(config["adminEventsEnabled"], true);
    assert_eq!(config["adminEventsDetailsEnabled"], true);
    assert_eq!(config["eventsEnabled"], true);
    assert_eq!(config["eventsExpiration"], 604_800);
    let mut types: Vec<_> = config["enabledEventTypes"].as_array().unwrap().clone();
    types.sort_by_key(Value::to_string);
    assert_eq!(types, ["DELETE_ACCOUNT", "LOGIN", "USER_DISABLED_BY_PERMANENT_LOCKOUT"]);
    let realm = ground.admin.get(&ground.path("")).await;
    assert_eq!(realm["attributes"]["adminEventsExpiration"], "604800");
}

#[tokio::test]
async fn scopes_that_are_asked_for_are_made_and_marked() {
    let ground = Ground::new().await;
    let scopes = vec!["reports=Read reports".parse().unwrap(), "a:b=What it=does".parse().unwrap()];
    ground.bootstrap_with(Options { scopes, ..options() }).await;
    let all = ground.admin.get(&ground.path("/client-scopes")).await;
    let marked: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .filter(|scope| scope["attributes"]["hallpass.grantable"] == "true")
        .map(|scope| (scope["name"].as_str().unwrap(), scope["description"].as_str().unwrap()))
        .collect();
    assert_eq!(marked.len(), 2, "{marked:?}");
    assert!(marked.contains(&("reports", "Read reports")), "{marked:?}");
    assert!(marked.contains(&("a:b", "What it=does")), "{marked:?}");
    let pat = ground.client("hallpass-pat").await;
    assert_eq!(pat["optionalClientScopes"].as_array().unwrap().len(), 2, "{pat}");
}
