//! With introspection: what offline checks cannot see, Hallpass says, and without Hallpass nobody passes.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::service::Service;
use super::{INVALID, challenge, hallpass, mint, whoami};
use crate::support::{Admin, Api, Line, Person, TcpProxy, TestRealm, TestServer, unique};

const SECRET: &str = "the-secret-of-a-resource-server";
/// How long an answer of Hallpass serves.
const REMEMBERED: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

/// A client of the realm that may ask about tokens.
async fn asking_client(realm: &TestRealm) -> String {
    let client_id = unique("datahub");
    let client = json!({
        "clientId": client_id, "secret": SECRET, "publicClient": false,
        "serviceAccountsEnabled": true, "standardFlowEnabled": false,
    });
    let admin = Admin::log_in().await;
    admin.post(&format!("/{}/clients", realm.name), &client).await;
    let uuid = admin.client_uuid(&realm.name, &client_id).await;
    let account = format!("/{}/clients/{uuid}/service-account-user", realm.name);
    let account = admin.get(&account).await;
    let text = |name: &str| account[name].as_str().unwrap().to_owned();
    let account = Person { id: text("id"), username: text("username") };
    realm.give_roles(&account, "hallpass", &["introspect-tokens"]).await;
    client_id
}

/// A Hallpass behind a line that can break, and a service that asks it.
struct Stage {
    server: TestServer,
    line: TcpProxy,
    service: Service,
    user: Api,
}

impl Stage {
    async fn set(secret: &str) -> Self {
        let realm = TestRealm::shared().await;
        let server = hallpass(&realm).await;
        let line = TcpProxy::before(server.base().replace("http://", "")).await;
        let url = format!("http://127.0.0.1:{}/oauth2/introspect", line.port());
        let client_id = asking_client(&realm).await;
        let extra =
            [("INTROSPECTION_URL", &*url), ("CLIENT_ID", &client_id), ("CLIENT_SECRET", secret)];
        let service = Service::start(&realm, &extra).await;
        let user = server.user(&realm.person().await).await;
        Self { server, line, service, user }
    }

    /// Uses the token until it is answered with this status; answers when it was last sent and had another.
    async fn use_until(&self, token: &str, status: u16) -> Option<Instant> {
        let (begun, mut last) = (Instant::now(), None);
        loop {
            let sent = Instant::now();
            let answer = whoami(&self.service, token).await;
            if answer.status.as_u16() == status {
                return last;
            }
            last = Some(sent);
            assert!(begun.elapsed() < PATIENCE, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_or_deleted_is_refused_within_a_second() {
    let stage = Stage::set(SECRET).await;
    for (name, method, path) in
        [("revoked", Method::POST, "/invalidate"), ("deleted", Method::DELETE, "")]
    {
        let minted = stage.user.mint(name).await;
        let token = minted["token"].as_str().unwrap();
        whoami(&stage.service, token).await.expect(200);
        let path = format!("/api/pat/v1/tokens/{}{path}", minted["patId"].as_str().unwrap());
        let answer = stage.user.send(stage.user.request(method, &path)).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let ended = Instant::now();
        let last = stage.use_until(token, 401).await;
        let late = last.map(|last| last.saturating_duration_since(ended)).unwrap_or_default();
        assert!(late < REMEMBERED, "{name}: still good {late:?} later");
        assert_eq!(challenge(&whoami(&stage.service, token).await), (401, INVALID));
    }
    stage.server.stop().await;
}

#[tokio::test]
async fn a_token_for_some_networks_is_good_from_there_only() {
    let stage = Stage::set(SECRET).await;
    let near = mint(&stage.user, "near", json!({"allowedCidrs": ["127.0.0.0/8"]})).await;
    let far = mint(&stage.user, "far", json!({"allowedCidrs": ["192.0.2.0/24"]})).await;
    whoami(&stage.service, &near).await.expect(200);
    assert_eq!(challenge(&whoami(&stage.service, &far).await), (401, INVALID));
    stage.server.stop().await;
}

#[tokio::test]
async fn without_hallpass_nobody_passes_and_afterwards_all_is_well() {
    let stage = Stage::set(SECRET).await;
    let token = mint(&stage.user, "away", json!({})).await;
    whoami(&stage.service, &token).await.expect(200);
    for away in [Line::Cut, Line::Silent] {
        stage.line.set(away);
        let cut = Instant::now();
        let last = stage.use_until(&token, 503).await;
        let late = last.map(|last| last.saturating_duration_since(cut)).unwrap_or_default();
        assert!(late < REMEMBERED, "good without Hallpass, {late:?} later");
        let answer = whoami(&stage.service, &token).await;
        assert_eq!(answer.headers["retry-after"], "1", "{answer:?}");
        stage.line.set(Line::Open);
        stage.use_until(&token, 200).await;
    }
    stage.server.stop().await;
}

#[tokio::test]
async fn a_service_that_may_not_ask_lets_nobody_in() {
    let stage = Stage::set("another secret").await;
    let token = mint(&stage.user, "unasked", json!({})).await;
    assert_eq!(whoami(&stage.service, &token).await.status.as_u16(), 503);
    stage.server.stop().await;
}
