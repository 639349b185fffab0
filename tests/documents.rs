//! What the documents say is run.

use std::fs;
use std::process::Command;

use crate::support::{Admin, LOGIN_CLIENT, TestRealm, TestServer};

/// The fenced block after the comment `<!-- name -->`.
fn block(document: &str, name: &str) -> String {
    let (_, rest) = document.split_once(&format!("<!-- {name} -->")).expect("the block is there");
    let (_, rest) = rest.split_once("```").expect("it begins");
    let (_, rest) = rest.split_once('\n').expect("it has a first line");
    let (text, _) = rest.split_once("```").expect("it ends");
    text.to_owned()
}

#[tokio::test]
async fn the_tour_of_the_readme_runs() {
    let realm = TestRealm::own().await;
    let alice = serde_json::json!({"attributes": {"account_id": ["acme"]}});
    let alice = realm.person_with("alice", alice).await;
    realm.give_roles(&alice, "hallpass", &["create-api-clients"]).await;
    let admin = Admin::log_in().await;
    // The demonstration's own people and password, in this test's realm.
    let found = admin.get(&format!("/{}/users?username=alice", realm.name)).await;
    let path = format!("/{}/users/{}/reset-password", realm.name, found[0]["id"].as_str().unwrap());
    let password = serde_json::json!({"type": "password", "value": "demo", "temporary": false});
    admin.put(&path, &password).await;
    let server = TestServer::in_realm(realm.clone()).await;

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("run")).unwrap();
    let variables =
        format!("export HALLPASS_URL={}\nexport REALM_URL={}\n", server.base(), realm.issuer());
    fs::write(folder.path().join("run/env"), variables).unwrap();
    let readme = include_str!("../README.md");
    let tour =
        block(readme, "tour").replace("client_id=demo-login", &format!("client_id={LOGIN_CLIENT}"));

    let script = format!("set -euo pipefail\n{tour}");
    let output = tokio::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for part in [
        "\"preferred_username\": \"alice\"",
        "\"name\": \"tour\"",
        "Keycloak userinfo: 401",
        "\"revoked\"",
        "\"A valid credential is needed\"",
        "204",
        "\"token_type\": \"Bearer\"",
        "push-data",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    server.stop().await;
}

#[test]
fn the_readmes_python_is_what_the_stock_validator_does() {
    // The snippet is run by giving it the names that it uses; a wrong token must be its own error.
    let snippet = block(include_str!("../README.md"), "python");
    let lines: Vec<_> = snippet.lines().map(|line| format!("    {}", line.trim_start())).collect();
    let names = "token = 'a.b.c'\nJWKS_URL = 'http://127.0.0.1:1/'\nISSUER = AUDIENCE = 'x'\n";
    let body = lines.join("\n");
    let refused = "except __import__('jwt').PyJWTError:\n    print('refused')\n";
    let program = format!("{names}try:\n{body}\n{refused}");
    let clients = crate::support::service("HALLPASS_TEST_CLIENTS");
    let output = Command::new("python3")
        .args(["-c", &program])
        .env("PYTHONPATH", format!("{clients}/python"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "refused", "{output:?}");
}
