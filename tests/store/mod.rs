//! The store: one contract, on SQLite and on PostgreSQL.

mod audit;
mod audit_list;
mod changes;
mod copy;
mod corrupt;
mod graces;
mod lifecycle;
mod lists;
mod names;
mod opening;
mod postgres;
mod races;
mod signing_keys;
mod sqlite;
mod standing;
mod text;
mod tokens;
mod uses;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hallpass::audit::{Act, Event};
use hallpass::clock::{Clock, Timestamp};
use hallpass::credential::EndReason;
use hallpass::error::{Code, Error};
use hallpass::id::{PatId, UserId, uuid_at};
use hallpass::names::{Email, Names};
use hallpass::page::{Page, PageRequest};
use hallpass::store::{
    NewToken, Restrictions, Store, StoreError, TokenCreated, TokenDeleted, TokenFilter,
    TokenRecord, TokenRevoked,
};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use crate::support::{DATABASES, Database};

/// The moment at which everything happens here, where it does not matter.
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DAY: Duration = Duration::from_hours(24);

/// A fresh database and its store.
struct Fresh {
    #[expect(dead_code, reason = "held for its drop")]
    folder: tempfile::TempDir,
    database: Database,
    store: Store,
}

impl Fresh {
    async fn on(database: fn(&tempfile::TempDir) -> Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = database(&folder);
        // A failing test shows on which database.
        println!("on {database:?}");
        database.create().await;
        let store = Store::open(&database.url()).await.unwrap();
        Self { folder, database, store }
    }

    fn is_sqlite(&self) -> bool {
        matches!(self.database, Database::Sqlite(_))
    }

    /// Changes rows behind the store's back.
    async fn execute(&self, sql: &str) {
        self.try_execute(sql).await.unwrap();
    }

    async fn try_execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
        connection.close().await
    }

    /// What the tables really hold.
    async fn rows(&self, sql: &str) -> Vec<AnyRow> {
        let mut connection = self.connect().await;
        let rows =
            sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    }

    async fn count(&self, table: &str) -> i64 {
        self.rows(&format!("SELECT COUNT(*) FROM {table}")).await[0].get(0)
    }

    async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.database.url_text()).await.unwrap()
    }

    /// Records a token of this owner and name.
    async fn create(&self, owner: &str, name: &str) -> NewToken {
        let token = new_token(owner, name);
        assert_eq!(create(&self.store, &token).await.unwrap(), TokenCreated::Created);
        token
    }
}

/// A fresh database of each kind, one after the other.
macro_rules! on_each {
    (|$fresh:ident| $body:block) => {
        for database in $crate::support::DATABASES {
            let $fresh = $crate::store::Fresh::on(database).await;
            $body
            $fresh.store.close().await;
        }
    };
}
use on_each;

/// A name at login, with an address that is verified.
fn names(username: &str) -> Names {
    let email = Email { address: format!("{username}.example"), verified: true };
    Names { username: username.to_owned(), email: Some(email) }
}

/// Ids of one test run differ, and are ordered by the time that they are made at.
fn new_token(owner: &str, name: &str) -> NewToken {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Each a millisecond later: lists show the order in which tokens were made.
    let created_at = NOW.plus(Duration::from_millis(NEXT.fetch_add(1, Ordering::Relaxed)));
    NewToken {
        pat_id: PatId::new(created_at),
        user_id: UserId::new(owner),
        names: names(&format!("{owner}@login")),
        name: name.to_owned(),
        description: None,
        kid: "kid".to_owned(),
        owner_roles: "[]".to_owned(),
        authority_claims: None,
        created_at,
        expires_at: NOW.plus(30 * DAY),
        chain: None,
        restrictions: Restrictions::default(),
    }
}

/// Revokes a token of the event's owner.
async fn revoke(store: &Store, id: PatId, event: &Event) -> Result<TokenRevoked, StoreError> {
    let outcomes = store.revoke_tokens(Some(&event.owner_id), &[id], &|_| event.clone()).await?;
    Ok(outcomes.into_iter().next().unwrap())
}

/// Deletes a token of the event's owner.
async fn delete(store: &Store, id: PatId, event: &Event) -> Result<TokenDeleted, StoreError> {
    let outcomes = store.delete_tokens(Some(&event.owner_id), &[id], &|_| event.clone()).await?;
    Ok(outcomes.into_iter().next().unwrap())
}

/// The owner's tokens, newest first.
async fn list(
    store: &Store,
    owner: &UserId,
    page: PageRequest,
) -> Result<Page<TokenRecord>, StoreError> {
    store.list_tokens(Some(owner), &TokenFilter::newest(page), NOW).await
}

/// What the owner does to their token.
fn event(action: Act, token: &NewToken) -> Event {
    event_by(action, token, token.user_id.as_str())
}

fn event_by(action: Act, token: &NewToken, owner: &str) -> Event {
    let at = token.created_at.plus(Duration::from_mins(1));
    Event {
        id: uuid_at(at),
        at,
        action,
        credential_id: token.pat_id.to_string(),
        credential_name: token.name.clone(),
        owner_id: UserId::new(owner),
        actor_id: UserId::new("actor"),
        actor_name: "actor@login".to_owned(),
        actor_credential: "access_token".to_owned(),
        address: "192.0.2.1".to_owned(),
        request_id: "request".to_owned(),
        reason: Some(EndReason::ByOwner.into()),
        detail: None,
        note: None,
    }
}

async fn create(store: &Store, token: &NewToken) -> Result<TokenCreated, StoreError> {
    store.create_token(token, 0, &event(Act::TokenCreated, token)).await
}

/// The code that a caller of a use case would see.
fn code(error: StoreError) -> Code {
    Error::from(error).code()
}

/// Asks until it is so; fails long after it should be.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let clock = Clock::system();
    let end = clock.now().plus(Duration::from_secs(30));
    while !is_so().await {
        assert!(clock.now() < end, "{what}: not within 30 seconds");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
