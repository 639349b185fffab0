//! Writers that meet: what holds alone holds in a crowd.
//!
//! Each race runs through two stores, as two processes would: twenty writers over two pools.

use hallpass::audit::Act;
use hallpass::store::{NewToken, Store, StoreError, TokenCreated, TokenDeleted, TokenRevoked};
use tokio::task::JoinSet;

use super::{Fresh, delete, event, new_token, on_each, revoke};

const WRITERS: usize = 20;

impl Fresh {
    /// What all writers were answered, who run at once.
    async fn race<T, F>(&self, act: impl Fn(Store, usize) -> F) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let other = Store::open(&self.database.url()).await.unwrap();
        let stores = [&self.store, &other];
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            writers.spawn(act(stores[number % 2].clone(), number));
        }
        let answers = writers.join_all().await.into_iter().collect::<Result<_, _>>().unwrap();
        other.close().await;
        answers
    }

    async fn race_to_create(
        &self,
        max_live: u32,
        token: fn(usize) -> NewToken,
    ) -> Vec<TokenCreated> {
        self.race(|store, number| async move {
            let token = token(number);
            store.create_token(&token, max_live, &event(Act::TokenCreated, &token)).await
        })
        .await
    }
}

fn count<T: PartialEq>(answers: &[T], wanted: &T) -> usize {
    answers.iter().filter(|answer| *answer == wanted).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_want_one_name_one_gets_it() {
    on_each!(|fresh| {
        let answers = fresh.race_to_create(0, |_| new_token("alice", "ci")).await;
        assert_eq!(count(&answers, &TokenCreated::Created), 1);
        assert_eq!(count(&answers, &TokenCreated::NameTaken), WRITERS - 1);
        assert_eq!((fresh.count("tokens").await, fresh.count("audit_events").await), (1, 1));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_limit_is_reached_exactly() {
    on_each!(|fresh| {
        fresh.create("alice", "earlier").await;
        let answers =
            fresh.race_to_create(7, |number| new_token("alice", &format!("t{number}"))).await;
        assert_eq!(count(&answers, &TokenCreated::Created), 6);
        assert_eq!(count(&answers, &TokenCreated::LimitReached), WRITERS - 6);
        assert_eq!((fresh.count("tokens").await, fresh.count("audit_events").await), (7, 7));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn owners_are_not_in_each_others_way() {
    on_each!(|fresh| {
        let answers =
            fresh.race_to_create(1, |number| new_token(&format!("u{number}"), "ci")).await;
        assert_eq!(count(&answers, &TokenCreated::Created), WRITERS);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_revocations_one_is_the_first() {
    on_each!(|fresh| {
        let token = fresh.create("alice", "ci").await;
        let (pat_id, revoked) = (token.pat_id, event(Act::TokenRevoked, &token));
        let answers = fresh
            .race(|store, _| {
                let event = revoked.clone();
                async move { revoke(&store, pat_id, &event).await }
            })
            .await;
        assert_eq!(count(&answers, &TokenRevoked::Revoked(Box::new(revoked.clone()))), 1);
        assert_eq!(count(&answers, &TokenRevoked::AlreadyRevoked), WRITERS - 1);
        assert_eq!((fresh.count("changes").await, fresh.count("audit_events").await), (1, 2));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_deletions_one_finds_the_token() {
    on_each!(|fresh| {
        let token = fresh.create("alice", "ci").await;
        let (pat_id, deleted) = (token.pat_id, event(Act::TokenDeleted, &token));
        let answers = fresh
            .race(|store, _| {
                let event = deleted.clone();
                async move { delete(&store, pat_id, &event).await }
            })
            .await;
        assert_eq!(count(&answers, &TokenDeleted::Deleted(Box::new(deleted.clone()))), 1);
        assert_eq!(count(&answers, &TokenDeleted::NotFound), WRITERS - 1);
        assert_eq!((fresh.count("changes").await, fresh.count("audit_events").await), (1, 2));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_keys_one_becomes_active() {
    on_each!(|fresh| {
        for number in 0..WRITERS {
            super::signing_keys::insert(&fresh.store, &format!("kid-{number:02}")).await;
        }
        let answers = fresh
            .race(|store, number| async move {
                store.activate_key(&format!("kid-{number:02}"), super::NOW).await
            })
            .await;
        assert_eq!(count(&answers, &true), 1);
        assert_eq!(fresh.count("signing_keys WHERE state = 'active'").await, 1);
        assert_eq!(fresh.count("changes").await, 1);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_that_are_activated_and_retired_at_once_are_each_retired_once() {
    on_each!(|fresh| {
        for number in 0..WRITERS {
            super::signing_keys::insert(&fresh.store, &format!("kid-{number:02}")).await;
        }
        let answers = fresh
            .race(|store, number| async move {
                if number % 2 == 0 {
                    return Ok((0, store.retire_all_keys(super::NOW).await?));
                }
                let kid = format!("kid-{number:02}");
                Ok((u64::from(store.activate_key(&kid, super::NOW).await?), 0))
            })
            .await;
        let activated: u64 = answers.iter().map(|(activated, _)| activated).sum();
        let retired: u64 = answers.iter().map(|(_, retired)| retired).sum();
        assert!(activated <= 1, "{activated}");
        assert_eq!(retired, WRITERS as u64);
        assert_eq!(fresh.count("signing_keys WHERE state <> 'retired'").await, 0);
        assert_eq!(fresh.count("changes").await.unsigned_abs(), activated + retired);
    });
}
