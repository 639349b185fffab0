//! What Keycloak says of a client is not believed: whoever may edit one in its console can write anything there.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    CLIENTS, at, change_in_console, in_keycloak, listed_status, make, manager, member, script,
    wait_for_status,
};
use crate::support::{
    Admin, Api, DATABASES, Database, Fault, FaultProxy, TestRealm, TestServer, unique,
};

/// The client with this attribute, as somebody sets it in the console.
async fn set_attribute(realm: &TestRealm, id: &str, name: &str, value: &str) {
    let mut attributes = in_keycloak(realm, id).await.unwrap()["attributes"].clone();
    attributes[name] = json!(value);
    change_in_console(realm, id, json!({"attributes": attributes})).await;
}

/// Everything that shows clients.
async fn look_around(api: &Api, id: &str) -> Value {
    api.get(&format!("{CLIENTS}?sort=status")).await.expect(200);
    let shown = api.get(&at(id)).await.expect(200);
    let listed = api.get(&format!("{CLIENTS}?search={id}")).await.expect(200);
    assert_eq!(listed["clients"], json!([shown]));
    shown
}

#[tokio::test]
async fn a_wild_time_of_the_secret_is_no_time() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let server = TestServer::in_realm(realm.clone()).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    let made = make(&api, &script(&id)).await;
    let wild = [
        "99999999999999999",
        "9223372036854775807",
        "-9223372036854775808",
        "-1",
        "253402300800",
        "99999999999999999999999999",
        "1.5",
        "soon",
        " ",
        "٣",
    ];
    for value in wild {
        set_attribute(&realm, &id, "client.secret.creation.time", value).await;
        let shown = look_around(&api, &id).await;
        assert_eq!(shown["secretCreatedAt"], made["secretCreatedAt"], "{value}");
        assert_eq!(shown["status"], "active", "{value}");
    }
    for (value, time) in [("0", "1970-01-01T00:00:00Z"), ("253402300799", "9999-12-31T23:59:59Z")] {
        set_attribute(&realm, &id, "client.secret.creation.time", value).await;
        assert_eq!(look_around(&api, &id).await["secretCreatedAt"], time);
    }
    // What an earlier version kept is said, too.
    let kept =
        format!("UPDATE clients SET secret_created_at = {} WHERE client_id = '{id}'", i64::MAX);
    assert_eq!(server.execute(kept).await, 1);
    api.get(CLIENTS).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn whatever_was_written_in_the_console_is_shown_and_stops_nobody() {
    let realm = TestRealm::own().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let api = server.user(&person).await;
        let id = format!("{account}_{}", unique("app"));
        let body = json!({"clientId": id, "capabilities": ["web_app"], "redirectUris": ["https://x.example/cb"]});
        make(&api, &body).await;
        let many: Vec<_> = (0..3000).map(|n| format!("https://x.example/{n:0>200}")).collect();
        let changes = [
            json!({"name": "a\u{0}b\nc", "description": "\u{0}\u{202e}"}),
            json!({"redirectUris": ["*", "https://x.example/a%2e%2e/b", "HTTPS://x.example/cb"]}),
            json!({"redirectUris": many, "webOrigins": ["*", "null", "https://*.x"]}),
            json!({"redirectUris": [], "standardFlowEnabled": true}),
            json!({"standardFlowEnabled": false, "serviceAccountsEnabled": false}),
            json!({"protocol": "saml"}),
            json!({"protocol": "openid-connect", "clientAuthenticatorType": "client-jwt"}),
            json!({"rootUrl": "${authBaseUrl}", "baseUrl": "//x", "adminUrl": "ftp://x"}),
            json!({"optionalClientScopes": [], "defaultClientScopes": []}),
        ];
        for change in changes {
            change_in_console(&realm, &id, change.clone()).await;
            wait_for_status(&api, &id, "drifted").await;
            let shown = look_around(&api, &id).await;
            assert_eq!(shown["status"], "drifted", "{change}");
            let length = shown.to_string().len();
            assert!(length < 200_000, "{length} bytes");
            // A change of something else is not held up by it.
            let described = json!({"description": unique("new")});
            let answer = api.patch(&at(&id), &described).await.expect(200);
            assert_eq!(answer["description"], described["description"], "{change}");
        }
        for (name, value) in [
            ("post.logout.redirect.uris", "##-##+##https://x.example/a##"),
            ("post.logout.redirect.uris", &"https://x.example/##".repeat(150)),
            ("backchannel.logout.url", "http://169.254.169.254/"),
            ("pkce.code.challenge.method", "plain"),
            ("hallpass.client", "somebody-elses"),
        ] {
            set_attribute(&realm, &id, name, value).await;
            look_around(&api, &id).await;
        }
        server.stop().await;
    }
}

/// Anybody with an initial access token registers clients; some are larger than what is read of an answer.
#[tokio::test]
async fn clients_that_are_too_large_to_be_read_do_not_stop_the_sweep() {
    let realm = TestRealm::own().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let off = json!({"adminEventsEnabled": false, "adminEventsDetailsEnabled": false});
    Admin::log_in().await.put(&format!("/{}", realm.name), &off).await;
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &[]).await;
    let api = server.user(&person).await;
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    let much = "x".repeat(8_500_000);
    for name in ["a-large", "zz-large"] {
        let large = json!({"clientId": unique(name), "attributes": {"much": much}});
        Admin::log_in().await.post(&format!("/{}/clients", realm.name), &large).await;
    }
    change_in_console(&realm, &id, json!({"directAccessGrantsEnabled": true})).await;
    // By the sweep at the next start, since there are no events.
    let server = server.restart(&[]).await;
    let api = server.user(&person).await;
    wait_for_status(&api, &id, "drifted").await;
    server.stop().await;
}

/// A page of the list takes too long, as one with much larger clients would; and so does one owner.
#[tokio::test]
async fn a_page_of_clients_or_an_owner_that_keycloak_does_not_answer_about_stops_no_sweep() {
    let (realm, proxy) = (TestRealm::own().await, FaultProxy::start());
    let settings = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let accounts = [unique("acme"), unique("globex")];
    let people = [member(&realm, &accounts[0]).await, member(&realm, &accounts[1]).await];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    let id = |account: &str| format!("{account}_app");
    for (person, account) in people.iter().zip(&accounts) {
        make(&server.user(person).await, &script(&id(account))).await;
    }
    // Owners are looked at in this order: the first one takes too long.
    let (slow, other) = if people[0].id < people[1].id { (0, 1) } else { (1, 0) };
    let off = json!({"adminEventsEnabled": false, "adminEventsDetailsEnabled": false});
    let admin = Admin::log_in().await;
    admin.put(&format!("/{}", realm.name), &off).await;
    change_in_console(&realm, &id(&accounts[slow]), json!({"directAccessGrantsEnabled": true}))
        .await;
    let path = format!("/{}/users/{}", realm.name, people[other].id);
    admin.put(&path, &json!({"enabled": false})).await;
    proxy.on("GET */clients?first=0&max=100", Fault::HoldRequest);
    proxy.on(&format!("GET */users?*{}*", people[slow].id), Fault::HoldRequest);
    // By the sweep at the next start, since there are no events.
    let server = server.restart(&settings).await;
    let manager = server.user(&manager(&realm).await).await;
    let listed = async |account: &str| listed_status(&manager, &id(account)).await;
    let swept = async {
        while listed(&accounts[slow]).await != "drifted"
            || listed(&accounts[other]).await != "orphaned"
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let swept = tokio::time::timeout(Duration::from_mins(1), swept).await;
    assert!(swept.is_ok(), "{} {}", listed(&accounts[slow]).await, listed(&accounts[other]).await);
    server.stop().await;
}
