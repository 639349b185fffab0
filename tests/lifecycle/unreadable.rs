//! Owners whom Keycloak does not answer about, while it answers for others.

use std::time::Duration;

use super::{EVENTS_ONLY, Holder, Scene, until};
use crate::support::{Database, Fault, FaultProxy, Metrics};

/// Longer than an owner may stay unreadable.
pub(super) const A_MINUTE: Duration = Duration::from_mins(1);

pub(super) async fn scene_behind(proxy: &FaultProxy) -> Scene {
    let extra = [EVENTS_ONLY[0], EVENTS_ONLY[1], ("HALLPASS_KEYCLOAK__URL", proxy.url())];
    Scene::set_with(Database::sqlite, &extra).await
}

impl Scene {
    pub(super) async fn unreadable_owners(&self) -> String {
        Metrics::of(&self.server.anonymous()).await.value("hallpass_unreadable_owners").to_string()
    }

    async fn assert_unreadable(&self, holder: &Holder) {
        self.wait_for(holder, "suspended").await;
        self.assert_refused(holder).await;
        let log = self.audited(holder).await;
        assert_eq!(log[1..], ["token_suspended by hallpass, owner_unreadable"], "{log:?}");
    }
}

#[tokio::test]
async fn who_stays_unreadable_is_suspended_within_a_minute_and_good_again_when_they_can_be_read() {
    let proxy = FaultProxy::start();
    let mut scene = scene_behind(&proxy).await;
    let (failing, other) = (scene.holder().await, scene.holder().await);
    scene.wait_until_followed().await;
    assert_eq!(scene.doctor().await["readable-owners"]["result"], "ok");
    // Far more than is read: who could be anything.
    let huge = format!(r#"{{"azp":"hallpass-probe","x":"{}"}}"#, "x".repeat(9 << 20));
    let pattern = format!("GET *userId={}*", failing.person.id);
    let rule = proxy.on(&pattern, Fault::Answer(200, huge));
    scene.realm.give_roles(&failing.person, "hallpass", &["read-audit"]).await;
    // They failed more than once, and a minute ago for the first time.
    rule.wait_for_hits(2).await;
    scene.wait_for(&failing, "active").await;
    scene.server.clock.advance(A_MINUTE);
    scene.assert_unreadable(&failing).await;
    until("the metric says so", async || scene.unreadable_owners().await == "1").await;
    assert_eq!(scene.doctor().await["readable-owners"]["result"], "fail");
    // Nobody else waits for them, and events are dealt with as ever.
    scene.assert_good(&other).await;
    scene.wait_until_followed().await;
    assert_eq!(scene.doctor().await["following"]["result"], "ok");

    // It is known after a restart, too.
    scene.server.halt().await;
    let extra = [EVENTS_ONLY[0], EVENTS_ONLY[1], ("HALLPASS_KEYCLOAK__URL", proxy.url())];
    scene.server = scene.server.restart(&extra).await;
    let (failing, other) = (scene.renewed(failing), scene.renewed(other));
    scene.wait_until_followed().await;
    scene.wait_for(&failing, "suspended").await;
    assert_eq!(scene.unreadable_owners().await, "1");
    scene.realm.take_roles(&failing.person, "hallpass", &["read-audit"]).await;
    proxy.clear();
    scene.wait_for(&failing, "active").await;
    scene.assert_good(&failing).await;
    let log = scene.audited(&failing).await;
    assert_eq!(log[2..], ["token_released by hallpass, owner_as_before"], "{log:?}");
    until("the metric says so", async || scene.unreadable_owners().await == "0").await;
    assert_eq!(scene.doctor().await["readable-owners"]["result"], "ok");
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn while_keycloak_answers_about_nobody_nobody_is_suspended() {
    let proxy = FaultProxy::start();
    let scene = scene_behind(&proxy).await;
    let holders = [scene.holder().await, scene.holder().await];
    scene.wait_until_followed().await;
    for pattern in ["GET *userId=*", "GET */users?*"] {
        let rule = proxy.on(pattern, Fault::status(500));
        for holder in &holders {
            scene.realm.give_roles(&holder.person, "hallpass", &["read-audit"]).await;
            scene.realm.take_roles(&holder.person, "hallpass", &["read-audit"]).await;
        }
        rule.wait_for_hits(4).await;
        for _ in 0..3 {
            scene.server.clock.advance(A_MINUTE);
            rule.wait_for_hits(rule.hits() + 4).await;
        }
        proxy.clear();
        scene.wait_until_followed().await;
        for holder in &holders {
            scene.assert_good(holder).await;
            assert_eq!(scene.audited(holder).await.len(), 1);
        }
    }
    scene.server.stop().await;
}

/// As from a node of a cluster that has not heard of a change yet: what it remembers is answered twice.
#[tokio::test]
async fn a_change_that_two_looks_do_not_see_is_seen_by_the_third() {
    let proxy = FaultProxy::start();
    let scene = scene_behind(&proxy).await;
    let holder = scene.holder().await;
    scene.wait_until_followed().await;
    let probe = scene.admin.client_uuid(&scene.realm.name, "hallpass-probe").await;
    let path = format!(
        "clients/{probe}/evaluate-scopes/generate-example-access-token?scope=openid&userId={}",
        holder.person.id
    );
    let remembered = scene.get(&path).await.to_string();
    let pattern = format!("GET *userId={}*", holder.person.id);
    let looks = [1, 2].map(|n| proxy.on_nth(n, &pattern, Fault::Answer(200, remembered.clone())));
    scene.realm.give_roles(&holder.person, "hallpass", &["read-audit"]).await;
    looks[0].wait_for_hits(2).await;
    scene.assert_good(&holder).await;
    scene.assert_revoked(&holder, "roles_changed", "added hallpass:read-audit").await;
    assert_eq!(looks[0].hits(), 3);
    scene.server.stop().await;
}
