//! Clients of the realm that ask about tokens.

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::{Admin, Answer, Api, Person, TestRealm, http, unique};

/// A confidential client with a service account.
#[derive(Clone, Debug)]
pub struct ServiceClient {
    pub id: String,
    /// Keycloak's own id of it.
    pub uuid: String,
    pub secret: String,
    /// The service account.
    pub account: Person,
}

impl TestRealm {
    /// A new client that may ask about tokens.
    pub async fn introspector(&self) -> ServiceClient {
        let client = self.service_client().await;
        self.give_roles(&client.account, "hallpass", &["introspect-tokens"]).await;
        client
    }

    /// A new client with a service account and no role of Hallpass's.
    pub async fn service_client(&self) -> ServiceClient {
        let admin = Admin::log_in().await;
        let (id, secret) = (unique("service"), unique("the-secret-of-a-service"));
        let client = json!({
            "clientId": id, "secret": secret, "publicClient": false, "serviceAccountsEnabled": true,
            "standardFlowEnabled": false, "directAccessGrantsEnabled": false, "fullScopeAllowed": true,
        });
        admin.post(&format!("/{}/clients", self.name), &client).await;
        let uuid = admin.client_uuid(&self.name, &id).await;
        let path = format!("/{}/clients/{uuid}/service-account-user", self.name);
        let account = admin.get(&path).await;
        let text = |name: &str| account[name].as_str().unwrap().to_owned();
        let account = Person { id: text("id"), username: text("username") };
        ServiceClient { id, uuid, secret, account }
    }

    /// An access token of the client's service account.
    pub async fn service_token(&self, client: &ServiceClient) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &client.id),
            ("client_secret", &client.secret),
        ];
        let url = format!("{}/protocol/openid-connect/token", self.issuer());
        let answer: Value =
            http().post(url).form(&form).send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

impl ServiceClient {
    /// Asks about a token, as itself by HTTP Basic, with these parameters beside.
    pub async fn ask(&self, api: &Api, token: &str, extra: &[(&str, &str)]) -> Answer {
        let form = [&[("token", token)], extra].concat();
        let request = api.request(Method::POST, "/oauth2/introspect");
        api.send(request.basic_auth(&self.id, Some(&self.secret)).form(&form)).await
    }

    /// Whether the token is good.
    pub async fn finds(&self, api: &Api, token: &str) -> bool {
        let answer = self.ask(api, token, &[]).await;
        if answer.text == INACTIVE {
            assert_eq!(answer.status, 200);
            return false;
        }
        let found = answer.expect(200);
        assert_eq!(found["active"], true, "{found}");
        true
    }
}

/// What is said of a token that is not good, and not a letter more.
pub const INACTIVE: &str = r#"{"active":false}"#;

/// What forward-auth says of who calls; always all of them.
pub const IDENTITY_HEADERS: [&str; 7] = [
    "x-auth-user-id",
    "x-auth-username",
    "x-auth-email",
    "x-auth-roles",
    "x-auth-scope",
    "x-auth-token-id",
    "x-auth-token-expires",
];

/// How a bearer token is asked for, of whoever sent nothing, and of whoever sent what is not good (RFC 6750 §3).
pub const CHALLENGES: [&str; 2] =
    ["Bearer realm=\"hallpass\"", "Bearer realm=\"hallpass\", error=\"invalid_token\""];

/// Whether a proxy may let a request with this token pass.
pub async fn passes(api: &Api, token: &str) -> bool {
    passes_with(api, &format!("Bearer {token}")).await
}

/// The same with this `Authorization` header.
pub async fn passes_with(api: &Api, authorization: &str) -> bool {
    let request = api.request(Method::GET, "/forward-auth").header(AUTHORIZATION, authorization);
    let answer = api.send(request).await;
    let identity = answer.headers.keys().filter(|name| name.as_str().starts_with("x-auth-"));
    let identity = identity.count();
    if answer.status == 200 {
        let all = IDENTITY_HEADERS.len();
        assert_eq!((identity, &*answer.text), (all, ""), "{answer:?}");
        return true;
    }
    assert_eq!(identity, 0, "{answer:?}");
    assert!(CHALLENGES.contains(&answer.headers["www-authenticate"].to_str().unwrap()));
    let problem = answer.expect_problem(401, "unauthenticated");
    let details = ["The credential is not valid.", "The credential has expired; get a new one."];
    assert!(details.contains(&problem["detail"].as_str().unwrap()), "{problem}");
    false
}
