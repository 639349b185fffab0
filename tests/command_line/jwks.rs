//! `hallpass jwks export`.

use serde_json::Value;

use super::{stderr, stdout};
use crate::support::{TestRealm, hallpass, http, run, service};

async fn export(folder: &std::path::Path, realm: &str, arguments: &[&str]) -> std::process::Output {
    let keycloak = service("HALLPASS_TEST_KEYCLOAK_URL");
    let mut command = hallpass(folder, &["jwks", "export", "--realm", realm]);
    command.args(["--keycloak-url", &keycloak]).args(arguments);
    run(command).await
}

/// What the realm publishes for signatures, by `kid`.
async fn published(realm: &TestRealm) -> Vec<String> {
    let keys: Value = http().get(realm.jwks_url()).send().await.unwrap().json().await.unwrap();
    let keys = keys["keys"].as_array().unwrap().iter().filter(|key| key["use"] == "sig");
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn both_formats_go_to_standard_output_and_to_a_file() {
    let realm = TestRealm::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let kids = published(&realm).await;
    assert!(kids.contains(&realm.signing_key().kid().to_owned()), "{kids:?}");

    let jwks = export(folder.path(), &realm.name, &[]).await;
    assert!(jwks.status.success(), "{jwks:?}");
    let set: Value = serde_json::from_str(&stdout(&jwks)).unwrap();
    let exported: Vec<_> =
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(exported, kids);
    assert_eq!(stderr(&jwks), "");

    let pem = export(folder.path(), &realm.name, &["--format", "pem"]).await;
    assert!(pem.status.success(), "{pem:?}");
    let text = stdout(&pem);
    assert_eq!(text.matches("-----BEGIN PUBLIC KEY-----").count(), kids.len(), "{text}");
    for kid in &kids {
        assert!(text.contains(&format!("kid: {kid}\n-----BEGIN PUBLIC KEY-----")), "{text}");
    }

    for (format, text) in [("jwks", stdout(&jwks)), ("pem", text)] {
        let file = folder.path().join(format);
        let arguments = ["--format", format, "--output", file.to_str().unwrap()];
        let output = export(folder.path(), &realm.name, &arguments).await;
        assert!(output.status.success(), "{output:?}");
        assert_eq!((stdout(&output), stderr(&output)), (String::new(), String::new()));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
}

#[tokio::test]
async fn what_cannot_be_exported_is_said_with_its_cause() {
    let realm = TestRealm::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("no-folder/jwks.json");
    let output = export(folder.path(), &realm.name, &["--output", nowhere.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = stderr(&output);
    assert!(said.contains(&format!("error: cannot write {}", nowhere.display())), "{said}");
    assert!(said.contains("because: No such file or directory"), "{said}");
    assert_eq!(stdout(&output), "");

    let output = export(folder.path(), "no-such-realm", &[]).await;
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()), "{output:?}");
    assert!(stderr(&output).contains("Realm does not exist"), "{output:?}");

    let gone = ["jwks", "export", "--realm", "x", "--keycloak-url", "http://127.0.0.1:1"];
    let output = run(hallpass(folder.path(), &gone)).await;
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()), "{output:?}");
    assert!(stderr(&output).contains("Keycloak is not available"), "{output:?}");
    assert!(stderr(&output).contains("refused"), "{output:?}");
}
