//! Keys of the realm: ours is published and passive, the others sign in a way that can be checked.

use serde_json::Value;

use super::finding::{BOOTSTRAP, Checked, Verdict};
use super::{Examination, left};
use crate::bootstrap::desired::{CLI_CLIENT, SIGNED_WITH};
use crate::keycloak::{ClientDocument, Login, Signature, can_check, fetch_jwks};
use crate::keys::find_other_keys;

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

/// The realm must not sign with our key. Whether it prefers it shows in its own tokens; an active key that it does not
/// prefer is not to be seen without `manage-realm`, and signs nothing. The realm's own page is not asked: it wants an RSA
/// key, and Keycloak makes one where the realm has none.
pub(super) async fn passive(examination: &Examination) -> Checked {
    let kid = left(&examination.signer)?.kid();
    let login = &left(&examination.login)?.login;
    if [&login.signature, &login.realm_signature].iter().any(|signature| signature.kid == kid) {
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

/// Access tokens of our own clients, by whatever the realm or the client says that they are signed with.
pub(super) async fn checkable(examination: &Examination) -> Checked {
    let login = &left(&examination.login)?.login;
    let keycloak = &examination.keycloak;
    let keys = fetch_jwks(keycloak.http(), &examination.settings.keycloak.realm).await?;
    let Signature { alg, kid } = &login.signature;
    if !can_check(&keys, alg, Some(kid)) {
        return Ok(Verdict::fail(
            format!("the realm signs access tokens with {alg}, which Hallpass cannot check"),
            "run `hallpass bootstrap` again: it lets the realm sign those of Hallpass's clients with RS256",
        ));
    }
    if let Some(client) = keycloak.find_client_document(CLI_CLIENT).await?
        && let Some(alg) = unchecked(&client, login, &keys)
    {
        return Ok(Verdict::fail(
            format!(
                "the realm signs access tokens of {CLI_CLIENT} with {alg}, which Hallpass cannot check"
            ),
            BOOTSTRAP,
        ));
    }
    Ok(Verdict::ok(format!("access tokens of Hallpass's clients are signed with {alg}")))
}

/// The algorithm of this client's access tokens, where Hallpass cannot check it.
pub(super) fn unchecked(client: &ClientDocument, login: &Login, keys: &[Value]) -> Option<String> {
    let named = client.attribute(SIGNED_WITH).and_then(Value::as_str);
    let good = match named.filter(|named| !named.is_empty()) {
        // A key that is not there yet is made with the first signature.
        Some(named) => named == "RS256" || can_check(keys, named, None),
        None => can_check(keys, &login.realm_signature.alg, Some(&login.realm_signature.kid)),
    };
    let algorithm = named.unwrap_or(&login.realm_signature.alg);
    (!good).then(|| algorithm.to_owned())
}
