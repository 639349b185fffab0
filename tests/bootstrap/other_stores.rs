//! Another store in the same realm: it is told apart, and its key is seen.

use hallpass::bootstrap::{BootstrapError, Mode, Options, remove_key};
use hallpass::clock::Clock;
use hallpass::config::BootstrapSettings;
use hallpass::keys::find_other_keys;
use hallpass::store::KnownKey;
use serde_json::json;

use super::{Ground, dry_run, silent};
use crate::support::{Database, administrator, bootstrap_settings, options};

/// The same realm by way of a store that knows nothing of it.
fn with_new_store(ground: &Ground, folder: &tempfile::TempDir) -> BootstrapSettings {
    bootstrap_settings(&ground.realm.name, &Database::sqlite(folder))
}

#[tokio::test]
async fn another_store_is_refused_and_its_key_is_named_until_it_is_removed() {
    let mut ground = Ground::new().await;
    ground.bootstrap().await;
    let lost = ground.active_kid().await.unwrap();
    let lost_provider = ground.providers().await[0]["id"].as_str().unwrap().to_owned();

    let folder = tempfile::tempdir().unwrap();
    ground.settings = with_new_store(&ground, &folder);
    ground.database = Database::sqlite(&folder);
    for options in [options(), dry_run()] {
        let error = ground.try_bootstrap(options, silent()).await.unwrap_err().to_string();
        assert!(error.contains("client hallpass-probe, client scope datahub-api"), "{error}");
        assert!(error.contains(&lost) && error.contains(&lost_provider), "{error}");
    }
    assert!(!ground.database_exists());

    // Lost for good: what it made is taken over, and its key still shows.
    let done = ground.bootstrap_with(Options { adopt: true, ..options() }).await;
    let advice = format!("--remove-key {lost_provider}");
    assert!(done.outcome.notes.iter().any(|note| note.contains(&advice)), "{:?}", done.outcome);
    let known = |kid: &String| KnownKey { kid: kid.clone(), retired: false };
    let own = [ground.active_kid().await.unwrap()];
    let own_keys = [known(&own[0])];
    let keycloak = administrator(&ground.settings);
    let realm = &ground.settings.realm;
    let seen = find_other_keys(&keycloak, realm, "hallpass", &own_keys).await.unwrap();
    assert_eq!(seen, std::slice::from_ref(&lost));
    // The first store sees that there is another one.
    let seen = find_other_keys(&keycloak, realm, "hallpass", &[known(&lost)]).await.unwrap();
    assert_eq!(seen, own);

    let clock = Clock::system();
    let ids = ground.providers().await;
    let ids: Vec<_> = ids.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    let own_provider = ids.iter().find(|id| **id != lost_provider).unwrap();
    for id in [own_provider.as_str(), "no-such-id"] {
        let refused =
            remove_key((&keycloak, &ground.settings), &clock, Mode::Apply, id, silent()).await;
        assert!(matches!(refused, Err(BootstrapError::NotAnotherKey { .. })), "{refused:?}");
    }
    for mode in [Mode::DryRun, Mode::Apply] {
        let realm = (&keycloak, &ground.settings);
        let changes = remove_key(realm, &clock, mode, &lost_provider, silent()).await.unwrap();
        assert_eq!(changes, 1);
    }
    assert_eq!(ground.providers().await.len(), 1);
    let seen = find_other_keys(&keycloak, realm, "hallpass", &own_keys).await.unwrap();
    assert_eq!(seen, Vec::<String>::new());
    let lines = ground.bootstrap().await;
    assert_eq!(lines.outcome.notes, Vec::<String>::new());
}

#[tokio::test]
async fn a_scope_that_clients_use_survives_a_removal_and_is_known_again() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let client = json!({"clientId": "acme_app", "publicClient": false, "redirectUris": [],
        "optionalClientScopes": ["push-data"]});
    ground.admin.post(&ground.path("/clients"), &client).await;
    let dry = ground.remove(Mode::DryRun).await;
    let removed = ground.try_remove(Mode::Apply, silent()).await.unwrap();
    let notes = removed.notes.join("\n");
    assert!(notes.contains("client scope push-data stays: client acme_app uses it"), "{notes}");
    assert_eq!(dry.len(), removed.changes);
    let used = ground.client("acme_app").await;
    assert_eq!(used["optionalClientScopes"], json!(["push-data"]));
    let scopes = ground.admin.get(&ground.path("/client-scopes")).await;
    assert!(!scopes.to_string().contains("hallpass.grantable"), "{scopes}");

    let lines = ground.bootstrap().await.lines;
    assert!(lines.contains(&"mark client scope push-data as grantable".to_owned()), "{lines:?}");
    ground.admin.delete(&ground.path(&format!("/clients/{}", used["id"].as_str().unwrap()))).await;
    let lines = ground.remove(Mode::Apply).await;
    assert!(lines.contains(&"remove client scope push-data".to_owned()), "{lines:?}");
}
