//! Faults of the realm's settings and of the key in it.

use serde_json::{Value, json};

use super::Case;

#[tokio::test]
async fn each_change_of_the_realms_settings_is_found_and_mended() {
    let case = Case::new().await;
    let realm = case.path("");

    case.change(&realm, json!({"adminEventsDetailsEnabled": false})).await;
    case.mended_by_bootstrap("events", "adminEventsDetailsEnabled").await;
    case.change(&realm, json!({"adminEventsEnabled": false, "eventsEnabled": false})).await;
    case.mended_by_bootstrap("events", "adminEventsEnabled, eventsEnabled").await;
    case.change(&realm, json!({"enabledEventTypes": ["LOGIN", "DELETE_ACCOUNT"]})).await;
    case.mended_by_bootstrap("events", "enabledEventTypes").await;
    case.change(&realm, json!({"eventsExpiration": 0})).await;
    case.examine().await.expect_one_warning("events", "without end");
    case.bootstrap().await;

    let path = case.path("/users/profile");
    let declared = case.admin().await.get(&path).await;
    let mut profile = declared.clone();
    account_of(&mut profile)["permissions"]["edit"] = json!(["admin", "user"]);
    case.admin().await.put(&path, &profile).await;
    case.mended_by_bootstrap("account-attribute", "user").await;
    let mut profile = declared;
    let attributes = profile["attributes"].as_array_mut().unwrap();
    attributes.retain(|attribute| attribute["name"] != "account_id");
    case.admin().await.put(&path, &profile).await;
    case.examine().await.expect_one_warning("account-attribute", "does not declare");
    profile["unmanagedAttributePolicy"] = json!("ENABLED");
    case.admin().await.put(&path, &profile).await;
    case.mended_by_bootstrap("account-attribute", "users can set").await;
    case.examine().await.expect_good();

    let scopes = case.admin().await.get(&case.path("/client-scopes")).await;
    for scope in scopes.as_array().unwrap() {
        if scope["attributes"]["hallpass.grantable"] == "true" {
            let path = case.path(&format!("/client-scopes/{}", scope["id"].as_str().unwrap()));
            case.change(&path, json!({"attributes": {"hallpass.grantable": "false"}})).await;
        }
    }
    case.examine().await.expect_one_warning("grantable-scopes", "no client scope");
}

fn account_of(profile: &mut Value) -> &mut Value {
    let attributes = profile["attributes"].as_array_mut().unwrap();
    attributes.iter_mut().find(|attribute| attribute["name"] == "account_id").unwrap()
}

#[tokio::test]
async fn a_key_that_the_realm_lost_or_signs_with_is_found() {
    let case = Case::new().await;
    let path = case.path("/components?type=org.keycloak.keys.KeyProvider");
    let provider = case.admin().await.get(&path).await;
    let provider = provider
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"].as_str().unwrap().starts_with("hallpass-"));
    let provider = case.path(&format!("/components/{}", provider.unwrap()["id"].as_str().unwrap()));

    let mut active = case.admin().await.get(&provider).await["config"].clone();
    active["active"] = json!(["true"]);
    active["priority"] = json!(["200"]);
    case.change(&provider, json!({"config": active})).await;
    case.mended_by_bootstrap("passive-key", "the realm itself signs with").await;

    case.admin().await.delete(&provider).await;
    let report = case.examine().await;
    report.expect_one_failure("published-key", "the realm's JWKS lacks the key");
    assert_eq!(report.named("skipped"), ["minting"]);
    report.expect_detail("minting", "`published-key`");
    case.bootstrap().await;
    case.examine().await.expect_good();
}
