//! What a client may be given: rules, lengths, texts; and that everything wrong is named at once.

use serde_json::{Value, json};

use super::{CLIENTS, at, fields, in_keycloak, make, member, script, used};
use crate::support::{Api, TestRealm, TestServer, unique};

/// A body with more members than a script has.
fn with(id: &str, members: &Value) -> Value {
    let mut body = script(id);
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    body
}

async fn start() -> (TestServer, Api, String) {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let server = TestServer::in_realm(realm).await;
    let api = server.user(&person).await;
    (server, api, account)
}

#[tokio::test]
async fn every_wrong_field_is_named_in_one_answer() {
    let (server, api, account) = start().await;
    let body = json!({
        "clientId": "elsewhere_app", "displayName": 7, "description": "x".repeat(256),
        "capabilities": ["web_app", "telepathy"], "scopes": ["offline_access"], "rootUrl": "ftp://x.example",
        "homeUrl": "javascript:alert(1)", "redirectUris": ["https://*.example/*"],
        "postLogoutRedirectUris": "https://x.example/", "webOrigins": ["*"], "adminUrl": "http://10.0.0.1/",
        "backchannelLogoutUrl": "https://127.0.0.1/", "enabled": "yes", "status": "active", "surprise": null,
    });
    let problem = api.post(CLIENTS, &body).await.expect_problem(400, "invalid");
    let mut all: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    all.sort_unstable();
    assert_eq!(fields(&problem), all, "{problem}");
    let scopes =
        problem["errors"].as_array().unwrap().iter().find(|error| error["field"] == "scopes");
    let message = scopes.unwrap()["message"].as_str().unwrap();
    assert!(message.contains("`datahub-api`") && message.contains("`push-data`"), "{message}");
    let empty = api.post(CLIENTS, &json!({})).await.expect_problem(400, "invalid");
    assert_eq!(fields(&empty), ["capabilities", "clientId"]);
    assert_eq!(used(&api).await, 0);
    assert!(in_keycloak(&server.realm, &format!("{account}_app")).await.is_none());
    server.stop().await;
}

#[tokio::test]
async fn each_rule_is_held_and_nothing_is_left() {
    let (server, api, account) = start().await;
    let id = format!("{account}_app");
    let uris =
        |count: u32| (0..count).map(|n| format!("https://x.example/{n}")).collect::<Vec<_>>();
    let long = format!("https://x.example/{}", "x".repeat(238));
    let cases = [
        ("capabilities", json!({"capabilities": []})),
        ("capabilities", json!({"capabilities": null})),
        ("capabilities", json!({"capabilities": "script"})),
        ("backchannelLogoutUrl", json!({"capabilities": ["backchannel"]})),
        ("redirectUris", json!({"capabilities": ["web_app"]})),
        ("redirectUris", json!({"redirectUris": uris(51)})),
        ("postLogoutRedirectUris", json!({"postLogoutRedirectUris": uris(51)})),
        (
            "webOrigins",
            json!({"webOrigins": (0..51).map(|n| format!("https://x{n}.example")).collect::<Vec<_>>()}),
        ),
        ("redirectUris", json!({"redirectUris": [long]})),
        ("redirectUris", json!({"redirectUris": ["/relative"]})),
        ("redirectUris", json!({"redirectUris": [7]})),
        ("scopes", json!({"scopes": ["datahub-api", "no-such-scope"]})),
        ("scopes", json!({"scopes": {}})),
        ("displayName", json!({"displayName": "x".repeat(256)})),
        ("displayName", json!({"displayName": "🦀".repeat(255)})),
        ("displayName", json!({"displayName": "🦀".repeat(128)})),
        ("description", json!({"description": "🦀".repeat(255)})),
        ("description", json!({"description": "x".repeat(10 * 1024)})),
        ("displayName", json!({"displayName": "a\u{0}b"})),
        ("displayName", json!({"displayName": "a\nb"})),
        ("description", json!({"description": "a\u{0}b"})),
        ("description", json!({"description": ["a"]})),
        ("clientId", json!({"clientId": null})),
        ("clientId", json!({"clientId": account})),
        ("clientId", json!({"clientId": format!("{account}_")})),
        ("clientId", json!({"clientId": format!("{account}_{}", "x".repeat(65))})),
        ("clientId", json!({"clientId": format!("{account}_a b")})),
        ("clientId", json!({"clientId": format!("{account}_ä")})),
        ("clientId", json!({"clientId": format!("{account}_a\u{0}")})),
        ("clientId", json!({"clientId": format!("{}_a", account.to_uppercase())})),
        ("clientId", json!({"clientId": 7})),
    ];
    for (field, members) in cases {
        let problem = api.post(CLIENTS, &with(&id, &members)).await;
        let problem = problem.expect_problem(400, "invalid");
        assert_eq!(fields(&problem), [field], "{members}: {problem}");
    }
    assert_eq!(used(&api).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn what_fits_exactly_is_taken_whole() {
    let (server, api, account) = start().await;
    let id = format!("{account}_{}", "x".repeat(64));
    let longest = format!("https://x.example/{}", "x".repeat(237));
    let uris: Vec<_> = (0..49).map(|n| format!("https://x.example/{n}")).chain([longest]).collect();
    let body = json!({
        "clientId": id, "displayName": "🦀".repeat(127), "description": "ü".repeat(255),
        "capabilities": ["web_app", "backchannel", "script"], "scopes": ["datahub-api", "push-data"],
        "rootUrl": "https://x.example", "homeUrl": "/home", "redirectUris": uris,
        "postLogoutRedirectUris": ["/bye", "https://y.example/*"], "webOrigins": ["https://x.example"],
        "adminUrl": "https://8.8.8.8/admin", "backchannelLogoutUrl": "https://8.8.8.8/logout", "enabled": false,
    });
    let made = make(&api, &body).await;
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    let stored = in_keycloak(&server.realm, &id).await.unwrap();
    assert_eq!(stored["name"], body["displayName"]);
    assert_eq!(stored["baseUrl"], "/home");
    assert_eq!(stored["enabled"], false);
    assert_eq!(stored["consentRequired"], true);
    assert_eq!(stored["fullScopeAllowed"], false);
    assert_eq!(stored["directAccessGrantsEnabled"], false);
    assert_eq!(stored["attributes"]["pkce.code.challenge.method"], "S256");
    assert_eq!(stored["attributes"]["backchannel.logout.url"], "https://8.8.8.8/logout");
    server.stop().await;
}

/// Left to itself, Keycloak makes up `{rootUrl}/*` as a redirect URI, and `/*` where there is no root URL.
#[tokio::test]
async fn a_client_without_redirect_uris_gets_none_from_keycloak() {
    let (server, api, account) = start().await;
    for (n, members) in [
        json!({}),
        json!({"rootUrl": "https://x.example"}),
        json!({"rootUrl": "https://x.example", "webOrigins": ["https://y.example"]}),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("{account}_{n}");
        let made = make(&api, &with(&id, &members)).await;
        assert_eq!(made["status"], "active", "{made}");
        let stored = in_keycloak(&server.realm, &id).await.unwrap();
        assert_eq!(stored["redirectUris"], json!([]), "{members}");
        assert_eq!(stored["webOrigins"], members.get("webOrigins").cloned().unwrap_or(json!([])));
        assert_eq!(made["rootUrl"], members.get("rootUrl").cloned().unwrap_or_default());
        assert_eq!(
            stored["rootUrl"].as_str().unwrap_or_default(),
            made["rootUrl"].as_str().unwrap_or_default()
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn texts_are_texts() {
    let (server, api, account) = start().await;
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    for text in [
        "100 %",
        "a_b",
        "O'Neil \"x\" `y` \\ ${z} {{7*7}}",
        "'; DROP TABLE clients; --",
        "<script>alert(1)</script>",
        "\u{202e}שלום مرحبا",
        "👩‍👩‍👧‍👦 Ünïcödé ẞ",
        "null",
    ] {
        let change = json!({"displayName": text, "description": format!("{text}\n{text}")});
        let changed = api.patch(&at(&id), &change).await.expect(200);
        assert_eq!(changed["displayName"], text);
        assert_eq!(changed["description"], change["description"]);
        assert_eq!(changed["status"], "active", "{changed}");
        let stored = in_keycloak(&server.realm, &id).await.unwrap();
        assert_eq!(stored["name"], text);
    }
    // What is blank is not there.
    let blank = json!({"displayName": " \u{3000}", "description": ""});
    let changed = api.patch(&at(&id), &blank).await.expect(200);
    assert_eq!((&changed["displayName"], &changed["description"]), (&json!(null), &json!(null)));
    server.stop().await;
}
