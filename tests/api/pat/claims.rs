//! What a token says: mappers on the designated client shape it, and forge nothing.

use serde_json::{Value, json};

use super::operator::{DESIGNATED, Designated, make_client_roles, make_realm_roles};
use crate::support::{Api, Database, TestRealm, TestServer, claims_of};

const TOKENS: &str = "/api/pat/v1/tokens";

async fn minted_claims(user: &Api, name: &str) -> Value {
    claims_of(user.mint(name).await["token"].as_str().unwrap())
}

#[tokio::test]
async fn a_claim_that_an_operator_adds_is_in_the_next_token() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let person = realm.person().await;
    let user = server.user(&person).await;
    let before = minted_claims(&user, "before").await;
    assert_eq!(before.get("department"), None);

    let designated = Designated::of(&realm).await;
    designated.add_claim("department", "String", "r&d").await;
    designated.add_claim("cost.centre", "int", "42").await;
    designated.add_claim("groups", "JSON", r#"["a", "b"]"#).await;
    let claims = minted_claims(&user, "after").await;
    assert_eq!(claims["department"], "r&d");
    assert_eq!(claims["cost"], json!({"centre": 42}));
    assert_eq!(claims["groups"], json!(["a", "b"]));
    for (claim, value) in [
        ("preferred_username", person.username.clone()),
        ("email", format!("{}@example.org", person.username)),
        ("name", "Test Person".to_owned()),
    ] {
        assert_eq!(claims[claim], value, "{claim}");
    }
    // Keycloak keeps no order among them.
    let mut scopes: Vec<_> = claims["scope"].as_str().unwrap().split(' ').collect();
    scopes.sort_unstable();
    assert_eq!(scopes, ["email", "openid", "profile"]);
    server.stop().await;
}

#[tokio::test]
async fn mappers_forge_no_protocol_claim() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let person = realm.person().await;
    let designated = Designated::of(&realm).await;
    let text = ["iss", "sub", "jti", "typ", "azp", "sid", "acr", "nonce"];
    for claim in text {
        designated.add_claim(claim, "String", "forged").await;
    }
    for claim in ["exp", "iat", "nbf", "auth_time"] {
        designated.add_claim(claim, "long", "7").await;
    }
    // What a validator would look up, and for whom the token would speak.
    let objects = ["status", "cnf", "act", "may_act"];
    for claim in objects {
        designated.add_claim(claim, "JSON", r#"{"sub": "forged"}"#).await;
    }
    let evaluated = designated.evaluate(&person).await;
    for claim in ["status", "act", "may_act"] {
        assert_eq!(evaluated[claim]["sub"], "forged", "{evaluated}");
    }
    let forged = text.iter().filter(|claim| evaluated[**claim] == "forged").count();
    assert!(forged > 0, "Keycloak lets mappers forge nothing any more: {evaluated}");

    let user = server.user(&person).await;
    let minted = user.mint("honest").await;
    let claims = claims_of(minted["token"].as_str().unwrap());
    assert_eq!(claims["iss"], realm.issuer());
    assert_eq!(claims["sub"], person.id);
    assert_eq!(claims["jti"], minted["patId"]);
    assert_eq!(claims["sid"], minted["patId"]);
    assert_eq!((&claims["typ"], &claims["azp"]), (&json!("PAT"), &json!(DESIGNATED)));
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!((server.clock.now().seconds() - iat).abs() < 60);
    assert_eq!(exp - iat, 30 * 24 * 3600);
    for absent in ["acr", "nonce", "nbf", "auth_time"].iter().chain(&objects) {
        assert_eq!(claims.get(*absent), None, "{absent}");
    }
    server.with_token(minted["token"].as_str().unwrap()).get(TOKENS).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn the_audience_is_what_is_configured_and_mapped_without_ids_of_clients() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let person = realm.person().await;
    make_client_roles(&realm, &person, "reports", &["read"]).await;
    let designated = Designated::of(&realm).await;
    let evaluated = designated.evaluate(&person).await;
    assert!(evaluated["aud"].to_string().contains("reports"), "Keycloak's own doing: {evaluated}");
    let user = server.user(&person).await;

    // Never empty: the designated client stands in.
    assert_eq!(minted_claims(&user, "alone").await["aud"], json!([DESIGNATED]));
    let custom = json!({"included.custom.audience": "lake"});
    designated.add_mapper("lake", "oidc-audience-mapper", custom).await;
    assert_eq!(minted_claims(&user, "custom").await["aud"], json!(["lake"]));

    let extra = [("HALLPASS_TOKENS__AUDIENCES", "reports,https://api.example")];
    let other = TestServer::start_with(realm.clone(), Database::sqlite, &extra).await;
    let user = other.user(&person).await;
    let claims = minted_claims(&user, "configured").await;
    assert_eq!(claims["aud"], json!(["reports", "https://api.example", "lake"]));
    server.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn roles_of_keycloaks_own_clients_are_left_out() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let person = realm.person().await;
    make_client_roles(&realm, &person, "reports", &["read"]).await;
    realm.give_roles(&person, "realm-management", &["view-users"]).await;
    make_realm_roles(&realm, &["analyst"], &format!("users/{}", person.id)).await;

    let evaluated = Designated::of(&realm).await.evaluate(&person).await;
    assert!(evaluated["resource_access"]["realm-management"].is_object(), "{evaluated}");
    assert!(evaluated["resource_access"]["account"].is_object(), "{evaluated}");
    let claims = minted_claims(&server.user(&person).await, "roles").await;
    let clients: Vec<_> = claims["resource_access"].as_object().unwrap().keys().collect();
    assert_eq!(clients, ["hallpass", "reports"]);
    assert_eq!(claims["resource_access"]["reports"], json!({"roles": ["read"]}));
    let roles = claims["realm_access"]["roles"].as_array().unwrap();
    assert!(roles.contains(&json!("analyst")), "{claims}");
    server.stop().await;
}

#[tokio::test]
async fn a_token_over_6_kib_is_refused_and_nothing_is_recorded() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let user = server.user(&realm.person().await).await;
    let designated = Designated::of(&realm).await;
    designated.add_claim("half", "String", &"x".repeat(2_200)).await;
    let token = user.mint("fits").await["token"].as_str().unwrap().to_owned();
    assert!((4_000..=6 * 1024).contains(&token.len()), "{}", token.len());
    server.with_token(&token).get(TOKENS).await.expect(200);

    designated.add_claim("other-half", "String", &"x".repeat(2_200)).await;
    let refused = user.post(TOKENS, &json!({"name": "too-large"})).await;
    let problem = refused.expect_problem(400, "token-too-large");
    insta::assert_json_snapshot!("token-too-large", problem);
    assert_eq!(user.get(TOKENS).await.expect(200)["pagination"]["total"], 1);
    let recorded = "UPDATE audit_events SET reason = reason WHERE credential_name = 'too-large'";
    assert_eq!(server.execute(recorded.to_owned()).await, 0);
    server.stop().await;
}
