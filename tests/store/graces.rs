//! Graces of rotated tokens, and the limit of live ones: one in its grace for each live token.

use std::time::Duration;

use hallpass::audit::{Act, Event};
use hallpass::clock::Timestamp;
use hallpass::credential::EndReason;
use hallpass::id::UserId;
use hallpass::store::{Chain, NewToken, Rotation, Store, StoreError, TokenCreated, TokenRotated};
use tokio::task::JoinSet;

use super::{DAY, Fresh, NOW, event, new_token, on_each};

const HOUR: Duration = Duration::from_hours(1);

fn at(event: Event, moment: Timestamp) -> Event {
    Event { at: moment, ..event }
}

/// A successor of `old` that ends at `ends_at`, with an hour of grace from `now` on.
fn rotation(old: &NewToken, ends_at: Timestamp, now: Timestamp) -> Rotation {
    let first = old.chain.map_or(old.pat_id, |chain| chain.family_id);
    let successor = NewToken {
        created_at: now,
        expires_at: ends_at,
        chain: Some(Chain { family_id: first, began_at: now }),
        ..new_token(old.user_id.as_str(), &old.name)
    };
    let from = old.pat_id;
    Rotation { from, successor, grace_until: now.plus(HOUR), lost: false, asked_by: None }
}

async fn rotate(store: &Store, rotation: &Rotation, now: Timestamp) -> TokenRotated {
    let successor = &rotation.successor;
    let (rotated, created) = (Act::TokenRotated, Act::TokenCreated);
    let (rotated, created) = (event(rotated, successor), event(created, successor));
    store.rotate_token(rotation, &at(rotated, now), &at(created, now)).await.unwrap()
}

impl Fresh {
    /// How many of the owner's tokens work at this moment.
    async fn working(&self, owner: &str, now: Timestamp) -> usize {
        let owner = UserId::new(owner);
        self.store.list_live_tokens_after(&owner, None, now, 1000).await.unwrap().len()
    }

    async fn create_at(&self, max_live: u32, name: &str, now: Timestamp) -> TokenCreated {
        let token = NewToken { created_at: now, ..new_token("alice", name) };
        let created = at(event(Act::TokenCreated, &token), now);
        self.store.create_token(&token, max_live, &created).await.unwrap()
    }
}

#[tokio::test]
async fn a_chain_of_rotations_has_one_token_in_its_grace() {
    on_each!(|fresh| {
        let (mut newest, mut chain) = (fresh.create("alice", "ci").await, Vec::new());
        let mut now = NOW.plus(Duration::from_secs(100));
        for _ in 0..5 {
            now = now.plus(Duration::from_secs(10));
            let rotation = rotation(&newest, now.plus(30 * DAY), now);
            assert_eq!(rotate(&fresh.store, &rotation, now).await, TokenRotated::Rotated);
            chain.push(newest);
            newest = rotation.successor;
            assert_eq!(fresh.working("alice", now).await, 2);
            assert_eq!(fresh.create_at(1, "more", now).await, TokenCreated::LimitReached);
        }
        // The older ones are refused, and are no sign of theft: they were promised more time.
        let alice = UserId::new("alice");
        for old in &chain[..4] {
            let record = fresh.store.find_token(&alice, old.pat_id).await.unwrap().unwrap();
            assert_eq!(record.revocation(now).unwrap().1, EndReason::Superseded);
            assert!(!record.is_spent(now.plus(2 * HOUR)));
        }
        let last = fresh.store.find_token(&alice, chain[4].pat_id).await.unwrap().unwrap();
        assert_eq!(last.revocation(now), None);
        assert!(last.is_spent(now.plus(2 * HOUR)));
        // Every process hears of each end.
        let ended = fresh.count("changes WHERE kind = 'token_ended'").await;
        assert_eq!(ended, 5 + 4);
    });
}

#[tokio::test]
async fn without_a_live_end_of_its_chain_a_token_in_its_grace_counts() {
    on_each!(|fresh| {
        let old = fresh.create("alice", "ci").await;
        let now = NOW.plus(Duration::from_secs(100));
        // A successor of a minute, and an hour of grace.
        let soon = now.plus(Duration::from_mins(1));
        let rotation = rotation(&old, soon, now);
        assert_eq!(rotate(&fresh.store, &rotation, now).await, TokenRotated::Rotated);
        assert_eq!(fresh.create_at(1, "more", now).await, TokenCreated::LimitReached);
        assert_eq!(fresh.create_at(2, "more", now).await, TokenCreated::Created);
        let later = soon.plus(Duration::from_secs(1));
        assert_eq!(fresh.working("alice", later).await, 2);
        assert_eq!(fresh.create_at(2, "yet-more", later).await, TokenCreated::LimitReached);
        let over = now.plus(HOUR);
        assert_eq!(fresh.create_at(2, "yet-more", over).await, TokenCreated::Created);
    });
}

#[tokio::test]
async fn a_rotation_that_is_taken_back_gives_the_older_token_its_grace_again() {
    on_each!(|fresh| {
        let first = fresh.create("alice", "ci").await;
        let now = NOW.plus(Duration::from_secs(100));
        let to_second = rotation(&first, now.plus(DAY), now);
        assert_eq!(rotate(&fresh.store, &to_second, now).await, TokenRotated::Rotated);
        let later = now.plus(Duration::from_secs(10));
        let to_third = rotation(&to_second.successor, later.plus(DAY), later);
        assert_eq!(rotate(&fresh.store, &to_third, later).await, TokenRotated::Rotated);
        assert_eq!(fresh.working("alice", later).await, 2);
        let rotated = at(event(Act::TokenRotated, &to_second.successor), later);
        let abandoned = at(event(Act::TokenAbandoned, &to_third.successor), later);
        fresh.store.undo_rotation(&to_third, &rotated, &abandoned).await.unwrap();
        let alice = UserId::new("alice");
        for token in [&first, &to_second.successor] {
            let record = fresh.store.find_token(&alice, token.pat_id).await.unwrap().unwrap();
            assert!(record.status(later).is_valid(), "{record:?}");
        }
        // And ends it again.
        let to_third = rotation(&to_second.successor, later.plus(DAY), later);
        assert_eq!(rotate(&fresh.store, &to_third, later).await, TokenRotated::Rotated);
        assert_eq!(fresh.working("alice", later).await, 2);
    });
}

const LIMIT: u32 = 3;
const WRITERS: usize = 20;

/// What one of many writers does, through one of two pools: it creates, or it rotates one of two tokens.
async fn write(store: Store, number: usize, tokens: [NewToken; 2]) -> Result<bool, StoreError> {
    if number.is_multiple_of(2) {
        let token = new_token("alice", &format!("more-{number}"));
        let created = event(Act::TokenCreated, &token);
        let outcome = store.create_token(&token, LIMIT, &created).await?;
        return Ok(outcome == TokenCreated::Created);
    }
    let now = NOW.plus(Duration::from_mins(1));
    let rotation = rotation(&tokens[number / 2 % 2], now.plus(DAY), now);
    Ok(rotate(&store, &rotation, now).await == TokenRotated::Rotated)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_create_and_rotate_at_once_the_limit_holds() {
    on_each!(|fresh| {
        let tokens = [fresh.create("alice", "one").await, fresh.create("alice", "two").await];
        let other = Store::open(&fresh.database.url()).await.unwrap();
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            let store = if number % 4 < 2 { &fresh.store } else { &other };
            writers.spawn(write(store.clone(), number, tokens.clone()));
        }
        let done = writers.join_all().await.into_iter().filter(|done| *done.as_ref().unwrap());
        // One creation, and one rotation of each.
        assert_eq!(done.count(), 3);
        assert_eq!(fresh.working("alice", NOW.plus(Duration::from_mins(2))).await, 3 + 2);
        other.close().await;
    });
}
