//! Realms that bootstrap does not touch.

use hallpass::bootstrap::{BootstrapError, Mode, Options};
use hallpass::config::StoreUrl;
use hallpass::store::Store;
use serde_json::json;

use super::snapshot::assert_same;
use super::{Ground, dry_run, silent};
use crate::support::{
    Admin, Database, Fault, FaultProxy, administrator, bootstrap_settings, bootstrap_settings_by,
    options,
};

#[tokio::test]
async fn a_client_of_one_of_our_names_that_is_not_ours_stops_it_before_anything_is_changed() {
    let ground = Ground::new().await;
    for client_id in ["hallpass", "hallpass-cli", "hallpass-pat", "hallpass-probe"] {
        ground.admin.post(&ground.path("/clients"), &json!({"clientId": client_id})).await;
        let before = ground.snapshot().await;
        for options in [options(), dry_run()] {
            let error = ground.try_bootstrap(options, silent()).await.unwrap_err();
            assert!(error.to_string().contains(&format!(": client {client_id};")), "{error}");
            assert!(matches!(error, BootstrapError::Foreign { .. }), "{error}");
        }
        assert_same(&before, &ground.snapshot().await);
        let uuid = ground.admin.client_uuid(&ground.realm.name, client_id).await;
        ground.admin.delete(&ground.path(&format!("/clients/{uuid}"))).await;
    }
}

#[tokio::test]
async fn the_realm_master_is_refused_unless_it_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let settings = bootstrap_settings("master", &Database::sqlite(&folder));
    let (keycloak, clock) = (administrator(&settings), hallpass::clock::Clock::system());
    let key = hallpass::config::SealingKey::generate().unwrap();
    let run = |options| {
        let (keycloak, settings, key, clock) = (&keycloak, &settings, &key, &clock);
        async move {
            hallpass::bootstrap::bootstrap(keycloak, settings, key, clock, &options, silent()).await
        }
    };
    let error = run(options()).await.unwrap_err();
    assert!(matches!(error, BootstrapError::Master), "{error}");
    let found = Admin::log_in().await.get("/master/clients?clientId=hallpass").await;
    assert_eq!(found, json!([]));

    // Everybody's realm: only looked at here.
    let allowed = Options { allow_master: true, ..dry_run() };
    assert!(run(allowed).await.unwrap().changes > 0);
}

#[tokio::test]
async fn a_realm_that_calls_itself_otherwise_stops_it_before_anything_is_sealed() {
    let ground = Ground::new().await;
    let front = |url: &str| json!({"attributes": {"frontendUrl": url}});
    ground.change_realm(front("https://sso.example")).await;
    for options in [options(), dry_run()] {
        let error = ground.try_bootstrap(options, silent()).await.unwrap_err();
        assert!(matches!(error, BootstrapError::Issuer { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("https://sso.example/realms/"), "{text}");
        assert!(text.contains("`keycloak.public_url`"), "{text}");
    }
    let file = ground.database.url_text().replace("sqlite://", "");
    assert!(!std::path::Path::new(&file).exists(), "nothing is sealed yet");
    ground.change_realm(front("")).await;

    ground.change_realm(json!({"sslRequired": "all"})).await;
    let error = ground.try_bootstrap(options(), silent()).await.unwrap_err();
    assert!(error.to_string().contains("requires https"), "{error}");
    ground.change_realm(json!({"sslRequired": "external"})).await;
    ground.bootstrap().await;
}

#[tokio::test]
async fn a_store_of_another_realm_stops_it_before_anything_is_changed() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let before = ground.snapshot().await;
    let other = tempfile::tempdir().unwrap();
    let other = Ground {
        settings: bootstrap_settings(&ground.realm.name, &Database::sqlite(&other)),
        ..Ground::new().await
    };
    let store = Store::open(&other.settings.store_url).await.unwrap();
    store.claim_issuer("https://elsewhere.example/realms/x").await.unwrap();
    store.close().await;

    for mode in [Mode::DryRun, Mode::Apply] {
        let options = Options { mode, ..options() };
        let bootstrap = other.try_bootstrap(options, silent()).await.unwrap_err();
        let remove = other.try_remove(mode, silent()).await.unwrap_err();
        for error in [bootstrap, remove] {
            assert!(
                error.to_string().contains("belongs to the realm https://elsewhere"),
                "{error}"
            );
        }
    }
    assert_same(&before, &ground.snapshot().await);
}

#[tokio::test]
async fn a_store_that_is_away_stops_it_before_anything_is_changed() {
    let mut ground = Ground::new().await;
    let before = ground.snapshot().await;
    ground.settings.store_url = StoreUrl::parse("postgres://nobody@127.0.0.1:1/none").unwrap();
    for mode in [Mode::DryRun, Mode::Apply] {
        let options = Options { mode, ..options() };
        let bootstrap = ground.try_bootstrap(options, silent()).await.unwrap_err();
        let remove = ground.try_remove(mode, silent()).await.unwrap_err();
        for error in [bootstrap, remove] {
            assert!(matches!(error, BootstrapError::Store(_)), "{error}");
        }
    }
    assert_same(&before, &ground.snapshot().await);
}

#[tokio::test]
async fn an_administrator_who_may_not_give_roles_is_told_what_helps_and_the_next_run_goes_on() {
    let (mut ground, proxy) = (Ground::new().await, FaultProxy::start());
    let url = proxy.url().to_owned();
    ground.settings = bootstrap_settings_by(url, &ground.realm.name, &ground.database);
    proxy.on("POST */role-mappings/clients/*", Fault::status(403));
    let error = ground.try_bootstrap(options(), silent()).await.unwrap_err();
    assert!(matches!(error, BootstrapError::MayNotGiveRoles), "{error}");
    proxy.clear();
    ground.bootstrap().await;
    assert_eq!(ground.bootstrap().await.outcome.changes, 0);
}
