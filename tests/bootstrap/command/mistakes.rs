//! What goes wrong: how the command ends, and what it says.

use super::*;

#[tokio::test]
async fn a_secret_that_is_not_the_clients_is_told_with_the_flag_that_writes_the_right_one() {
    let desk = Desk::new().await;
    let first = end(&mut desk.bootstrap(&["--write-config", "hallpass.toml"])).await;
    assert_eq!(first.code, 0, "{first:?}");
    let admin = crate::support::Admin::log_in().await;
    let uuid = admin.client_uuid(&desk.realm.name, "hallpass").await;
    let path = format!("/{}/clients/{uuid}/client-secret", desk.realm.name);
    admin.call(reqwest::Method::POST, &path, None).await;
    for arguments in [&[][..], &["--dry-run"]] {
        let ended = end(&mut desk.bootstrap(arguments)).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains("is not the secret of client hallpass"), "{ended:?}");
        assert!(ended.stderr.contains("--write-config FILE"), "{ended:?}");
    }
    let mended = end(&mut desk.bootstrap(&["--write-config", "hallpass.toml"])).await;
    assert_eq!(mended.code, 0, "{mended:?}");
    assert_eq!(end(&mut desk.bootstrap(&[])).await.code, 0);
    serve_is_ready(&desk).await;
}

#[tokio::test]
async fn a_run_that_fails_says_what_it_left() {
    let desk = Desk::new().await;
    let proxy = crate::support::FaultProxy::start();
    proxy.on_nth(1, "POST */clients", crate::support::Fault::status(500));
    let mut command = desk.program();
    command
        .env("HALLPASS_ADMIN_PASSWORD", service("HALLPASS_TEST_KEYCLOAK_ADMIN_PASSWORD"))
        .args(["bootstrap", "--realm", &desk.realm.name, "--admin-user", "admin"])
        .args(["--write-config", "hallpass.toml", "--keycloak-url", proxy.url()])
        .args(["--keycloak-public-url", &service("HALLPASS_TEST_KEYCLOAK_URL")]);
    let ended = end(&mut command).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("this run made hallpass.toml, "), "{ended:?}");
    assert!(ended.stderr.contains("hallpass.db; the next one goes on"), "{ended:?}");
}

#[tokio::test]
async fn misuse_ends_with_code_two() {
    let desk = Desk::new().await;
    for arguments in [
        &["bootstrap"][..],
        &["bootstrap", "--admin-user", "a", "--admin-client", "b"],
        &["bootstrap", "--admin-user", "a", "--scope", "no-description"],
        &["bootstrap", "--admin-user", "a", "--admin-password", "secret"],
        &["no-such-command"],
        &[],
    ] {
        let ended = end(desk.program().args(arguments)).await;
        assert_failed(&ended, 2, &["--help"]);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_stops_it_before_the_realm_is_changed() {
    let desk = Desk::new().await;
    fs::write(desk.file("broken.toml"), "= nonsense").unwrap();
    let ended = end(&mut desk.bootstrap(&["--write-config", "broken.toml"])).await;
    assert_failed(&ended, 1, &["broken.toml"]);
    let ended = end(&mut desk.bootstrap(&["--write-config", "no/such/folder.toml"])).await;
    assert_failed(&ended, 1, &["no/such/folder.toml"]);
    let dry = end(&mut desk.bootstrap(&["--dry-run"])).await;
    assert!(dry.stdout.contains("would: create client hallpass\n"), "{dry:?}");
    assert_eq!(fs::read_to_string(desk.file("broken.toml")).unwrap(), "= nonsense");
    desk.assert_files(&["broken.toml"]);
}
