//! Where secrets are looked for, and where they pass.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{Database, unique};

/// A TCP proxy that keeps what Hallpass says to Keycloak. It ends when it is dropped.
pub struct Recorder {
    url: String,
    heard: Arc<Mutex<Vec<u8>>>,
    accepting: JoinHandle<()>,
}

impl Recorder {
    pub async fn before(url: &str) -> Self {
        let mut url: url::Url = url.parse().unwrap();
        let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let accepting = tokio::spawn(accept(listener, target, heard.clone()));
        Self { url: url.as_str().trim_end_matches('/').to_owned(), heard, accepting }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Everything until now.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: String, heard: Arc<Mutex<Vec<u8>>>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(&target).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let heard = heard.clone();
        tokio::spawn(async move {
            let mut bytes = vec![0; 16 * 1024];
            // Each connection in one piece: what is said at once would be mixed up.
            let mut said = Vec::new();
            while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
                said.extend_from_slice(&bytes[..count]);
                heard.lock().unwrap().extend_from_slice(&said);
                if to_server.write_all(&bytes[..count]).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    }
}

/// The tokens by which Hallpass calls Keycloak.
pub fn bearer_tokens(asked: &str) -> BTreeSet<String> {
    let lines = asked.lines().filter_map(|line| line.split_once(": Bearer "));
    let tokens = lines.map(|(_, token)| token.trim().to_owned());
    tokens.filter(|token| token.split('.').count() == 3).collect()
}

/// Makes a user with a password for a PostgreSQL database; answers its URL and the password.
pub async fn give_password(database: &Database) -> Option<(String, String)> {
    let Database::Postgres(_) = database else { return None };
    let (user, password) = (unique("canary").replace('-', "_"), unique("correct-horse-battery"));
    let mut url: url::Url = database.url_text().parse().unwrap();
    let mut connection = sqlx::PgConnection::connect(url.as_str()).await.unwrap();
    let create = format!("CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{password}'");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    url.set_username(&user).unwrap();
    url.set_password(Some(&password)).unwrap();
    Some((url.into(), password))
}

/// Every row of every table, as text.
pub async fn rows(database: &Database) -> String {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&database.url_text()).await.unwrap();
    let columns = match database {
        Database::Sqlite(_) => {
            "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns \
             WHERE tables.type = 'table'"
        }
        Database::Postgres(_) => {
            "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'"
        }
    };
    let columns = sqlx::query(columns).fetch_all(&mut connection).await.unwrap();
    let mut text = String::new();
    let mut tables = BTreeSet::new();
    for row in &columns {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        // The migrations' checksums are no text, and come from the program.
        if table == "_sqlx_migrations" {
            continue;
        }
        let values =
            format!("SELECT CAST({column} AS TEXT) FROM {table} WHERE {column} IS NOT NULL");
        let values = sqlx::query(AssertSqlSafe(values)).fetch_all(&mut connection).await.unwrap();
        text.extend(values.iter().map(|value| format!("{}\n", value.get::<String, _>(0))));
        tables.insert(table);
    }
    connection.close().await.unwrap();
    for table in ["audit_events", "clients", "tokens", "signing_keys"] {
        assert!(tables.contains(table), "{tables:?}");
    }
    text
}

/// The file itself, with what was deleted and is not overwritten yet.
pub fn raw_file(database: &Database) -> Vec<(String, String)> {
    let Database::Sqlite(path) = database else { return Vec::new() };
    let bytes = std::fs::read(path).unwrap();
    vec![("the file".to_owned(), String::from_utf8_lossy(&bytes).into_owned())]
}
