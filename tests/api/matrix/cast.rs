//! Everybody who calls, logged in, and what they call with.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Caller, Row};
use crate::support::{Answer, Api, Database, Person, TestRealm, TestServer, claims_of, unique};

/// Everybody, logged in.
pub(super) struct Cast {
    pub(super) server: TestServer,
    user: Api,
    other_user: Api,
    /// Logged in while there was a role: makes the tokens of `without_roles`.
    before: Api,
    without_roles: Api,
    administrator: Api,
    owner: Person,
    colleague: Person,
    client_id: String,
    impersonated: Api,
    another_realm: Api,
}

impl Cast {
    pub(super) async fn gather() -> Self {
        let realm = TestRealm::shared().await;
        let unlimited = [
            ("HALLPASS_TOKENS__MAX_PER_USER", "0"),
            ("HALLPASS_CLIENTS__QUOTA", "1000"),
            ("HALLPASS_FORWARD_AUTH__POLICIES__MATRIX__SCOPES", ","),
        ];
        let server = TestServer::start_with(realm.clone(), Database::sqlite, &unlimited).await;
        let owner = realm.person().await;
        let account = json!({"attributes": {"account_id": [account_of(&owner)]}});
        let colleague = realm.person_with(&unique("colleague"), account).await;
        let other = realm.person().await;
        for person in [&owner, &other] {
            realm.give_roles(person, "hallpass", &["create-api-clients"]).await;
        }
        let administrator = realm.person().await;
        realm.give_roles(&administrator, "hallpass", &["administrator"]).await;
        let stripped = realm.person().await;
        let before = server.user(&stripped).await;
        realm.take_default_roles(&stripped).await;
        let user = server.user(&owner).await;
        Self {
            client_id: make_client(&user).await,
            user,
            other_user: server.user(&other).await,
            before,
            without_roles: server.user(&stripped).await,
            administrator: server.user(&administrator).await,
            colleague,
            impersonated: server.with_token(&realm.impersonated_access_token(&owner).await),
            another_realm: server.with_token(&foreign_token(&owner).await),
            owner,
            server,
        }
    }

    pub(super) async fn call(&self, row: &Row, caller: Caller) -> Answer {
        let owner = if caller == Caller::WithoutRoles { &self.before } else { &self.user };
        let (api, own) = self.credential(caller).await;
        let mut path = row.path.to_owned();
        let mut body = row.body.to_string();
        if path.contains("{patId}") || body.contains("{patId}") || body.contains("{token}") {
            let minted = mint(owner).await;
            let target = own.as_deref().unwrap_or(minted["patId"].as_str().unwrap());
            path = path.replace("{patId}", target);
            body = body.replace("{patId}", target);
            body = body.replace("{token}", minted["token"].as_str().unwrap());
        }
        path = path.replace("{userId}", &self.owner.id);
        if path.contains("{clientId}") {
            let id = match caller {
                // Whoever may delete it gets one of their own to delete.
                Caller::User | Caller::Administrator => make_client(&self.user).await,
                _ => self.client_id.clone(),
            };
            path = path.replace("{clientId}", &id);
        }
        path = path.replace("{accountId}", &account_of(&self.owner)).replace("{name}", "matrix");
        assert!(!path.contains('{'), "the matrix cannot fill in {path}");
        let mut request = api.request(Method::from_bytes(row.method.as_bytes()).unwrap(), &path);
        if row.path.starts_with("/oauth2/") {
            request = request.form(&self.fill_in(&body, &api));
        } else if !row.body.is_null() {
            request = request.json(&self.fill_in(&body, &api));
        }
        api.send(request).await
    }

    fn fill_in(&self, body: &str, api: &Api) -> Value {
        let text = body.replace("{colleague}", &self.colleague.id);
        if !text.contains("{newClientId}") {
            return serde_json::from_str(&text).unwrap();
        }
        let id = new_client_id(api);
        serde_json::from_str(&text.replace("{newClientId}", &id)).unwrap()
    }

    /// The caller's client, and the id of the PAT that calls where it is to act on itself.
    async fn credential(&self, caller: Caller) -> (Api, Option<String>) {
        let api = match caller {
            Caller::Anonymous => self.server.anonymous(),
            Caller::User => self.user.clone(),
            Caller::OtherUser => self.other_user.clone(),
            Caller::WithoutRoles => self.without_roles.clone(),
            Caller::Administrator => self.administrator.clone(),
            Caller::Impersonated => self.impersonated.clone(),
            Caller::AnotherRealm => self.another_realm.clone(),
            Caller::Pat => return (self.pat(json!({})).await.0, None),
            Caller::PatForItself => {
                let (api, pat_id) = self.pat(json!({})).await;
                return (api, Some(pat_id));
            }
            Caller::NarrowedPat => {
                let (api, pat_id) = self.pat(json!({"scopes": ["email"]})).await;
                return (api, Some(pat_id));
            }
        };
        (api, None)
    }

    async fn pat(&self, mut body: Value) -> (Api, String) {
        body["name"] = unique("matrix").into();
        let minted = self.user.post("/api/pat/v1/tokens", &body).await.expect(201);
        let api = self.server.with_token(minted["token"].as_str().unwrap());
        (api, minted["patId"].as_str().unwrap().to_owned())
    }
}

/// As [`TestRealm::person`] chooses it.
fn account_of(person: &Person) -> String {
    person.username.replace('-', "")
}

/// A fresh API client of the owner's.
async fn make_client(owner: &Api) -> String {
    let body = json!({"clientId": new_client_id(owner), "capabilities": ["script"]});
    let made = owner.post("/api/clients/v1/clients", &body).await.expect(201);
    made["clientId"].as_str().unwrap().to_owned()
}

/// One that the caller's account may have; any, for who is in none.
fn new_client_id(api: &Api) -> String {
    let account = api
        .token()
        .map(claims_of)
        .and_then(|claims| claims["account_id"].as_str().map(str::to_owned));
    format!("{}_{}", account.unwrap_or_default(), unique("matrix"))
}

async fn mint(owner: &Api) -> Value {
    owner.mint(&unique("matrix")).await
}

/// Of a person with the same name, from a realm whose keys are the same: only `iss` tells them apart.
async fn foreign_token(twin: &Person) -> String {
    let realm = TestRealm::own().await;
    let person = realm.person_with(&twin.username, json!({})).await;
    realm.access_token(&person).await
}
