//! What only PostgreSQL can do: go away, and have a password.

use std::time::Duration;

use hallpass::audit::Act;
use hallpass::clock::Clock;
use hallpass::config::StoreUrl;
use hallpass::error::{Code, Error};
use hallpass::id::{AccountId, ClientId};
use hallpass::page::PageRequest;
use hallpass::store::{ClientRecord, NewToken, Store, StoreError};
use sqlx::Row as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::audit_list::everything;
use super::{Fresh, NOW, code, create, delete, event, list, new_token, revoke, until};
use crate::support::{Database, Line, TcpProxy};

/// Longer than the store may take to say that the database is away.
const BOUND: Duration = Duration::from_secs(12);

/// A store whose connections go through a proxy.
pub(super) async fn behind_proxy(fresh: &Fresh) -> (Store, TcpProxy) {
    let mut url: url::Url = fresh.database.url_text().parse().unwrap();
    let target = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let proxy = TcpProxy::before(target).await;
    url.set_port(Some(proxy.port())).unwrap();
    let store = Store::open(&StoreUrl::parse(url.as_str()).unwrap()).await.unwrap();
    (store, proxy)
}

/// Everything that the store is asked while the service runs.
fn spawn_everything(
    store: &Store,
    token: &NewToken,
) -> JoinSet<(&'static str, Result<(), StoreError>)> {
    let mut asked = JoinSet::new();
    macro_rules! ask {
        ($name:literal, |$store:ident, $token:ident| $call:expr) => {
            let ($store, $token) = (store.clone(), token.clone());
            asked.spawn(async move { ($name, $call.await.map(drop)) });
        };
    }
    ask!("ping", |store, _token| store.ping());
    ask!("issuer", |store, _token| store.claim_issuer("issuer"));
    ask!("find", |store, token| store.find_token(&token.user_id, token.pat_id));
    ask!("list", |store, token| list(&store, &token.user_id, PageRequest { offset: 0, limit: 1 }));
    ask!("create", |store, _token| async { create(&store, &new_token("alice", "new")).await });
    ask!("revoke", |store, token| async {
        revoke(&store, token.pat_id, &event(Act::TokenRevoked, &token)).await
    });
    ask!("delete", |store, token| async {
        delete(&store, token.pat_id, &event(Act::TokenDeleted, &token)).await
    });
    ask!("last", |store, _token| store.last_change());
    ask!("changes", |store, _token| store.list_changes_after(0));
    ask!("key", |store, _token| store.find_active_key());
    ask!("pending", |store, _token| store.find_pending_key());
    ask!("kids", |store, _token| store.list_kids());
    ask!("activate", |store, _token| store.activate_key("a", NOW));
    ask!("retire", |store, _token| store.retire_all_keys(NOW));
    ask!("client", |store, token| store.find_client_record(&token.name));
    ask!("owns", |store, token| store.owns_clients(&token.user_id));
    ask!("owners", |store, _token| store.list_client_owners());
    ask!("clients", |store, _token| store.list_clients_after("", 1));
    ask!("interrupted", |store, _token| store.list_interrupted_clients(NOW));
    ask!("note", |store, token| store.note_client_owner(&token.user_id, true, NOW));
    ask!("release", |store, token| async { store.release_client(&client(&token)).await });
    ask!("abandon", |store, token| async { store.abandon_client(&client(&token)).await });
    ask!("audit", |store, token| async {
        store.append_event(&event(Act::ClientSecretRead, &token)).await
    });
    ask!("events", |store, _token| async { store.list_audit_events(&everything()).await });
    ask!("quota", |store, _token| async {
        store.get_quota(&AccountId::parse("acme").unwrap(), 5).await
    });
    asked
}

/// A client of the token's owner, which no store has.
fn client(token: &NewToken) -> ClientRecord {
    let account_id = AccountId::parse("acme").unwrap();
    ClientRecord {
        record_id: "none".to_owned(),
        client_id: ClientId::of(&account_id, "app").unwrap(),
        account_id,
        owner_id: token.user_id.clone(),
        owner_username: token.names.username.clone(),
        keycloak_id: None,
        spec: String::new(),
        written: String::new(),
        created_at: NOW,
        secret_created_at: None,
        operation: None,
        plan: None,
        version: 1,
        missing_at: None,
        drifted_at: None,
        orphaned_at: None,
        drifted_fields: Vec::new(),
        secret_unread_at: None,
    }
}

async fn assert_all_unavailable(asked: JoinSet<(&'static str, Result<(), StoreError>)>) {
    let answers = timeout(BOUND, asked.join_all()).await.expect("everything is answered in time");
    for (name, answer) in answers {
        assert_eq!(code(answer.unwrap_err()), Code::StoreUnavailable, "{name}");
    }
}

#[tokio::test]
async fn a_database_that_goes_away_is_unavailable_and_comes_back() {
    for line in [Line::Cut, Line::Silent] {
        println!("{line:?}");
        let fresh = Fresh::on(Database::postgres).await;
        let (store, proxy) = behind_proxy(&fresh).await;
        let token = new_token("alice", "ci");
        create(&store, &token).await.unwrap();

        proxy.set(line);
        assert_all_unavailable(spawn_everything(&store, &token)).await;
        // Nothing of what was answered so was done.
        assert_eq!(fresh.count("tokens WHERE revoked_at IS NULL").await, 1);

        proxy.set(Line::Open);
        until("it answers again", async || store.ping().await.is_ok()).await;
        assert!(store.find_token(&token.user_id, token.pat_id).await.unwrap().is_some());
        for (name, answer) in spawn_everything(&store, &token).join_all().await {
            answer.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
        timeout(BOUND, store.close()).await.expect("it closes in time");
    }
}

/// The worst moment: more writers than connections are in the middle of it, and nobody says that the
/// database is gone. They end, and do not keep the connections from those that come later.
#[tokio::test]
async fn a_database_that_falls_silent_in_the_middle_holds_nobody() {
    let fresh = Fresh::on(Database::postgres).await;
    let (store, proxy) = behind_proxy(&fresh).await;
    let mut lock = fresh.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE")
        .execute(&mut lock)
        .await
        .unwrap();
    let mut writers = JoinSet::new();
    for number in 0..15 {
        let store = store.clone();
        writers.spawn(async move {
            ("create", create(&store, &new_token(&format!("u{number}"), "ci")).await.map(drop))
        });
    }
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND wait_event_type = 'Lock'";
    until("all connections wait", async || fresh.rows(waiting).await[0].get::<i64, _>(0) == 10)
        .await;

    proxy.set(Line::Silent);
    assert_all_unavailable(writers).await;

    sqlx::raw_sql("ROLLBACK").execute(&mut lock).await.unwrap();
    proxy.set(Line::Open);
    let clock = Clock::system();
    let restored = clock.now();
    until("it answers again", async || store.ping().await.is_ok()).await;
    assert!(clock.now() < restored.plus(BOUND));
    let token = new_token("u0", "after");
    let mut readers = JoinSet::new();
    create(&store, &token).await.unwrap();
    for _ in 0..10 {
        let (store, token) = (store.clone(), token.clone());
        readers.spawn(async move { store.find_token(&token.user_id, token.pat_id).await.unwrap() });
    }
    let found = timeout(BOUND, readers.join_all()).await.unwrap();
    assert!(found.iter().all(Option::is_some));
    timeout(BOUND, store.close()).await.expect("it closes in time");
}

#[tokio::test]
async fn a_password_is_in_no_error() {
    let fresh = Fresh::on(Database::postgres).await;
    let good: url::Url = fresh.database.url_text().parse().unwrap();
    let (host, port) = (good.host_str().unwrap(), good.port().unwrap());
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for url in [
        format!("postgres://postgres:s3kr1t@{host}:{port}/there_is_none"),
        format!("postgres://nobody_here:s3kr1t@{host}:{port}/postgres"),
        format!("postgres://postgres:s3kr1t@127.0.0.1:{unused}/postgres"),
        format!("postgres://postgres:s3kr1t@{host}:{port}/postgres?sslmode=verify-full"),
        format!(
            "postgres://postgres:s3kr1t@{host}:{port}/postgres?sslmode=require&password=s3kr1t"
        ),
        format!("postgres://postgres:%ffs3kr1t@{host}:{port}/postgres"),
        format!("postgres://postgres@{host}:{port}/there_is_none?password=s3kr1t"),
        "postgres://postgres:s3kr1t@no-such-host.invalid/postgres".to_owned(),
    ] {
        let parsed = StoreUrl::parse(&url).unwrap();
        assert!(!format!("{parsed:?}").contains("s3kr1t"), "{url}");
        let error =
            timeout(BOUND, Store::open(&parsed)).await.unwrap().err().expect("it does not open");
        let mut texts = vec![error.to_string(), format!("{error:?}")];
        let error = Error::from(error);
        texts.extend([error.to_string(), format!("{error:?}"), error.chain()]);
        for text in texts {
            assert!(!text.contains("s3kr1t"), "{url}: {text}");
        }
    }
    for url in ["postgres://postgres:s3kr1t@host:port/x", "mysql://root:s3kr1t@host/x"] {
        let reason = StoreUrl::parse(url).unwrap_err();
        assert!(!reason.contains("s3kr1t"));
    }
}
