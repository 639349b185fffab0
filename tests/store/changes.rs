//! The numbers by which replicas hear of each other.

use hallpass::audit::Act;
use hallpass::store::{ChangeKind, NewToken, Store};
use tokio::task::JoinSet;

use super::{delete, event, new_token, on_each, revoke};

#[tokio::test]
async fn each_ending_of_a_token_has_one_change() {
    on_each!(|fresh| {
        assert_eq!(fresh.store.last_change().await.unwrap(), 0);
        let (a, b) = (fresh.create("alice", "a").await, fresh.create("alice", "b").await);
        assert_eq!(fresh.store.last_change().await.unwrap(), 0, "a new token is no change");

        revoke(&fresh.store, a.pat_id, &event(Act::TokenRevoked, &a)).await.unwrap();
        delete(&fresh.store, b.pat_id, &event(Act::TokenDeleted, &b)).await.unwrap();
        delete(&fresh.store, a.pat_id, &event(Act::TokenDeleted, &a)).await.unwrap();
        let found: Vec<_> = fresh.store.list_changes_after(0).await.unwrap();
        let found: Vec<_> = found.iter().map(|c| (c.number, c.kind, c.subject.clone())).collect();
        let ended = Some(ChangeKind::TokenEnded);
        let expected = [(1, ended, a.pat_id), (2, ended, b.pat_id), (3, ended, a.pat_id)]
            .map(|(n, k, id)| (n, k, id.to_string()));
        assert_eq!(found, expected);
        assert_eq!(fresh.store.last_change().await.unwrap(), 3);
        let late = fresh.store.list_changes_after(2).await.unwrap();
        assert_eq!(late.iter().map(|change| change.number).collect::<Vec<_>>(), [3]);
        assert_eq!(fresh.store.list_changes_after(3).await.unwrap(), []);
    });
}

/// A reader that asks on and on while others write sees each number once, in order and without a gap: so no
/// number becomes visible before a lower one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_order_of_numbers_is_the_order_of_commits() {
    const WRITERS: usize = 8;
    const EACH: usize = 12;
    on_each!(|fresh| {
        let mut tokens = Vec::new();
        for number in 0..WRITERS * EACH {
            tokens.push(fresh.create(&format!("u{}", number % 5), &format!("t{number}")).await);
        }
        let mut writers = JoinSet::new();
        for tokens in tokens.chunks(EACH) {
            // Each a process of its own, as replicas are.
            let store = Store::open(&fresh.database.url()).await.unwrap();
            writers.spawn(end_all(store, tokens.to_vec()));
        }
        let (mut seen, mut last) = (Vec::new(), 0);
        while seen.len() < tokens.len() {
            assert!(
                !writers.is_empty() || fresh.store.last_change().await.unwrap() > last,
                "the writers are done, and changes are missing"
            );
            for change in fresh.store.list_changes_after(last).await.unwrap() {
                assert_eq!(change.number, last + 1, "a gap, or out of order");
                last = change.number;
                seen.push(change.subject);
            }
            while let Some(writer) = writers.try_join_next() {
                writer.unwrap();
            }
        }
        writers.join_all().await;
        seen.sort();
        let mut ids: Vec<_> = tokens.iter().map(|token| token.pat_id.to_string()).collect();
        ids.sort();
        assert_eq!(seen, ids);
    });
}

async fn end_all(store: Store, tokens: Vec<NewToken>) {
    for (number, token) in tokens.iter().enumerate() {
        if number % 2 == 0 {
            revoke(&store, token.pat_id, &event(Act::TokenRevoked, token)).await.unwrap();
        } else {
            delete(&store, token.pat_id, &event(Act::TokenDeleted, token)).await.unwrap();
        }
    }
    store.close().await;
}

#[tokio::test]
async fn what_fails_uses_up_no_number() {
    on_each!(|fresh| {
        let (a, b) = (fresh.create("alice", "a").await, fresh.create("alice", "b").await);
        let first = event(Act::TokenRevoked, &a);
        revoke(&fresh.store, a.pat_id, &first).await.unwrap();
        // The audit event's id is taken: the write fails after it took its number.
        let mut failing = event(Act::TokenRevoked, &b);
        failing.id = first.id;
        revoke(&fresh.store, b.pat_id, &failing).await.unwrap_err();
        assert_eq!(fresh.store.last_change().await.unwrap(), 1);
        revoke(&fresh.store, b.pat_id, &event(Act::TokenRevoked, &b)).await.unwrap();
        let numbers: Vec<_> = fresh
            .store
            .list_changes_after(0)
            .await
            .unwrap()
            .iter()
            .map(|change| change.number)
            .collect();
        assert_eq!(numbers, [1, 2]);
    });
}

#[tokio::test]
async fn changes_are_listed_a_thousand_at_a_time() {
    on_each!(|fresh| {
        let rows: Vec<_> = (1..=2500).map(|n| format!("({n}, 'token_ended', 's{n}', 0)")).collect();
        let insert = "INSERT INTO changes (number, kind, subject, changed_at) VALUES ";
        fresh.execute(&format!("{insert}{}", rows.join(", "))).await;
        let (mut seen, mut sizes) = (0, Vec::new());
        loop {
            let page = fresh.store.list_changes_after(seen).await.unwrap();
            let Some(last) = page.last() else { break };
            for (change, number) in page.iter().zip(seen + 1..) {
                assert_eq!((change.number, &change.subject), (number, &format!("s{number}")));
            }
            sizes.push(page.len());
            seen = last.number;
        }
        assert_eq!((sizes, seen), (vec![1000, 1000, 500], 2500));
    });
}

#[tokio::test]
async fn a_kind_that_a_newer_version_writes_is_passed_on_without_its_meaning() {
    on_each!(|fresh| {
        fresh.execute("INSERT INTO changes VALUES (1, 'client_ended', 'c', 0)").await;
        let found = fresh.store.list_changes_after(0).await.unwrap();
        assert_eq!((found[0].kind, found[0].subject.as_str()), (None, "c"));
    });
}

/// A revocation that no replica would hear of does not count as one.
#[tokio::test]
async fn without_its_counter_nothing_is_revoked() {
    on_each!(|fresh| {
        let token = new_token("alice", "ci");
        super::create(&fresh.store, &token).await.unwrap();
        fresh.execute("DELETE FROM change_counter").await;
        let revoked = revoke(&fresh.store, token.pat_id, &event(Act::TokenRevoked, &token)).await;
        assert_eq!(super::code(revoked.unwrap_err()), hallpass::error::Code::Internal);
        let record = fresh.store.find_token(&token.user_id, token.pat_id).await.unwrap().unwrap();
        assert_eq!(record.revoked_at, None);
        let last = fresh.store.last_change().await;
        assert_eq!(super::code(last.unwrap_err()), hallpass::error::Code::Internal);
    });
}
