//! Answers that name the mistake, and only that one.

use serde_json::{Value, json};

use super::{CLIENTS, at, make, manager, member, script};
use crate::support::{Api, TestRealm, TestServer, unique};

async fn start() -> (TestServer, Api, String) {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let server = TestServer::in_realm(realm).await;
    let api = server.user(&person).await;
    (server, api, account)
}

/// All messages of a refused creation, with their fields.
async fn refused(api: &Api, account: &str, members: Value) -> Vec<(String, String)> {
    let mut body = script(&format!("{account}_app"));
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let problem = api.post(CLIENTS, &body).await.expect_problem(400, "invalid");
    let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    let errors = problem["errors"].as_array().unwrap().iter();
    errors.map(|error| (text(error, "field"), text(error, "message"))).collect()
}

/// What is sent, the field that is wrong, and what its one message says.
fn mistakes() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (json!({"capabilities": ["WebApp"]}), "capabilities", "write `web_app`"),
        (
            json!({"capabilities": ["script", "Back-Channel"]}),
            "capabilities",
            "write `backchannel`",
        ),
        (json!({"capabilities": ["telepathy"]}), "capabilities", "there are `web_app`"),
        (json!({"capabilities": "web_app"}), "capabilities", "must be a list"),
        (
            json!({"capabilities": ["web_app"], "redirectUris": "https://x.example/cb"}),
            "redirectUris",
            "must be a list",
        ),
        (
            json!({"capabilities": ["web_app"], "redirectUris": vec!["https://x.example/"; 51]}),
            "redirectUris",
            "at most 50",
        ),
        (
            json!({"capabilities": ["backchannel"], "backchannelLogoutUrl": 7}),
            "backchannelLogoutUrl",
            "must be text",
        ),
        (json!({"webOrigins": ["*"]}), "webOrigins", "list each origin, or write `+`"),
        (json!({"webOrigins": ["http://localhost:*"]}), "webOrigins", "list each origin, or"),
        (json!({"webOrigins": ["https://x.example/"]}), "webOrigins", "write `https://x.example`"),
        (json!({"redirectUris": ["myapp://cb"]}), "redirectUris", "`com.example.app:/cb`"),
        (
            json!({"redirectUris": ["https://münchen.example/"]}),
            "redirectUris",
            "`xn--mnchen-3ya.example`",
        ),
        (
            json!({"redirectUris": ["https://X.example/cb"]}),
            "redirectUris",
            "write `https://x.example/cb`",
        ),
        (json!({"redirectUris": ["http://x.example/cb"]}), "redirectUris", "must be `https`"),
        (
            json!({"backchannelLogoutUrl": "http://keycloak.internal/x"}),
            "backchannelLogoutUrl",
            "must be `https`; for a host in an inner network the operator's setting `clients.allowed_networks`",
        ),
        (json!({"rootUrl": 7, "redirectUris": ["/cb"], "homeUrl": "/"}), "rootUrl", "must be text"),
        (json!({"rootUrl": "ftp://x", "redirectUris": ["/cb"]}), "rootUrl", "does not begin with"),
        (
            json!({"rootUrl": "https://x.example", "adminUrl": "/admin"}),
            "adminUrl",
            "must be absolute",
        ),
        (
            json!({"rootUrl": "https://x.example", "backchannelLogoutUrl": "/logout"}),
            "backchannelLogoutUrl",
            "must be absolute",
        ),
    ]
}

#[tokio::test]
async fn one_mistake_has_one_message_and_it_says_what_to_write() {
    let (server, api, account) = start().await;
    for (members, field, part) in mistakes() {
        let found = refused(&api, &account, members.clone()).await;
        let [(named, message)] = found.as_slice() else { panic!("{members}: {found:?}") };
        assert_eq!(named, field, "{members}");
        assert!(message.contains(part), "{members}: {message}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_keycloak_would_call_has_a_public_name() {
    let (server, api, account) = start().await;
    for host in [
        "vault",
        "vault.default.svc",
        "vault.default.svc.cluster.local",
        "db.internal",
        "printer.local",
        "nas.home.arpa",
        "x.test",
        "x.onion",
        "app.localhost",
        "localhost",
        "x.invalid",
        "10.0.0.1",
        "[fd00::1]",
        "0x7f000001",
    ] {
        for field in ["adminUrl", "backchannelLogoutUrl"] {
            let found = refused(&api, &account, json!({field: format!("https://{host}/x")})).await;
            assert!(found.iter().all(|(named, _)| named == field), "{host}: {found:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_root_url_that_ends_with_a_slash_doubles_none() {
    let (server, api, account) = start().await;
    let id = format!("{account}_app");
    let body = json!({
        "clientId": id, "capabilities": ["web_app"], "rootUrl": "https://x.example/app/", "redirectUris": ["/cb"],
    });
    let made = make(&api, &body).await;
    assert_eq!(made["rootUrl"], "https://x.example/app");
    // As Keycloak matches it: a login with `/app/cb` goes on, one with `/app//cb` does not.
    for (uri, status) in [("https://x.example/app/cb", 200), ("https://x.example/app//cb", 400)] {
        let url = format!("{}/protocol/openid-connect/auth", server.realm.issuer());
        let query = [
            ("client_id", id.as_str()),
            ("response_type", "code"),
            ("scope", "openid"),
            ("redirect_uri", uri),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ];
        let answer = crate::support::http().get(url).query(&query).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{uri}");
    }
    let changed = api.patch(&at(&id), &json!({"rootUrl": "https://y.example//"})).await.expect(200);
    assert_eq!(changed["rootUrl"], "https://y.example");
    server.stop().await;
}

#[tokio::test]
async fn an_answer_sent_back_changes_nothing() {
    let (server, api, account) = start().await;
    let id = format!("{account}_app");
    let body = json!({
        "clientId": id, "capabilities": ["web_app", "script"], "redirectUris": ["https://x.example/cb"],
        "scopes": ["push-data"], "displayName": "Reports",
    });
    make(&api, &body).await;
    let mut shown = api.get(&at(&id)).await.expect(200);
    assert_eq!(api.patch(&at(&id), &shown).await.expect(200), shown);
    shown["description"] = json!("new");
    assert_eq!(api.patch(&at(&id), &shown).await.expect(200), shown);
    for (name, value) in [
        ("accountId", json!("globex")),
        ("clientId", json!("globex_app")),
        ("createdAt", json!("1970-01-01T00:00:00Z")),
        ("driftedFields", json!(["owner"])),
        ("owner", json!({"id": "me", "username": "me"})),
        ("secretCreatedAt", json!(null)),
        ("secretUnread", json!(true)),
        ("status", json!("missing")),
    ] {
        let mut other = shown.clone();
        other[name] = value;
        let problem = api.patch(&at(&id), &other).await.expect_problem(400, "invalid");
        assert_eq!(super::fields(&problem), [name]);
        assert!(problem["errors"][0]["message"].as_str().unwrap().starts_with("is read-only"));
    }
    assert_eq!(api.get(&at(&id)).await.expect(200), shown);
    server.stop().await;
}

#[tokio::test]
async fn refusals_say_what_helps() {
    let (server, api, account) = start().await;
    let managing = server.user(&manager(&server.realm).await).await;
    let quota = format!("/api/clients/v1/accounts/{account}/quota");
    let problem = api.get(&quota).await.expect_problem(403, "missing-role");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("`manage-api-clients`") && !detail.contains("create-api-clients"),
        "{detail}"
    );
    managing.put(&quota, &json!({"limit": 0})).await.expect(200);
    let problem = api.post(CLIENTS, &script(&format!("{account}_app"))).await;
    let problem = problem.expect_problem(409, "quota-reached");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("delete one, or ask an administrator for more"), "{detail}");
    server.stop().await;
}
