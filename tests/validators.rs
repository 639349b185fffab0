//! Stock third-party validators, which know nothing of Hallpass, accept its tokens.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Api, TestRealm, TestServer, service};

/// `PyJWT` and `jose`, as installed by `dev/test-clients-install`.
const VALIDATORS: [(&str, &str); 2] = [("python3", "validate.py"), ("node", "validate.mjs")];

type Validator = (&'static str, &'static str);

fn run((interpreter, script): Validator, token: &str, arguments: &[&str]) -> Output {
    let installed = service("HALLPASS_TEST_CLIENTS");
    let folder = Path::new(&installed);
    let mut child = Command::new(interpreter)
        .arg(folder.join(script))
        .args(arguments)
        .env("PYTHONPATH", folder.join("python"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn accept(validator: Validator, token: &str, arguments: &[&str]) -> Value {
    let output = run(validator, token, arguments);
    assert!(output.status.success(), "{validator:?} {arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refuse(validator: Validator, token: &str, arguments: &[&str]) {
    let output = run(validator, token, arguments);
    assert_eq!(output.status.code(), Some(1), "{validator:?} {arguments:?}: {output:?}");
}

/// The signature with one character in its middle replaced.
fn forged(token: &str) -> String {
    let middle = token.rfind('.').unwrap() + 100;
    let other = if &token[middle..=middle] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &token[..middle], &token[middle + 1..])
}

async fn minted(user: &Api) -> (Value, String) {
    let minted = user.mint("stranger").await;
    let token = minted["token"].as_str().unwrap().to_owned();
    (minted, token)
}

#[tokio::test]
async fn strangers_validate_a_fresh_token_from_the_realms_jwks_url_alone() {
    let realm = TestRealm::shared().await;
    let extra = [("HALLPASS_TOKENS__AUDIENCES", "reports")];
    let server =
        TestServer::start_with(realm.clone(), crate::support::Database::sqlite, &extra).await;
    let person = realm.person().await;
    let (minted, token) = minted(&server.user(&person).await).await;

    let (url, issuer) = (realm.jwks_url(), realm.issuer());
    for validator in VALIDATORS {
        let with =
            |issuer, audience| ["--jwks-url", &*url, "--issuer", issuer, "--audience", audience];
        let claims = accept(validator, &token, &with(&issuer, "reports"));
        assert_eq!(claims["sub"], json!(person.id));
        assert_eq!(claims["jti"], minted["patId"]);
        assert_eq!(claims["preferred_username"], json!(person.username));
        refuse(validator, &token, &with(&issuer, "payroll"));
        refuse(validator, &token, &with("https://elsewhere.example", "reports"));
        refuse(validator, &forged(&token), &with(&issuer, "reports"));
    }
    server.stop().await;
}

#[tokio::test]
async fn strangers_validate_offline_from_an_exported_jwks() {
    let server = TestServer::start().await;
    let realm = &server.realm;
    let (_, token) = minted(&server.user(&realm.person().await).await).await;

    let file = server.folder.path().join("jwks.json");
    let exported = Command::new(env!("CARGO_BIN_EXE_hallpass"))
        .args(["jwks", "export", "--realm", &realm.name, "--output", file.to_str().unwrap()])
        .args(["--keycloak-url", &service("HALLPASS_TEST_KEYCLOAK_URL")])
        .current_dir(server.folder.path())
        .output()
        .unwrap();
    assert!(exported.status.success(), "{exported:?}");

    let (file, issuer) = (file.to_str().unwrap(), realm.issuer());
    let arguments = ["--jwks-file", file, "--issuer", &issuer, "--audience", "hallpass-pat"];
    for validator in VALIDATORS {
        assert_eq!(accept(validator, &token, &arguments)["typ"], "PAT");
        refuse(validator, &forged(&token), &arguments);
    }
    server.stop().await;
}
