//! A database for one test: a SQLite file, or a database of its own on the PostgreSQL server.

use std::path::PathBuf;

use hallpass::config::StoreUrl;

use super::{service, unique};

/// Both kinds, for tests that run on each.
pub const DATABASES: [fn(&tempfile::TempDir) -> Database; 2] =
    [Database::sqlite, Database::postgres];

#[derive(Clone, Debug)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Database {
    pub fn sqlite(folder: &tempfile::TempDir) -> Self {
        Self::Sqlite(folder.path().join("hallpass.db"))
    }

    /// The database is made when it is first asked for; it goes with the server at the end of the run.
    pub fn postgres(_: &tempfile::TempDir) -> Self {
        Self::Postgres(unique("hallpass").replace('-', "_"))
    }

    /// Makes the database where the kind needs that.
    pub async fn create(&self) {
        if let Self::Postgres(name) = self {
            use sqlx::{Connection as _, Executor as _};
            let mut server =
                sqlx::PgConnection::connect(&service("HALLPASS_TEST_POSTGRES_URL")).await.unwrap();
            server.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
            server.close().await.unwrap();
        }
    }

    pub fn url_text(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(name) => {
                let mut url: url::Url = service("HALLPASS_TEST_POSTGRES_URL").parse().unwrap();
                url.set_path(name);
                url.into()
            }
        }
    }

    pub fn url(&self) -> StoreUrl {
        StoreUrl::parse(&self.url_text()).unwrap()
    }
}
