//! Very many live tokens: signed as Hallpass signs them, and written into the table as it writes them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass::keys::Signer;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::process::{Child, Command};

use crate::support::{Database, Person, ServiceClient, TestRealm, claims_of, service};

/// A release build of Hallpass on SQLite, as a process of its own.
pub struct Scene {
    pub realm: TestRealm,
    pub service: ServiceClient,
    pub owner: Person,
    pub address: SocketAddr,
    pub process: Child,
    database: Database,
    _folder: tempfile::TempDir,
    model: Value,
    signer: Signer,
}

impl Scene {
    pub async fn set() -> Self {
        let realm = TestRealm::own().await;
        let folder = tempfile::tempdir().unwrap();
        let database = Database::sqlite(&folder);
        crate::support::Process::prepare_store(&realm, &database).await;
        let (process, address) = serve(&realm, &database, folder.path()).await;
        let service = realm.introspector().await;
        let owner = realm.person().await;
        // As people in a company are: some roles of the realm, some of clients.
        realm.give_roles(&owner, "hallpass", &["manage-tokens", "read-audit"]).await;
        let api = crate::support::Api::new(
            &format!("http://{address}"),
            Some(&realm.access_token(&owner).await),
        );
        let minted = api.mint("model").await;
        let model = claims_of(minted["token"].as_str().unwrap());
        let signer = realm.signing_key().into_signer().unwrap();
        Self { realm, service, owner, address, process, database, _folder: folder, model, signer }
    }

    /// The tokens with these numbers, which are live.
    pub async fn tokens(&self, numbers: std::ops::Range<usize>) -> Vec<String> {
        let model = self.model["jti"].as_str().unwrap();
        let (first, last) = (numbers.start, numbers.end - 1);
        let insert = format!(
            "WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) \
             INSERT INTO tokens (pat_id, user_id, username, name, kid, owner_roles, created_at, expires_at, search_text) \
             SELECT '01900000-0000-7000-8000-' || (100000000000 + i), user_id, username, 'token-' || i, kid, owner_roles, \
             created_at, expires_at, 'token-' || i FROM n, (SELECT * FROM tokens WHERE pat_id = '{model}')"
        );
        sqlx::any::install_default_drivers();
        let mut connection = sqlx::AnyConnection::connect(&self.database.url_text()).await.unwrap();
        sqlx::query(AssertSqlSafe(insert)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        let half = numbers.start.midpoint(numbers.end);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| self.sign(half..numbers.end));
            let mut tokens = self.sign(numbers.start..half);
            tokens.extend(other.join().unwrap());
            tokens
        })
    }

    fn sign(&self, numbers: std::ops::Range<usize>) -> Vec<String> {
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let header = encode(&json!({"alg": "RS256", "typ": "JWT", "kid": self.signer.kid()}));
        let mut claims = self.model.clone();
        let signed = numbers.map(|number| {
            claims["jti"] = format!("01900000-0000-7000-8000-{}", 100_000_000_000 + number).into();
            let input = format!("{header}.{}", encode(&claims));
            let signature = self.signer.sign(&input).unwrap();
            format!("{input}.{signature}")
        });
        signed.collect()
    }
}

/// Starts it; its log goes to a file, as a service's does.
async fn serve(realm: &TestRealm, database: &Database, folder: &Path) -> (Child, SocketAddr) {
    let address = super::free_address();
    // Optimised as a release is, which this program itself is not.
    let mut command = Command::new(service("HALLPASS_BENCH_HALLPASS"));
    command.arg("serve").env_clear().current_dir(folder).kill_on_drop(true);
    command.envs(realm.environment(database, &[("HALLPASS_SERVER__LISTEN", &address.to_string())]));
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let process = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    super::until_answers(&format!("http://{address}/readyz")).await;
    // The sweep of the start is over.
    tokio::time::sleep(Duration::from_secs(2)).await;
    (process, address)
}
