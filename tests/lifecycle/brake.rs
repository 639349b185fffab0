//! The brake: what would end the tokens of many owners waits for a person.

use std::time::Duration;

use hallpass::clock::Clock;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{EVENTS_ONLY, Holder, Scene, until, user};
use crate::support::{DATABASES, Database, hallpass, run, soak, unique};

/// As usual, and the brake lets two owners pass.
pub(super) const BRAKE: [(&str, &str); 3] =
    [EVENTS_ONLY[0], EVENTS_ONLY[1], ("HALLPASS_LIFECYCLE__BRAKE", "2")];

async fn scene(database: fn(&tempfile::TempDir) -> Database) -> Scene {
    let scene = Scene::set_with(database, &BRAKE).await;
    scene.wait_until_started().await;
    scene
}

/// People of a group that has a role; each has a token.
pub(super) struct Readers {
    group: String,
    role: Value,
    pub(super) holders: Vec<Holder>,
}

impl Readers {
    pub(super) async fn gather(scene: &Scene, count: usize) -> Self {
        let role = scene.role("reader").await;
        let group = scene.group("readers").await;
        scene.post(&format!("groups/{group}/role-mappings/realm"), &json!([role])).await;
        let mut holders = Vec::new();
        for _ in 0..count {
            let person = scene.realm.person().await;
            scene.put(&format!("{}/groups/{group}", user(&person)), &Value::Null).await;
            holders.push(scene.holder_of(person).await);
        }
        scene.wait_until_followed().await;
        Self { group, role, holders }
    }

    pub(super) async fn lose_role(&self, scene: &Scene) {
        let mapping = format!("groups/{}/role-mappings/realm", self.group);
        scene.delete(&mapping, &json!([self.role])).await;
    }

    async fn have_role_again(&self, scene: &Scene) {
        self.get_role(scene, &self.role).await;
    }

    /// All are suspended and held; nobody is any more when they have the role again.
    pub(super) async fn assert_held_until_role_is_back(&self, scene: &Scene) {
        scene.wait_for_held(self.holders.len()).await;
        for holder in &self.holders {
            scene.wait_for(holder, "suspended").await;
        }
        self.have_role_again(scene).await;
        scene.wait_for_held(0).await;
        scene.wait_until_followed().await;
    }

    async fn get_role(&self, scene: &Scene, role: &Value) {
        let mapping = format!("groups/{}/role-mappings/realm", self.group);
        scene.post(&mapping, &json!([role])).await;
    }
}

impl Scene {
    /// `hallpass admin tokens` with these arguments, on the store of the service.
    pub(super) fn admin_command(
        &self,
        folder: &tempfile::TempDir,
        arguments: &[&str],
        extra: &[(&str, &str)],
    ) -> Command {
        let mut command = hallpass(folder.path(), &[&["admin", "tokens"], arguments].concat());
        command.envs(self.realm.environment(&self.server.database, extra));
        command
    }

    /// Runs it beside the service, and answers what it prints.
    pub(super) async fn admin_tokens(&self, arguments: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let done = run(self.admin_command(&folder, arguments, &[])).await;
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Tries a release that cannot be, since this owner has lost what a token of theirs carries.
    pub(super) async fn refuse_to_release(&self, holder: &Holder) {
        let folder = tempfile::tempdir().unwrap();
        let done =
            run(self.admin_command(&folder, &["release", "--owner", &holder.person.id], &[])).await;
        let told = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{told}");
        let line = format!("{}: tokens that carry what the owner has lost", holder.person.id);
        assert!(told.contains(&line), "{told}");
    }

    /// What `hallpass doctor` finds, by the names of its checks.
    pub(super) async fn doctor(&self) -> Value {
        let folder = tempfile::tempdir().unwrap();
        let mut command = hallpass(folder.path(), &["doctor", "--output", "json"]);
        command.envs(self.realm.environment(&self.server.database, &EVENTS_ONLY));
        let report: Value = serde_json::from_slice(&run(command).await.stdout).unwrap();
        let named = |found: &Value| (found["check"].as_str().unwrap().to_owned(), found.clone());
        report.as_array().unwrap().iter().map(named).collect::<serde_json::Map<_, _>>().into()
    }

    /// Waits until the tokens of so many owners are held.
    pub(super) async fn wait_for_held(&self, count: usize) -> Vec<Value> {
        let mut held = Vec::new();
        until(&format!("{count} owners are held"), async || {
            let text = self.admin_tokens(&["held", "--output", "json"]).await;
            held = serde_json::from_str(&text).unwrap();
            held.len() == count
        })
        .await;
        held
    }

    /// The token is refused for now, and nothing ended it.
    async fn assert_suspended(&self, holder: &Holder) {
        self.wait_for(holder, "suspended").await;
        self.assert_refused(holder).await;
    }
}

#[tokio::test]
async fn tokens_of_more_owners_than_the_brake_lets_pass_wait_for_a_person_on_both_databases() {
    for database in DATABASES {
        let mut scene = scene(database).await;
        let readers = Readers::gather(&scene, 5).await;
        let other = scene.holder().await;
        readers.lose_role(&scene).await;

        let held = scene.wait_for_held(5).await;
        for holder in &readers.holders {
            scene.assert_suspended(holder).await;
            let found = held.iter().find(|held| held["userId"] == holder.person.id.as_str());
            let found = found.expect("each is listed");
            assert_eq!((&found["reason"], &found["tokens"]), (&json!("roles_changed"), &json!(1)));
            assert_eq!(found["username"], holder.person.username.as_str());
            assert_eq!(found["roles"], json!({"added": [], "removed": [readers.role["name"]]}));
            // The owner is told why.
            let shown = holder.api.get(&format!("{}/{}", super::TOKENS, holder.pat_id)).await;
            assert_eq!(shown.expect(200)["suspendedReason"], "roles_changed");
        }
        scene.assert_good(&other).await;

        let report = scene.doctor().await;
        assert_eq!(report["brake"]["result"], "fail", "{report}");
        assert_eq!(report["following"]["result"], "ok", "{report}");

        // A restart, and with it a sweep, decides nothing.
        scene = scene.sweep_anew(&EVENTS_ONLY).await;
        let [confirmed, kept, deleted, undone, last] = &readers.holders[..] else { unreachable!() };
        scene.wait_for_held(5).await;

        let of = |holder: &Holder| holder.person.id.clone();
        scene.admin_tokens(&["confirm", "--dry-run"]).await;
        scene.admin_tokens(&["confirm", "--owner", &of(confirmed)]).await;
        scene.refuse_to_release(kept).await;
        scene.delete(&user(&deleted.person), &Value::Null).await;
        scene.assert_status(confirmed, "revoked").await;
        scene.assert_status(kept, "suspended").await;
        until("the owner's token is deleted", async || scene.status(deleted).await == Value::Null)
            .await;
        scene.wait_for_held(3).await;
        let log = scene.audited(confirmed).await;
        assert_eq!(
            log[1..],
            [
                "token_suspended by hallpass, roles_changed",
                "token_revoked by operator, roles_changed: removed reader"
            ]
        );
        let log = scene.audited(kept).await;
        assert_eq!(log[1..], ["token_suspended by hallpass, roles_changed"]);

        // What is undone in the realm needs no decision.
        readers.have_role_again(&scene).await;
        for holder in [kept, undone, last] {
            scene.assert_status(holder, "active").await;
        }
        scene.wait_for_held(0).await;
        assert_eq!(scene.doctor().await["brake"]["result"], "ok");
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn as_many_owners_as_the_brake_lets_pass_are_followed_however_many_there_are() {
    let scene = scene(Database::sqlite).await;
    let readers = Readers::gather(&scene, 2).await;
    let (a, b, c) = (scene.holder().await, scene.holder().await, scene.holder().await);
    readers.lose_role(&scene).await;
    for holder in &readers.holders {
        scene.assert_revoked(holder, "roles_changed", "removed reader").await;
    }
    for holder in [&a, &b, &c] {
        scene.assert_good(holder).await;
    }
    scene.wait_for_held(0).await;
    scene.server.stop().await;
}

/// `make soak` does it with a thousand.
const READERS: usize = 6;

#[tokio::test]
async fn a_change_of_a_large_group_waits_for_a_person_and_a_confirmation_applies_all_of_it_once() {
    let scene = scene(Database::sqlite).await;
    let count = soak("HALLPASS_TEST_READERS", READERS);
    let (readers, other) = (Readers::gather(&scene, count).await, scene.holder().await);
    readers.lose_role(&scene).await;
    scene.wait_for_held(count).await;
    let folder = tempfile::tempdir().unwrap();
    let done = scene.admin_command(&folder, &["confirm"], &[]).output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    scene.wait_for_held(0).await;
    for holder in &readers.holders {
        scene.wait_for(holder, "revoked").await;
        let log = scene.audited(holder).await;
        let told = "token_revoked by operator, roles_changed: removed reader";
        assert_eq!(log[1..], ["token_suspended by hallpass, roles_changed", told], "{log:?}");
    }
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

/// As an upgrade may bring one.
#[tokio::test]
async fn a_new_default_role_of_more_owners_than_the_brake_lets_pass_ends_no_token() {
    let scene = scene(Database::sqlite).await;
    let holders = [scene.holder().await, scene.holder().await, scene.holder().await];
    scene.wait_until_followed().await;
    let role = scene.role("everyone").await;
    let defaults = scene.get(&format!("roles/default-roles-{}", scene.realm.name)).await;
    let path = format!("roles-by-id/{}/composites", defaults["id"].as_str().unwrap());
    scene.post(&path, &json!([role])).await;
    scene.wait_for_held(3).await;
    for holder in &holders {
        scene.assert_suspended(holder).await;
    }
    scene.admin_tokens(&["release"]).await;
    for holder in &holders {
        scene.wait_for(holder, "active").await;
        scene.assert_good(holder).await;
    }
    // They were given the roles of now: looked at again, nothing is found.
    let scene = scene.sweep_anew(&BRAKE).await;
    for holder in holders {
        let holder = scene.renewed(holder);
        scene.assert_good(&holder).await;
        let log = scene.audited(&holder).await;
        let told = "token_suspended by hallpass, roles_changed";
        assert_eq!(log[1..], [told, "token_released by operator, released_by_operator"]);
    }
    scene.wait_for_held(0).await;

    // What they were given and lost again is in no token: all can be released once more.
    scene.delete(&path, &json!([role])).await;
    scene.wait_for_held(3).await;
    scene.admin_tokens(&["release"]).await;
    scene.wait_for_held(0).await;
    scene.server.stop().await;
}

/// A token of the holder, narrowed by these members.
async fn narrowed(holder: &Holder, members: Value) -> Holder {
    let mut body = json!({"name": unique("narrowed")});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let minted = holder.api.post(super::TOKENS, &body).await.expect(201);
    let text = |name: &str| minted[name].as_str().unwrap().to_owned();
    let (person, api) = (holder.person.clone(), holder.api.clone());
    Holder { person, api, pat_id: text("patId"), token: text("token") }
}

#[tokio::test]
async fn a_release_gives_nobody_a_role_that_they_lost_on_both_databases() {
    for database in DATABASES {
        let scene = scene(database).await;
        let readers = Readers::gather(&scene, 3).await;
        let owner = &readers.holders[0];
        let kept = [
            narrowed(owner, json!({"roles": ["hallpass:create-tokens"]})).await,
            narrowed(owner, json!({"allowedCidrs": ["127.0.0.0/8"]})).await,
        ];
        let lost = narrowed(owner, json!({"roles": ["reader", "hallpass:create-tokens"]})).await;
        // Given as well as taken.
        let writer = scene.role("writer").await;
        readers.get_role(&scene, &writer).await;
        scene.wait_for_held(3).await;
        readers.lose_role(&scene).await;
        scene.wait_until_followed().await;

        scene.refuse_to_release(owner).await;
        for token in [owner, &lost] {
            scene.assert_suspended(token).await;
            let log = scene.audited(token).await;
            assert_eq!(log[1..], ["token_suspended by hallpass, roles_changed"], "{log:?}");
        }
        for token in &kept {
            scene.assert_good(token).await;
            let log = scene.audited(token).await;
            assert_eq!(log[2..], ["token_released by operator, released_by_operator"], "{log:?}");
        }
        let held = scene.wait_for_held(3).await;
        let held = held.iter().find(|held| held["userId"] == owner.person.id.as_str()).unwrap();
        assert_eq!(held["tokens"], 2);

        // With the lost role back, all that was given since can be accepted.
        readers.have_role_again(&scene).await;
        scene.wait_until_followed().await;
        scene.admin_tokens(&["release"]).await;
        for token in readers.holders.iter().chain(&kept).chain([&lost]) {
            scene.assert_good(token).await;
        }
        scene.wait_for_held(0).await;
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn a_sweep_that_finds_many_changed_waits_too_and_all_can_be_confirmed_or_released() {
    for (decision, status) in [("confirm", "revoked"), ("release", "active")] {
        let mut scene = scene(Database::sqlite).await;
        let readers = Readers::gather(&scene, 4).await;
        let writer = scene.role("writer").await;
        scene.server.halt().await;
        readers.get_role(&scene, &writer).await;
        // As if all of it had happened long ago: no event is read, of the group or of who joined it.
        scene.delete("admin-events", &Value::Null).await;
        let mut extra = EVENTS_ONLY.to_vec();
        extra.push(("HALLPASS_LIFECYCLE__BRAKE", "3"));
        scene.server = scene.server.restart(&extra).await;
        scene.wait_for_held(4).await;
        for holder in &readers.holders {
            scene.assert_status(holder, "suspended").await;
        }
        let text = scene.admin_tokens(&[decision]).await;
        assert!(text.ends_with("4 owners\n"), "{text}");
        for holder in &readers.holders {
            scene.assert_status(holder, status).await;
        }
        scene.wait_for_held(0).await;
        // Another sweep finds nothing more.
        scene = scene.sweep_anew(&extra).await;
        for holder in &readers.holders {
            scene.assert_status(holder, status).await;
        }
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn after_a_restore_all_tokens_of_before_are_revoked() {
    let scene = Scene::set().await;
    let (holder, other) = (scene.holder().await, scene.holder().await);
    let before = scene.admin_tokens(&["revoke-all", "--issued-before", "2020-01-01T00:00:00Z"]);
    assert_eq!(before.await, "0 tokens are revoked\n");
    // The tokens are of this second, or an earlier one.
    let end = Clock::system().now().floor_to_second().plus(Duration::from_secs(1));
    until("that second is over", async || Clock::system().now() >= end).await;
    let now = &end.to_string();
    let dry = scene.admin_tokens(&["revoke-all", "--issued-before", now, "--dry-run"]).await;
    assert_eq!(dry, "2 tokens would be revoked\n");
    scene.assert_good(&holder).await;
    let done = scene.admin_tokens(&["revoke-all", "--issued-before", now]).await;
    assert_eq!(done, "2 tokens are revoked\n");
    for holder in [&holder, &other] {
        let found = scene.wait_for(holder, "revoked").await;
        assert_eq!(found["revokedReason"], "revoked_by_operator");
        scene.assert_refused(holder).await;
        let log = scene.audited(holder).await;
        assert_eq!(log[1..], ["token_revoked by operator, revoked_by_operator"]);
    }
    scene.server.stop().await;
}

impl Scene {
    /// The status of a token as the store of the service has it; `null`: there is none.
    async fn status(&self, holder: &Holder) -> Value {
        let path = format!("{}/{}", super::TOKENS, holder.pat_id);
        let api = self.server.with_token(holder.api.token().unwrap());
        let answer = api.get(&path).await;
        if answer.status == 200 { answer.json()["status"].clone() } else { Value::Null }
    }

    async fn assert_status(&self, holder: &Holder, status: &str) {
        until(&format!("{} is {status}", holder.pat_id), async || {
            self.status(holder).await == status
        })
        .await;
    }
}
