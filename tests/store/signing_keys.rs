//! The signing keys: pending, then active, then retired and wiped.

use hallpass::store::{ChangeKind, SealedKey, Store};
use sqlx::Row as _;

use super::{DAY, NOW, on_each};

pub(super) async fn insert(store: &Store, kid: &str) {
    let key = SealedKey { kid: kid.to_owned(), sealed_private_key: format!("sealed {kid}") };
    store.insert_pending_key(&key, NOW).await.unwrap();
}

async fn active(store: &Store) -> Option<(String, String)> {
    store.find_active_key().await.unwrap().map(|key| (key.kid, key.sealed_private_key))
}

async fn pending(store: &Store) -> Option<String> {
    store.find_pending_key().await.unwrap().map(|key| key.kid)
}

/// All keys, and which of them are retired.
async fn kids(store: &Store) -> Vec<(String, bool)> {
    let known = store.list_kids().await.unwrap();
    known.into_iter().map(|key| (key.kid, key.retired)).collect()
}

#[tokio::test]
async fn a_pending_key_becomes_the_active_one() {
    on_each!(|fresh| {
        let store = &fresh.store;
        assert_eq!((active(store).await, pending(store).await), (None, None));
        assert!(!store.activate_key("a", NOW).await.unwrap(), "there is none");
        insert(store, "a").await;
        assert_eq!((active(store).await, pending(store).await), (None, Some("a".to_owned())));
        assert_eq!(store.last_change().await.unwrap(), 0, "nobody signs with it yet");

        assert!(store.activate_key("a", NOW.plus(DAY)).await.unwrap());
        assert_eq!(active(store).await, Some(("a".to_owned(), "sealed a".to_owned())));
        assert_eq!(pending(store).await, None);
        let changes = store.list_changes_after(0).await.unwrap();
        let [change] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!((change.kind, change.subject.as_str()), (Some(ChangeKind::KeySwitched), "a"));
        assert!(!store.activate_key("a", NOW).await.unwrap(), "it is active already");
        let row = &fresh.rows("SELECT created_at, activated_at FROM signing_keys").await[0];
        let times: (i64, i64) = (row.get(0), row.get(1));
        assert_eq!(times, (NOW.millis(), NOW.plus(DAY).millis()));
        assert_eq!(store.last_change().await.unwrap(), 1);
    });
}

#[tokio::test]
async fn one_key_is_active_and_no_other_beside_it() {
    on_each!(|fresh| {
        insert(&fresh.store, "a").await;
        insert(&fresh.store, "b").await;
        assert!(fresh.store.activate_key("a", NOW).await.unwrap());
        assert!(!fresh.store.activate_key("b", NOW).await.unwrap());
        assert_eq!(pending(&fresh.store).await, Some("b".to_owned()));
        // Whoever writes it, the table refuses two.
        let sql = "UPDATE signing_keys SET state = 'active' WHERE kid = 'b'";
        assert!(fresh.try_execute(sql).await.is_err());
        assert_eq!(active(&fresh.store).await.unwrap().0, "a");
        assert_eq!(kids(&fresh.store).await, [("a".to_owned(), false), ("b".to_owned(), false)]);
        assert_eq!(fresh.store.list_kids_in_use().await.unwrap(), ["a", "b"]);
    });
}

#[tokio::test]
async fn a_kid_is_used_once() {
    on_each!(|fresh| {
        insert(&fresh.store, "a").await;
        let key = SealedKey { kid: "a".to_owned(), sealed_private_key: "other".to_owned() };
        fresh.store.insert_pending_key(&key, NOW).await.unwrap_err();
        let found = fresh.store.find_pending_key().await.unwrap().unwrap();
        assert_eq!(found.sealed_private_key, "sealed a");
    });
}

#[tokio::test]
async fn retired_keys_lose_their_private_part_and_stay_ours() {
    on_each!(|fresh| {
        let store = &fresh.store;
        insert(store, "a").await;
        insert(store, "b").await;
        store.activate_key("b", NOW).await.unwrap();
        assert_eq!(store.retire_all_keys(NOW.plus(DAY)).await.unwrap(), 2);
        assert_eq!((active(store).await, pending(store).await), (None, None));
        let rows =
            fresh.rows("SELECT state, sealed_private_key, retired_at FROM signing_keys").await;
        for row in &rows {
            let columns: (String, String, i64) = (row.get(0), row.get(1), row.get(2));
            assert_eq!(columns, ("retired".to_owned(), String::new(), NOW.plus(DAY).millis()));
        }
        // Their kids are known for good: no other key may come under one of them.
        assert_eq!(kids(store).await, [("a".to_owned(), true), ("b".to_owned(), true)]);
        assert!(store.list_kids_in_use().await.unwrap().is_empty());
        let changes = store.list_changes_after(1).await.unwrap();
        assert!(changes.iter().all(|change| change.kind == Some(ChangeKind::KeySwitched)));
        assert_eq!(changes.iter().map(|c| c.subject.as_str()).collect::<Vec<_>>(), ["a", "b"]);

        assert_eq!(store.retire_all_keys(NOW).await.unwrap(), 0);
        assert_eq!(store.last_change().await.unwrap(), 3);
        assert!(!store.activate_key("a", NOW).await.unwrap(), "a retired key comes not back");
        insert(store, "c").await;
        assert!(store.activate_key("c", NOW).await.unwrap());
    });
}
