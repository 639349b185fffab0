//! `hallpass doctor`: each fault is made for real, and exactly its check fails.

mod broken;
mod clients;
mod permissions;
mod realm;
mod surroundings;

use std::collections::HashMap;

use serde_json::Value;

use crate::support::{Admin, Database, Process, TestRealm, hallpass, run, service};

/// How many lines a report has.
const CHECKS: usize = 36;

/// A realm with a store, as bootstrap leaves them.
struct Case {
    realm: TestRealm,
    database: Database,
    folder: tempfile::TempDir,
}

/// What the command said.
#[derive(Debug)]
struct Report {
    code: i32,
    findings: Vec<Value>,
}

impl Case {
    /// In a realm of its own.
    async fn new() -> Self {
        Self::in_realm(TestRealm::own().await, Database::sqlite).await
    }

    /// In the shared realm, for faults elsewhere.
    async fn in_shared_realm() -> Self {
        Self::in_realm(TestRealm::shared().await, Database::sqlite).await
    }

    async fn in_realm(realm: TestRealm, database: fn(&tempfile::TempDir) -> Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        Process::prepare_store(&realm, &database).await;
        Self { realm, database, folder }
    }

    async fn examine(&self) -> Report {
        self.examine_with(&[], &[]).await
    }

    /// With other settings, and more arguments.
    async fn examine_with(&self, extra: &[(&str, &str)], arguments: &[&str]) -> Report {
        let mut command = hallpass(self.folder.path(), &["doctor", "--output", "json"]);
        let environment = self.realm.environment(&self.database, extra);
        command.args(arguments).envs(environment.clone());
        let output = run(command).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        for (name, value) in environment {
            let secret = name.ends_with("SECRET") || name.ends_with("KEY");
            assert!(!secret || !format!("{text}{errors}").contains(&value), "{name} is shown");
        }
        let findings: Vec<Value> =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}{errors}"));
        for finding in &findings {
            let members: Vec<_> = finding.as_object().unwrap().keys().collect();
            assert_eq!(members, ["advice", "check", "detail", "result"], "{finding}");
            let to_do = matches!(finding["result"].as_str(), Some("fail" | "warn"));
            assert_eq!(finding["advice"].is_string(), to_do, "{finding}");
            assert_ne!(finding["detail"], "", "{finding}");
        }
        Report { code: output.status.code().unwrap(), findings }
    }

    /// What the advice says: another bootstrap.
    async fn bootstrap(&self) {
        let mut command = hallpass(self.folder.path(), &["bootstrap", "--admin-user"]);
        command
            .arg(service("HALLPASS_TEST_KEYCLOAK_ADMIN"))
            .env("HALLPASS_ADMIN_PASSWORD", service("HALLPASS_TEST_KEYCLOAK_ADMIN_PASSWORD"))
            .envs(self.realm.environment(&self.database, &[]));
        let output = run(command).await;
        assert!(output.status.success(), "{output:?}");
    }

    /// Exactly this check fails, and says this; then a bootstrap mends it.
    async fn mended_by_bootstrap(&self, check: &str, detail: &str) {
        self.examine().await.expect_one_failure(check, detail);
        self.bootstrap().await;
    }

    /// Who makes the faults. Logged in anew each time: an administrator's token lives for a minute only.
    async fn admin(&self) -> Admin {
        Admin::log_in().await
    }

    fn path(&self, path: &str) -> String {
        format!("/{}{path}", self.realm.name)
    }

    /// The admin API's path of a client.
    async fn client(&self, client_id: &str) -> String {
        self.path(&format!(
            "/clients/{}",
            self.admin().await.client_uuid(&self.realm.name, client_id).await
        ))
    }

    /// Changes members of the resource at this path.
    async fn change(&self, path: &str, members: Value) {
        let admin = self.admin().await;
        let mut found = admin.get(path).await;
        found.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        admin.put(path, &found).await;
    }
}

/// Puts `members` over the representation, objects member by member.
fn merge(found: &mut Value, members: &Value) {
    match (found, members) {
        (Value::Object(found), Value::Object(members)) => {
            for (name, value) in members {
                merge(found.entry(name).or_insert(Value::Null), value);
            }
        }
        (found, value) => *found = value.clone(),
    }
}

impl Report {
    fn named(&self, result: &str) -> Vec<&str> {
        let found = self.findings.iter().filter(|finding| finding["result"] == result);
        found.map(|finding| finding["check"].as_str().unwrap()).collect()
    }

    fn finding(&self, check: &str) -> &Value {
        let found = self.findings.iter().find(|finding| finding["check"] == check);
        found.unwrap_or_else(|| panic!("no check {check}"))
    }

    #[track_caller]
    fn expect_good(&self) {
        let results: HashMap<_, _> = self
            .findings
            .iter()
            .filter(|finding| finding["result"] != "ok")
            .map(|finding| (finding["check"].to_string(), finding.to_string()))
            .collect();
        assert!(results.is_empty(), "{results:#?}");
        assert_eq!(self.code, 0);
        assert_eq!(self.findings.len(), CHECKS);
    }

    #[track_caller]
    fn expect_one_failure(&self, check: &str, detail: &str) {
        assert_eq!(self.named("fail"), [check], "{self:#?}");
        self.expect_detail(check, detail);
        assert_eq!(self.code, 1);
        assert_eq!(self.findings.len(), CHECKS);
    }

    /// It only warns, and about this alone.
    #[track_caller]
    fn expect_one_warning(&self, check: &str, detail: &str) {
        assert_eq!((self.named("fail"), self.named("warn")), (vec![], vec![check]), "{self:#?}");
        self.expect_detail(check, detail);
        assert_eq!(self.code, 0);
    }

    #[track_caller]
    fn expect_advice(&self, check: &str, advice: &str) {
        let found = self.finding(check)["advice"].as_str().unwrap();
        assert!(found.contains(advice), "{advice:?} is not in {found:?}");
    }

    #[track_caller]
    fn expect_detail(&self, check: &str, detail: &str) {
        let found = self.finding(check)["detail"].as_str().unwrap();
        assert!(found.contains(detail), "{detail:?} is not in {found:?}");
    }
}
