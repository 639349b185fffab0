//! Clients of `server.allowed_clients` by which an administrator could act in a user's name.

use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{PATIENCE, TOKENS};
use crate::support::{Admin, Database, LOGIN_CLIENT, Process, TestRealm, TestServer};

#[tokio::test]
async fn serve_warns_of_a_client_that_does_not_show_who_impersonates() {
    let realm = TestRealm::own().await;
    let admin = Admin::log_in().await;
    let client = json!({"clientId": "careless", "publicClient": true});
    admin.post(&format!("/{}/clients", realm.name), &client).await;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&folder);
    Process::prepare_store(&realm, &database).await;
    let allowed = format!("hallpass,hallpass-cli,{LOGIN_CLIENT},careless");
    let extra = [("HALLPASS_SERVER__ALLOWED_CLIENTS", allowed.as_str())];
    let serve = Process::serve(&realm, &database, folder.path(), &extra).await;
    let warned = async {
        while !serve.written().contains("do not say that an administrator impersonates") {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, warned).await.expect("it warns");
    let warnings = serve.written();
    let warnings = warnings.lines().filter(|line| line.contains("impersonates"));
    let warnings: Vec<_> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("careless"), "{warnings:?}");
    serve.kill().await;
}

#[tokio::test]
async fn an_actor_in_a_token_reads_only() {
    let realm = TestRealm::own().await;
    let admin = Admin::log_in().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let person = realm.person().await;
    let uuid = admin.client_uuid(&realm.name, LOGIN_CLIENT).await;
    let mapper = json!({"name": "actor", "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-claim-mapper", "config": {"claim.name": "act",
        "claim.value": "{\"sub\": \"somebody\"}", "jsonType.label": "JSON", "access.token.claim": "true"}});
    admin.post(&format!("/{}/clients/{uuid}/protocol-mappers/models", realm.name), &mapper).await;
    let user = server.user(&person).await;
    user.get(TOKENS).await.expect(200);
    user.post(TOKENS, &json!({"name": "x"})).await.expect_problem(403, "impersonated");
    server.stop().await;
}
