//! The list: search, status, order, pages; on each database.

use serde_json::{Value, json};

use super::{CLIENTS, at, change_in_console, delete_in_console, fields, ids, make, member, script};
use crate::support::{Api, DATABASES, TestRealm, TestServer, unique};

async fn search(api: &Api, text: &str) -> Value {
    let request = api.request(reqwest::Method::GET, CLIENTS).query(&[("search", text)]);
    api.send(request).await.expect(200)
}

#[tokio::test]
async fn a_search_is_literal_and_knows_no_case() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let api = server.user(&person).await;
        let named = [
            ("a", "100 % Sure", "plain"),
            ("b", "snake_case", "O'Neil \"quoted\" \\ back"),
            ("c", "snakeXcase 1000", "ÜBER straße مرحبا 🦀"),
        ];
        for (end, name, description) in named {
            let body = json!({
                "clientId": format!("{account}_{end}"), "displayName": name, "description": description,
                "capabilities": ["script"],
            });
            make(&api, &body).await;
        }
        for (text, ends) in [
            ("%", "a"),
            ("100 %", "a"),
            ("SURE", "a"),
            ("e_c", "b"),
            ("E_C", "b"),
            ("o'nEIL \"Q", "b"),
            ("\\", "b"),
            ("über STRASSE", ""),
            ("über straße", "c"),
            ("مرحبا", "c"),
            ("🦀", "c"),
            ("_C", "bc"),
            ("snake", "bc"),
            ("' OR '1'='1", ""),
            ("<script>", ""),
            (&person.username.to_uppercase(), "abc"),
            (&account, "abc"),
            ("", "abc"),
        ] {
            let page = search(&api, text).await;
            let mut found: Vec<_> =
                ids(&page).iter().map(|id| id.rsplit('_').next().unwrap().to_owned()).collect();
            found.sort();
            assert_eq!(found.concat(), ends, "{text}");
            assert_eq!(page["pagination"]["total"], ends.len());
        }
        server.stop().await;
        // The next database knows nothing of them; Keycloak would.
        for (end, ..) in named {
            delete_in_console(&realm, &format!("{account}_{end}")).await;
        }
    }
}

/// The id of each, in the order that the rule gives.
fn ordered(clients: &[Value], sort: &str, descending: bool) -> Vec<String> {
    let key = |client: &Value| {
        let id = client["clientId"].as_str().unwrap();
        let value = match sort {
            "owner" => client["owner"]["username"].as_str().unwrap(),
            "displayName" => client["displayName"].as_str().unwrap_or(id),
            other => client[other].as_str().unwrap(),
        };
        let value = if sort == "displayName" { value.to_lowercase() } else { value.to_owned() };
        (value, id.to_owned())
    };
    let mut keys: Vec<_> = clients.iter().map(key).collect();
    keys.sort();
    if descending {
        keys.reverse();
    }
    keys.into_iter().map(|(_, id)| id).collect()
}

#[tokio::test]
async fn every_order_is_total_and_pages_fit_together() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (one, other) = (server.user(&person).await, server.user(&colleague).await);
        for (api, end, name) in [
            (&one, "d", "same"),
            (&one, "b", "Same"),
            (&other, "a", "other"),
            (&other, "c", "same"),
        ] {
            let body = json!({"clientId": format!("{account}_{end}"), "displayName": name, "capabilities": ["script"]});
            make(api, &body).await;
        }
        let id = |end: &str| format!("{account}_{end}");
        change_in_console(&realm, &id("b"), json!({"directAccessGrantsEnabled": true})).await;
        delete_in_console(&realm, &id("c")).await;
        for (end, status) in [("b", "drifted"), ("c", "missing"), ("d", "active")] {
            assert_eq!(one.get(&at(&id(end))).await.expect(200)["status"], status);
            let page = one.get(&format!("{CLIENTS}?status={status}")).await.expect(200);
            assert!(ids(&page).contains(&id(end).as_str()), "{page}");
            assert_eq!(page["pagination"]["total"], if status == "active" { 2 } else { 1 });
        }
        let none = one.get(&format!("{CLIENTS}?status=orphaned")).await.expect(200);
        assert_eq!(none["clients"], json!([]));
        // Made in one moment: ties are by id.
        let one_moment =
            format!("UPDATE clients SET created_at = 1000 WHERE account_id = '{account}'");
        assert_eq!(server.execute(one_moment).await, 4);

        let all = one.get(CLIENTS).await.expect(200);
        let all = all["clients"].as_array().unwrap();
        for sort in ["clientId", "displayName", "accountId", "owner", "createdAt", "status"] {
            for direction in ["asc", "desc"] {
                let expected = ordered(all, sort, direction == "desc");
                let query = format!("{CLIENTS}?sort={sort}&direction={direction}");
                let page = one.get(&query).await.expect(200);
                assert_eq!(ids(&page), expected, "{sort} {direction}");
                let mut pieces = Vec::new();
                for offset in [0, 1, 3, 4] {
                    let page =
                        one.get(&format!("{query}&offset={offset}&limit=2")).await.expect(200);
                    assert_eq!(
                        page["pagination"],
                        json!({"offset": offset, "limit": 2, "total": 4})
                    );
                    let until = (offset + 2).min(4).max(offset);
                    assert_eq!(ids(&page), expected[offset..until], "{sort} {direction} {offset}");
                    pieces.push(page);
                }
            }
        }
        server.stop().await;
        for end in ["a", "b", "d"] {
            delete_in_console(&realm, &id(end)).await;
        }
    }
}

/// Four clients, `a` and `b` of the one and `c` and `d` of the other.
async fn make_four(account: &str, one: &Api, other: &Api) {
    // Texts that read like the members that are looked for.
    let text = "\"capabilities\":[\"web_app\"],\"scopes\":[\"push-data\"],\"rootUrl\":";
    for (api, end, members) in [
        (one, "a", json!({"capabilities": ["script"], "displayName": text, "description": text})),
        (one, "b", json!({"capabilities": ["script"], "scopes": ["push-data"]})),
        (
            other,
            "c",
            json!({"capabilities": ["web_app", "script"], "redirectUris": ["https://x.example/"]}),
        ),
        (
            other,
            "d",
            json!({"capabilities": ["web_app"], "redirectUris": ["https://x.example/"],
                "scopes": ["datahub-api", "push-data"]}),
        ),
    ] {
        let mut body = members;
        body["clientId"] = json!(format!("{account}_{end}"));
        make(api, &body).await;
    }
}

#[tokio::test]
async fn a_list_is_filtered_by_owner_capability_and_scope() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (one, other) = (server.user(&person).await, server.user(&colleague).await);
        let id = |end: &str| format!("{account}_{end}");
        make_four(&account, &one, &other).await;
        for (query, ends) in [
            (format!("owner={}", person.id), "ab"),
            (format!("owner={}", colleague.username), "cd"),
            (format!("owner={}", colleague.username.to_uppercase()), "cd"),
            (format!("owner={}", &colleague.username[..10]), ""),
            ("owner=%25".to_owned(), ""),
            ("capability=web_app".to_owned(), "cd"),
            ("capability=script".to_owned(), "abc"),
            ("capability=backchannel".to_owned(), ""),
            ("scope=push-data".to_owned(), "bd"),
            ("scope=datahub-api".to_owned(), "d"),
            ("scope=push".to_owned(), ""),
            ("scope=%25".to_owned(), ""),
            ("scope=push_data".to_owned(), ""),
            ("scope=%22push-data%22".to_owned(), ""),
            ("scope=push-data&capability=script".to_owned(), "b"),
            (format!("scope=push-data&capability=web_app&owner={}", person.id), ""),
            (format!("scope=push-data&owner={}&status=active&search={account}", person.id), "b"),
        ] {
            let page = one.get(&format!("{CLIENTS}?sort=clientId&{query}")).await.expect(200);
            let found: String = ids(&page).iter().map(|id| &id[id.len() - 1..]).collect();
            assert_eq!(found, ends, "{query}");
            assert_eq!(page["pagination"]["total"], ends.len(), "{query}");
        }
        // An order that is asked for begins with the first, the usual one with the newest.
        let page = one.get(&format!("{CLIENTS}?sort=clientId")).await.expect(200);
        assert_eq!(ids(&page), ["a", "b", "c", "d"].map(id));
        assert_eq!(ids(&one.get(CLIENTS).await.expect(200)), ["d", "c", "b", "a"].map(id));
        server.stop().await;
        for end in ["a", "b", "c", "d"] {
            delete_in_console(&realm, &id(end)).await;
        }
    }
}

#[tokio::test]
async fn every_wrong_parameter_is_named() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let person = member(&realm, &account).await;
    let server = TestServer::in_realm(realm).await;
    let api = server.user(&person).await;
    let long = "x".repeat(256);
    let wrong = [
        ("search", long.as_str()),
        ("status", "alive"),
        ("sort", "secret"),
        ("direction", "up"),
        ("offset", "-1"),
        ("limit", "101"),
        ("owned", "me"),
        ("capability", "WebApp"),
        ("scope", "a\u{0}"),
    ];
    let request = api.request(reqwest::Method::GET, CLIENTS).query(&wrong);
    let problem = api.send(request).await.expect_problem(400, "invalid");
    let mut names = wrong.map(|(name, _)| name);
    names.sort_unstable();
    assert_eq!(fields(&problem), names);
    for (query, field) in [
        ("search=%00", "search"),
        ("limit=0", "limit"),
        ("limit=1&limit=2", "limit"),
        ("offset=4294967296", "offset"),
        ("sort=", "sort"),
        ("status=Active", "status"),
        ("sort=client_id;--", "sort"),
    ] {
        let problem = api.get(&format!("{CLIENTS}?{query}")).await.expect_problem(400, "invalid");
        assert_eq!(fields(&problem), [field], "{query}");
    }
    let id = format!("{account}_app");
    make(&api, &script(&id)).await;
    for path in [
        at(&id),
        format!("{}/secret", at(&id)),
        "/api/clients/v1/quota".to_owned(),
        "/api/clients/v1/scopes".to_owned(),
    ] {
        let problem = api.get(&format!("{path}?limit=1")).await.expect_problem(400, "invalid");
        assert_eq!(fields(&problem), ["limit"], "{path}");
    }
    server.stop().await;
}
