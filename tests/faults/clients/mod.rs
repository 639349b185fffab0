//! API clients when Hallpass or Keycloak fails in the middle: the record and Keycloak agree again, by themselves.

mod agree;
mod answers;
mod hung_up;
mod killed;
mod operation;
mod replicas;
mod store_cut;

use std::time::Duration;

use serde_json::{Value, json};

use super::SELDOM;
use crate::support::{Api, Fault, FaultProxy, Person, TestRealm};

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
}

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
            name,
            member,
            other_member,
        }
    }

    fn member(&self, base: &str) -> Api {
        Api::new(base, Some(&self.member_token))
    }

    fn administrator(&self, base: &str) -> Api {
        Api::new(base, Some(&self.administrator_token))
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
        let admin = crate::support::Admin::log_in().await;
        let uuid = admin.client_uuid(&self.realm.name, &id).await;
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

/// A start whose sweep fails, and the next one is far away: it would look at clients and owners while they are counted on.
async fn unswept<T>(proxy: &FaultProxy, start: impl Future<Output = T>) -> T {
    let sweep = proxy.on("GET */clients", Fault::status(503));
    let started = start.await;
    // A read is tried twice.
    sweep.wait_for_hits(2).await;
    proxy.clear();
    started
}

/// What a service is started with so that the calls to Keycloak are the test's alone.
fn settings(proxy: &FaultProxy) -> Vec<(&'static str, &str)> {
    let mut extra = SELDOM.to_vec();
    extra.push(("HALLPASS_CLIENTS__QUOTA", "1000"));
    extra.push(("HALLPASS_KEYCLOAK__URL", proxy.url()));
    extra
}
