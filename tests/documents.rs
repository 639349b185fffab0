//! What the documents say is run.

use std::fs;
use std::process::Command;

use crate::support::{Admin, Browser, Database, LOGIN_CLIENT, PASSWORD, TestRealm, TestServer};

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

/// A person's shell: blocks of a document, one after the other, with what was set before.
struct Shell {
    child: tokio::process::Child,
    lines: tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStdout>>,
}

impl Shell {
    fn open(folder: &std::path::Path, variables: &[(&str, &str)]) -> Self {
        use tokio::io::AsyncBufReadExt as _;
        let mut command = tokio::process::Command::new("bash");
        command.args(["-euo", "pipefail", "-s"]).current_dir(folder).kill_on_drop(true);
        command.envs(variables.iter().copied());
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Runs a block to its end; answers what it printed.
    async fn run(&mut self, block: &str) -> String {
        use tokio::io::AsyncWriteExt as _;
        const END: &str = "the end of the block";
        let text = format!("{block}\necho '{END}'\n");
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap();
        let mut printed = String::new();
        loop {
            match self.lines.next_line().await.unwrap() {
                Some(line) if line == END => return printed,
                Some(line) => printed.extend([&*line, "\n"]),
                None => panic!("the shell ended in {block}: {printed}"),
            }
        }
    }
}

const ACCESS_TOKENS: &str = include_str!("../docs/access-tokens.md");

#[tokio::test]
async fn a_person_gets_an_access_token_as_the_page_says() {
    let realm = TestRealm::own().await;
    let person = realm.person().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let issuer = realm.issuer();
    let variables = [("REALM_URL", &*issuer), ("HALLPASS_URL", server.base())];
    let mut shell = Shell::open(folder.path(), &variables);
    let said = shell.run(&block(ACCESS_TOKENS, "device-login")).await;
    let url = said.split_whitespace().find(|word| word.starts_with("http")).unwrap();
    let mut browser = Browser::new(&issuer);
    let page = browser.open(url.trim_end_matches(',')).await;
    let login = [("username", &*person.username), ("password", PASSWORD)];
    let consent = browser.send_form(page, &login).await;
    browser.send_form(consent, &[("accept", "Yes")]).await;
    shell.run(&block(ACCESS_TOKENS, "device-token")).await;
    let said = shell.run(&block(ACCESS_TOKENS, "first-token")).await;
    for part in ["\"hallpass:create-tokens\"", "\"expiresIn\"", "\"name\": \"first\"", "\"active\""]
    {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_with_the_mappers_of_the_page_may_call_the_api() {
    let realm = TestRealm::own().await;
    let admin = Admin::log_in().await;
    let client = serde_json::json!({
        "clientId": "my-app", "publicClient": true, "directAccessGrantsEnabled": true,
        "standardFlowEnabled": false, "fullScopeAllowed": true,
        "defaultClientScopes": ["basic", "profile", "email"], "optionalClientScopes": [],
    });
    admin.post(&format!("/{}/clients", realm.name), &client).await;
    let person = realm.person().await;
    realm.give_roles(&person, "hallpass", &["create-api-clients"]).await;
    let allowed = [("HALLPASS_SERVER__ALLOWED_CLIENTS", "hallpass,hallpass-cli,my-app")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &allowed).await;
    let api = async || server.with_token(&realm.access_token_from(&person, "my-app").await);
    let tokens = "/api/pat/v1/tokens";
    api().await.get(tokens).await.expect_problem(401, "unauthenticated");

    let folder = tempfile::tempdir().unwrap();
    let keycloak = crate::support::service("HALLPASS_TEST_KEYCLOAK_URL");
    let (admin_url, token) = (format!("{keycloak}/admin/realms/{}", realm.name), admin.token());
    let variables = [("ADMIN_URL", &*admin_url), ("ADMIN_TOKEN", &token), ("CLIENT", "my-app")];
    Shell::open(folder.path(), &variables).run(&block(ACCESS_TOKENS, "mappers")).await;
    let api = api().await;
    api.mint("of-my-app").await;
    api.get("/api/clients/v1/clients").await.expect(200);

    // And who impersonates is told apart.
    let uuid = admin.client_uuid(&realm.name, "my-app").await;
    let path = format!("/{}/clients/{uuid}/protocol-mappers/models", realm.name);
    let mappers = admin.get(&path).await;
    let mut mappers = mappers.as_array().unwrap().iter();
    let note = mappers.find(|mapper| mapper["name"] == "hallpass impersonator").unwrap();
    assert_eq!(note["config"]["user.session.note"], "IMPERSONATOR_ID");
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
