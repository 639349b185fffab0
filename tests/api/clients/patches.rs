//! Changing a client: JSON merge patch (RFC 7396).

use serde_json::json;

use super::{at, change_in_console, fields, in_keycloak, make, member, script};
use crate::support::{Admin, Database, Fault, FaultProxy, Rule, TestRealm, TestServer, unique};

#[tokio::test]
async fn null_takes_away_and_what_is_left_out_stays() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let server = TestServer::in_realm(realm).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    let made = make(
        &api,
        &json!({
            "clientId": id, "displayName": "Reports", "description": "Shows reports",
            "capabilities": ["web_app", "backchannel"], "scopes": ["datahub-api"], "rootUrl": "https://x.example",
            "homeUrl": "https://x.example/home", "redirectUris": ["https://x.example/cb", "/other"],
            "postLogoutRedirectUris": ["https://x.example/bye"], "webOrigins": ["+"],
            "adminUrl": "https://8.8.8.8/", "backchannelLogoutUrl": "https://8.8.8.8/bc", "enabled": false,
        }),
    )
    .await;
    let mut expected = made.as_object().unwrap().clone();
    expected.remove("clientSecret");
    for (change, content_type) in [
        (json!({"displayName": null}), "application/merge-patch+json"),
        (json!({"description": null, "enabled": null}), "application/json"),
        (
            json!({"redirectUris": ["https://x.example/cb"], "rootUrl": null}),
            "application/merge-patch+json",
        ),
        (
            json!({"homeUrl": null, "postLogoutRedirectUris": null, "webOrigins": null}),
            "Application/JSON; charset=utf-8",
        ),
        (json!({"adminUrl": null, "scopes": null}), "application/json"),
        (json!({"capabilities": ["web_app"], "backchannelLogoutUrl": null}), "application/json"),
        (json!({"capabilities": ["script"], "redirectUris": null}), "application/json"),
    ] {
        let request = api.request(reqwest::Method::PATCH, &at(&id));
        let request = request.header("content-type", content_type).body(change.to_string());
        let changed = api.send(request).await.expect(200);
        for (name, value) in change.as_object().unwrap() {
            let empty = match name.as_str() {
                "enabled" => json!(true),
                "displayName"
                | "description"
                | "rootUrl"
                | "homeUrl"
                | "adminUrl"
                | "backchannelLogoutUrl" => json!(null),
                _ => json!([]),
            };
            expected.insert(name.clone(), if value.is_null() { empty } else { value.clone() });
        }
        assert_eq!(changed, json!(expected), "{change}");
        assert_eq!(api.get(&at(&id)).await.expect(200), changed);
    }
    // What Keycloak keeps is what is shown.
    let stored = in_keycloak(&server.realm, &id).await.unwrap();
    assert_eq!(stored["redirectUris"], json!([]));
    assert_eq!(stored["webOrigins"], json!([]));
    assert_eq!(stored["standardFlowEnabled"], false);
    assert_eq!(stored["attributes"].get("backchannel.logout.url"), None);
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_change_is_refused_whole() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let server = TestServer::in_realm(realm).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    let before = api.get(&at(&id)).await.expect(200);

    let read_only = json!({
        "clientId": "x", "owner": {"id": person.id}, "accountId": "x", "status": "drifted", "createdAt": null,
        "secretCreatedAt": null, "clientSecret": "x", "protocolMappers": [], "description": "new",
    });
    let problem = api.patch(&at(&id), &read_only).await.expect_problem(400, "invalid");
    let mut expected: Vec<_> = read_only.as_object().unwrap().keys().map(String::as_str).collect();
    expected.retain(|name| *name != "description");
    expected.sort_unstable();
    assert_eq!(fields(&problem), expected);
    let problem = api.patch(&at(&id), &json!({"capabilities": null})).await;
    assert_eq!(fields(&problem.expect_problem(400, "invalid")), ["capabilities"]);
    for (content_type, body, status, code) in [
        ("text/plain", "{}", 415, "unsupported-media-type"),
        ("application/json-patch+json", "[]", 415, "unsupported-media-type"),
        ("application/json", "[]", 400, "malformed-json"),
        ("application/json", "null", 400, "malformed-json"),
        ("application/merge-patch+json", "{", 400, "malformed-json"),
    ] {
        let request = api.request(reqwest::Method::PATCH, &at(&id));
        let request = request.header("content-type", content_type).body(body);
        api.send(request).await.expect_problem(status, code);
    }
    assert_eq!(api.get(&at(&id)).await.expect(200), before);
    server.stop().await;
}

#[tokio::test]
async fn a_change_of_nothing_writes_nothing() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let proxy = FaultProxy::start();
    let keycloak = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server = TestServer::start_with(realm, Database::sqlite, &keycloak).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    let body = json!({
        "clientId": id, "displayName": "Reports", "capabilities": ["web_app"], "scopes": ["push-data", "datahub-api"],
        "redirectUris": ["https://x.example/b", "https://x.example/a"],
    });
    make(&api, &body).await;
    let before = api.get(&at(&id)).await.expect(200);

    let writes: Vec<_> = ["POST", "PUT", "DELETE"]
        .map(|method| proxy.on(&format!("{method} /admin/*"), Fault::Pass))
        .into();
    let mut same = body.clone();
    same.as_object_mut().unwrap().remove("clientId");
    for change in [json!({}), same, json!({"description": null, "rootUrl": null, "enabled": true})]
    {
        assert_eq!(api.patch(&at(&id), &change).await.expect(200), before, "{change}");
    }
    assert!(writes.iter().all(|rule| rule.hits() == 0));
    // The rules do see what is written.
    api.patch(&at(&id), &json!({"enabled": false})).await.expect(200);
    assert_eq!(writes.iter().map(Rule::hits).sum::<usize>(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_scope_that_can_no_longer_be_granted_stays_until_scopes_are_changed() {
    let realm = TestRealm::own().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let admin = Admin::log_in().await;
    let scopes = format!("/{}/client-scopes", realm.name);
    let mut extra = json!({
        "name": "extra", "description": "More", "protocol": "openid-connect",
        "attributes": {"hallpass.grantable": "true"},
    });
    admin.post(&scopes, &extra).await;
    let server = TestServer::in_realm(realm).await;
    let api = server.user(&person).await;
    let listed = api.get("/api/clients/v1/scopes").await.expect(200);
    let names: Vec<_> = listed["scopes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["datahub-api", "extra", "push-data"]);
    assert_eq!(listed["scopes"][1]["description"], "More");
    let id = format!("{account}_app");
    make(&api, &json!({"clientId": id, "capabilities": ["script"], "scopes": ["extra"]})).await;

    let all = admin.get(&scopes).await;
    let found = all.as_array().unwrap().iter().find(|scope| scope["name"] == "extra").unwrap();
    extra["attributes"]["hallpass.grantable"] = json!("false");
    admin.put(&format!("{scopes}/{}", found["id"].as_str().unwrap()), &extra).await;

    let changed = api.patch(&at(&id), &json!({"description": "new"})).await.expect(200);
    assert_eq!(changed["scopes"], json!(["extra"]));
    let kept = json!({"scopes": ["extra", "push-data"]});
    let problem = api.patch(&at(&id), &kept).await.expect_problem(400, "invalid");
    assert_eq!(fields(&problem), ["scopes"]);
    let message = problem["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("`datahub-api`, `push-data`"), "{message}");
    let changed = api.patch(&at(&id), &json!({"scopes": ["push-data"]})).await.expect(200);
    assert_eq!(changed["scopes"], json!(["push-data"]));
    assert_eq!(changed["status"], "active", "{changed}");
    let stored = in_keycloak(&server.realm, &id).await.unwrap();
    assert_eq!(stored["optionalClientScopes"], json!(["push-data"]));
    server.stop().await;
}

#[tokio::test]
async fn what_somebody_changed_in_the_console_is_not_reverted_by_another_change() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let server = TestServer::in_realm(realm.clone()).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    let body = json!({
        "clientId": id, "capabilities": ["web_app"], "displayName": "Ours", "redirectUris": ["https://x.example/cb"],
    });
    make(&api, &body).await;
    let theirs = json!({
        "name": "Theirs", "redirectUris": ["https://x.example/cb", "https://evil.example/*"],
        "directAccessGrantsEnabled": true,
    });
    change_in_console(&realm, &id, theirs).await;

    let changed = api.patch(&at(&id), &json!({"description": "new"})).await.expect(200);
    assert_eq!(changed["status"], "drifted", "{changed}");
    assert_eq!(changed["displayName"], "Theirs");
    let stored = in_keycloak(&realm, &id).await.unwrap();
    assert_eq!(stored["description"], "new");
    assert_eq!(stored["name"], "Theirs");
    assert_eq!(stored["directAccessGrantsEnabled"], true);
    assert_eq!(stored["redirectUris"].as_array().unwrap().len(), 2);

    // Taken back in the console, it is what Hallpass wrote again.
    change_in_console(&realm, &id, json!({"directAccessGrantsEnabled": false})).await;
    let shown = api.get(&at(&id)).await.expect(200);
    assert_eq!(shown["status"], "drifted", "the redirect URI is nobody's choice here: {shown}");
    let chosen = json!({"displayName": "Theirs", "redirectUris": ["https://x.example/cb"]});
    let changed = api.patch(&at(&id), &chosen).await.expect(200);
    assert_eq!(changed["status"], "active", "{changed}");
    assert_eq!(changed["redirectUris"], chosen["redirectUris"]);

    // Or somebody here chooses what there is.
    change_in_console(&realm, &id, json!({"description": "theirs"})).await;
    let changed = api.patch(&at(&id), &json!({"enabled": false})).await.expect(200);
    assert_eq!(changed["status"], "drifted", "{changed}");
    let changed = api.patch(&at(&id), &json!({"description": "theirs"})).await.expect(200);
    assert_eq!(changed["status"], "active", "{changed}");
    server.stop().await;
}

#[tokio::test]
async fn a_client_follows_the_setting_for_consent_at_its_next_change() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let server = TestServer::in_realm(realm.clone()).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    let body = json!({"clientId": id, "capabilities": ["web_app"], "redirectUris": ["https://x.example/cb"]});
    make(&api, &body).await;

    let server = server.restart(&[("HALLPASS_CLIENTS__CONSENT", "never")]).await;
    let api = server.user(&person).await;
    assert_eq!(api.get(&at(&id)).await.expect(200)["status"], "active");
    assert_eq!(in_keycloak(&realm, &id).await.unwrap()["consentRequired"], true);
    let changed = api.patch(&at(&id), &json!({"description": "new"})).await.expect(200);
    assert_eq!(changed["status"], "active", "{changed}");
    assert_eq!(in_keycloak(&realm, &id).await.unwrap()["consentRequired"], false);
    server.stop().await;
}
