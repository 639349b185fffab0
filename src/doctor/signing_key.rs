//! The signing key in the realm: published, and passive.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::finding::{BOOTSTRAP, Checked, Verdict};
use super::{Examination, left};
use crate::keycloak::fetch_jwks;
use crate::keys::{find_other_keys, kid_of};

pub(super) async fn published(examination: &Examination) -> Checked {
    let kid = left(&examination.signer)?.kid();
    let realm = &examination.settings.keycloak.realm;
    let keys = fetch_jwks(examination.keycloak.http(), realm).await?;
    if keys.iter().any(|key| key["kid"] == kid) {
        return Ok(Verdict::ok(format!("the realm's JWKS shows the key {kid}")));
    }
    Ok(Verdict::fail(
        format!(
            "the realm's JWKS lacks the key {kid}: no token is issued, and those issued are refused"
        ),
        BOOTSTRAP,
    ))
}

/// The realm must not sign with our key. Whether it prefers it shows in its own tokens and on its page; an active key
/// that it does not prefer is not to be seen without `manage-realm`, and signs nothing.
pub(super) async fn passive(examination: &Examination) -> Checked {
    let kid = left(&examination.signer)?.kid();
    let page = examination.keycloak.find_realm_page().await?;
    let der = page.and_then(|page| page.public_key).and_then(|key| STANDARD.decode(key).ok());
    let signs =
        left(&examination.login)?.login.key_id == kid || der.is_some_and(|der| kid_of(&der) == kid);
    if signs {
        return Ok(Verdict::fail(
            format!(
                "the realm itself signs with Hallpass's key {kid}: its tokens are then refused here"
            ),
            "run `hallpass bootstrap` again: it makes the key passive",
        ));
    }
    Ok(Verdict::ok("the realm signs with another key"))
}

/// A key that this store does not know signs tokens that nobody can revoke, and in wrong hands any token of the realm.
pub(super) async fn other_stores(examination: &Examination) -> Checked {
    let own = left(&examination.store)?.list_kids().await?;
    let settings = &examination.settings.keycloak;
    let (realm, client_id) = (&settings.realm, &settings.client_id);
    let kids = find_other_keys(&examination.keycloak, realm, client_id, &own).await?;
    if kids.is_empty() {
        return Ok(Verdict::ok("the realm shows no signing key of another Hallpass store"));
    }
    Ok(Verdict::fail(
        format!("the realm shows signing keys of another Hallpass store: {}", kids.join(", ")),
        "use that store; if it is lost, `hallpass bootstrap` says how to remove its keys from the realm",
    ))
}
