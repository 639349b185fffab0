//! Finding clients.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Admin, TestRealm, http, service};

#[tokio::test]
async fn a_client_id_finds_exactly_that_client_and_a_search_finds_more() {
    let realm = TestRealm::own().await;
    let admin = Admin::log_in().await;
    for client_id in ["acme_app", "acmeXapp", "ACME_APP", "acme_app2"] {
        admin.post(&format!("/{}/clients", realm.name), &json!({"clientId": client_id})).await;
    }
    let found = |query: &str| {
        let path = format!("/{}/clients?{query}", realm.name);
        let admin = &admin;
        async move {
            let found = admin.get(&path).await;
            let ids = found.as_array().unwrap().iter();
            let mut ids: Vec<_> =
                ids.map(|client| client["clientId"].as_str().unwrap().to_owned()).collect();
            ids.sort();
            ids
        }
    };
    assert_eq!(found("clientId=acme_app").await, ["acme_app"]);
    assert_eq!(found("clientId=acme_").await, Vec::<String>::new());
    assert_eq!(
        found("clientId=acme_&search=true").await,
        ["ACME_APP", "acmeXapp", "acme_app", "acme_app2"]
    );
}

#[tokio::test]
async fn a_search_by_attribute_is_refused_and_a_taken_id_is_a_conflict() {
    let realm = TestRealm::shared().await;
    let admin = Admin::log_in().await;
    let path = format!("/{}/clients?q=hallpass.managed:true", realm.name);
    let (status, text) = answer(&admin, Method::GET, &path, &Value::Null).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("not allowed for search"), "{text}");

    let path = format!("/{}/clients", realm.name);
    let (status, text) =
        answer(&admin, Method::POST, &path, &json!({"clientId": "hallpass"})).await;
    assert_eq!(status, 409, "{text}");
}

async fn answer(admin: &Admin, method: Method, path: &str, body: &Value) -> (StatusCode, String) {
    let url = format!("{}/admin/realms{path}", service("HALLPASS_TEST_KEYCLOAK_URL"));
    let mut request = http().request(method, url).bearer_auth(admin.token());
    if !body.is_null() {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}
