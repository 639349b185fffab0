//! The gateways of `examples/`: nginx, Caddy, Traefik and Envoy, the real programs with the files as they are committed,
//! between a client and a service that writes down what it gets. Only addresses are put in.
//!
//! The client comes from another address than the gateways, so that the two cannot be confused.

mod away;
mod client;
mod gateway;
mod identity;
mod networks;
mod paths;
mod preflights;
mod refusals;
mod service;
mod smuggling;
mod tools;

use std::net::{IpAddr, Ipv4Addr};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Admin, Api, CHALLENGES, Database, IDENTITY_HEADERS as HEADERS, Person, TestRealm, TestServer,
};
use client::{Reply, send};
use gateway::Gateway;
use service::Seen;

const TOKENS: &str = "/api/pat/v1/tokens";
/// Where the client is. The gateways ask Hallpass from 127.0.0.1.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Hallpass, with each gateway before a service of its own.
struct Setting {
    server: TestServer,
    gateways: [Gateway; 4],
}

impl Setting {
    async fn start() -> Self {
        Self::in_realm(TestRealm::shared().await).await
    }

    async fn in_realm(realm: TestRealm) -> Self {
        let policies = policies();
        let settings = [
            ("HALLPASS_SERVER__TRUSTED_PROXIES", "127.0.0.1"),
            ("HALLPASS_FORWARD_AUTH__POLICIES", &policies),
        ];
        let server = TestServer::start_with(realm, Database::sqlite, &settings).await;
        let start = |program| Gateway::start(program, &server);
        let [nginx, caddy, traefik, envoy] = &gateway::PROGRAMS;
        let gateways = tokio::join!(start(nginx), start(caddy), start(traefik), start(envoy));
        Self { gateways: gateways.into(), server }
    }

    async fn user(&self) -> Api {
        self.server.user(&self.server.realm.person().await).await
    }

    async fn stop(self) {
        drop(self.gateways);
        self.server.stop().await;
    }
}

/// A realm in which there is the role that the examples ask for, and somebody who has it.
async fn realm_with_reader() -> (TestRealm, Person) {
    let realm = TestRealm::own().await;
    let admin = Admin::log_in().await;
    let client = json!({"clientId": "reports", "publicClient": true, "standardFlowEnabled": false});
    admin.post(&format!("/{}/clients", realm.name), &client).await;
    let uuid = admin.client_uuid(&realm.name, "reports").await;
    let roles = format!("/{}/clients/{uuid}/roles", realm.name);
    admin.post(&roles, &json!({"name": "read"})).await;
    let person = realm.person().await;
    realm.give_roles(&person, "reports", &["read"]).await;
    (realm, person)
}

/// What Envoy's example adds to the settings.
fn policies() -> String {
    let settings = include_str!("../../examples/envoy/hallpass.toml");
    let settings: Value = toml::from_str(settings).unwrap();
    settings["forward_auth"]["policies"].to_string()
}

fn jwt(minted: &Value) -> &str {
    minted["token"].as_str().unwrap()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// What Hallpass itself says of this token, in the order of the headers.
async fn said_by_hallpass(server: &TestServer, token: &str) -> [String; 7] {
    let api = server.anonymous();
    let answer = api.send(api.request(Method::GET, "/forward-auth").bearer_auth(token)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    HEADERS.map(|name| answer.headers[name].to_str().unwrap().to_owned())
}

/// Sends a `GET` with these further lines, which may be anything.
async fn get(gateway: &Gateway, path: &str, lines: &str) -> Reply {
    request(gateway, "GET", path, lines, "").await
}

/// Sends a request with these further lines and this body.
async fn request(
    gateway: &Gateway,
    method: &str,
    path: &str,
    lines: &str,
    body: impl AsRef<[u8]>,
) -> Reply {
    let bytes = written(gateway, method, path, lines, body);
    send(gateway.address(), &bytes, 1).await
}

/// A request as it is sent. It is the last one of its connection, unless the lines say something else.
fn written(
    gateway: &Gateway,
    method: &str,
    path: &str,
    lines: &str,
    body: impl AsRef<[u8]>,
) -> Vec<u8> {
    let says = lines.to_lowercase().contains("connection:");
    let closes = if says { "" } else { "Connection: close\r\n" };
    let host = gateway.address();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{closes}{lines}\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

impl Gateway {
    /// The service got nothing since it was last asked.
    fn nothing_passed(&self, of: &str) {
        let seen = self.service.take();
        assert!(seen.is_empty(), "{self}, {of}: {seen:?}");
    }

    /// The service got one request, with exactly these seven headers and none like them.
    fn passed_as(&self, identity: &[String; 7], of: &str) -> Seen {
        let [seen] = <[Seen; 1]>::try_from(self.service.take())
            .unwrap_or_else(|seen| panic!("{self}, {of}: not one request: {seen:?}"));
        self.has_identity(&seen, Some(identity), of);
        seen
    }

    /// Whether what is said of the caller is this and nothing else.
    fn has_identity(&self, seen: &Seen, identity: Option<&[String; 7]>, of: &str) {
        let mut found: Vec<_> = seen.headers();
        found.retain(|(name, _)| name.replace(['_', '.'], "-").starts_with("x-auth"));
        found.sort();
        let values = identity.into_iter().flatten().cloned();
        let mut expected: Vec<_> = HEADERS.iter().map(ToString::to_string).zip(values).collect();
        // nginx sends no header that is empty.
        expected.retain(|(_, value)| !(value.is_empty() && self.program.omits_empty_headers));
        expected.sort();
        assert_eq!(found, expected, "{self}, {of}: {seen:?}");
    }
}
