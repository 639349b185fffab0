//! The service, in process, with a clock that tests can move.

use std::time::Duration;

use hallpass::clock::Clock;
use hallpass::serve::{Limits, Server};
use hallpass::store::Store;

use super::{Api, Database, Person, TestRealm};

pub struct TestServer {
    pub realm: TestRealm,
    pub clock: Clock,
    pub database: Database,
    pub folder: tempfile::TempDir,
    server: Option<Server>,
    base: String,
}

impl TestServer {
    /// A server in the shared realm, on SQLite.
    pub async fn start() -> Self {
        Self::in_realm(TestRealm::shared().await).await
    }

    /// A server in the shared realm that has read the realm's events for the last time.
    pub async fn that_follows_nothing() -> Self {
        Self::that_follows_nothing_with(Database::sqlite, &[]).await
    }

    /// The same with other settings than usual.
    pub async fn that_follows_nothing_with(
        database: fn(&tempfile::TempDir) -> Database,
        extra: &[(&str, &str)],
    ) -> Self {
        let seldom = [extra, &[("HALLPASS_LIFECYCLE__POLL_INTERVAL", "24h")]].concat();
        let server = Self::start_with(TestRealm::shared().await, database, &seldom).await;
        let store = server.store().await;
        let read = async {
            while store.find_progress().await.unwrap().polled_at.is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), read).await.unwrap();
        store.close().await;
        server
    }

    pub async fn in_realm(realm: TestRealm) -> Self {
        Self::start_with(realm, Database::sqlite, &[]).await
    }

    /// A server with other settings than usual, as environment variables.
    pub async fn start_with(
        realm: TestRealm,
        database: fn(&tempfile::TempDir) -> Database,
        extra: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        database.create().await;
        let store = Store::open(&database.url()).await.unwrap();
        realm.put_signing_key(&store).await;
        store.close().await;
        Self::on(realm, database, folder, Clock::system(), extra).await
    }

    async fn on(
        realm: TestRealm,
        database: Database,
        folder: tempfile::TempDir,
        clock: Clock,
        extra: &[(&str, &str)],
    ) -> Self {
        Self::within(Limits::default(), realm, database, folder, clock, extra).await
    }

    /// A server in the shared realm with other limits of connections than usual.
    pub async fn with_limits(limits: Limits, extra: &[(&str, &str)]) -> Self {
        let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
        let database = Database::sqlite(&folder);
        let store = Store::open(&database.url()).await.unwrap();
        realm.put_signing_key(&store).await;
        store.close().await;
        Self::within(limits, realm, database, folder, Clock::system(), extra).await
    }

    async fn within(
        limits: Limits,
        realm: TestRealm,
        database: Database,
        folder: tempfile::TempDir,
        clock: Clock,
        extra: &[(&str, &str)],
    ) -> Self {
        // Shown where the test fails.
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN);
        let _ = log.with_test_writer().with_ansi(false).try_init();
        let settings = realm.settings(&database, extra);
        let server = Box::pin(Server::start_within(settings, clock.clone(), limits)).await.unwrap();
        let base = format!("http://{}", server.address());
        Self { realm, clock, database, folder, server: Some(server), base }
    }

    /// The service's own view of its store, for what no answer shows.
    pub async fn store(&self) -> Store {
        Store::open(&self.database.url()).await.unwrap()
    }

    /// Runs one statement on the server's database, for states that no operation makes (yet).
    pub async fn execute(&self, statement: String) -> u64 {
        use sqlx::Connection as _;
        sqlx::any::install_default_drivers();
        let url = self.database.url_text();
        let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
        let done = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await;
        connection.close().await.unwrap();
        done.unwrap().rows_affected()
    }

    pub fn anonymous(&self) -> Api {
        Api::new(&self.base, None)
    }

    pub async fn user(&self, person: &Person) -> Api {
        self.with_token(&self.realm.access_token(person).await)
    }

    pub fn with_token(&self, token: &str) -> Api {
        Api::new(&self.base, Some(token))
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// A service on a database that others use, too.
    pub async fn on_database(realm: TestRealm, database: Database, extra: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::on(realm, database, folder, Clock::system(), extra).await
    }

    /// Another service on the same database, in a folder of its own.
    pub async fn replica(&self) -> Self {
        let (realm, database) = (self.realm.clone(), self.database.clone());
        let folder = tempfile::tempdir().unwrap();
        Self::on(realm, database, folder, self.clock.clone(), &[]).await
    }

    /// Ends the service in order; [`Self::restart`] starts it again.
    pub async fn halt(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Ends the service in order and starts it again, with other settings than usual.
    pub async fn restart(mut self, extra: &[(&str, &str)]) -> Self {
        self.halt().await;
        Self::on(self.realm, self.database, self.folder, self.clock, extra).await
    }

    /// Ends the service in order.
    pub async fn stop(mut self) {
        self.halt().await;
    }
}
