//! API clients when Hallpass or Keycloak fails in the middle: the record and Keycloak agree again, by themselves.

mod agree;
mod answers;
mod hung_up;
mod killed;
mod noticed;
mod operation;
mod replicas;
mod store_cut;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{SELDOM, unswept};
use crate::support::{Admin, Api, FaultProxy, Person, TestRealm, http};

const CLIENTS: &str = "/api/clients/v1/clients";
/// Within this time record and Keycloak agree, whatever happened.
const HEALED: Duration = Duration::from_mins(1);
const SCOPE: &str = "datahub-api";
const OTHER_SCOPE: &str = "push-data";

/// An account with two members, and an administrator of Hallpass; the tokens outlive the test.
#[derive(Clone)]
struct Account {
    realm: TestRealm,
    name: String,
    member: Person,
    other_member: Person,
    member_token: String,
    administrator_token: String,
    connections: Arc<Connections>,
}

/// Clients of one test: made once, since making one and logging in cost more than what is asked with them.
struct Connections {
    http: reqwest::Client,
    apis: Mutex<HashMap<(String, String), Api>>,
    keycloak: tokio::sync::Mutex<Option<(Instant, Arc<Admin>)>>,
}

/// Half of what a token of Keycloak's administrator lives.
const LOGGED_IN: Duration = Duration::from_secs(30);

impl Account {
    async fn new(realm: &TestRealm) -> Self {
        let member = realm.person().await;
        let name = member.username.replace('-', "");
        let other = json!({"attributes": {"account_id": [name]}});
        let other_member = realm.person_with(&format!("{}-other", member.username), other).await;
        let administrator = realm.person().await;
        for (person, role) in [
            (&member, "create-api-clients"),
            (&other_member, "create-api-clients"),
            (&administrator, "manage-api-clients"),
        ] {
            realm.give_roles(person, "hallpass", &[role]).await;
        }
        Self {
            realm: realm.clone(),
            member_token: realm.access_token(&member).await,
            administrator_token: realm.access_token(&administrator).await,
            connections: Arc::new(Connections {
                http: http(),
                apis: Mutex::default(),
                keycloak: tokio::sync::Mutex::default(),
            }),
            name,
            member,
            other_member,
        }
    }

    fn member(&self, base: &str) -> Api {
        self.api(base, &self.member_token)
    }

    fn administrator(&self, base: &str) -> Api {
        self.api(base, &self.administrator_token)
    }

    fn api(&self, base: &str, token: &str) -> Api {
        let mut apis = self.connections.apis.lock().unwrap();
        let key = (base.to_owned(), token.to_owned());
        apis.entry(key).or_insert_with(|| Api::new(base, Some(token))).clone()
    }

    /// Keycloak itself, with everything allowed.
    async fn keycloak(&self) -> Arc<Admin> {
        let mut known = self.connections.keycloak.lock().await;
        if let Some((since, admin)) = known.as_ref()
            && since.elapsed() < LOGGED_IN
        {
            return admin.clone();
        }
        let admin = Arc::new(Admin::log_in().await);
        *known = Some((Instant::now(), admin.clone()));
        admin
    }

    fn client_id(&self, name: &str) -> String {
        format!("{}_{name}", self.name)
    }

    fn creation(&self, name: &str) -> Value {
        json!({
            "clientId": self.client_id(name), "displayName": "Before", "description": "Before",
            "capabilities": ["web_app", "script"], "scopes": [SCOPE],
            "redirectUris": ["https://before.example/cb"],
        })
    }

    async fn make(&self, base: &str, name: &str) -> Made {
        let made = self.member(base).post(CLIENTS, &self.creation(name)).await.expect(201);
        let id = self.client_id(name);
        let uuid = self.keycloak().await.client_uuid(&self.realm.name, &id).await;
        Made { id, uuid, secret: made["clientSecret"].as_str().unwrap().to_owned() }
    }
}

/// A client that there is.
#[derive(Clone, Debug)]
struct Made {
    id: String,
    uuid: String,
    secret: String,
}

fn path(id: &str) -> String {
    format!("{CLIENTS}/{id}")
}

/// What a service is started with so that the calls to Keycloak are the test's alone.
fn settings(proxy: &FaultProxy) -> Vec<(&'static str, &str)> {
    let mut extra = SELDOM.to_vec();
    extra.push(("HALLPASS_CLIENTS__QUOTA", "1000"));
    extra.push(("HALLPASS_KEYCLOAK__URL", proxy.url()));
    extra
}
