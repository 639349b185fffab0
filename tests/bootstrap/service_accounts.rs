//! Clients that are taken over, with a service account or without one, in realms that have Keycloak's client scope for it
//! and in such as lack it.

use hallpass::bootstrap::{Mode, Options};
use serde_json::{Value, json};

use super::Ground;
use crate::support::options;

const CLIENTS: [&str; 4] = ["hallpass", "hallpass-cli", "hallpass-pat", "hallpass-probe"];

async fn plant(ground: &Ground, with_account: bool) {
    let mapper = json!({"name": "theirs", "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": {"claim.name": "theirs", "claim.value": "x", "access.token.claim": "true"}});
    for client_id in CLIENTS {
        let client = json!({"clientId": client_id, "publicClient": false,
            "serviceAccountsEnabled": with_account, "protocolMappers": [mapper]});
        ground.admin.post(&ground.path("/clients"), &client).await;
    }
}

async fn remove_scope(ground: &Ground, name: &str) {
    let scopes = ground.admin.get(&ground.path("/client-scopes")).await;
    let scope = scopes.as_array().unwrap().iter().find(|scope| scope["name"] == name);
    let id = scope.unwrap()["id"].as_str().unwrap();
    ground.admin.delete(&ground.path(&format!("/client-scopes/{id}"))).await;
}

/// The names of what a client's tokens are made by, and of the service accounts of the realm.
async fn left(ground: &Ground) -> (Vec<(String, Vec<String>)>, Vec<String>) {
    let names = |list: &Value, member: &str| -> Vec<String> {
        let found = list.as_array().unwrap().iter().map(|one| one[member].as_str().unwrap());
        let mut names: Vec<String> = found.map(str::to_owned).collect();
        names.sort();
        names
    };
    let mut mappers = Vec::new();
    for client_id in CLIENTS {
        let client = ground.client(client_id).await;
        let found = client.get("protocolMappers").cloned().unwrap_or_else(|| json!([]));
        mappers.push((client_id.to_owned(), names(&found, "name")));
    }
    // Service accounts are in no list of users.
    let mut accounts = Vec::new();
    for client_id in CLIENTS {
        let name = format!("service-account-{client_id}");
        let path = ground.path(&format!("/users?username={name}&exact=true"));
        accounts.extend(names(&ground.admin.get(&path).await, "username"));
    }
    (mappers, accounts)
}

#[tokio::test]
async fn what_is_done_to_clients_that_are_taken_over_is_what_the_dry_run_named() {
    for has_scope in [true, false] {
        for with_account in [false, true] {
            let ground = Ground::new().await;
            if !has_scope {
                remove_scope(&ground, "service_account").await;
            }
            plant(&ground, with_account).await;
            let adopting = Options { adopt: true, ..options() };
            let dry = Options { mode: Mode::DryRun, ..adopting.clone() };
            let promised = ground.bootstrap_with(dry).await.lines;
            let promised: Vec<_> =
                promised.iter().map(|line| line.trim_start_matches("would: ")).collect();
            let done = ground.bootstrap_with(adopting).await.lines;
            assert_eq!(promised, done, "scope: {has_scope}, account: {with_account}");
            assert_eq!(ground.bootstrap().await.lines, Vec::<String>::new());

            let (mappers, accounts) = left(&ground).await;
            assert_eq!(accounts, ["service-account-hallpass"]);
            for (client_id, names) in &mappers {
                assert!(!names.contains(&"theirs".to_owned()), "{client_id}: {names:?}");
            }
        }
    }
}
