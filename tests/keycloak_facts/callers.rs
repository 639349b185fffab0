//! Checking a client's secret without using a grant, and finding its service account.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Admin, LOGIN_CLIENT, TestRealm, http};

/// What Keycloak's introspection endpoint answers a client that asks about no token.
async fn ask(realm: &TestRealm, id: &str, secret: &str) -> (StatusCode, Value) {
    let url = format!("{}/protocol/openid-connect/token/introspect", realm.issuer());
    let form = [("client_id", id), ("client_secret", secret), ("token", "none")];
    let answer = http().post(url).form(&form).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn introspection_of_no_token_tells_a_good_secret_from_a_wrong_one() {
    let realm = TestRealm::own().await;
    let admin = Admin::log_in().await;
    let client = realm.service_client().await;
    let good = (StatusCode::OK, json!({"active": false}));
    assert_eq!(ask(&realm, &client.id, &client.secret).await, good);
    for (id, secret, status) in [
        (client.id.as_str(), "wrong", 401),
        (&client.id, "", 401),
        ("nobody", "x", 401),
        (LOGIN_CLIENT, "", 403),
    ] {
        let (found, answer) = ask(&realm, id, secret).await;
        assert_eq!(found, status, "{id}: {answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    let path = format!("/{}/clients/{}", realm.name, client.uuid);
    let account = format!("{path}/service-account-user");
    assert_eq!(admin.get(&account).await["id"], client.account.id.as_str());
    admin.put(&path, &json!({"clientAuthenticatorType": "client-jwt"})).await;
    assert_eq!(ask(&realm, &client.id, &client.secret).await.0, 400);
    admin.put(&path, &json!({"clientAuthenticatorType": "client-secret", "enabled": false})).await;
    assert_eq!(ask(&realm, &client.id, &client.secret).await.0, 401);
}
