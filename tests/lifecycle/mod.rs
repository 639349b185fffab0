//! Tokens follow their owners: what changes in the realm, whichever way, and what becomes of the tokens.

mod brake;
mod bulk;
mod claims;
mod coincidence;
mod departures;
mod doubts;
mod interrupted;
mod killed;
mod large;
mod memberships;
mod names;
mod organizations;
mod races;
mod replicas;
mod roles;
mod slow;
mod soak;
mod unchanged;
mod unreadable;
mod workflows;

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass::clock::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use crate::support::{
    Admin, Answer, Api, Database, Metrics, Person, TestRealm, TestServer, unique,
};

const TOKENS: &str = "/api/pat/v1/tokens";
/// Far longer than anything takes that is waited for: a sweep that Keycloak failed once, busy with other tests' realms, is
/// tried again half a minute later.
const PATIENCE: Duration = Duration::from_secs(75);

/// Events are read often; sweeps come at the start and then not for long.
const EVENTS_ONLY: [(&str, &str); 2] =
    [("HALLPASS_LIFECYCLE__POLL_INTERVAL", "100ms"), ("HALLPASS_LIFECYCLE__SWEEP_INTERVAL", "24h")];

/// Sweeps come at each start; two that are half an hour apart by the server's clock agree.
const SWEEPING: [(&str, &str); 2] =
    [("HALLPASS_LIFECYCLE__POLL_INTERVAL", "100ms"), ("HALLPASS_LIFECYCLE__SWEEP_INTERVAL", "1h")];

/// A realm of its own, a service, and people with tokens.
struct Scene {
    realm: TestRealm,
    server: TestServer,
    admin: Admin,
}

/// Somebody with a token.
struct Holder {
    person: Person,
    /// By an access token, which says nothing of what happened since.
    api: Api,
    pat_id: String,
    token: String,
}

impl Scene {
    async fn set() -> Self {
        Self::set_with(Database::sqlite, &EVENTS_ONLY).await
    }

    async fn set_with(
        database: fn(&tempfile::TempDir) -> Database,
        extra: &[(&str, &str)],
    ) -> Self {
        let realm = TestRealm::own().await;
        let server = TestServer::start_with(realm.clone(), database, extra).await;
        Self { realm, server, admin: Admin::log_in().await }
    }

    /// A new person with a token.
    async fn holder(&self) -> Holder {
        self.holder_of(self.realm.person().await).await
    }

    async fn holder_of(&self, person: Person) -> Holder {
        let api = self.server.user(&person).await;
        let minted = api.mint(&unique("token")).await;
        let text = |name: &str| minted[name].as_str().unwrap().to_owned();
        Holder { person, api, pat_id: text("patId"), token: text("token") }
    }

    /// The same person, with the address of the service that was started since.
    fn renewed(&self, holder: Holder) -> Holder {
        let api = self.server.with_token(holder.api.token().unwrap());
        Holder { api, ..holder }
    }

    /// Starts the service anew, with these settings; answers when the sweep of the start has ended.
    async fn sweep_anew(mut self, extra: &[(&str, &str)]) -> Self {
        self.server.halt().await;
        let before = self.swept_at().await;
        self.server = self.server.restart(extra).await;
        until("a sweep has ended", async || self.swept_at().await > before).await;
        self
    }

    /// When the newest sweep that came to its end began.
    async fn swept_at(&self) -> Option<Timestamp> {
        let store = self.server.store().await;
        let progress = store.find_progress().await.unwrap();
        store.close().await;
        progress.swept_at
    }

    /// Two sweeps, an interval apart by the server's clock: what both say is certain.
    async fn sweep_until_certain(mut self) -> Self {
        for _ in 0..2 {
            self.server.clock.advance(Duration::from_mins(31));
            self = self.sweep_anew(&SWEEPING).await;
        }
        self
    }

    /// Where a browser begins to log in at the client `hallpass`, with more parameters.
    fn login_url(&self, more: &[(&str, &str)]) -> String {
        let verifier = "a-verifier-of-43-characters-or-more-as-rfc-7636-asks";
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let mut url: url::Url =
            format!("{}/protocol/openid-connect/auth", self.realm.issuer()).parse().unwrap();
        url.query_pairs_mut()
            .append_pair("client_id", "hallpass")
            .append_pair("response_type", "code")
            .append_pair("scope", "openid")
            .append_pair("redirect_uri", "http://localhost:8090/auth/callback")
            .append_pair("code_challenge_method", "S256")
            .append_pair("code_challenge", &challenge)
            .extend_pairs(more);
        url.into()
    }

    /// Calls Keycloak below the realm.
    async fn keycloak(&self, method: Method, path: &str, body: &Value) -> Value {
        let path = format!("/{}/{path}", self.realm.name);
        self.admin.call(method, &path, (!body.is_null()).then_some(body)).await
    }

    async fn get(&self, path: &str) -> Value {
        self.keycloak(Method::GET, path, &Value::Null).await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.keycloak(Method::POST, path, body).await
    }

    async fn put(&self, path: &str, body: &Value) -> Value {
        self.keycloak(Method::PUT, path, body).await
    }

    async fn delete(&self, path: &str, body: &Value) -> Value {
        self.keycloak(Method::DELETE, path, body).await
    }

    /// Makes a realm role, and answers it.
    async fn role(&self, name: &str) -> Value {
        self.post("roles", &json!({"name": name})).await;
        self.get(&format!("roles/{name}")).await
    }

    /// Makes a group, and answers its id.
    async fn group(&self, name: &str) -> String {
        self.post("groups", &json!({"name": name})).await;
        let found = self.get(&format!("groups?search={name}&exact=true")).await;
        found[0]["id"].as_str().unwrap().to_owned()
    }

    async fn set_enabled(&self, person: &Person, enabled: bool) {
        self.put(&user(person), &json!({"enabled": enabled})).await;
    }

    async fn pat(&self, holder: &Holder) -> Answer {
        self.server.with_token(&holder.token).get(&format!("{TOKENS}/self")).await
    }

    /// The token is refused, a moment after the store says so: within a second where another process did it.
    async fn assert_refused(&self, holder: &Holder) {
        let since = Instant::now();
        loop {
            let asked = since.elapsed();
            let answer = self.pat(holder).await;
            if answer.status != 200 {
                answer.expect_problem(401, "unauthenticated");
                return;
            }
            assert!(asked < Duration::from_secs(1), "good after {asked:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The token is good; where a command beside the service released it, as soon as the service has heard of it.
    async fn assert_good(&self, holder: &Holder) {
        until(&format!("{} is good", holder.pat_id), async || self.pat(holder).await.status == 200)
            .await;
        assert_eq!(self.pat(holder).await.expect(200)["isValid"], true);
    }

    /// Waits until the token is revoked for this reason; the audit log says who did it and tells more of why.
    async fn assert_revoked(&self, holder: &Holder, reason: &str, detail: &str) {
        let found = self.wait_for(holder, "revoked").await;
        assert_eq!(found["revokedReason"], reason, "{found}");
        self.assert_refused(holder).await;
        let told =
            if detail.is_empty() { reason.to_owned() } else { format!("{reason}: {detail}") };
        let log = self.audited(holder).await;
        assert_eq!(log[1..], [format!("token_revoked by hallpass, {told}")], "{log:?}");
    }

    /// Waits until the token is gone; the audit log survives it.
    async fn assert_deleted(&self, holder: &Holder, reason: &str) {
        until(&format!("{} is deleted", holder.pat_id), async || {
            holder.api.get(&format!("{TOKENS}/{}", holder.pat_id)).await.status == 404
        })
        .await;
        self.assert_refused(holder).await;
        let log = self.audited(holder).await;
        assert_eq!(log.last().unwrap(), &format!("token_deleted by hallpass, {reason}"), "{log:?}");
    }

    /// Waits until the owner sees this status, and answers the metadata.
    async fn wait_for(&self, holder: &Holder, status: &str) -> Value {
        let path = format!("{TOKENS}/{}", holder.pat_id);
        let mut found = Value::Null;
        until(&format!("{} is {status}", holder.pat_id), async || {
            let answer = holder.api.get(&path).await;
            found = if answer.status == 200 { answer.json() } else { Value::Null };
            found["status"] == status
        })
        .await;
        found
    }

    /// Waits until all that happened up to now has been followed: events are read in their order, and the last of three
    /// is read after what came with the first was dealt with.
    async fn wait_until_followed(&self) {
        for _ in 0..3 {
            let marker = self.holder().await;
            self.realm.give_roles(&marker.person, "hallpass", &["introspect-tokens"]).await;
            self.wait_for(&marker, "revoked").await;
        }
        self.wait_until_calm().await;
    }

    /// Waits until the looks are over that come with a start: at all owners, and for the events of how the realm was made.
    async fn wait_until_started(&self) {
        until("the first sweep has ended", async || self.swept_at().await.is_some()).await;
        self.wait_until_read().await;
        self.wait_until_calm().await;
    }

    /// Waits until the events of up to now were read, where no token can show that.
    async fn wait_until_read(&self) {
        let now = self.server.clock.now();
        let store = self.server.store().await;
        until("the events are read", async || {
            store.find_progress().await.unwrap().polled_at.is_some_and(|polled_at| polled_at > now)
        })
        .await;
        store.close().await;
    }

    /// Waits until nothing that concerns many is left to be looked at, also not once more. What changes after that is not
    /// found by a look that began before.
    async fn wait_until_calm(&self) {
        wait_until_calm(&self.server.anonymous()).await;
    }

    /// What the audit log says of a token, oldest first.
    async fn audited(&self, holder: &Holder) -> Vec<String> {
        sqlx::any::install_default_drivers();
        let url = self.server.database.url_text();
        let mut store = sqlx::AnyConnection::connect(&url).await.unwrap();
        let sql = format!(
            "SELECT action, actor_id, reason FROM audit_events WHERE credential_id = '{}' \
             ORDER BY occurred_at, event_id",
            holder.pat_id
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut store).await.unwrap();
        store.close().await.unwrap();
        let text = |row: &sqlx::any::AnyRow, name: &str| -> String {
            row.get::<Option<String>, _>(name).unwrap_or_default()
        };
        rows.iter()
            .map(|row| {
                let (action, actor, reason) =
                    (text(row, "action"), text(row, "actor_id"), text(row, "reason"));
                format!("{action} by {actor}, {reason}")
            })
            .collect()
    }
}

/// Waits until this service has no look at many before it.
async fn wait_until_calm(api: &Api) {
    until("no change of many is pending", async || {
        Metrics::of(api).await.value("hallpass_wide_changes_pending").abs() < 0.5
    })
    .await;
}

/// The path of a user.
fn user(person: &Person) -> String {
    format!("users/{}", person.id)
}

/// Asks again until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
