//! Several services on one database: one of them follows the realm, and another takes over when it is gone.

use std::time::{Duration, Instant};

use super::{EVENTS_ONLY, Scene, until};
use crate::support::{Admin, Database, Process, TestRealm};

/// What takes over within ten seconds has followed what happened meanwhile soon after.
const TAKEN_OVER: Duration = Duration::from_secs(12);

impl Scene {
    /// The process that follows the realm, as the store says.
    async fn follower(&self) -> Option<String> {
        let store = self.server.store().await;
        let follower = store.find_follower().await.unwrap();
        store.close().await;
        follower.process
    }

    async fn wait_for_follower(&self, is_it: impl Fn(&str) -> bool) -> String {
        let mut found = None;
        until("the realm is followed", async || {
            found = self.follower().await.filter(|process| is_it(process));
            found.is_some()
        })
        .await;
        found.unwrap()
    }
}

#[tokio::test]
async fn one_of_two_follows_and_the_other_takes_over_at_once_when_it_is_stopped() {
    let mut scene = Scene::set_with(Database::postgres, &EVENTS_ONLY).await;
    let first = scene.wait_for_follower(|_| true).await;
    let replica = scene.server.replica().await;
    let (one, two) = (scene.holder().await, scene.holder().await);
    scene.realm.give_roles(&one.person, "hallpass", &["read-audit"]).await;
    scene.assert_revoked(&one, "roles_changed", "added hallpass:read-audit").await;
    assert_eq!(scene.follower().await.as_deref(), Some(&*first), "the replica waits");

    // Changed while nobody follows.
    let begun = Instant::now();
    scene.server.halt().await;
    scene.realm.give_roles(&two.person, "hallpass", &["read-audit"]).await;
    let server = std::mem::replace(&mut scene.server, replica);
    scene.wait_for_follower(|process| process != first).await;
    assert!(begun.elapsed() < TAKEN_OVER);
    let two = scene.renewed(two);
    scene.assert_revoked(&two, "roles_changed", "added hallpass:read-audit").await;
    server.stop().await;
    scene.server.stop().await;
}

#[tokio::test]
async fn another_takes_over_within_ten_seconds_when_the_one_that_follows_is_killed() {
    let realm = TestRealm::own().await;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::postgres(&folder);
    Process::prepare_store(&realm, &database).await;
    let process = Process::serve(&realm, &database, folder.path(), &EVENTS_ONLY).await;
    let follows = async || {
        let store = hallpass::store::Store::open(&database.url()).await.unwrap();
        let follower = store.find_follower().await.unwrap();
        store.close().await;
        follower.process
    };
    until("the process follows the realm", async || follows().await.is_some()).await;
    let first = follows().await;

    let server =
        crate::support::TestServer::on_database(realm.clone(), database.clone(), &EVENTS_ONLY)
            .await;
    let scene = Scene { realm, server, admin: Admin::log_in().await };
    let holder = scene.holder().await;
    let begun = Instant::now();
    process.kill().await;
    scene.realm.give_roles(&holder.person, "hallpass", &["read-audit"]).await;
    scene.wait_for_follower(|process| Some(process) != first.as_deref()).await;
    assert!(begun.elapsed() < TAKEN_OVER, "{:?}", begun.elapsed());
    scene.assert_revoked(&holder, "roles_changed", "added hallpass:read-audit").await;
    scene.server.stop().await;
}
