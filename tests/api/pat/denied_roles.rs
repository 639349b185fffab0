//! `tokens.denied_roles`: roles that no personal access token carries.

use serde_json::{Value, json};

use super::family::rotate_path;
use super::operator::{Designated, make_client_roles, make_realm_roles};
use super::{TOKENS, USERS, id_of};
use crate::support::{Admin, Api, Database, Person, TestRealm, TestServer, claims_of, unique};

const DENIED: (&str, &str) =
    ("HALLPASS_TOKENS__DENIED_ROLES", "boss,lake:drain,inner-boss,hallpass:manage-tokens");

/// Somebody with roles that are denied, direct, of a client and by a composite, in a realm whose operator writes roles
/// into a claim of their own.
async fn boss(realm: &TestRealm) -> Person {
    let person = realm.person().await;
    let whose = format!("users/{}", person.id);
    make_realm_roles(realm, &["boss", "analyst", "outer"], &whose).await;
    let admin = Admin::log_in().await;
    let inner = ["inner-boss", "inner-analyst"];
    for role in inner {
        admin.post(&format!("/{}/roles", realm.name), &json!({"name": role})).await;
        let role = admin.get(&format!("/{}/roles/{role}", realm.name)).await;
        admin.post(&format!("/{}/roles/outer/composites", realm.name), &json!([role])).await;
    }
    make_client_roles(realm, &person, "lake", &["drain", "read"]).await;
    realm.give_roles(&person, "hallpass", &["manage-tokens"]).await;
    let list = |claim: &str| json!({"claim.name": claim, "multivalued": "true", "jsonType.label": "String"});
    let designated = Designated::of(realm).await;
    designated.add_mapper("flat", "oidc-usermodel-realm-role-mapper", list("roles")).await;
    let mut of_client = list("lake_roles");
    of_client["usermodel.clientRoleMapping.clientId"] = "lake".into();
    designated.add_mapper("lake", "oidc-usermodel-client-role-mapper", of_client).await;
    person
}

async fn ask(user: &Api, mut body: Value) -> Value {
    body["name"] = unique("asked").into();
    user.post(TOKENS, &body).await.expect(201)
}

fn text(token: &Value) -> String {
    claims_of(token["token"].as_str().unwrap()).to_string()
}

const LEFT_OUT: [&str; 4] = ["\"boss\"", "\"inner-boss\"", "\"drain\"", "\"manage-tokens\""];
const KEPT: [&str; 4] = ["\"analyst\"", "\"outer\"", "\"inner-analyst\"", "\"read\""];

#[tokio::test]
async fn a_denied_role_is_in_no_token_wherever_it_comes_from_and_asking_for_it_is_refused() {
    let realm = TestRealm::own().await;
    let person = boss(&realm).await;
    let server = TestServer::start_with(realm, Database::sqlite, &[DENIED]).await;
    let user = server.user(&person).await;
    let whole = ask(&user, json!({})).await;
    for name in LEFT_OUT {
        assert!(!text(&whole).contains(name), "{name} is in {}", text(&whole));
    }
    for name in KEPT {
        assert_eq!(text(&whole).matches(name).count(), 2, "{name} in {}", text(&whole));
    }
    for role in ["boss", "inner-boss", "lake:drain", "hallpass:manage-tokens"] {
        let body = json!({"name": unique("denied"), "roles": ["analyst", role]});
        let problem = user.post(TOKENS, &body).await.expect_problem(400, "invalid");
        let message =
            format!("{role:?} is a role that no token carries here: `tokens.denied_roles`");
        assert_eq!(problem["errors"], json!([{"field": "roles", "message": message}]));
    }
    let narrowed = ask(&user, json!({"roles": ["analyst", "lake:read"]})).await;
    assert!(text(&narrowed).contains("\"analyst\"") && text(&narrowed).contains("\"read\""));
    let offer = user.get(&format!("{TOKENS}/offer")).await.expect(200);
    let offered = offer["roles"].as_array().unwrap();
    for role in ["analyst", "outer", "inner-analyst", "lake:read", "hallpass:create-tokens"] {
        assert!(offered.contains(&json!(role)), "{role}: {offer}");
    }
    for role in ["boss", "inner-boss", "lake:drain", "hallpass:manage-tokens"] {
        assert!(!offered.contains(&json!(role)), "{role}: {offer}");
    }
    // At Hallpass itself it counts for the person, and for no token of theirs.
    user.get(&format!("{USERS}/tokens")).await.expect(200);
    let pat = server.with_token(whole["token"].as_str().unwrap());
    pat.get(&format!("{USERS}/tokens")).await.expect_problem(403, "missing-role");
    pat.get(TOKENS).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn a_role_that_is_denied_later_is_in_no_successor_and_ends_the_tokens_that_carry_it() {
    let realm = TestRealm::own().await;
    let person = boss(&realm).await;
    let server = TestServer::start_with(realm, Database::sqlite, &[]).await;
    let user = server.user(&person).await;
    let whole = ask(&user, json!({})).await;
    assert!(LEFT_OUT.iter().all(|name| text(&whole).contains(name)), "{}", text(&whole));
    let narrowed = ask(&user, json!({"roles": ["boss", "analyst"]})).await;
    // No sweep comes before the rotation.
    let seldom = ("HALLPASS_LIFECYCLE__SWEEP_INTERVAL", "24h");
    let server = server.restart(&[DENIED, seldom]).await;
    let user = server.user(&person).await;
    let until_revoked = async || loop {
        let found = user.get(&format!("{TOKENS}/{}", id_of(&whole))).await.expect(200);
        if found["status"] == "revoked" {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let rotated = user.post_empty(&rotate_path(&narrowed)).await;
    // The sweep of the start may have been faster.
    if rotated.status == 201 {
        let successor = rotated.expect(201);
        assert_eq!(successor["roles"], json!(["analyst"]));
        assert!(!text(&successor).contains("boss"), "{}", text(&successor));
    } else {
        // Before the rotation, in the middle of it, or before its token was given out.
        assert_eq!(rotated.status, 409, "{rotated:?}");
        let code = rotated.json()["code"].as_str().unwrap().to_owned();
        let codes = ["token-not-live", "token-changed", "owner-changed"];
        assert!(codes.contains(&&*code), "{rotated:?}");
    }
    let patience = std::time::Duration::from_secs(75);
    let found = tokio::time::timeout(patience, until_revoked()).await.expect("it is revoked");
    assert_eq!(found["revokedReason"], "roles_changed");
    server.stop().await;
}
