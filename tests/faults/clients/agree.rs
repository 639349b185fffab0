//! Whether Hallpass's record and Keycloak's client say the same.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Account, CLIENTS, path};
use crate::support::Api;

/// Why the record of this client and Keycloak's client do not agree; `None` when they do.
async fn disagreement(account: &Account, base: &str, id: &str) -> Option<String> {
    let answer = account.administrator(base).get(&path(id)).await;
    let record = match answer.status.as_u16() {
        200 => Some(answer.json()),
        404 => None,
        _ => return Some(format!("no answer: {answer:?}")),
    };
    match (record, find_in_keycloak(account, id).await) {
        (None, None) => None,
        (Some(record), None) => Some(format!("only a record: {record}")),
        (None, Some(_)) => Some("only a client in Keycloak".to_owned()),
        (Some(record), Some(client)) => {
            let (recorded, there) = (fields_of_record(&record), fields_of_client(&client));
            if recorded != there {
                return Some(format!("recorded {recorded}, in Keycloak {there}"));
            }
            if record["status"] != "active" {
                return Some(format!("status {}", record["status"]));
            }
            refusal_of_secret(account, base, id).await
        }
    }
}

/// Waits until they do.
pub(super) async fn until_agreed(
    (account, base): (&Account, &str),
    id: &str,
    what: &str,
    bound: Duration,
) {
    let began = Instant::now();
    while let Some(complaint) = disagreement(account, base, id).await {
        assert!(began.elapsed() < bound, "{what}: still after {bound:?}: {complaint}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

pub(super) async fn find_in_keycloak(account: &Account, id: &str) -> Option<Value> {
    let admin = account.keycloak().await;
    let found = admin.get(&format!("/{}/clients?clientId={id}", account.realm.name)).await;
    found.as_array().unwrap().iter().find(|client| client["clientId"] == id).cloned()
}

fn set(list: &Value) -> BTreeSet<String> {
    let entries = list.as_array().into_iter().flatten();
    entries.map(|entry| entry.as_str().unwrap().to_owned()).collect()
}

fn fields_of_record(record: &Value) -> Value {
    let capabilities = set(&record["capabilities"]);
    json!({
        "name": record["displayName"], "description": record["description"],
        "enabled": record["enabled"], "redirectUris": set(&record["redirectUris"]),
        "scopes": set(&record["scopes"]), "webApp": capabilities.contains("web_app"),
        "script": capabilities.contains("script"), "account": record["accountId"],
    })
}

fn fields_of_client(client: &Value) -> Value {
    json!({
        "name": client["name"], "description": client["description"],
        "enabled": client["enabled"], "redirectUris": set(&client["redirectUris"]),
        "scopes": set(&client["optionalClientScopes"]), "webApp": client["standardFlowEnabled"],
        "script": client["serviceAccountsEnabled"],
        "account": client["attributes"]["hallpass.account"],
    })
}

/// Whether Keycloak takes this secret.
pub(super) async fn works(account: &Account, id: &str, secret: &str) -> bool {
    let url = format!("{}/protocol/openid-connect/token", account.realm.issuer());
    let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    account.connections.http.post(url).form(&form).send().await.unwrap().status().is_success()
}

/// An interrupted deletion may end between any two questions: no secret is then no agreement yet.
async fn refusal_of_secret(account: &Account, base: &str, id: &str) -> Option<String> {
    let answer = account.member(base).get(&format!("{}/secret", path(id))).await;
    if answer.status != 200 {
        return Some(format!("no secret: {answer:?}"));
    }
    let works = works(account, id, answer.json()["clientSecret"].as_str().unwrap()).await;
    (!works).then(|| "the secret that is shown does not work".to_owned())
}

/// The quota's count, the records and Keycloak's clients of the account are as many.
pub(super) async fn assert_counted(account: &Account, base: &str, what: &str) -> usize {
    let api = account.member(base);
    let used = api.get("/api/clients/v1/quota").await.expect(200)["used"].clone();
    let listed = api.get(CLIENTS).await.expect(200)["pagination"]["total"].clone();
    let admin = account.keycloak().await;
    let query = format!("clientId={}_&search=true&max=1000", account.name);
    let found = admin.get(&format!("/{}/clients?{query}", account.realm.name)).await;
    let ours = |client: &&Value| client["attributes"]["hallpass.account"] == account.name.as_str();
    let there = found.as_array().unwrap().iter().filter(ours).count();
    assert_eq!(used, listed, "{what}: used and listed");
    assert_eq!(used, there, "{what}: used and in Keycloak");
    there
}

/// Nothing is stuck: every client that is left can be deleted, and then nothing is left.
pub(super) async fn assert_nothing_stuck(account: &Account, base: &str, what: &str) {
    assert_counted(account, base, what).await;
    let api: Api = account.member(base);
    loop {
        let page = api.get(&format!("{CLIENTS}?limit=100")).await.expect(200);
        let clients = page["clients"].as_array().unwrap().clone();
        if clients.is_empty() {
            break;
        }
        for client in clients {
            let path = path(client["clientId"].as_str().unwrap());
            let mut answer = api.delete(&path).await;
            // One person changed much in a short time: the answer says when to go on.
            while let Some(seconds) = answer.headers.get("retry-after")
                && answer.status == 429
            {
                let seconds = seconds.to_str().unwrap().parse().unwrap();
                tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
                answer = api.delete(&path).await;
            }
            assert_eq!(answer.status, 204, "{what}: {answer:?}");
        }
    }
    assert_eq!(assert_counted(account, base, what).await, 0, "{what}");
}
