//! Keycloak itself is restarted.

use crate::lifecycle::{EVENTS_ONLY, Scene};
use crate::support::{Database, restart_keycloak};

#[tokio::test]
#[ignore = "make soak"]
async fn a_restart_of_keycloak_revokes_nothing_and_what_comes_after_it_is_followed() {
    let scene = Scene::set_with(Database::sqlite, &EVENTS_ONLY).await;
    let (holder, kept) = (scene.holder().await, scene.holder().await);
    scene.wait_until_followed().await;
    restart_keycloak().await;
    scene.wait_until_followed().await;
    for holder in [&holder, &kept] {
        scene.assert_good(holder).await;
        assert_eq!(scene.audited(holder).await.len(), 1);
    }
    scene.realm.give_roles(&holder.person, "hallpass", &["read-audit"]).await;
    scene.assert_revoked(&holder, "roles_changed", "added hallpass:read-audit").await;
    // Nor does a sweep of everybody.
    let scene = scene.sweep_anew(&EVENTS_ONLY).await;
    let kept = scene.renewed(kept);
    scene.assert_good(&kept).await;
    assert_eq!(scene.audited(&kept).await.len(), 1);
    scene.server.stop().await;
}
