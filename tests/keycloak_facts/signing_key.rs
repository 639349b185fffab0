//! The signing key as the realm has it.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::support::{Admin, TestRealm, http};

#[tokio::test]
async fn the_kid_is_the_digest_of_the_public_key_and_the_private_one_is_never_shown() {
    let realm = TestRealm::shared().await;
    let admin = Admin::log_in().await;
    let kid = realm.signing_key().kid().to_owned();

    let keys = admin.get(&format!("/{}/keys", realm.name)).await;
    let rsa = keys["keys"].as_array().unwrap().iter().filter(|key| key["type"] == "RSA");
    let mut seen = 0;
    // Keycloak's rule holds for all of its RSA keys, its own and ours.
    for key in rsa {
        let public = STANDARD.decode(key["publicKey"].as_str().unwrap()).unwrap();
        let expected = URL_SAFE_NO_PAD.encode(digest(&SHA256, &public));
        assert_eq!(key["kid"], expected.as_str());
        seen += usize::from(key["kid"] == kid.as_str());
    }
    assert_eq!(seen, 1);

    let path = format!("/{}/components?type=org.keycloak.keys.KeyProvider", realm.name);
    let providers = admin.get(&path).await;
    let ours = providers.as_array().unwrap().iter();
    let mut ours = ours.filter(|found| found["name"] == format!("hallpass-{kid}").as_str());
    assert_eq!(ours.next().unwrap()["config"]["privateKey"][0], "**********");
}

#[tokio::test]
async fn the_realms_page_shows_its_active_key_only_and_jwks_forbids_caching() {
    let realm = TestRealm::shared().await;
    let page: Value = http().get(realm.issuer()).send().await.unwrap().json().await.unwrap();
    let shown = STANDARD.decode(page["public_key"].as_str().unwrap()).unwrap();
    let ours = realm.signing_key().kid().to_owned();
    assert_ne!(URL_SAFE_NO_PAD.encode(digest(&SHA256, &shown)), ours);

    let answer = http().get(realm.jwks_url()).send().await.unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    let jwks: Value = answer.json().await.unwrap();
    assert!(jwks["keys"].as_array().unwrap().iter().any(|key| key["kid"] == ours.as_str()));
}
