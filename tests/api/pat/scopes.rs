//! The scopes of a token: the default ones of the designated client, or those that were asked for.

use serde_json::{Value, json};

use super::TOKENS;
use super::family::rotate_path;
use super::operator::DESIGNATED;
use crate::support::{Admin, Answer, Api, Person, TestRealm, TestServer, claims_of, unique};

/// A token of a new name that asks for this.
async fn ask(user: &Api, mut body: Value) -> Answer {
    body["name"] = unique("scoped").into();
    user.post(TOKENS, &body).await
}

/// The scopes in the JWT, in their order.
fn scopes(token: &Value) -> Vec<String> {
    let claims = claims_of(token["token"].as_str().unwrap());
    let mut scopes: Vec<_> = claims["scope"]
        .as_str()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    scopes.sort_unstable();
    scopes
}

#[tokio::test]
async fn an_optional_scope_is_had_by_whoever_asks_and_by_nobody_else() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    assert_eq!(scopes(&user.mint("default").await), ["email", "openid", "profile"]);
    for (asked, expected) in [
        (json!(["push-data"]), vec!["push-data"]),
        (json!(["email", "push-data"]), vec!["email", "push-data"]),
        (json!(["datahub-api", "push-data", "openid"]), vec!["datahub-api", "openid", "push-data"]),
        (json!([]), vec![]),
    ] {
        let token = ask(&user, json!({"scopes": asked})).await.expect(201);
        assert_eq!(scopes(&token), expected, "{asked}");
        assert_eq!(token["scopes"], asked);
    }
    // Narrowed otherwise and not asked for: none.
    assert_eq!(scopes(&ask(&user, json!({"roles": []})).await.expect(201)), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn what_the_designated_client_does_not_have_is_refused_by_name() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    // A scope of the realm that the client lacks, one of nobody, two in one, and names that are no scopes.
    let bad = ["phone", "nothing", "push-data email", "push-data\u{a0}", "ä", "\"x\""];
    for scope in bad {
        let refused = ask(&user, json!({"scopes": ["push-data", scope]})).await;
        let problem = refused.expect_problem(400, "invalid");
        let errors = problem["errors"].as_array().unwrap();
        assert_eq!((errors.len(), &errors[0]["field"]), (1, &json!("scopes")), "{problem}");
        let message = errors[0]["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{scope:?} is not among")), "{message}");
    }
    // As many and as long as a request can name.
    let many: Vec<_> = (0..100).map(|number| format!("{number}-{}", "x".repeat(250))).collect();
    let problem = ask(&user, json!({"scopes": many})).await.expect_problem(400, "invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 100);
    assert_eq!(user.get(TOKENS).await.expect(200)["pagination"]["total"], 0);
    server.stop().await;
}

#[tokio::test]
async fn a_successor_has_the_scopes_that_were_asked_for_or_fewer() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let both = ask(&user, json!({"scopes": ["push-data", "email"]})).await.expect(201);
    let second = user.post_empty(&rotate_path(&both)).await.expect(201);
    assert_eq!(scopes(&second), ["email", "push-data"]);
    let itself = server.with_token(second["token"].as_str().unwrap());
    let third = itself.post_empty(&rotate_path(&second)).await.expect(201);
    assert_eq!((scopes(&third), &third["scopes"]), (scopes(&second), &both["scopes"]));
    let tighter = json!({"scopes": ["push-data"]});
    let fourth = user.post(&rotate_path(&third), &tighter).await.expect(201);
    assert_eq!(scopes(&fourth), ["push-data"]);
    let wider = user.post(&rotate_path(&fourth), &json!({"scopes": ["datahub-api"]})).await;
    wider.expect_problem(400, "invalid");

    // One that did not ask has the default ones: its successor gets no other by asking for it.
    let plain = user.mint("plain").await;
    for api in [&user, &server.with_token(plain["token"].as_str().unwrap())] {
        let wider = api.post(&rotate_path(&plain), &json!({"scopes": ["push-data"]})).await;
        let problem = wider.expect_problem(400, "invalid");
        assert_eq!(problem["errors"][0]["field"], "scopes", "{problem}");
    }
    let narrower = user.post(&rotate_path(&plain), &json!({"scopes": ["email"]})).await.expect(201);
    assert_eq!(scopes(&narrower), ["email"]);
    server.stop().await;
}

/// Client scopes as an operator makes them.
struct Operator {
    admin: Admin,
    realm: TestRealm,
}

impl Operator {
    fn path(&self, path: &str) -> String {
        format!("/{}/{path}", self.realm.name)
    }

    async fn id_of(&self, scope: &str) -> String {
        let scopes = self.admin.get(&self.path("client-scopes")).await;
        let mut scopes = scopes.as_array().unwrap().iter();
        let found = scopes.find(|found| found["name"] == scope).unwrap();
        found["id"].as_str().unwrap().to_owned()
    }

    /// A new scope, optional for personal access tokens; answers its id.
    async fn make(&self, name: &str) -> String {
        let scope = json!({"name": name, "protocol": "openid-connect",
            "attributes": {"include.in.token.scope": "true"}});
        self.admin.post(&self.path("client-scopes"), &scope).await;
        let id = self.id_of(name).await;
        let uuid = self.admin.client_uuid(&self.realm.name, DESIGNATED).await;
        let path = self.path(&format!("clients/{uuid}/optional-client-scopes/{id}"));
        self.admin.put(&path, &Value::Null).await;
        id
    }
}

async fn operated() -> (Operator, TestServer, Person, Api) {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let person = realm.person().await;
    let user = server.user(&person).await;
    (Operator { admin: Admin::log_in().await, realm }, server, person, user)
}

#[tokio::test]
async fn an_optional_scope_brings_its_audience_and_is_for_those_who_may_have_it() {
    let (operator, server, person, user) = operated().await;
    let id = operator.make("lake").await;
    let audience = json!({"name": "lake", "protocol": "openid-connect",
        "protocolMapper": "oidc-audience-mapper",
        "config": {"access.token.claim": "true", "included.custom.audience": "the-lake"}});
    let models = operator.path(&format!("client-scopes/{id}/protocol-mappers/models"));
    operator.admin.post(&models, &audience).await;
    let aud = |token: &Value| claims_of(token["token"].as_str().unwrap())["aud"].clone();
    let with = ask(&user, json!({"scopes": ["lake"]})).await.expect(201);
    assert_eq!((scopes(&with), aud(&with)), (vec!["lake".to_owned()], json!(["the-lake"])));
    assert_eq!(aud(&user.mint("without").await), json!([DESIGNATED]));
    // The audience can be asked for with the scope, and not without it.
    let both = json!({"scopes": ["lake"], "audience": ["the-lake"]});
    let both = ask(&user, both).await.expect(201);
    assert_eq!(aud(&both), json!(["the-lake"]));
    assert_eq!(aud(&user.post_empty(&rotate_path(&both)).await.expect(201)), json!(["the-lake"]));
    ask(&user, json!({"audience": ["the-lake"]})).await.expect_problem(400, "invalid");

    // Keycloak gives a scope that has roles to holders of one of them, and leaves it out for others in silence.
    operator.admin.post(&operator.path("roles"), &json!({"name": "fisher"})).await;
    let role = operator.admin.get(&operator.path("roles/fisher")).await;
    let mappings = operator.path(&format!("client-scopes/{id}/scope-mappings/realm"));
    operator.admin.post(&mappings, &json!([role])).await;
    ask(&user, json!({"scopes": ["lake"]})).await.expect_problem(400, "invalid");
    let roles = operator.path(&format!("users/{}/role-mappings/realm", person.id));
    operator.admin.post(&roles, &json!([role])).await;
    assert_eq!(scopes(&ask(&user, json!({"scopes": ["lake"]})).await.expect(201)), ["lake"]);
    server.stop().await;
}

#[tokio::test]
async fn more_scopes_than_one_request_to_keycloak_can_name_are_offered_and_had() {
    let (operator, server, _, user) = operated().await;
    let names: Vec<_> = (0..45).map(|number| format!("scope-{number:0>60}")).collect();
    for name in &names {
        operator.make(name).await;
    }
    let offer = user.get(&format!("{TOKENS}/offer")).await.expect(200);
    let offered = offer["scopes"].as_array().unwrap();
    assert!(names.iter().all(|name| offered.contains(&json!(name))), "{offer}");
    let asked = json!({"scopes": names[..30], "audience": [DESIGNATED]});
    let token = ask(&user, asked).await.expect(201);
    assert_eq!(scopes(&token), names[..30]);
    assert_eq!(claims_of(token["token"].as_str().unwrap())["aud"], json!([DESIGNATED]));
    let mut wrong = names[..30].to_vec();
    wrong.push(format!("scope-{}", "y".repeat(60)));
    let problem = ask(&user, json!({"scopes": wrong})).await.expect_problem(400, "invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 1, "{problem}");
    server.stop().await;
}
