//! Drives an operation: once as it should be, then in every way in which people and programs get it wrong with a
//! secret in their hands.

use reqwest::header::{CONTENT_TYPE, COOKIE};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::operations::{By, Operation};
use super::secrets::Secrets;
use crate::support::{Api, Person, Process, ServiceClient, TestRealm, unique};

const TOKENS: &str = "/api/pat/v1/tokens";
const CLIENTS: &str = "/api/clients/v1/clients";
/// One that asks for nothing.
pub const POLICY: &str = "canary";
/// The members of answers that hold a secret, and nothing else does.
const SECRET_MEMBERS: [&str; 2] = ["token", "clientSecret"];

/// An answer.
pub struct Heard {
    /// To which operation, asked how.
    what: String,
    status: u16,
    pub text: String,
}

impl Heard {
    pub const fn succeeded(&self) -> bool {
        self.status < 400
    }

    pub fn is_list(&self) -> bool {
        self.succeeded() && self.text.contains("\"pagination\"")
    }

    /// All of it, but for the members that are there to show a secret, in answers that succeeded.
    pub fn what_anybody_may_see(self) -> (String, String) {
        let text = match serde_json::from_str::<Value>(&self.text) {
            Ok(Value::Object(mut members)) if self.succeeded() => {
                members.retain(|name, _| !SECRET_MEMBERS.contains(&&**name));
                // Bulk operations repeat to the caller which ids they were given.
                members.retain(|name, _| name != "results");
                Value::Object(members).to_string()
            }
            _ => self.text,
        };
        (format!("the answer {} to {}", self.status, self.what), text)
    }
}

/// The people, their credentials, and what was heard.
pub struct Driver {
    api: Api,
    account: String,
    user: Api,
    user_id: String,
    colleague: Person,
    service: ServiceClient,
    process: Api,
    live: String,
    revoked: String,
    narrowed: String,
    client_secret: String,
    addresses: u8,
    pub heard: Vec<Heard>,
    /// Every secret that was in an answer or in a request.
    pub known: Secrets,
    /// No secret, but as unlikely to be anywhere by chance: a token's id, which is in log, store and lists.
    pub control: String,
}

impl Driver {
    pub async fn new(realm: &TestRealm, process: &Process) -> Self {
        let account = unique("canary").replace('-', "");
        let attributes = json!({"attributes": {"account_id": [account]}});
        let mut known = Secrets::default();
        let mut people = Vec::new();
        for name in ["person", "colleague", "user", "keeper"] {
            let person = realm.person_with(&unique(name), attributes.clone()).await;
            realm.give_roles(&person, "hallpass", &["administrator"]).await;
            let token = realm.access_token(&person).await;
            known.jwt("an access token", &token);
            people.push((person, process.api(Some(&token))));
        }
        let [(_, api), (colleague, _), (user, user_api), (_, keeper)] =
            <[(Person, Api); 4]>::try_from(people).unwrap_or_else(|_| unreachable!("four"));
        let service = realm.introspector().await;
        known.text("the secret of a client that asks", &service.secret);
        let mut driver = Self {
            service,
            api,
            account,
            user: user_api,
            user_id: user.id,
            colleague,
            process: process.api(None),
            live: String::new(),
            revoked: String::new(),
            narrowed: String::new(),
            client_secret: String::new(),
            addresses: 0,
            heard: Vec::new(),
            known,
            control: String::new(),
        };
        driver.prepare(&keeper).await;
        driver
    }

    /// The keeper's tokens outlive every operation.
    async fn prepare(&mut self, keeper: &Api) {
        let (control, live) = self.mint(keeper).await;
        let (revoked_id, revoked) = self.mint(keeper).await;
        let path = format!("{TOKENS}/{revoked_id}/invalidate");
        keeper.post_empty(&path).await.expect(200);
        let (_, narrowed) = self.mint(keeper).await;
        (self.control, self.live, self.revoked, self.narrowed) = (control, live, revoked, narrowed);
        let (_, secret) = self.make_client().await;
        self.client_secret = secret;
    }

    /// A fresh token: its id and the JWT.
    async fn mint(&mut self, owner: &Api) -> (String, String) {
        let body = json!({"name": unique("canary")});
        let answer = owner.post(TOKENS, &body).await;
        let text = answer.text.clone();
        let minted = answer.expect(201);
        self.hear("making a token".to_owned(), 201, text);
        let member = |name: &str| minted[name].as_str().unwrap().to_owned();
        (member("patId"), member("token"))
    }

    /// A fresh API client: its id and its secret.
    async fn make_client(&mut self) -> (String, String) {
        let id = format!("{}_{}", self.account, unique("canary"));
        let body = json!({"clientId": id, "capabilities": ["script"]});
        let answer = self.api.post(CLIENTS, &body).await;
        let text = answer.text.clone();
        let made = answer.expect(201);
        self.hear("making a client".to_owned(), 201, text);
        (id, made["clientSecret"].as_str().unwrap().to_owned())
    }

    fn hear(&mut self, what: String, status: u16, text: String) {
        if let Ok(answer) = serde_json::from_str::<Value>(&text)
            && status < 400
        {
            if let Some(token) = answer["token"].as_str() {
                self.known.jwt(&format!("a personal access token of {what}"), token);
            }
            if let Some(secret) = answer["clientSecret"].as_str() {
                self.known.text(&format!("a client's secret of {what}"), secret);
            }
        }
        self.heard.push(Heard { what, status, text });
    }

    pub async fn drive(&mut self, operation: &Operation) {
        self.succeed(operation).await;
        self.fail_to_authenticate(operation).await;
        self.paste_secrets(operation).await;
        if !operation.body.is_null() {
            self.send_bad_bodies(operation).await;
        }
    }

    async fn succeed(&mut self, operation: &Operation) {
        let path = self.fill_in(operation.path, operation).await;
        let body = self.fill_in(&operation.body.to_string(), operation).await;
        let api = match operation.by {
            By::Person => self.api.clone(),
            By::Pat => {
                let owner = self.api.clone();
                let (_, token) = self.mint(&owner).await;
                self.process.with_token(&token)
            }
            By::Service => self.process.clone(),
        };
        let mut request = api.request(method(operation), &path);
        if operation.by == By::Service {
            request = request.basic_auth(&self.service.id, Some(&self.service.secret));
        }
        let body: Value = serde_json::from_str(&body).unwrap();
        if operation.path.starts_with("/oauth2/") {
            request = request.form(&body);
        } else if !body.is_null() {
            request = request.json(&body);
        }
        let status = self.send(operation, "as it should be", request).await;
        assert!(
            status < 400,
            "{} is {status}: {}",
            operation.name(),
            self.heard.last().unwrap().text
        );
    }

    async fn fill_in(&mut self, text: &str, operation: &Operation) -> String {
        let mut text = text.to_owned();
        if text.contains("{patId}") {
            let owner = if operation.path.contains("/users/") { &self.user } else { &self.api };
            let owner = owner.clone();
            text = text.replace("{patId}", &self.mint(&owner).await.0);
        }
        if text.contains("{token}") {
            let owner = self.api.clone();
            text = text.replace("{token}", &self.mint(&owner).await.1);
        }
        if text.contains("{clientId}") {
            text = text.replace("{clientId}", &self.make_client().await.0);
        }
        let new = unique("canary");
        text = text.replace("{newClientId}", &format!("{}_{new}", self.account));
        text = text
            .replace("{newName}", &new)
            .replace("{name}", POLICY)
            .replace("{userId}", &self.user_id);
        text =
            text.replace("{colleague}", &self.colleague.id).replace("{accountId}", &self.account);
        let rest = text.split('{').skip(1).find(|rest| rest.starts_with(char::is_alphabetic));
        assert!(rest.is_none(), "the canary cannot fill in {text}: see tests/canary/driver.rs");
        text
    }

    /// Without a credential, with a spoilt one, with one that is over, with one that may do little. Each operation from
    /// an address of its own: none is over the limit.
    async fn fail_to_authenticate(&mut self, operation: &Operation) {
        self.addresses += 1;
        let address = format!("192.0.2.{}", self.addresses);
        let person = self.api.token().unwrap().to_owned();
        let (narrowed, revoked) = (self.narrowed.clone(), self.revoked.clone());
        let credentials = [
            ("nothing", None),
            ("a cut token", Some(format!("Bearer {}", &narrowed[..narrowed.len() - 1]))),
            ("a longer token", Some(format!("Bearer {person}x"))),
            ("another scheme", Some(format!("Token {person}"))),
            ("a client's secret", Some(format!("Bearer {}", self.client_secret))),
            ("a revoked token", Some(format!("Bearer {revoked}"))),
            ("a PAT", Some(format!("Bearer {narrowed}"))),
        ];
        let path = plain(operation.path);
        for (what, credential) in credentials {
            let mut request = self.process.request(method(operation), &path);
            request = request
                .header("x-forwarded-for", &address)
                .header(COOKIE, format!("token={person}"));
            if let Some(credential) = credential {
                request = request.header("authorization", credential);
            }
            self.send(operation, what, request.json(&operation.body)).await;
        }
    }

    /// Secrets where they do not belong: in the path and in the query.
    async fn paste_secrets(&mut self, operation: &Operation) {
        for secret in [self.live.clone(), self.client_secret.clone()] {
            if operation.path.contains('{') {
                let path = pasted(operation.path, &secret);
                let request = self.api.request(method(operation), &path);
                self.send(operation, "a secret in the path", request).await;
            }
            let path = format!("{}/{secret}", plain(operation.path));
            self.send(
                operation,
                "a secret behind the path",
                self.api.request(method(operation), &path),
            )
            .await;
            let names =
                ["access_token", "search", "limit", "status", "sort", "from", "action", "ownerId"];
            for name in names {
                let query = [(name, &secret)];
                let request =
                    self.api.request(method(operation), &plain(operation.path)).query(&query);
                self.send(operation, "a secret in the query", request).await;
            }
        }
        let query = [(&self.live, "")];
        let request = self.api.request(method(operation), &plain(operation.path)).query(&query);
        self.send(operation, "a token as the query", request).await;
    }

    async fn send_bad_bodies(&mut self, operation: &Operation) {
        let (token, secret) = (self.live.clone(), self.client_secret.clone());
        let members = operation.body.as_object().unwrap();
        let each = |value: &Value| -> Value {
            members
                .keys()
                .map(|name| (name.clone(), value.clone()))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let mut more = operation.body.clone();
        more[&token] = json!(1);
        more["clientSecret"] = json!(secret);
        let bodies = [
            ("a token alone", "application/json", token.clone()),
            ("a token in broken JSON", "application/json", format!("{{\"name\": \"{token}")),
            ("a token as JSON text", "application/json", json!(token).to_string()),
            ("a token in each member", "application/json", each(&json!(token)).to_string()),
            (
                "a list of tokens in each member",
                "application/json",
                each(&json!([token])).to_string(),
            ),
            (
                "a token in an object in each member",
                "application/json",
                each(&json!({&token: secret})).to_string(),
            ),
            ("a token as a member's name", "application/json", more.to_string()),
            ("a token as a form", "application/x-www-form-urlencoded", format!("token={token}")),
            ("a secret as the type of the body", &secret, "{}".to_owned()),
        ];
        // None of them is carried out: one path is good for all.
        let path = self.fill_in(operation.path, operation).await;
        for (what, kind, body) in bodies {
            let request = self.api.request(method(operation), &path).header(CONTENT_TYPE, kind);
            self.send(operation, what, request.body(body)).await;
        }
    }

    async fn send(&mut self, operation: &Operation, what: &str, request: RequestBuilder) -> u16 {
        let answer = self.process.send(request).await;
        let status = answer.status.as_u16();
        assert!(
            status < 500 || operation.path == "/readyz",
            "{} with {what}: {answer:?}",
            operation.name()
        );
        self.hear(format!("{} with {what}", operation.name()), status, answer.text);
        status
    }
}

fn method(operation: &Operation) -> Method {
    operation.method.parse().unwrap()
}

/// The path with this text for each of its parameters.
fn pasted(path: &str, text: &str) -> String {
    let mut parts = path.split('{');
    let mut filled = parts.next().unwrap().to_owned();
    for part in parts {
        filled.push_str(text);
        filled.push_str(part.split_once('}').unwrap().1);
    }
    filled
}

/// The path with parameters that lead nowhere.
fn plain(path: &str) -> String {
    pasted(path, "nothing")
}
