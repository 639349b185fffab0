//! Narrowed tokens: what was asked for, and nothing else, in any claim.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::operator::{DESIGNATED, Designated, make_client_roles, make_realm_roles};
use crate::support::{
    Admin, Answer, Api, Database, Person, TestRealm, TestServer, claims_of, unique, without_use,
};

const TOKENS: &str = "/api/pat/v1/tokens";
const SELF: &str = "/api/pat/v1/tokens/self";
const AUDIENCES: [&str; 2] = ["jade-audience", "opal-audience"];
/// What a token can show, by names that stand for nothing else.
const NAMES: [&str; 10] = [
    "quartz-analyst",
    "quartz-admin",
    "amber-read",
    "amber-write",
    "beryl-scope",
    "garnet-team",
    "topaz",
    "onyx",
    AUDIENCES[0],
    AUDIENCES[1],
];
/// The claims that are ours, and those that say who the owner is; but `given_name`, into which a mapper writes roles.
const ALWAYS: [&str; 14] = [
    "aud",
    "azp",
    "email",
    "email_verified",
    "exp",
    "family_name",
    "iat",
    "iss",
    "jti",
    "name",
    "preferred_username",
    "sid",
    "sub",
    "typ",
];

/// A narrowed token of a new name.
async fn narrow(user: &Api, mut body: Value) -> Answer {
    body["name"] = unique("narrow").into();
    user.post(TOKENS, &body).await
}

pub(super) async fn narrowed(user: &Api, body: Value) -> Value {
    narrow(user, body).await.expect(201)
}

fn claims(created: &Value) -> Value {
    claims_of(created["token"].as_str().unwrap())
}

/// The fields and messages of a refusal.
fn refusal(answer: Answer) -> Vec<String> {
    let problem = answer.expect_problem(400, "invalid");
    let errors = problem["errors"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    errors.map(|error| format!("{}: {}", text(&error["field"]), text(&error["message"]))).collect()
}

/// Somebody with roles of every origin, in a realm whose operator puts all of it into tokens by every mapper.
async fn jewelled(realm: &TestRealm) -> Person {
    let account = json!({"attributes": {"account_id": ["topaz"]}});
    let person = realm.person_with(&unique("person"), account).await;
    make_realm_roles(realm, &["quartz-analyst"], &format!("users/{}", person.id)).await;
    make_client_roles(realm, &person, "lake", &["amber-read", "amber-write"]).await;
    let admin = Admin::log_in().await;
    let name = &realm.name;
    admin.post(&format!("/{name}/groups"), &json!({"name": "garnet-team"})).await;
    let groups = admin.get(&format!("/{name}/groups?search=garnet-team")).await;
    let group = groups[0]["id"].as_str().unwrap();
    make_realm_roles(realm, &["quartz-admin"], &format!("groups/{group}")).await;
    admin.put(&format!("/{name}/users/{}/groups/{group}", person.id), &Value::Null).await;

    let scope = json!({"name": "beryl-scope", "protocol": "openid-connect",
        "attributes": {"include.in.token.scope": "true"}});
    admin.post(&format!("/{name}/client-scopes"), &scope).await;
    let scopes = admin.get(&format!("/{name}/client-scopes")).await;
    let mut scopes = scopes.as_array().unwrap().iter();
    let scope = scopes.find(|scope| scope["name"] == "beryl-scope").unwrap()["id"].clone();
    let uuid = admin.client_uuid(name, DESIGNATED).await;
    let path = format!("/{name}/clients/{uuid}/default-client-scopes/{}", scope.as_str().unwrap());
    admin.put(&path, &Value::Null).await;
    add_every_mapper(&Designated::of(realm).await).await;
    person
}

async fn add_every_mapper(designated: &Designated) {
    let list = |claim: &str| json!({"claim.name": claim, "multivalued": "true", "jsonType.label": "String"});
    let mut of_client = list("flat_roles");
    of_client["usermodel.clientRoleMapping.clientId"] = "lake".into();
    for (name, kind, config) in [
        (
            "groups",
            "oidc-group-membership-mapper",
            json!({"claim.name": "groups", "full.path": "true"}),
        ),
        ("realm-flat", "oidc-usermodel-realm-role-mapper", list("roles")),
        ("client-flat", "oidc-usermodel-client-role-mapper", of_client),
        // Roles where a narrowed token has a name: this mapper comes after those of attributes.
        ("forename", "oidc-usermodel-realm-role-mapper", list("given_name")),
        (
            "attribute",
            "oidc-usermodel-attribute-mapper",
            json!({"user.attribute": "account_id", "claim.name": "department", "jsonType.label": "String"}),
        ),
        ("audience", "oidc-audience-mapper", json!({"included.custom.audience": AUDIENCES[1]})),
    ] {
        designated.add_mapper(name, kind, config).await;
    }
    designated.add_claim("clearance", "String", "onyx").await;
    designated.add_claim("picture", "JSON", r#"{"roles": ["onyx"]}"#).await;
}

async fn jewelled_server() -> (TestServer, Api) {
    let realm = TestRealm::own().await;
    let person = jewelled(&realm).await;
    let audiences = [("HALLPASS_TOKENS__AUDIENCES", AUDIENCES[0])];
    let server = TestServer::start_with(realm, Database::sqlite, &audiences).await;
    let user = server.user(&person).await;
    (server, user)
}

/// Which of the names are anywhere in the claims.
fn shown(claims: &Value) -> Vec<&'static str> {
    let text = claims.to_string();
    NAMES.into_iter().filter(|name| text.contains(name)).collect()
}

#[tokio::test]
async fn what_was_narrowed_away_is_in_no_claim_whatever_mappers_write() {
    let (server, user) = jewelled_server().await;
    let whole = claims(&narrowed(&user, json!({})).await);
    assert_eq!(
        shown(&whole),
        NAMES,
        "a mapper shows nothing, and this test proves nothing: {whole}"
    );
    assert!(whole["given_name"].is_array(), "{whole}");
    for claim in ["groups", "roles", "flat_roles", "department", "clearance", "picture"] {
        assert!(whole.get(claim).is_some(), "{claim} is not in {whole}");
    }

    let all = json!({"roles": ["quartz-admin", "lake:amber-write"], "scopes": ["beryl-scope", "email"],
        "audience": ["opal-audience"], "allowedCidrs": ["127.0.0.1"]});
    let table: [(Value, &[&str], &[&str]); 9] = [
        (json!({"roles": ["quartz-analyst"]}), &["realm_access"], &["quartz-analyst"]),
        (json!({"roles": ["lake:amber-read"]}), &["resource_access"], &["amber-read"]),
        // Had through a group.
        (json!({"roles": ["quartz-admin"]}), &["realm_access"], &["quartz-admin"]),
        (json!({"roles": []}), &[], &[]),
        (json!({"scopes": ["beryl-scope"]}), &["scope"], &["beryl-scope"]),
        (json!({"scopes": []}), &[], &[]),
        (json!({"audience": ["jade-audience"]}), &[], &["jade-audience"]),
        (json!({"allowedCidrs": ["127.0.0.0/8"]}), &[], &[]),
        (
            all,
            &["realm_access", "resource_access", "scope"],
            &["quartz-admin", "amber-write", "beryl-scope", "opal-audience"],
        ),
    ];
    for (body, also, names) in table {
        let created = narrowed(&user, body.clone()).await;
        let found = claims(&created);
        let members: BTreeSet<_> = found.as_object().unwrap().keys().map(String::as_str).collect();
        let expected: BTreeSet<_> = ALWAYS.iter().chain(also).copied().collect();
        assert_eq!(members, expected, "{body}");
        let mut names = names.to_vec();
        if body.get("audience").is_none() {
            names.extend(AUDIENCES);
        }
        assert_eq!(shown(&found), names, "{body}: {found}");
        for field in ["roles", "scopes", "audience"] {
            assert_eq!(&created[field], body.get(field).unwrap_or(&Value::Null), "{body}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn roles_and_scopes_are_exactly_those_that_were_asked_for() {
    let (server, user) = jewelled_server().await;
    let body = json!({"roles": ["lake:amber-write", "quartz-analyst", "lake:amber-read", "quartz-analyst"]});
    let created = narrowed(&user, body).await;
    assert_eq!(created["roles"], json!(["lake:amber-write", "quartz-analyst", "lake:amber-read"]));
    let found = claims(&created);
    assert_eq!(found["realm_access"], json!({"roles": ["quartz-analyst"]}));
    assert_eq!(found["resource_access"], json!({"lake": {"roles": ["amber-read", "amber-write"]}}));

    let whole = claims(&narrowed(&user, json!({})).await);
    let order: Vec<_> = whole["scope"].as_str().unwrap().split(' ').map(str::to_owned).collect();
    let backwards: Vec<_> = order.iter().rev().collect();
    let found = claims(&narrowed(&user, json!({"scopes": backwards})).await);
    assert_eq!(found["scope"].as_str().unwrap().split(' ').count(), order.len());
    let two = json!({"scopes": ["email", "beryl-scope"]});
    let found = claims(&narrowed(&user, two).await);
    let mut scopes: Vec<_> = found["scope"].as_str().unwrap().split(' ').collect();
    scopes.sort_unstable();
    assert_eq!(scopes, ["beryl-scope", "email"]);
    server.stop().await;
}

#[tokio::test]
async fn what_the_owner_does_not_have_is_refused_by_name_all_at_once() {
    let (server, user) = jewelled_server().await;
    let whole = claims(&narrowed(&user, json!({})).await);
    assert_eq!(whole["aud"], json!(AUDIENCES));
    let body = json!({
        "roles": ["quartz-none", "quartz-analyst", "account:view-profile", "view-profile", "amber-read",
            "LAKE:amber-read", "lake:amber-read "],
        "scopes": ["email", "push-data", "email profile"],
        "audience": ["lake", "opal-audience", "account"],
        "allowedCidrs": ["127.0.0.1"],
    });
    let refused = refusal(narrow(&user, body).await);
    let named: Vec<_> = refused.iter().filter_map(|text| Some(text.split_once("\" ")?.0)).collect();
    let expected = [
        "scopes: \"email profile",
        "audience: \"lake",
        "audience: \"account",
        "roles: \"quartz-none",
        "roles: \"account:view-profile",
        "roles: \"view-profile",
        "roles: \"amber-read",
        "roles: \"LAKE:amber-read",
        "roles: \"lake:amber-read ",
    ];
    assert_eq!(named, expected, "{refused:?}");
    assert!(refused[1].ends_with(": `jade-audience`, `opal-audience`, `push-data`"), "{refused:?}");
    assert_eq!(user.get(TOKENS).await.expect(200)["pagination"]["total"], 1);
    server.stop().await;
}

/// Whoever has roles of Keycloak's own clients cannot put them into a token.
#[tokio::test]
async fn roles_of_keycloaks_own_clients_cannot_be_asked_for() {
    let server = TestServer::start().await;
    let person = server.realm.person().await;
    server.realm.give_roles(&person, "realm-management", &["view-users"]).await;
    let user = server.user(&person).await;
    for role in ["realm-management:view-users", "account:manage-account", "view-users"] {
        let message = format!("roles: {role:?} is no role of yours that a token can have");
        assert_eq!(refusal(narrow(&user, json!({"roles": [role]})).await), [message]);
    }
    let own = narrowed(&user, json!({"roles": ["hallpass:create-tokens"]})).await;
    let access = json!({"hallpass": {"roles": ["create-tokens"]}});
    assert_eq!(claims(&own)["resource_access"], access);
    server.stop().await;
}

#[tokio::test]
async fn names_with_colons_are_read_at_every_colon_and_refused_where_that_gives_two() {
    let realm = TestRealm::own().await;
    let person = realm.person().await;
    make_realm_roles(&realm, &["a:b", "urn:role:x"], &format!("users/{}", person.id)).await;
    make_client_roles(&realm, &person, "a", &["b", "c:d"]).await;
    make_client_roles(&realm, &person, "urn:client", &["y:z"]).await;
    let server = TestServer::in_realm(realm).await;
    let user = server.user(&person).await;

    let body = json!({"roles": ["urn:role:x", "a:c:d", "urn:client:y:z"]});
    let found = claims(&narrowed(&user, body).await);
    assert_eq!(found["realm_access"], json!({"roles": ["urn:role:x"]}));
    let access = json!({"a": {"roles": ["c:d"]}, "urn:client": {"roles": ["y:z"]}});
    assert_eq!(found["resource_access"], access);
    let refused = refusal(narrow(&user, json!({"roles": ["a:b", "urn:role:x"]})).await);
    assert_eq!(refused, ["roles: \"a:b\" may mean more than one of your roles"]);
    server.stop().await;
}

#[tokio::test]
async fn every_wrong_field_and_entry_is_named_before_keycloak_is_asked() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let body = json!({
        "name": "a b", "expiresIn": 1, "scopes": "email", "roles": ["no-role-of-theirs", 7, "a\u{0}b", ""],
        "audience": [], "allowedCidrs": ["10.1.2.3/8", "everywhere"], "allowedCIDRs": [],
    });
    let refused = refusal(user.post(TOKENS, &body).await);
    assert_eq!(
        refused[2..],
        [
            "scopes: must be a list",
            "roles: entry 2 must be text",
            "roles: \"a\\0b\" must not have control characters",
            "roles: \"\" must have 1 to 255 characters",
            "audience: must not be empty; leave it out instead",
            "allowedCidrs: \"10.1.2.3/8\" has bits behind its prefix; `10.0.0.0/8` is the network",
            "allowedCidrs: \"everywhere\" is no address and no network",
            "allowedCIDRs: is not a field of this request; did you mean `allowedCidrs`?",
        ]
    );
    assert!(refused[0].starts_with("name: ") && refused[1].starts_with("expiresIn: "));

    // `null` is nothing.
    let body = json!({"scopes": null, "roles": null, "audience": null, "allowedCidrs": null});
    let created = narrowed(&user, body).await;
    let pat = server.with_token(created["token"].as_str().unwrap());
    pat.get(TOKENS).await.expect(200);
    assert!(claims(&created)["realm_access"].is_object(), "{created}");
    server.stop().await;
}

#[tokio::test]
async fn a_narrowed_token_reads_itself_and_revokes_itself_however_it_is_narrowed() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    for body in [
        json!({"scopes": ["email"]}),
        json!({"roles": ["hallpass:create-tokens"]}),
        json!({"roles": []}),
        json!({"audience": [DESIGNATED]}),
        json!({"allowedCidrs": ["127.0.0.1", "::1"]}),
    ] {
        let mut created = narrowed(&user, body.clone()).await;
        let pat = server.with_token(created["token"].take().as_str().unwrap());
        created.as_object_mut().unwrap().remove("token");
        assert_eq!(without_use(pat.get(SELF).await.expect(200)), created, "{body}");
        let path = format!("{TOKENS}/{}", created["patId"].as_str().unwrap());
        pat.get(TOKENS).await.expect_problem(403, "pat-not-allowed");
        pat.get(&path).await.expect_problem(403, "pat-not-allowed");
        pat.get("/api/clients/v1/clients").await.expect_problem(403, "pat-not-allowed");
        narrow(&pat, json!({})).await.expect_problem(403, "pat-not-allowed");
        pat.delete(&path).await.expect_problem(403, "pat-not-allowed");
        pat.post_empty(&format!("{path}/invalidate")).await.expect(200);
        pat.get(SELF).await.expect_problem(401, "unauthenticated");
    }
    server.stop().await;
}

#[tokio::test]
async fn narrowing_makes_a_token_fit_and_the_bound_holds_for_what_is_left() {
    let realm = TestRealm::own().await;
    let person = realm.person().await;
    let names: Vec<_> = (0..24).map(|number| format!("{}-{number}", "r".repeat(250))).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    make_realm_roles(&realm, &names, &format!("users/{}", person.id)).await;
    let server = TestServer::in_realm(realm).await;
    let user = server.user(&person).await;
    narrow(&user, json!({})).await.expect_problem(400, "token-too-large");
    narrow(&user, json!({"roles": names})).await.expect_problem(400, "token-too-large");
    let created = narrowed(&user, json!({"roles": names[..10]})).await;
    assert!(created["token"].as_str().unwrap().len() <= 6 * 1024);
    assert_eq!(created["roles"], json!(names[..10]));
    server.stop().await;
}
