//! Very many live tokens: signed as Hallpass signs them, and written into the table as it writes them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass::keys::Signer;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::release::{QUIET, Release};
use crate::support::{Database, Person, Process, ServiceClient, TestRealm, claims_of};

/// A realm, and Hallpass on SQLite, which logs no requests, as its peers do not.
pub struct Scene {
    pub realm: TestRealm,
    pub service: ServiceClient,
    pub owner: Person,
    pub hallpass: Release,
    database: Database,
    folder: tempfile::TempDir,
    model: Value,
    signer: Signer,
}

/// Another one, with the same tokens.
pub struct Twin {
    pub hallpass: Release,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub async fn set() -> Self {
        let realm = TestRealm::own().await;
        let folder = tempfile::tempdir().unwrap();
        let database = Database::sqlite(&folder);
        Process::prepare_store(&realm, &database).await;
        let hallpass = Release::serve(&realm, &database, folder.path(), QUIET).await;
        let service = realm.introspector().await;
        let owner = realm.person().await;
        // As people in a company are: some roles of the realm, some of clients.
        realm.give_roles(&owner, "hallpass", &["manage-tokens", "read-audit"]).await;
        let api = hallpass.api(&realm.access_token(&owner).await);
        let minted = api.mint("model").await;
        let model = claims_of(minted["token"].as_str().unwrap());
        let signer = realm.signing_key().into_signer().unwrap();
        Self { realm, service, owner, hallpass, database, folder, model, signer }
    }

    /// Whom all the tokens are for.
    pub fn audience(&self) -> &str {
        let audience = &self.model["aud"];
        audience.as_str().or_else(|| audience[0].as_str()).unwrap()
    }

    /// The same, started anew, so that it knows all tokens as a service does that has so many. And a second one, on a copy
    /// of the store, which logs each request.
    pub async fn with_twin(mut self) -> (Self, Twin) {
        self.hallpass.stop().await;
        let folder = tempfile::tempdir().unwrap();
        let database = Database::sqlite(&folder);
        for entry in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let own = self.folder.path();
        let hallpass = Release::serve(&self.realm, &self.database, own, QUIET).await;
        self.hallpass = hallpass.until_at_rest().await;
        let twin = Release::serve(&self.realm, &database, folder.path(), "info").await;
        (self, Twin { hallpass: twin.until_at_rest().await, _folder: folder })
    }

    /// The tokens with these numbers, which are live.
    pub async fn tokens(&self, numbers: std::ops::Range<usize>) -> Vec<String> {
        let model = self.model["jti"].as_str().unwrap();
        let (first, last) = (numbers.start, numbers.end - 1);
        let insert = format!(
            "WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) \
             INSERT INTO tokens (pat_id, user_id, username, name, kid, owner_roles, created_at, expires_at, search_text, \
             email, email_verified) \
             SELECT '01900000-0000-7000-8000-' || (100000000000 + i), user_id, username, 'token-' || i, kid, owner_roles, \
             created_at, expires_at, 'token-' || i, email, email_verified FROM n, (SELECT * FROM tokens WHERE pat_id = '{model}')"
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
