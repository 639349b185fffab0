//! `hallpass admin backup`, `restore` and `copy`: what operators do with a store as a whole.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{stderr, stdout};
use crate::support::{Api, Database, Process, TestRealm, hallpass, run};

const TOKENS: &str = "/api/pat/v1/tokens";
const SELF: &str = "/api/pat/v1/tokens/self";

/// A realm, a SQLite file and the commands on it.
struct Scene {
    realm: TestRealm,
    folder: tempfile::TempDir,
    database: Database,
}

impl Scene {
    async fn set() -> Self {
        let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
        let database = Database::sqlite(&folder);
        Process::prepare_store(&realm, &database).await;
        Self { realm, folder, database }
    }

    async fn serve(&self) -> Process {
        Process::serve(&self.realm, &self.database, self.folder.path(), &[]).await
    }

    fn admin(&self, arguments: &[&str]) -> Command {
        let mut command = hallpass(self.folder.path(), &[&["admin"], arguments].concat());
        command.envs(self.realm.environment(&self.database, &[]));
        command
    }

    async fn done(&self, arguments: &[&str]) -> String {
        let output = run(self.admin(arguments)).await;
        assert!(output.status.success(), "{arguments:?} {output:?}");
        stdout(&output)
    }

    async fn refused(&self, arguments: &[&str]) -> String {
        let output = run(self.admin(arguments)).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?} {output:?}");
        stderr(&output)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

async fn is_good(service: &Process, token: &str) -> bool {
    service.api(Some(token)).get(SELF).await.status == 200
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

struct Minted {
    id: String,
    token: String,
}

async fn mint(api: &Api, name: &str) -> Minted {
    let minted = api.mint(name).await;
    let of = |member: &str| minted[member].as_str().unwrap().to_owned();
    Minted { id: of("patId"), token: of("token") }
}

#[tokio::test]
async fn a_backup_of_a_served_store_brings_back_records_and_no_token() {
    let scene = Scene::set().await;
    let service = scene.serve().await;
    let person = scene.realm.person().await;
    let api = service.user(&scene.realm, &person).await;
    let (kept, ended) = (mint(&api, "kept").await, mint(&api, "ended").await);

    // It is made while the service goes on.
    let file = scene.path("monday.backup");
    let said = scene.done(&["backup", text(&file)]).await;
    assert!(said.contains("2 tokens, 0 API clients, 1 signing keys, 2 audit events"), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(is_good(&service, &kept.token).await);
    let said = scene.refused(&["backup", text(&file)]).await;
    assert!(said.contains("monday.backup") && said.contains("exists"), "{said}");

    api.post_empty(&format!("{TOKENS}/{}/invalidate", ended.id)).await.expect(200);
    let later = mint(&api, "later").await;
    let said = scene.refused(&["restore", text(&file)]).await;
    assert!(said.contains("another `hallpass serve` uses"), "{said}");

    // The service dies, and its newest commits are in the log beside the file only.
    service.kill().await;
    assert!(scene.path("hallpass.db-wal").metadata().unwrap().len() > 0);
    let said = scene.done(&["restore", text(&file)]).await;
    assert!(said.contains("2 tokens are revoked"), "{said}");
    let aside: Vec<_> =
        scene.names().into_iter().filter(|name| name.contains("-replaced-")).collect();
    assert!(aside.iter().any(|name| name.ends_with("-wal")), "{aside:?}");
    assert!(scene.names().iter().all(|name| !name.contains("-restoring")), "{:?}", scene.names());
    assert_eq!(
        fs::metadata(scene.path("hallpass.db")).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let service = scene.serve().await;
    for token in [&kept, &ended, &later] {
        assert!(!is_good(&service, &token.token).await);
    }
    let api = service.user(&scene.realm, &person).await;
    let listed = api.get(TOKENS).await.expect(200);
    assert_eq!(listed["pagination"]["total"], 2, "{listed}");
    let reasons: Vec<_> =
        listed["tokens"].as_array().unwrap().iter().map(|token| &token["revokedReason"]).collect();
    assert_eq!(reasons, ["revoked_by_operator"; 2], "{listed}");
    // The store is whole: new tokens are made, and are good.
    let fresh = mint(&api, "fresh").await;
    assert!(is_good(&service, &fresh.token).await);
    service.stop().await;
}

#[tokio::test]
async fn tokens_live_on_where_nothing_happened_after_the_backup() {
    let scene = Scene::set().await;
    let service = scene.serve().await;
    let person = scene.realm.person().await;
    let kept = mint(&service.user(&scene.realm, &person).await, "kept").await;
    let file = scene.path("now.backup");
    scene.done(&["backup", text(&file)]).await;
    service.stop().await;
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(scene.path(&format!("hallpass.db{suffix}")));
    }
    let said = scene.done(&["restore", "--keep-tokens", text(&file)]).await;
    assert!(said.contains("admin tokens revoke-all --issued-before"), "{said}");
    assert!(!said.contains("replaced"), "{said}");
    let service = scene.serve().await;
    assert!(is_good(&service, &kept.token).await);
    service.stop().await;
}

#[tokio::test]
async fn what_is_no_whole_backup_of_this_store_changes_nothing() {
    let scene = Scene::set().await;
    let file = scene.path("good.backup");
    scene.done(&["backup", text(&file)]).await;
    let before = fs::read(scene.path("hallpass.db")).unwrap();

    let damaged = scene.path("damaged.backup");
    let mut bytes = fs::read(&file).unwrap();
    for byte in &mut bytes[4096..12_288] {
        *byte ^= 0x55;
    }
    fs::write(&damaged, &bytes).unwrap();
    fs::write(scene.path("text"), "no database").unwrap();
    fs::write(scene.path("empty"), "").unwrap();
    let (foreign, live) = (scene.path("foreign.backup"), scene.path("live.db"));
    fs::copy(&file, &foreign).unwrap();
    fs::copy(&file, &live).unwrap();
    fs::write(scene.path("live.db-wal"), "rows").unwrap();

    for (name, reason) in [
        ("damaged.backup", "damaged"),
        ("text", "no SQLite database"),
        ("empty", "no store of Hallpass"),
        ("missing", "No such file"),
        ("live.db", "write-ahead log beside it"),
    ] {
        let said = scene.refused(&["restore", text(&scene.path(name))]).await;
        assert!(said.contains(reason) && said.contains(name), "{name}: {said}");
    }
    let mut other_realm = scene.admin(&["restore", text(&foreign)]);
    other_realm.env("HALLPASS_KEYCLOAK__REALM", "elsewhere");
    let mut other_key = scene.admin(&["restore", text(&file)]);
    other_key.env("HALLPASS_STORE__ENCRYPTION_KEY", "A".repeat(43) + "=");
    for (command, reason) in [(other_realm, "belongs to the realm"), (other_key, "cannot be read")]
    {
        let output = run(command).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains(reason), "{output:?}");
    }
    assert_eq!(fs::read(scene.path("hallpass.db")).unwrap(), before);
    let names = scene.names();
    let left = |name: &&String| name.contains("-restoring") || name.contains("-replaced");
    assert_eq!(names.iter().find(left), None, "{names:?}");
}

#[tokio::test]
async fn a_store_moves_to_postgresql_with_its_keys_and_tokens() {
    let scene = Scene::set().await;
    let service = scene.serve().await;
    let person = scene.realm.person().await;
    let minted = mint(&service.user(&scene.realm, &person).await, "moved").await;
    let target = Database::postgres(&scene.folder);
    target.create().await;
    let to = target.url_text();
    let said = scene.refused(&["copy", "--to", &to]).await;
    assert!(said.contains("another `hallpass serve` uses"), "{said}");
    service.stop().await;

    for (wrong, reason) in [
        ("sqlite://other.db", "--to takes a PostgreSQL database"),
        ("mysql://x", "--to is neither SQLite nor PostgreSQL"),
        ("postgres://nobody:open-sesame@127.0.0.1:1/none", "at 127.0.0.1:1 cannot be opened"),
    ] {
        let said = scene.refused(&["copy", "--to", wrong]).await;
        assert!(said.contains(reason) && !said.contains("open-sesame"), "{said}");
    }
    let said = scene.done(&["copy", "--to", &to]).await;
    assert!(said.contains("tokens: 1 rows, as many as before"), "{said}");
    assert!(said.contains(scene.realm.signing_key().kid()), "{said}");

    // The old file is not served by mistake, and the new database is.
    let mut old = hallpass(scene.folder.path(), &["serve"]);
    old.envs(scene.realm.environment(&scene.database, &[]));
    let output = run(old).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        stderr(&output).contains("this store was moved to PostgreSQL's database"),
        "{output:?}"
    );
    let service = Process::serve(&scene.realm, &target, scene.folder.path(), &[]).await;
    assert!(is_good(&service, &minted.token).await);
    service.stop().await;

    let said = scene.done(&["copy", "--abandon"]).await;
    assert!(said.contains("in use again"), "{said}");
    let service = scene.serve().await;
    assert!(is_good(&service, &minted.token).await);
    service.stop().await;
}
