//! `hallpass bootstrap` as an operator runs it: the real program in an empty folder.

mod mistakes;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::support::{BareRealm, bare_realm, http, keycloak_is_at_least, service};

/// A realm and an empty folder beside it.
struct Desk {
    realm: BareRealm,
    folder: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Desk {
    async fn new() -> Self {
        Self { realm: bare_realm().await, folder: tempfile::tempdir().unwrap() }
    }

    /// The program with nothing of our environment.
    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
        command.env_clear().current_dir(self.folder.path()).kill_on_drop(true);
        command
    }

    /// A bootstrap of this desk's realm, with the administrator's password.
    fn bootstrap(&self, arguments: &[&str]) -> Command {
        let mut command = self.program();
        command
            .env("HALLPASS_ADMIN_PASSWORD", service("HALLPASS_TEST_KEYCLOAK_ADMIN_PASSWORD"))
            .args(["bootstrap", "--realm", &self.realm.name, "--admin-user"])
            .arg(service("HALLPASS_TEST_KEYCLOAK_ADMIN"))
            .arg("--keycloak-url")
            .arg(service("HALLPASS_TEST_KEYCLOAK_URL"))
            .args(arguments);
        command
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Nothing was made in the folder but what is named.
    fn assert_files(&self, expected: &[&str]) {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, expected);
    }
}

async fn end(command: &mut Command) -> Ended {
    let output = command.output().await.unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// It ended with this code, nothing on standard output, and these words on standard error.
#[track_caller]
fn assert_failed(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, code, "{ended:?}");
    assert_eq!(ended.stdout, "", "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {ended:?}");
    }
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

#[tokio::test]
async fn the_settings_that_it_writes_are_private_keep_what_was_there_and_start_the_service() {
    let desk = Desk::new().await;
    let file = desk.file("hallpass.toml");
    let before = "# of the operator\n[tokens]\nmax_lifetime = \"90d\" # a quarter\n\n\
                  [keycloak]\n# the name stays\nrealm = \"somewhere-else\" # for now\n";
    fs::write(&file, before).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();

    let arguments = ["--write-config", "hallpass.toml", "--public-url", "https://hallpass.example"];
    let first = end(&mut desk.bootstrap(&arguments)).await;
    assert_eq!(first.code, 0, "{first:?}");
    assert!(first.stdout.contains("create client hallpass\n"), "{first:?}");
    let text = fs::read_to_string(&file).unwrap();
    for kept in [
        "# of the operator\n",
        "max_lifetime = \"90d\" # a quarter\n",
        "# the name stays\n",
        "\" # for now\n",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    assert!(text.contains(&format!("realm = \"{}\"", desk.realm.name)), "{text}");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&desk.file("hallpass.db")), 0o600);
    let secrets: toml_edit::DocumentMut = text.parse().unwrap();
    for (section, key) in [("keycloak", "client_secret"), ("store", "encryption_key")] {
        let secret = secrets[section][key].as_str().unwrap();
        assert!(!format!("{first:?}").contains(secret), "{key} is printed");
    }

    let second = end(&mut desk.bootstrap(&arguments)).await;
    assert_eq!(second.code, 0, "{second:?}");
    assert!(second.stdout.starts_with("nothing to change\n"), "{second:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    serve_is_ready(&desk).await;

    let removed = end(&mut desk.bootstrap(&["--remove"])).await;
    assert_eq!(removed.code, 0, "{removed:?}");
    assert!(removed.stdout.contains("remove client hallpass\n"), "{removed:?}");
}

async fn serve_is_ready(desk: &Desk) {
    let mut serve = desk
        .program()
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(serve.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("it listens before it ends");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if let Some(address) = line["address"].as_str() {
            break address.to_owned();
        }
    };
    let answer = http().get(format!("http://{address}/readyz")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    serve.kill().await.unwrap();
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_needs_no_key() {
    let desk = Desk::new().await;
    let ended = end(&mut desk.bootstrap(&["--dry-run", "--write-config", "hallpass.toml"])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("would: create client hallpass\n"), "{ended:?}");
    assert!(ended.stdout.contains("changes would be made\n"), "{ended:?}");
    desk.assert_files(&[]);
}

#[tokio::test]
async fn without_a_key_and_a_file_to_write_it_to_it_says_what_to_do() {
    let desk = Desk::new().await;
    let ended = end(&mut desk.bootstrap(&[])).await;
    assert_failed(&ended, 1, &["store.encryption_key", "--write-config"]);
    desk.assert_files(&[]);
}

#[tokio::test]
async fn a_password_may_come_from_a_file_and_is_never_printed() {
    let desk = Desk::new().await;
    fs::write(desk.file("password"), "admin\n").unwrap();
    let mut command = desk.bootstrap(&["--dry-run", "--admin-password-file", "password"]);
    command.env_remove("HALLPASS_ADMIN_PASSWORD");
    assert_eq!(end(&mut command).await.code, 0);

    let secret = "hunter2-never-shown";
    for command in [
        desk.bootstrap(&["--write-config", "new.toml"]).env("HALLPASS_ADMIN_PASSWORD", secret),
        desk.bootstrap(&["--dry-run"])
            .env("HALLPASS_ADMIN_PASSWORD", secret)
            .env("RUST_LOG", "trace"),
    ] {
        let ended = end(command).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains("error: Keycloak refuses the credentials"), "{ended:?}");
        assert!(!format!("{ended:?}").contains(secret), "{ended:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_code_one() {
    let desk = Desk::new().await;
    let dry = |realm: &str, url: &str| {
        let mut command = desk.program();
        command
            .env("HALLPASS_ADMIN_PASSWORD", service("HALLPASS_TEST_KEYCLOAK_ADMIN_PASSWORD"))
            .args(["bootstrap", "--dry-run", "--admin-user", "admin"])
            .args(["--realm", realm, "--keycloak-url", url]);
        command
    };
    let keycloak = service("HALLPASS_TEST_KEYCLOAK_URL");
    let ended = end(&mut dry("no-such-realm", &keycloak)).await;
    assert_failed(&ended, 1, &["error: there is no realm `no-such-realm` at http", "--realm"]);
    let ended = end(&mut dry(&desk.realm.name, "http://127.0.0.1:1")).await;
    assert_failed(&ended, 1, &["error: Keycloak is not available"]);
    let ended = end(&mut dry("master", &keycloak)).await;
    assert_failed(&ended, 1, &["--allow-master"]);
    let mut command = desk.bootstrap(&["--dry-run", "--admin-password-file", "nowhere"]);
    assert_failed(&end(&mut command).await, 1, &["cannot read nowhere"]);
    let mut command = desk.bootstrap(&["--dry-run"]);
    command.env_remove("HALLPASS_ADMIN_PASSWORD");
    assert_failed(
        &end(&mut command).await,
        1,
        &["HALLPASS_ADMIN_PASSWORD", "--admin-password-file"],
    );
    let mut command = desk.bootstrap(&["--dry-run"]);
    command.env("HALLPASS_STORE__URL", "mysql://x");
    assert_failed(&end(&mut command).await, 1, &["store.url", "HALLPASS_STORE__URL"]);
    desk.assert_files(&[]);
}

#[tokio::test]
async fn what_the_administrator_lacks_is_named_before_anything_is_changed() {
    let desk = Desk::new().await;
    let admin = crate::support::Admin::log_in().await;
    let realm = &desk.realm.name;
    let client = json!({"clientId": "operator", "secret": "operators-secret", "publicClient": false,
        "serviceAccountsEnabled": true});
    admin.post(&format!("/{realm}/clients"), &client).await;
    let uuid = admin.client_uuid(realm, "operator").await;
    let account = admin.get(&format!("/{realm}/clients/{uuid}/service-account-user")).await;
    let management = admin.client_uuid(realm, "realm-management").await;
    let role = admin.get(&format!("/{realm}/clients/{management}/roles/manage-users")).await;
    let given = format!(
        "/{realm}/users/{}/role-mappings/clients/{management}",
        account["id"].as_str().unwrap()
    );
    let run = || {
        let mut command = desk.program();
        command
            .env("HALLPASS_ADMIN_PASSWORD", "operators-secret")
            .args(["bootstrap", "--realm", realm, "--admin-client", "operator"])
            .args(["--admin-realm", realm, "--write-config", "hallpass.toml", "--keycloak-url"])
            .arg(service("HALLPASS_TEST_KEYCLOAK_URL"));
        command
    };
    let all = "manage-realm, manage-clients, manage-users, view-users, view-events";
    assert_failed(&end(&mut run()).await, 1, &[&format!(": {all} ")]);
    admin.post(&given, &json!([role])).await;
    let fewer = ": manage-realm, manage-clients, view-events (";
    assert_failed(&end(&mut run()).await, 1, &[fewer, "nothing was changed"]);
    let found = admin.get(&format!("/{realm}/clients?clientId=hallpass")).await;
    assert_eq!(found, json!([]));
    desk.assert_files(&[]);
}

#[tokio::test]
async fn the_encryption_key_may_stand_in_a_file_of_its_own_from_the_first_day() {
    let desk = Desk::new().await;
    fs::create_dir(desk.file("etc")).unwrap();
    let arguments =
        ["--write-config", "etc/hallpass.toml", "--encryption-key-file", "hallpass.key"];
    let first = end(&mut desk.bootstrap(&arguments)).await;
    assert_eq!(first.code, 0, "{first:?}");
    let (key, text) = (
        fs::read_to_string(desk.file("hallpass.key")).unwrap(),
        fs::read_to_string(desk.file("etc/hallpass.toml")).unwrap(),
    );
    assert_eq!(mode(&desk.file("hallpass.key")), 0o600);
    assert!(!text.contains(key.trim_end()), "{text}");
    let named = format!("encryption_key_file = \"{}\"", desk.file("hallpass.key").display());
    assert!(text.contains(&named), "{text}");
    // The database is beside the settings, and is found from anywhere.
    assert!(desk.file("etc/hallpass.db").exists());
    let again = end(&mut desk.bootstrap(&arguments)).await;
    assert!(again.stdout.starts_with("nothing to change\n"), "{again:?}");
    assert_eq!(fs::read_to_string(desk.file("hallpass.key")).unwrap(), key);

    // Another key is not put in place of the one that seals.
    fs::write(desk.file("hallpass.key"), "A".repeat(43)).unwrap();
    let inline = key.trim_end();
    let mut other = desk.bootstrap(&["--encryption-key-file", "hallpass.key"]);
    other.env("HALLPASS_STORE__ENCRYPTION_KEY", inline);
    assert_failed(&end(&mut other).await, 1, &["another key"]);
}

#[tokio::test]
async fn serve_makes_no_database_and_finds_its_own_from_any_folder() {
    let desk = Desk::new().await;
    let first = end(&mut desk.bootstrap(&["--write-config", "hallpass.toml"])).await;
    assert_eq!(first.code, 0, "{first:?}");
    let text = fs::read_to_string(desk.file("hallpass.toml")).unwrap();
    let absolute = format!("url = \"sqlite://{}\"", desk.file("hallpass.db").display());
    assert!(text.contains(&absolute), "{text}");

    // A relative path is relative to the settings file, whatever the folder.
    fs::write(desk.file("hallpass.toml"), text.replace(&absolute, "url = \"sqlite://other.db\""))
        .unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let settings = desk.file("hallpass.toml");
    let mut serve = desk.program();
    serve.current_dir(elsewhere.path()).args(["serve", "--config"]).arg(&settings);
    let missing = format!("there is no database {}", desk.file("other.db").display());
    assert_failed(&end(&mut serve).await, 1, &[&missing]);
    let mut remove = desk.bootstrap(&["--remove", "--config"]);
    remove.arg(&settings);
    assert_failed(&end(&mut remove).await, 1, &["there is no store at", "--without-store"]);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    assert!(!desk.file("other.db").exists());
}

#[tokio::test]
async fn a_service_account_may_be_the_administrator() {
    let desk = Desk::new().await;
    let admin = crate::support::Admin::log_in().await;
    let realm = &desk.realm.name;
    let client = json!({"clientId": "operator", "secret": "operators-secret", "publicClient": false,
        "serviceAccountsEnabled": true});
    admin.post(&format!("/{realm}/clients"), &client).await;
    let uuid = admin.client_uuid(realm, "operator").await;
    let account = admin.get(&format!("/{realm}/clients/{uuid}/service-account-user")).await;
    let management = admin.client_uuid(realm, "realm-management").await;
    // What docs/operations.md says that it needs.
    let mut roles = Vec::new();
    for name in ["manage-realm", "manage-clients", "manage-users", "view-users", "view-events"] {
        roles.push(admin.get(&format!("/{realm}/clients/{management}/roles/{name}")).await);
    }
    let account = account["id"].as_str().unwrap();
    let path = format!("/{realm}/users/{account}/role-mappings/clients/{management}");
    admin.post(&path, &roles.into()).await;

    let run = |arguments: &[&str]| {
        let mut command = desk.program();
        command
            .env("HALLPASS_ADMIN_PASSWORD", "operators-secret")
            .args(["bootstrap", "--realm", realm, "--admin-client", "operator"])
            .args(["--admin-realm", realm, "--keycloak-url"])
            .arg(service("HALLPASS_TEST_KEYCLOAK_URL"))
            .args(arguments);
        command
    };
    let mut ended = end(&mut run(&["--write-config", "hallpass.toml"])).await;
    if !keycloak_is_at_least(26, 5) {
        assert!(ended.code == 1 && ended.stderr.contains("`realm-admin`"), "{ended:?}");
        let role = format!("/{realm}/clients/{management}/roles/realm-admin");
        admin.post(&path, &json!([admin.get(&role).await])).await;
        ended = end(&mut run(&["--write-config", "hallpass.toml"])).await;
    }
    assert_eq!(ended.code, 0, "{ended:?}");
    let ended = end(&mut run(&["--remove"])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}
