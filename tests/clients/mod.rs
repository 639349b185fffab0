//! API clients as their users meet them: real flows on a real Keycloak, and what stands behind each client there.

mod backchannel;
mod browser;
mod document;
mod machine;
mod policies;
mod refused_members;
mod template;
mod web_app;

use serde_json::{Value, json};

use crate::support::{Admin, Answer, Api, Database, Person, TestRealm, TestServer, http};

const CLIENTS: &str = "/api/clients/v1/clients";
/// Nobody listens there: what is sent there is read from the redirect.
const REDIRECT_URI: &str = "https://app.example/cb";

/// Somebody who may register clients, at a server of their own.
struct Developer {
    server: TestServer,
    person: Person,
    api: Api,
}

/// A registered client.
#[derive(Clone)]
struct Registered {
    realm: TestRealm,
    id: String,
    secret: String,
}

impl Developer {
    async fn start(settings: &[(&str, &str)]) -> Self {
        Self::in_realm(TestRealm::shared().await, settings).await
    }

    async fn in_realm(realm: TestRealm, settings: &[(&str, &str)]) -> Self {
        let person = realm.person().await;
        realm.give_roles(&person, "hallpass", &["create-api-clients"]).await;
        let server = TestServer::start_with(realm, Database::sqlite, settings).await;
        let api = server.user(&person).await;
        Self { server, person, api }
    }

    fn realm(&self) -> &TestRealm {
        &self.server.realm
    }

    /// The id of this client in the developer's account.
    fn id(&self, name: &str) -> String {
        format!("{}_{name}", self.person.username.replace('-', ""))
    }

    async fn try_create(&self, name: &str, fields: Value) -> Answer {
        let mut body = fields;
        body["clientId"] = json!(self.id(name));
        self.api.post(CLIENTS, &body).await
    }

    async fn create(&self, name: &str, fields: Value) -> Registered {
        let made = self.try_create(name, fields).await.expect(201);
        assert_eq!(made["status"], "active", "{made}");
        let secret = made["clientSecret"].as_str().unwrap().to_owned();
        Registered { realm: self.realm().clone(), id: self.id(name), secret }
    }

    async fn web_app(&self, name: &str) -> Registered {
        self.create(name, web_app()).await
    }

    async fn script(&self, name: &str) -> Registered {
        self.create(name, json!({"capabilities": ["script"], "scopes": ["datahub-api"]})).await
    }

    fn path(&self, name: &str) -> String {
        format!("{CLIENTS}/{}", self.id(name))
    }

    async fn used_quota(&self) -> Value {
        self.api.get("/api/clients/v1/quota").await.expect(200)["used"].clone()
    }

    /// What Keycloak has of this id: nothing, or one.
    async fn in_keycloak(&self, name: &str) -> Option<Value> {
        let path = format!("/{}/clients?clientId={}", self.realm().name, self.id(name));
        Admin::log_in().await.get(&path).await.as_array().unwrap().first().cloned()
    }
}

fn web_app() -> Value {
    json!({
        "capabilities": ["web_app"], "scopes": ["datahub-api", "push-data"],
        "redirectUris": [REDIRECT_URI],
    })
}

impl Registered {
    /// Asks the token endpoint with the client's own credentials.
    async fn grant(&self, grant_type: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.post("token", &[&[("grant_type", grant_type)], form].concat()).await
    }

    /// Asks an endpoint of the protocol with the client's own credentials.
    async fn post(&self, endpoint: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}/protocol/openid-connect/{endpoint}", self.realm.issuer());
        let request = http().post(url).basic_auth(&self.id, Some(&self.secret)).form(form);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// A client credentials grant with what is there without asking.
    async fn plain_grant(&self) -> (u16, Value) {
        self.grant("client_credentials", &[]).await
    }

    /// A client credentials grant.
    async fn machine_grant(&self, scope: &str) -> (u16, Value) {
        self.grant("client_credentials", &[("scope", scope)]).await
    }
}

/// Status and `error` of a refused grant.
fn refusal((status, answer): &(u16, Value)) -> (u16, &str) {
    assert!(answer.get("access_token").is_none(), "{answer}");
    (*status, answer["error"].as_str().unwrap_or_else(|| panic!("{status} {answer}")))
}

/// What a token says in `scope`, in order.
fn scopes(claims: &Value) -> Vec<&str> {
    let mut scopes: Vec<_> = claims["scope"].as_str().unwrap_or_default().split(' ').collect();
    scopes.sort_unstable();
    scopes
}
