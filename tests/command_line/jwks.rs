//! `hallpass jwks export`.

use serde_json::Value;

use super::{stderr, stdout};
use crate::support::{TestRealm, TestServer, hallpass, http, run, service};

async fn export(folder: &std::path::Path, realm: &str, arguments: &[&str]) -> std::process::Output {
    export_with(folder, realm, arguments, &[]).await
}

/// The same with these settings of the service.
async fn export_with(
    folder: &std::path::Path,
    realm: &str,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> std::process::Output {
    let keycloak = service("HALLPASS_TEST_KEYCLOAK_URL");
    let mut command = hallpass(folder, &["jwks", "export", "--realm", realm]);
    command.args(["--keycloak-url", &keycloak]).args(arguments).envs(settings.iter().copied());
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

    // As PEM those of personal access tokens: the store knows which, and so does the service.
    let server = TestServer::in_realm(realm.clone()).await;
    let store = server.database.url_text();
    let by_store = [("HALLPASS_STORE__URL", &*store)];
    let by_service = [("HALLPASS_SERVER__PUBLIC_URL", server.base())];
    let own = realm.signing_key().kid().to_owned();
    let named = |text: &str| {
        assert_eq!(
            text.matches("-----BEGIN PUBLIC KEY-----").count(),
            text.matches("kid: ").count()
        );
        text.lines()
            .filter_map(|line| line.strip_prefix("kid: ").map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let mut text = String::new();
    for settings in [by_service, by_store] {
        let pem = ["--format", "pem"];
        let alone = export_with(folder.path(), &realm.name, &pem, &settings).await;
        assert!(alone.status.success(), "{alone:?}");
        assert_eq!(named(&stdout(&alone)), [own.as_str()]);
        assert!(stdout(&alone).contains(&format!("kid: {own}\n-----BEGIN PUBLIC KEY-----")));
        assert!(stdout(&alone).contains(&server.anonymous().get("/public-keys").await.text));
        let all =
            export_with(folder.path(), &realm.name, &["--format", "pem", "--all"], &settings).await;
        assert!(all.status.success(), "{all:?}");
        let found = named(&stdout(&all));
        assert_eq!((&found[0], found.len()), (&own, kids.len()));
        assert!(kids.iter().all(|kid| found.contains(kid)), "{found:?}");
        text = stdout(&alone);
    }

    for (format, text) in [("jwks", stdout(&jwks)), ("pem", text)] {
        let file = folder.path().join(format);
        let arguments = ["--format", format, "--output", file.to_str().unwrap()];
        let output = export_with(folder.path(), &realm.name, &arguments, &by_store).await;
        assert!(output.status.success(), "{output:?}");
        assert_eq!((stdout(&output), stderr(&output)), (String::new(), String::new()));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
    server.stop().await;
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

    // Nobody says which key is for personal access tokens.
    let nobody = [("HALLPASS_SERVER__PUBLIC_URL", "http://127.0.0.1:1")];
    let output = export_with(folder.path(), &realm.name, &["--format", "pem"], &nobody).await;
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()), "{output:?}");
    assert!(stderr(&output).contains("give the settings of the service"), "{output:?}");
    assert!(!folder.path().join("hallpass.db").exists());

    let output = export(folder.path(), "no-such-realm", &[]).await;
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()), "{output:?}");
    assert!(stderr(&output).contains("Realm does not exist"), "{output:?}");

    let gone = ["jwks", "export", "--realm", "x", "--keycloak-url", "http://127.0.0.1:1"];
    let output = run(hallpass(folder.path(), &gone)).await;
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()), "{output:?}");
    assert!(stderr(&output).contains("Keycloak is not available"), "{output:?}");
    assert!(stderr(&output).contains("refused"), "{output:?}");
}
