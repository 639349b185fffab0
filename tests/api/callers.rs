//! Who calls: every credential that must not pass, and the bare answer that it gets.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::support::{
    Admin, Answer, Api, CHALLENGES, Database, LOGIN_CLIENT, TestRealm, TestServer, claims_of,
};

const TOKENS: &str = "/api/pat/v1/tokens";
const SELF: &str = "/api/pat/v1/tokens/self";

/// 401, and the same words whatever was wrong: no oracle for who tries tokens.
fn refused(answer: Answer) {
    assert_eq!(answer.headers["www-authenticate"], CHALLENGES[1], "no reason");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let problem = answer.expect_problem(401, "unauthenticated");
    insta::assert_json_snapshot!("unauthenticated", problem);
}

/// Refused for reading and for changing.
async fn no_way_in(api: &Api) {
    refused(api.get(TOKENS).await);
    refused(api.get(SELF).await);
    refused(api.post(TOKENS, &json!({"name": "x"})).await);
}

/// What a thief of our signing key would say of this person.
fn bearer_claims(realm: &TestRealm, real: &Value) -> Value {
    let mut claims = real.clone();
    claims["iss"] = realm.issuer().into();
    claims["typ"] = "Bearer".into();
    claims
}

/// The same, but that whoever holds what has ended is told so: its signature holds, and its end is in it.
async fn has_expired(api: &Api) {
    for answer in
        [api.get(TOKENS).await, api.get(SELF).await, api.post(TOKENS, &json!({"name": "x"})).await]
    {
        let challenge = r#"Bearer realm="hallpass", error="invalid_token""#;
        assert_eq!(answer.headers["www-authenticate"], challenge, "no reason");
        let problem = answer.expect_problem(401, "unauthenticated");
        assert_eq!(problem["detail"], "The credential has expired; get a new one.");
    }
}

#[tokio::test]
async fn an_access_token_is_good_until_it_expires_and_not_a_second_longer() {
    let server = TestServer::start().await;
    let token = server.realm.access_token(&server.realm.person().await).await;
    let user = server.with_token(&token);
    user.get(TOKENS).await.expect(200);
    let exp = claims_of(&token)["exp"].as_i64().unwrap();
    let left = exp * 1000 - server.clock.now().millis();
    // A minute before the end is enough for the slowest machine to be in time.
    server.clock.advance(Duration::from_millis(u64::try_from(left - 60_000).unwrap()));
    user.get(TOKENS).await.expect(200);
    server.clock.advance(Duration::from_mins(1));
    has_expired(&user).await;
    server.stop().await;
}

#[tokio::test]
async fn tokens_of_other_realms_and_for_others_are_refused() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let person = realm.person().await;
    server.user(&person).await.get(TOKENS).await.expect(200);
    // Another key, another issuer.
    no_way_in(&server.with_token(&Admin::log_in().await.token())).await;

    // The same key and issuer, for another audience, from an allowed client.
    let admin = Admin::log_in().await;
    let uuid = admin.client_uuid(&realm.name, LOGIN_CLIENT).await;
    let path = format!("/{}/clients/{uuid}/protocol-mappers/models", realm.name);
    let mappers = admin.get(&path).await;
    let audience = mappers.as_array().unwrap().iter().find(|mapper| mapper["name"] == "audience");
    admin.delete(&format!("{path}/{}", audience.unwrap()["id"].as_str().unwrap())).await;
    let token = realm.access_token(&person).await;
    assert_eq!(claims_of(&token)["azp"], LOGIN_CLIENT);
    no_way_in(&server.with_token(&token)).await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_is_not_allowed_is_told_so() {
    let realm = TestRealm::shared().await;
    let extra = [("HALLPASS_SERVER__ALLOWED_CLIENTS", "hallpass,hallpass-cli")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &extra).await;
    let user = server.user(&realm.person().await).await;
    user.get(TOKENS).await.expect_problem(403, "client-not-allowed");
    let refused = user.post(TOKENS, &json!({"name": "x"})).await;
    let problem = refused.expect_problem(403, "client-not-allowed");
    insta::assert_json_snapshot!("client-not-allowed", problem);
    server.stop().await;
}

#[tokio::test]
async fn other_tokens_of_a_login_are_no_access_tokens() {
    let server = TestServer::start().await;
    let person = server.realm.person().await;
    let login = server.realm.log_in(&person, LOGIN_CLIENT).await;
    server.with_token(login["access_token"].as_str().unwrap()).get(TOKENS).await.expect(200);
    for other in ["id_token", "refresh_token"] {
        no_way_in(&server.with_token(login[other].as_str().unwrap())).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn our_own_key_makes_no_access_tokens() {
    let server = TestServer::start().await;
    let realm = &server.realm;
    let person = realm.person().await;
    let real = claims_of(&realm.access_token(&person).await);
    let forged = bearer_claims(realm, &real);
    // Nothing is minted while somebody shows tokens of the kind that the realm signs, under this key.
    let minted = server.user(&person).await.mint("real").await;
    no_way_in(&server.with_token(&realm.forge(&forged))).await;
    // Nor with the id of a PAT that exists.
    let mut with_id = forged.clone();
    with_id["jti"] = minted["patId"].clone();
    no_way_in(&server.with_token(&realm.forge(&with_id))).await;
    server.stop().await;
}

#[tokio::test]
async fn a_personal_access_token_is_what_its_record_says() {
    let server = TestServer::start().await;
    let realm = &server.realm;
    let (one, two) = (realm.person().await, realm.person().await);
    let user = server.user(&one).await;
    let minted = user.mint("real").await;
    let claims = claims_of(minted["token"].as_str().unwrap());
    // The forge is as good as the mint: only the changes below are refused.
    server.with_token(&realm.forge(&claims)).get(SELF).await.expect(200);
    let now = server.clock.now().seconds();
    for (claim, value) in [
        ("jti", json!("01890000-0000-7000-8000-000000000000")),
        ("jti", json!("no id")),
        ("jti", json!(minted["patId"].as_str().unwrap().to_uppercase())),
        ("jti", Value::Null),
        ("sub", json!(two.id)),
        ("sub", json!("../users")),
        ("typ", json!("Bearer")),
        ("typ", json!("pat")),
        ("iss", json!(format!("{}/", realm.issuer()))),
        ("exp", json!(now)),
        ("exp", json!("never")),
        ("exp", Value::Null),
        ("iat", json!(now + 3_600)),
        ("nbf", json!(now + 3_600)),
    ] {
        let mut forged = claims.clone();
        let is_end = claim == "exp" && value.is_i64();
        forged[claim] = value;
        let caller = server.with_token(&realm.forge(&forged));
        if is_end { has_expired(&caller).await } else { no_way_in(&caller).await }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_token_whose_exp_was_stretched_ends_with_its_record() {
    let server = TestServer::start().await;
    let realm = &server.realm;
    let user = server.user(&realm.person().await).await;
    let minted = user.post(TOKENS, &json!({"name": "short", "expiresIn": 60})).await.expect(201);
    let mut claims = claims_of(minted["token"].as_str().unwrap());
    claims["exp"] = (claims["exp"].as_i64().unwrap() + 3_600).into();
    let stretched = server.with_token(&realm.forge(&claims));
    stretched.get(SELF).await.expect(200);
    server.clock.advance(Duration::from_mins(1));
    has_expired(&stretched).await;
    server.stop().await;
}

#[tokio::test]
async fn who_impersonates_reads_and_changes_nothing() {
    let server = TestServer::start().await;
    let realm = &server.realm;
    let person = realm.person().await;
    let user = server.user(&person).await;
    let minted = user.mint("mine").await;
    let path = format!("{TOKENS}/{}", minted["patId"].as_str().unwrap());
    let token = realm.impersonated_access_token(&person).await;
    let claims = claims_of(&token);
    assert!(claims["impersonator"].is_string(), "{claims}");
    assert_eq!(claims["sub"], person.id.as_str());

    let impersonator = server.with_token(&token);
    assert_eq!(impersonator.get(&path).await.expect(200)["name"], "mine");
    assert_eq!(impersonator.get(TOKENS).await.expect(200)["pagination"]["total"], 1);
    let creation = impersonator.post(TOKENS, &json!({"name": "theirs"})).await;
    creation.expect_problem(403, "impersonated");
    let revocation = impersonator.post_empty(&format!("{path}/invalidate")).await;
    revocation.expect_problem(403, "impersonated");
    impersonator.delete(&path).await.expect_problem(403, "impersonated");
    assert_eq!(user.get(&path).await.expect(200)["status"], "active");
    server.stop().await;
}

#[tokio::test]
async fn odd_authorization_headers_are_refused_alike() {
    let server = TestServer::start().await;
    let token = server.realm.access_token(&server.realm.person().await).await;
    let anonymous = server.anonymous();
    let send = async |values: &[String]| {
        let mut request = anonymous.request(Method::GET, TOKENS);
        for value in values {
            request = request.header(AUTHORIZATION, value);
        }
        anonymous.send(request).await
    };
    let good = format!("Bearer {token}");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        send(&[format!("{scheme} {token}")]).await.expect(200);
    }
    let twice = send(&[good.clone(), good.clone()]).await;
    assert_eq!(twice.headers["www-authenticate"], CHALLENGES[1]);
    twice.expect_problem(401, "unauthenticated");
    for value in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.clone(),
        format!("Basic {token}"),
        format!("Bearer{token}"),
        format!("Bearer, {token}"),
        format!("Bearer {token},{token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer \"{token}\""),
        format!("Bearer {token}."),
        format!("Bearer {token}="),
        "Bearer ..".to_owned(),
        "Bearer bearer".to_owned(),
        format!("Bearer {}", "A".repeat(20_000)),
    ] {
        let answer = send(std::slice::from_ref(&value)).await;
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        assert!(CHALLENGES.contains(&challenge), "{challenge}");
        answer.expect_problem(401, "unauthenticated");
    }
    let nothing = anonymous.get(TOKENS).await;
    assert_eq!(nothing.headers["www-authenticate"], CHALLENGES[0]);
    // A header and a query, a form or a cookie: only the header counts (RFC 6750 §2.2, §2.3).
    let query = anonymous.get(&format!("{TOKENS}?access_token={token}")).await;
    query.expect_problem(401, "unauthenticated");
    let cookie = anonymous.request(Method::GET, TOKENS).header("cookie", format!("token={token}"));
    anonymous.send(cookie).await.expect_problem(401, "unauthenticated");
    server.stop().await;
}
