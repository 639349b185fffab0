//! Owners who leave: disabled, deleted, by themselves, locked out.

use serde_json::{Value, json};

use super::{Holder, Scene, user};
use crate::support::{Browser, DATABASES, LOGIN_CLIENT, PASSWORD, Stop, http};

#[tokio::test]
async fn an_owner_whom_an_administrator_disables_loses_all_tokens_for_good_on_both_databases() {
    for database in DATABASES {
        let scene = Scene::set_with(database, &super::EVENTS_ONLY).await;
        let (holder, other) = (scene.holder().await, scene.holder().await);
        let revoked = scene.holder_of(holder.person.clone()).await;
        let path = format!("{}/{}/invalidate", super::TOKENS, revoked.pat_id);
        holder.api.post_empty(&path).await.expect(200);
        scene.set_enabled(&holder.person, false).await;
        scene.assert_deleted(&holder, "owner_disabled").await;
        scene.assert_deleted(&revoked, "owner_disabled").await;

        scene.set_enabled(&holder.person, true).await;
        scene.wait_until_followed().await;
        scene.assert_refused(&holder).await;
        let again = scene.holder_of(holder.person.clone()).await;
        scene.wait_until_followed().await;
        scene.assert_good(&again).await;
        scene.assert_good(&other).await;
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn an_owner_whom_an_administrator_deletes_loses_all_tokens() {
    let scene = Scene::set().await;
    let (holder, other) = (scene.holder().await, scene.holder().await);
    scene.delete(&user(&holder.person), &Value::Null).await;
    scene.assert_deleted(&holder, "owner_deleted").await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn without_details_in_the_events_a_disabled_owner_loses_their_tokens_too() {
    let scene = Scene::set().await;
    scene.put("", &json!({"adminEventsDetailsEnabled": false})).await;
    let (holder, edited) = (scene.holder().await, scene.holder().await);
    scene.put(&user(&edited.person), &json!({"firstName": "Renamed"})).await;
    scene.set_enabled(&holder.person, false).await;
    scene.assert_deleted(&holder, "owner_disabled").await;
    scene.wait_until_followed().await;
    scene.assert_good(&edited).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn an_owner_who_deletes_their_own_account_loses_all_tokens() {
    let scene = Scene::set().await;
    let (holder, other) = (scene.holder().await, scene.holder().await);
    scene.realm.give_roles(&holder.person, "account", &["delete-account"]).await;
    let action = "authentication/required-actions/delete_account";
    let mut settings = scene.get(action).await;
    settings["enabled"] = json!(true);
    scene.put(action, &settings).await;

    let mut browser = Browser::new(&scene.realm.issuer());
    let page = browser.open(&scene.login_url(&[("kc_action", "delete_account")])).await;
    let login = [("username", &*holder.person.username), ("password", PASSWORD)];
    let page = browser.send_form(page, &login).await;
    let Stop::Page { status: 200, html, .. } = &page else { panic!("no page: {page:?}") };
    assert!(html.contains("delete"), "{html}");
    browser.send_form(page, &[]).await;

    scene.assert_deleted(&holder, "owner_deleted").await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn an_owner_who_is_locked_out_for_good_has_their_tokens_revoked_and_not_deleted() {
    let scene = locking_out().await;
    let (holder, other) = (scene.holder().await, scene.holder().await);
    lock_out(&scene, &holder).await;
    assert_locked_out(&scene, &holder).await;
    // An administrator who edits the account changes nothing about that, nor who enables it again.
    let edited = scene.get(&user(&holder.person)).await;
    scene.put(&user(&holder.person), &edited).await;
    scene.set_enabled(&holder.person, true).await;
    scene.wait_until_followed().await;
    assert_locked_out(&scene, &holder).await;
    scene.assert_good(&other).await;
    scene.server.stop().await;
}

#[tokio::test]
async fn an_owner_who_seemed_disabled_and_is_locked_out_waits_for_no_sweep() {
    let scene = locking_out().await;
    let holder = scene.holder().await;
    scene.wait_until_followed().await;
    let suspend = "UPDATE tokens SET suspended_at = created_at, suspended_reason = 'owner_disabled' WHERE pat_id";
    assert_eq!(scene.server.execute(format!("{suspend} = '{}'", holder.pat_id)).await, 1);
    lock_out(&scene, &holder).await;
    assert_locked_out(&scene, &holder).await;
    scene.server.stop().await;
}

/// A realm that locks out who gives two wrong passwords.
async fn locking_out() -> Scene {
    let scene = Scene::set().await;
    let lockout = json!({
        "bruteForceProtected": true, "permanentLockout": true, "failureFactor": 2,
        "quickLoginCheckMilliSeconds": 0,
    });
    scene.put("", &lockout).await;
    scene
}

/// Wrong passwords, until Keycloak disables the account for good.
async fn lock_out(scene: &Scene, holder: &Holder) {
    let url = format!("{}/protocol/openid-connect/token", scene.realm.issuer());
    super::until("the lockout", async || {
        let form = [
            ("grant_type", "password"),
            ("client_id", LOGIN_CLIENT),
            ("username", holder.person.username.as_str()),
            ("password", "wrong"),
        ];
        http().post(&url).form(&form).send().await.unwrap();
        scene.get(&user(&holder.person)).await["enabled"] == false
    })
    .await;
}

/// For a moment Keycloak may say only that they are disabled: then the token is suspended before.
async fn assert_locked_out(scene: &Scene, holder: &Holder) {
    let found = scene.wait_for(holder, "revoked").await;
    assert_eq!(found["revokedReason"], "owner_locked_out", "{found}");
    scene.assert_refused(holder).await;
    let log = scene.audited(holder).await;
    assert_eq!(log.last().unwrap(), "token_revoked by hallpass, owner_locked_out", "{log:?}");
    let before = log[1..log.len() - 1].iter();
    for line in before {
        assert!(
            line.starts_with("token_suspended") || line.starts_with("token_released"),
            "{log:?}"
        );
    }
}

#[tokio::test]
async fn an_owner_who_is_disabled_and_enabled_again_between_two_looks_keeps_their_tokens() {
    let mut scene = Scene::set().await;
    let holder = scene.holder().await;
    scene.wait_until_followed().await;
    scene.server.halt().await;
    scene.set_enabled(&holder.person, false).await;
    scene.set_enabled(&holder.person, true).await;
    scene.server = scene.server.restart(&super::EVENTS_ONLY).await;
    scene.wait_until_followed().await;
    assert_eq!(scene.audited(&holder).await.len(), 1);
    scene.assert_good(&holder).await;
    scene.server.stop().await;
}
