//! What Keycloak's own endpoints do with a token under our key: why a personal access token is `typ` = `PAT`
//! with a `sid` that names no session.

use serde_json::json;

use super::forged::{Answers, CLIENT, Forge, REFUSED, fresh_id};
use crate::support::TestServer;

const ACCEPTED: Answers =
    Answers { userinfo: 200, account: 200, admin: 200, exchange: 200, active: true };

#[tokio::test]
async fn a_bearer_token_under_the_signing_key_opens_everything() {
    // This is why the key is guarded like the realm's own; and it shows that the refusals of the other
    // tests are not refusals of something else.
    let forge = Forge::new().await;
    let person = forge.administrator().await;
    let answers = forge.ask(&forge.forge(&person, &json!({"typ": "Bearer"}))).await;
    assert_eq!(answers, ACCEPTED);

    let no_session = json!({"typ": "Bearer", "sid": fresh_id()});
    assert_eq!(forge.ask(&forge.forge(&person, &no_session)).await, REFUSED);
}

#[tokio::test]
async fn typ_pat_without_a_session_is_active_at_introspection_only() {
    let forge = Forge::new().await;
    let person = forge.administrator().await;
    let answers = forge.ask(&forge.forge(&person, &json!({"typ": "PAT"}))).await;
    assert_eq!(answers, Answers { active: true, ..REFUSED });

    for others in [
        // What a personal access token is.
        json!({"typ": "PAT", "sid": fresh_id()}),
        json!({"typ": "PAT", "azp": "hallpass-pat"}),
        json!({"typ": "PAT", "azp": "nobody"}),
        json!({"typ": "PAT", "jti": format!("onrtna:{}", fresh_id())}),
        json!({"typ": "PAT", "aud": ["account"]}),
    ] {
        assert_eq!(forge.ask(&forge.forge(&person, &others)).await, REFUSED, "{others}");
    }
}

#[tokio::test]
async fn introspection_gives_a_narrowed_token_all_roles_of_its_owner_back() {
    let forge = Forge::new().await;
    let person = forge.administrator().await;
    let narrow = json!({"typ": "PAT", "realm_access": null, "scope": "openid roles",
        "resource_access": {"hallpass": {"roles": ["create-tokens"]}}});
    let told = forge.introspect(&forge.forge(&person, &narrow)).await;
    assert_eq!(told["active"], true, "{told}");
    let roles = told["resource_access"]["realm-management"]["roles"].as_array().unwrap();
    assert!(roles.contains(&json!("realm-admin")), "{told}");
}

#[tokio::test]
async fn a_personal_access_token_even_of_an_administrator_opens_nothing_of_keycloaks() {
    let forge = Forge::new().await;
    let server = TestServer::in_realm(forge.realm.clone()).await;
    for person in [forge.administrator().await, forge.realm.person().await] {
        let minted = server.user(&person).await.mint("leaked").await;
        let token = minted["token"].as_str().unwrap();
        assert_eq!(forge.ask(token).await, REFUSED);
        let (status, _) = forge.revoke(token).await;
        assert_eq!(status, 400);
    }
    server.stop().await;

    // Also where an operator has put the asking client into `aud`.
    let audience = [("HALLPASS_TOKENS__AUDIENCES", "resource-server,account,realm-management")];
    let sqlite = crate::support::Database::sqlite;
    let server = TestServer::start_with(forge.realm.clone(), sqlite, &audience).await;
    let minted = server.user(&forge.administrator().await).await.mint("leaked").await;
    let token = minted["token"].as_str().unwrap();
    let claims = crate::support::decode_claims(token);
    assert!(claims["aud"].as_array().unwrap().contains(&json!(CLIENT)), "{claims}");
    assert_eq!(forge.ask(token).await, REFUSED);
    server.stop().await;
}

#[tokio::test]
async fn a_tombstone_makes_keycloak_forget_a_token() {
    let forge = Forge::new().await;
    let person = forge.realm.person().await;
    let jti = fresh_id();
    let pat = forge.forge(&person, &json!({"typ": "PAT", "jti": jti}));
    assert_eq!(forge.introspect(&pat).await["active"], true);
    let (status, text) = forge.revoke(&pat).await;
    assert_eq!(status, 400);
    assert!(text.contains("unsupported_token_type"), "{text}");
    assert_eq!(forge.introspect(&pat).await["active"], true);

    let carrier = forge.forge(&person, &json!({"typ": "Bearer", "jti": jti}));
    assert_eq!(forge.revoke(&carrier).await, (200, String::new()));
    assert_eq!(forge.introspect(&pat).await["active"], false);
}
