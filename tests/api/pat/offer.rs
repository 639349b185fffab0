//! Before a token is made: what can be asked for, and what the token would say.

use serde_json::{Value, json};

use super::operator::{Designated, make_client_roles, make_realm_roles};
use super::{TOKENS, audited, auditor};
use crate::support::{Api, Database, TestRealm, TestServer, claims_of, unique};

async fn scene() -> (TestServer, Api) {
    let realm = TestRealm::own().await;
    let person = realm.person().await;
    make_realm_roles(&realm, &["analyst", "a:b"], &format!("users/{}", person.id)).await;
    // A name that means two roles can be asked for by nobody.
    make_client_roles(&realm, &person, "a", &["b", "c"]).await;
    realm.give_roles(&person, "realm-management", &["view-users"]).await;
    let extra =
        [("HALLPASS_TOKENS__AUDIENCES", "reports,a"), ("HALLPASS_TOKENS__MAX_LIFETIME", "90d")];
    let server = TestServer::start_with(realm, Database::sqlite, &extra).await;
    let user = server.user(&person).await;
    (server, user)
}

async fn preview(user: &Api, body: &Value) -> Value {
    user.post(&format!("{TOKENS}/preview"), body).await.expect(200)
}

#[tokio::test]
async fn whatever_is_offered_is_had_by_whoever_asks_for_it_alone() {
    let (server, user) = scene().await;
    let offer = user.get(&format!("{TOKENS}/offer")).await.expect(200);
    let list = |name: &str| -> Vec<String> { serde_json::from_value(offer[name].clone()).unwrap() };
    let roles = list("roles");
    for role in ["analyst", "a:c", "hallpass:create-tokens"] {
        assert!(roles.contains(&role.to_owned()), "{offer}");
    }
    for role in ["a:b", "realm-management:view-users", "account:manage-account"] {
        assert!(!roles.contains(&role.to_owned()), "{offer}");
    }
    let mut scopes = list("scopes");
    scopes.sort();
    assert_eq!(scopes, ["datahub-api", "email", "openid", "profile", "push-data"]);
    let mut defaults = list("defaultScopes");
    defaults.sort();
    assert_eq!(defaults, ["email", "openid", "profile"]);
    assert_eq!(offer["audience"], json!(["reports", "a"]));
    let day = 24 * 3600;
    let bounds = json!({"minimum": 60, "default": 30 * day, "maximum": 90 * day});
    assert_eq!(offer["expiresIn"], bounds);

    for field in ["roles", "scopes", "audience"] {
        for one in list(field) {
            let body = json!({"name": unique("offered"), field: [one]});
            let token = user.post(TOKENS, &body).await.expect(201);
            assert_eq!(token[field], json!([one]), "{field}");
        }
    }
    for (seconds, status) in [(60, 201), (59, 400), (90 * day, 201), (90 * day + 1, 400)] {
        let body = json!({"name": unique("bound"), "expiresIn": seconds});
        assert_eq!(user.post(TOKENS, &body).await.status.as_u16(), status, "{seconds}");
    }
    server.stop().await;
}

/// The claims without those that differ from token to token. Keycloak keeps no order among scopes and roles.
fn comparable(claims: &Value) -> Value {
    let mut claims = claims.clone();
    let members = claims.as_object_mut().unwrap();
    members.retain(|name, _| !["jti", "sid", "iat", "exp"].contains(&&**name));
    if let Some(scope) = members.get_mut("scope") {
        let mut scopes: Vec<_> = scope.as_str().unwrap().split(' ').collect();
        scopes.sort_unstable();
        *scope = scopes.join(" ").into();
    }
    if let Some(access) = members.get_mut("realm_access") {
        access["roles"].as_array_mut().unwrap().sort_by_key(Value::to_string);
    }
    claims
}

#[tokio::test]
async fn a_preview_says_what_the_token_says_and_leaves_nothing_behind() {
    let (server, user) = scene().await;
    let designated = Designated::of(&server.realm).await;
    designated.add_claim("department", "String", "r&d").await;
    for wanted in [
        json!({}),
        json!({"roles": ["analyst", "a:c"]}),
        json!({"scopes": ["push-data", "email"], "audience": ["reports"]}),
        json!({"allowedCidrs": ["192.0.2.0/24"], "expiresIn": 3600}),
    ] {
        let mut body = wanted.clone();
        body["name"] = unique("seen").into();
        let seen = preview(&user, &body).await;
        let auditor = auditor(&server).await;
        assert_eq!(
            audited(&auditor, &format!("search={}", body["name"].as_str().unwrap())).await,
            0
        );
        let minted = user.post(TOKENS, &body).await.expect(201);
        let token = minted["token"].as_str().unwrap();
        let said = claims_of(token);
        assert_eq!(comparable(&seen["claims"]), comparable(&said), "{wanted}");
        for one in ["jti", "sid"] {
            assert!(said.get(one).is_some() && seen["claims"].get(one).is_none(), "{one}");
        }
        // A moment later.
        for time in ["iat", "exp"] {
            let [then, now] = [&seen["claims"], &said].map(|claims| claims[time].as_i64().unwrap());
            assert!((0..60).contains(&(now - then)), "{time}: {then} {now}");
        }
        assert_eq!(seen["size"], token.len(), "{wanted}");
        assert_eq!(seen["audience"], said["aud"]);
        if let Some(roles) = wanted.get("roles") {
            assert_eq!(&seen["roles"], roles);
        }
        if wanted == json!({}) {
            assert_eq!(seen["claims"]["department"], "r&d");
            assert!(seen["roles"].as_array().unwrap().contains(&json!("a:c")), "{seen}");
        } else if wanted.get("roles").is_none() {
            assert_eq!(seen["roles"], json!([]), "{wanted}");
        }
    }
    let total = user.get(TOKENS).await.expect(200)["pagination"]["total"].clone();
    assert_eq!(total, 4, "a preview is no token");
    server.stop().await;
}

#[tokio::test]
async fn a_preview_refuses_what_the_creation_refuses() {
    let (server, user) = scene().await;
    let path = format!("{TOKENS}/preview");
    for body in [
        json!({}),
        json!({"name": "a_b"}),
        json!({"name": "a", "roles": ["nobody"]}),
        json!({"name": "a", "scopes": ["nothing"], "audience": ["nobody"]}),
        json!({"name": "a", "expiresIn": 1}),
        json!({"name": "a", "more": 1}),
    ] {
        let (seen, made) = (user.post(&path, &body).await, user.post(TOKENS, &body).await);
        let seen = seen.expect_problem(400, "invalid");
        assert_eq!(seen["errors"], made.expect_problem(400, "invalid")["errors"], "{body}");
    }
    let designated = Designated::of(&server.realm).await;
    designated.add_claim("long", "String", &"x".repeat(2_200)).await;
    designated.add_claim("longer", "String", &"x".repeat(2_200)).await;
    let body = json!({"name": "large"});
    let problem = user.post(&path, &body).await.expect_problem(400, "token-too-large");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("`roles` and `scopes`"), "it does not say what helps: {detail}");
    user.post(&path, &json!({"name": "large", "roles": ["analyst"]})).await.expect(200);
    server.stop().await;
}
