//! A call that changes something in Keycloak is sent once: the first may have been carried out.

use std::time::{Duration, Instant};

use hallpass::keycloak::{Credentials, Keycloak, KeycloakError, NewKeyProvider, http_client};

use crate::support::{Database, Fault, FaultProxy, TestRealm};

const CHANGE: &str = "POST */components";

/// The service's own connection to Keycloak.
async fn keycloak(proxy: &FaultProxy) -> Keycloak {
    let realm = TestRealm::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let through = [("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let settings = realm.settings(&Database::sqlite(&folder), &through).keycloak;
    let credentials = Credentials::Client {
        realm: realm.name,
        client_id: settings.client_id,
        client_secret: settings.client_secret,
    };
    Keycloak::new(http_client().unwrap(), settings.realm, credentials)
}

async fn change(keycloak: &Keycloak) -> Result<(), KeycloakError> {
    let provider = NewKeyProvider { name: "once".to_owned(), private_key: String::new().into() };
    keycloak.create_key_provider("00000000-0000-4000-8000-000000000001", &provider).await
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_not_repeated() {
    let proxy = FaultProxy::start();
    let keycloak = keycloak(&proxy).await;
    let faults = [
        Fault::CutRequest,
        Fault::CutAnswer,
        Fault::Garbage,
        Fault::status(500),
        Fault::status(503),
        Fault::HoldRequest,
    ];
    for fault in faults {
        let asked = Instant::now();
        let rule = proxy.on(CHANGE, fault.clone());
        change(&keycloak).await.expect_err("nothing was made");
        assert_eq!(rule.hits(), 1, "{fault:?}");
        assert!(asked.elapsed() < Duration::from_secs(8), "{fault:?} {:?}", asked.elapsed());
        proxy.clear();
    }
}

#[tokio::test]
async fn a_change_that_was_refused_for_its_token_is_sent_again_with_a_new_one() {
    let proxy = FaultProxy::start();
    let keycloak = keycloak(&proxy).await;
    let rule = proxy.on_nth(1, CHANGE, Fault::status(401));
    // The service account may not do this: that Keycloak itself says so shows that the second one arrived.
    let refused = change(&keycloak).await;
    assert!(matches!(refused, Err(KeycloakError::Forbidden(_))), "{refused:?}");
    assert_eq!((rule.hits(), proxy.count(CHANGE), proxy.count("POST */token")), (2, 1, 2));
}
