//! A move to PostgreSQL: whole, repeated where it was interrupted, and never two stores in use.

use hallpass::audit::Act;
use hallpass::store::{CopyError, Store, StoreError};
use sqlx::Row as _;

use super::postgres::behind_proxy;
use super::{Fresh, NOW, create, event, new_token, revoke};
use crate::support::{Database, Line};

const NAMES: (&str, &str) = ("a file", "a server");

/// A store with something in each table that can have several rows of a token, and more tokens than one batch.
async fn filled() -> Fresh {
    let fresh = Fresh::on(Database::sqlite).await;
    fresh.store.claim_issuer("issuer").await.unwrap();
    for number in 0..260 {
        create(&fresh.store, &new_token("alice", &format!("ci-{number}"))).await.unwrap();
    }
    let token = fresh.create("bob", "with ' and ü").await;
    revoke(&fresh.store, token.pat_id, &event(Act::TokenRevoked, &token)).await.unwrap();
    fresh.store.note_followed("admin_events", NOW).await.unwrap();
    fresh
}

/// Each row of these tables as text, in one order.
async fn contents(fresh: &Fresh) -> Vec<String> {
    let mut all = Vec::new();
    for sql in [
        "SELECT pat_id || name || username || owner_roles || created_at || coalesce(revoked_at, 0) || \
         coalesce(description, 'null') FROM tokens",
        "SELECT event_id || action || coalesce(reason, 'null') FROM audit_events",
        "SELECT number || kind || subject FROM changes",
        "SELECT 'counter' || last_number FROM change_counter",
        "SELECT user_id || tokens_created FROM owners",
        "SELECT source || position FROM followed_events",
        "SELECT 'beat' || beat FROM follower",
        "SELECT name || value FROM facts",
    ] {
        all.extend(fresh.rows(sql).await.iter().map(|row| row.get::<String, _>(0)));
    }
    all.sort();
    all
}

#[tokio::test]
async fn an_interrupted_copy_goes_on_and_neither_store_is_used_meanwhile() {
    let source = filled().await;
    let before = contents(&source).await;
    let target = Fresh::on(Database::postgres).await;
    let (proxied, proxy) = behind_proxy(&target).await;

    let mut cut = |table: &str, rows: u64| {
        if (table, rows) == ("tokens", 250) {
            proxy.set(Line::Cut);
        }
    };
    let failed = source.store.copy_to(&proxied, NAMES, &mut cut).await.unwrap_err();
    assert!(matches!(failed, CopyError::Store(_)), "{failed:?}");

    let opened = Store::open(&source.database.url()).await.err();
    assert!(matches!(&opened, Some(StoreError::Moved { to }) if to == "a server"), "{opened:?}");
    let opened = Store::open(&target.database.url()).await.err();
    let is_half = matches!(&opened, Some(StoreError::HalfCopied { from }) if from == "a file");
    assert!(is_half, "{opened:?}");

    // Another source, or another target, does not mix with it.
    let other = filled().await;
    let refused =
        other.store.copy_to(&target.store, ("another file", "a server"), &mut |_, _| {}).await;
    assert!(matches!(refused, Err(CopyError::TargetInUse(_))), "{refused:?}");
    let elsewhere = Fresh::on(Database::postgres).await;
    let refused =
        source.store.copy_to(&elsewhere.store, ("a file", "elsewhere"), &mut |_, _| {}).await;
    assert!(matches!(refused, Err(CopyError::OtherTarget(_))), "{refused:?}");

    let copied = source.store.copy_to(&target.store, NAMES, &mut |_, _| {}).await.unwrap();
    let tokens = copied.iter().find(|table| table.name == "tokens").unwrap();
    assert_eq!(tokens.rows, 261);
    assert_eq!(contents(&target).await, before);

    Store::open(&target.database.url()).await.unwrap().close().await;
    let opened = Store::open(&source.database.url()).await.err();
    assert!(matches!(opened, Some(StoreError::Moved { .. })), "{opened:?}");
    assert_eq!(source.store.abandon_copy().await.unwrap().as_deref(), Some("a server"));
    Store::open(&source.database.url()).await.unwrap().close().await;
    assert_eq!(contents(&source).await, before);
}

#[tokio::test]
async fn a_target_that_holds_something_is_left_as_it_is() {
    let source = filled().await;
    let target = Fresh::on(Database::postgres).await;
    target.create("carol", "hers").await;
    let before = contents(&target).await;
    let refused = source.store.copy_to(&target.store, NAMES, &mut |_, _| {}).await;
    assert!(matches!(refused, Err(CopyError::TargetInUse(_))), "{refused:?}");
    assert_eq!(contents(&target).await, before);
    // Nor is the source marked.
    Store::open(&source.database.url()).await.unwrap().close().await;
}
