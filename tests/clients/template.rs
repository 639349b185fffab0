//! What stands in Keycloak behind each combination of capabilities: every flag on purpose.

use serde_json::{Value, json};

use super::{Developer, document};
use crate::support::Admin;

/// Each combination, and a name for it.
pub(super) fn capabilities() -> [(&'static str, Vec<&'static str>); 7] {
    [
        ("web_app", vec!["web_app"]),
        ("backchannel", vec!["backchannel"]),
        ("script", vec!["script"]),
        ("web_app-backchannel", vec!["web_app", "backchannel"]),
        ("web_app-script", vec!["web_app", "script"]),
        ("backchannel-script", vec!["backchannel", "script"]),
        ("web_app-backchannel-script", vec!["web_app", "backchannel", "script"]),
    ]
}

/// As few fields as these capabilities can have.
pub(super) fn fields_for(capabilities: &[&str]) -> Value {
    let mut fields = json!({"capabilities": capabilities, "scopes": ["datahub-api"]});
    if capabilities.contains(&"web_app") {
        fields["redirectUris"] = json!([super::REDIRECT_URI]);
    }
    if capabilities.contains(&"backchannel") {
        fields["backchannelLogoutUrl"] = json!("https://8.8.8.8/logout");
    }
    fields
}

#[tokio::test]
async fn each_combination_of_capabilities_is_this_keycloak_client() {
    let developer = Developer::start(&[("HALLPASS_CLIENTS__QUOTA", "10")]).await;
    let admin = Admin::log_in().await;
    for (name, capabilities) in capabilities() {
        let client = developer.create(name, fields_for(&capabilities)).await;
        insta::assert_json_snapshot!(name, document::of(&admin, &client).await);
    }
    developer.server.stop().await;
}

#[tokio::test]
async fn everything_that_people_choose_is_where_it_belongs() {
    let developer = Developer::start(&[("HALLPASS_CLIENTS__CONSENT", "never")]).await;
    let fields = json!({
        "displayName": "Reports", "description": "Shows reports.\nDaily.",
        "capabilities": ["web_app", "backchannel", "script"],
        "scopes": ["datahub-api", "push-data"], "rootUrl": "https://app.example",
        "homeUrl": "/home", "redirectUris": ["/cb", "https://app.example/more/*", "com.example.app:/cb"],
        "postLogoutRedirectUris": ["/bye", "https://app.example/bye"],
        "webOrigins": ["+", "https://app.example"], "adminUrl": "https://8.8.8.8/admin",
        "backchannelLogoutUrl": "https://8.8.8.8/logout", "enabled": false,
    });
    let client = developer.create("full", fields).await;
    let document = document::of(&Admin::log_in().await, &client).await;
    insta::assert_json_snapshot!("everything-chosen", document);
    developer.server.stop().await;
}

/// From each combination to each other one and back, with one client that keeps its secret.
#[tokio::test]
async fn a_changed_client_is_as_if_it_had_been_made_so() {
    let developer = Developer::start(&[("HALLPASS_CLIENTS__QUOTA", "10")]).await;
    let admin = Admin::log_in().await;
    let mut fields = fields_for(&["web_app", "backchannel"]);
    let mut made = Vec::new();
    for (name, capabilities) in capabilities() {
        fields["capabilities"] = json!(capabilities);
        let client = developer.create(name, fields.clone()).await;
        let document = document::of(&admin, &client).await;
        made.push((capabilities, document::template_of(&document)));
    }
    fields["capabilities"] = json!(made[0].0);
    let client = developer.create("changing", fields).await;
    let pairs = (0..made.len()).flat_map(|from| (from + 1..made.len()).map(move |to| (from, to)));
    for (from, to) in pairs {
        // A token of the console's lives a minute.
        let admin = Admin::log_in().await;
        for step in [from, to, from] {
            let (capabilities, template) = &made[step];
            let change = json!({"capabilities": capabilities});
            let changed =
                developer.api.patch(&developer.path("changing"), &change).await.expect(200);
            assert_eq!(changed["status"], "active", "{changed}");
            let document = document::of(&admin, &client).await;
            similar(&document::template_of(&document), template);
        }
    }
    let path = format!("{}/secret", developer.path("changing"));
    assert_eq!(developer.api.get(&path).await.expect(200)["clientSecret"], client.secret.as_str());
    developer.server.stop().await;
}

#[track_caller]
pub(super) fn similar(found: &Value, template: &Value) {
    assert!(found == template, "{found:#}\nis not\n{template:#}");
}
