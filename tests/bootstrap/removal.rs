//! `--remove` leaves the realm as it was.

use hallpass::bootstrap::{BootstrapError, Mode, Options, Removal};
use serde_json::{Value, json};

use super::snapshot::{assert_same, difference};
use super::{Ground, silent};
use crate::support::options;

/// Bootstraps, removes, and compares with what was there before.
async fn there_and_back(ground: &Ground) {
    let before = ground.snapshot().await;
    ground.bootstrap().await;
    assert_ne!(difference(&before, &ground.snapshot().await), Vec::<String>::new());
    ground.remove(Mode::Apply).await;
    assert_same(&before, &ground.snapshot().await);
    assert_eq!(ground.active_kid().await, None);
    assert_eq!(ground.remove(Mode::Apply).await, Vec::<String>::new());
}

#[tokio::test]
async fn removal_leaves_a_new_realm_as_it_was() {
    there_and_back(&Ground::new().await).await;
}

#[tokio::test]
async fn removal_gives_back_event_settings_that_were_there() {
    let ground = Ground::new().await;
    ground
        .change_realm(json!({
            "eventsEnabled": true, "enabledEventTypes": ["LOGIN", "DELETE_ACCOUNT"], "eventsExpiration": 3600,
            "adminEventsEnabled": true, "adminEventsDetailsEnabled": false,
        }))
        .await;
    there_and_back(&ground).await;
}

#[tokio::test]
async fn removal_gives_back_events_of_all_types_without_retention() {
    let ground = Ground::new().await;
    ground.change_realm(json!({"eventsEnabled": true, "enabledEventTypes": []})).await;
    there_and_back(&ground).await;
}

#[tokio::test]
async fn removal_gives_back_a_retention_of_admin_events() {
    let ground = Ground::new().await;
    let mut realm = ground.admin.get(&ground.path("")).await;
    realm["attributes"]["adminEventsExpiration"] = json!("1234");
    realm["adminEventsEnabled"] = json!(true);
    ground.change_realm(realm).await;
    there_and_back(&ground).await;
}

#[tokio::test]
async fn removal_keeps_event_settings_that_somebody_changed_since() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    ground.change_realm(json!({"eventsExpiration": 99, "enabledEventTypes": ["LOGOUT"]})).await;
    ground.remove(Mode::Apply).await;
    let realm = ground.admin.get(&ground.path("")).await;
    assert_eq!(realm["eventsExpiration"], 99);
    assert_eq!(realm["enabledEventTypes"], json!(["LOGOUT"]));
    assert_eq!(realm["adminEventsEnabled"], false);
}

/// Declares `account_id` in the user profile, before bootstrap comes.
async fn declare(ground: &Ground, attribute: Value) {
    let path = ground.path("/users/profile");
    let mut profile = ground.admin.get(&path).await;
    profile["attributes"].as_array_mut().unwrap().push(attribute);
    ground.admin.put(&path, &profile).await;
}

async fn account_attribute(ground: &Ground) -> Value {
    let profile = ground.admin.get(&ground.path("/users/profile")).await;
    let attributes = profile["attributes"].as_array().unwrap();
    attributes.iter().find(|found| found["name"] == "account_id").cloned().unwrap()
}

#[tokio::test]
async fn removal_gives_back_an_account_attribute_that_users_could_edit() {
    let ground = Ground::new().await;
    declare(
        &ground,
        json!({"name": "account_id", "displayName": "Firma", "annotations": {"theirs": "x"},
            "permissions": {"view": ["user"], "edit": ["admin", "user"]}, "multivalued": false}),
    )
    .await;
    let before = ground.snapshot().await;
    ground.bootstrap().await;
    let ours = account_attribute(&ground).await;
    assert_eq!(ours["permissions"]["edit"], json!(["admin"]));
    assert_eq!(ours["displayName"], "Firma");
    ground.remove(Mode::Apply).await;
    assert_same(&before, &ground.snapshot().await);
}

#[tokio::test]
async fn removal_gives_back_an_account_attribute_without_permissions_and_annotations() {
    let ground = Ground::new().await;
    declare(&ground, json!({"name": "account_id"})).await;
    there_and_back(&ground).await;
}

#[tokio::test]
async fn an_account_attribute_that_only_administrators_edit_is_left_alone() {
    let ground = Ground::new().await;
    declare(&ground, json!({"name": "account_id", "permissions": {"view": [], "edit": ["admin"]}}))
        .await;
    let before = account_attribute(&ground).await;
    ground.bootstrap().await;
    assert_eq!(account_attribute(&ground).await, before);
    ground.remove(Mode::Apply).await;
    assert_eq!(account_attribute(&ground).await, before);
}

#[tokio::test]
async fn removal_keeps_a_scope_that_was_taken_over_and_takes_its_mark() {
    let ground = Ground::new().await;
    let scope = json!({"name": "datahub-api", "description": "Theirs", "protocol": "openid-connect",
        "attributes": {"include.in.token.scope": "true", "theirs": "x"}});
    ground.admin.post(&ground.path("/client-scopes"), &scope).await;
    let before = ground.snapshot().await;
    let done = ground.bootstrap_with(Options { adopt: true, ..options() }).await;
    assert!(
        done.lines.contains(&"mark client scope datahub-api as grantable".to_owned()),
        "{:?}",
        done.lines
    );
    ground.remove(Mode::Apply).await;
    assert_same(&before, &ground.snapshot().await);
}

#[tokio::test]
async fn a_key_that_was_removed_does_not_come_back() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let first = ground.active_kid().await.unwrap();
    ground.remove(Mode::Apply).await;
    ground.bootstrap().await;
    let second = ground.active_kid().await.unwrap();
    assert_ne!(first, second);
    assert_eq!(ground.providers().await.len(), 1);
}

#[tokio::test]
async fn what_bootstrap_left_alone_removal_leaves_alone() {
    let ground = Ground::new().await;
    let before = ground.snapshot().await;
    // Nothing was bootstrapped: a removal has nothing to do, and no store in which to retire keys.
    for mode in [Mode::DryRun, Mode::Apply] {
        let error = ground.try_remove(mode, silent()).await.unwrap_err();
        assert!(matches!(error, BootstrapError::NoStore(_)), "{error}");
    }
    let without_store = Removal { mode: Mode::Apply, without_store: true };
    assert_eq!(ground.try_removal(without_store, silent()).await.unwrap().changes, 0);
    assert_same(&before, &ground.snapshot().await);
}
