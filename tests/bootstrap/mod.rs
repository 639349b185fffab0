//! Bootstrap on real realms: what it makes, that it makes it once, and that it takes everything back.

mod audiences;
mod choices;
mod command;
mod foreign;
mod interrupted;
mod login;
mod mending;
mod other_stores;
mod permissions;
mod refusals;
mod removal;
mod repeated;
mod service_accounts;
pub(crate) mod snapshot;

use std::sync::{Arc, Mutex};

use hallpass::bootstrap::{
    BootstrapError, Bootstrapped, Mode, Options, Removal, Report, TakenBack, bootstrap, remove,
};
use hallpass::clock::Clock;
use hallpass::config::{BootstrapSettings, SealingKey};
use hallpass::keys::SigningKey;
use hallpass::seal::Sealer;
use hallpass::store::Store;
use serde_json::Value;

use crate::support::{
    Admin, BareRealm, Database, administrator, bare_realm, bootstrap_settings, options,
};

/// A realm that bootstrap has not seen, and what a bootstrap of it needs.
struct Ground {
    realm: BareRealm,
    admin: Admin,
    settings: BootstrapSettings,
    encryption_key: SealingKey,
    database: Database,
    #[expect(dead_code, reason = "held for its drop")]
    folder: tempfile::TempDir,
}

/// A bootstrap that was good, and the lines that it reported.
struct Done {
    outcome: Bootstrapped,
    lines: Vec<String>,
}

impl Ground {
    async fn new() -> Self {
        Self::on(Database::sqlite).await
    }

    async fn on(database: fn(&tempfile::TempDir) -> Database) -> Self {
        let realm = bare_realm().await;
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        database.create().await;
        let admin = Admin::log_in().await;
        Self {
            settings: bootstrap_settings(&realm.name, &database),
            admin,
            encryption_key: SealingKey::generate().unwrap(),
            realm,
            database,
            folder,
        }
    }

    async fn bootstrap(&self) -> Done {
        self.bootstrap_with(options()).await
    }

    async fn bootstrap_with(&self, options: Options) -> Done {
        let (lines, report) = collected();
        let outcome = self.try_bootstrap(options, report).await.unwrap();
        let lines = std::mem::take(&mut *lines.lock().unwrap());
        assert_eq!(outcome.changes, lines.len(), "{lines:?}");
        Done { outcome, lines }
    }

    async fn try_bootstrap(
        &self,
        options: Options,
        report: Report,
    ) -> Result<Bootstrapped, BootstrapError> {
        let keycloak = administrator(&self.settings);
        let clock = Clock::system();
        bootstrap(&keycloak, &self.settings, &self.encryption_key, &clock, &options, report).await
    }

    async fn remove(&self, mode: Mode) -> Vec<String> {
        let (lines, report) = collected();
        let removed = self.try_remove(mode, report).await.unwrap();
        let lines = std::mem::take(&mut *lines.lock().unwrap());
        assert_eq!(removed.changes, lines.len(), "{lines:?}");
        lines
    }

    async fn try_remove(&self, mode: Mode, report: Report) -> Result<TakenBack, BootstrapError> {
        self.try_removal(Removal { mode, without_store: false }, report).await
    }

    async fn try_removal(
        &self,
        removal: Removal,
        report: Report,
    ) -> Result<TakenBack, BootstrapError> {
        let keycloak = administrator(&self.settings);
        remove(&keycloak, &self.settings, &Clock::system(), removal, report).await
    }

    async fn snapshot(&self) -> Value {
        snapshot::of(&self.admin, &self.realm.name).await
    }

    async fn store(&self) -> Store {
        Store::open(&self.database.url()).await.unwrap()
    }

    /// The store as a version left it that kept no list of what it made.
    async fn forget_the_list(&self) {
        use sqlx::Connection as _;
        let url = self.database.url_text();
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let sql = "DELETE FROM realm_objects; DELETE FROM facts WHERE name <> 'issuer'";
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    fn database_exists(&self) -> bool {
        std::path::Path::new(&self.database.url_text().replace("sqlite://", "")).exists()
    }

    /// A path below this realm's admin resource.
    fn path(&self, path: &str) -> String {
        format!("/{}{path}", self.realm.name)
    }

    /// Merges members into the realm's representation, as an administrator would.
    async fn change_realm(&self, members: Value) {
        self.admin.put(&self.path(""), &members).await;
    }

    /// The client's representation, whole.
    async fn client(&self, client_id: &str) -> Value {
        let uuid = self.admin.client_uuid(&self.realm.name, client_id).await;
        self.admin.get(&self.path(&format!("/clients/{uuid}"))).await
    }

    /// The key providers that bootstrap published.
    async fn providers(&self) -> Vec<Value> {
        let path = self.path("/components?type=org.keycloak.keys.KeyProvider");
        let all = self.admin.get(&path).await;
        let ours = |found: &&Value| found["name"].as_str().unwrap().starts_with("hallpass-");
        all.as_array().unwrap().iter().filter(ours).cloned().collect()
    }

    async fn active_kid(&self) -> Option<String> {
        let store = self.store().await;
        let key = store.find_active_key().await.unwrap();
        store.close().await;
        key.map(|key| key.kid)
    }

    fn issuer(&self) -> String {
        self.settings.realm.issuer()
    }

    /// A key that the store knows and nobody uses yet: where a bootstrap was that ended too early.
    async fn put_pending_key(&self) -> SigningKey {
        let key = SigningKey::generate().unwrap();
        let sealer = Sealer::new(self.encryption_key.bytes(), None).unwrap();
        let store = self.store().await;
        store.claim_issuer(&self.issuer()).await.unwrap();
        let pending = key.seal(&sealer, &self.issuer()).unwrap();
        store.insert_pending_key(&pending, Clock::system().now()).await.unwrap();
        store.close().await;
        key
    }
}

fn collected() -> (Arc<Mutex<Vec<String>>>, Report) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let into = lines.clone();
    (lines, Box::new(move |line| into.lock().unwrap().push(line.to_owned())))
}

fn dry_run() -> Options {
    Options { mode: Mode::DryRun, ..options() }
}

fn silent() -> Report {
    Box::new(|_| {})
}
