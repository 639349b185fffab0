//! What the lifecycle of owners asks of the store.

use std::time::Duration;

use hallpass::audit::Act;
use hallpass::clock::Timestamp;
use hallpass::credential::EndReason;
use hallpass::id::{PatId, UserId};
use hallpass::store::{ChangeKind, NewToken, OwnerNote, Suspension, TokenRecord};

use super::{DAY, NOW, create, event, new_token, on_each, revoke};

#[tokio::test]
async fn owners_of_live_tokens_are_listed_once_and_in_their_order() {
    on_each!(|fresh| {
        for owner in ["c", "a", "b", "d", "e"] {
            fresh.create(owner, "one").await;
            fresh.create(owner, "two").await;
        }
        fresh.execute("UPDATE tokens SET revoked_at = 1 WHERE user_id = 'b'").await;
        fresh.execute("UPDATE tokens SET expires_at = 1 WHERE user_id = 'd'").await;
        fresh
            .execute("UPDATE tokens SET revoked_at = 1 WHERE user_id = 'e' AND name = 'one'")
            .await;
        fresh.execute("UPDATE tokens SET suspended_at = 1 WHERE user_id = 'a'").await;
        let list = async |last: Option<&str>, limit| {
            let last = last.map(UserId::new);
            let owners = fresh
                .store
                .list_token_owners_after(last.as_ref(), None, NOW.plus(DAY), limit)
                .await;
            owners.unwrap().iter().map(|owner| owner.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 10).await, ["a", "c", "e"]);
        assert_eq!(list(None, 2).await, ["a", "c"]);
        assert_eq!(list(Some("c"), 2).await, ["e"]);
        assert_eq!(list(Some("e"), 2).await, [""; 0]);
    });
}

#[tokio::test]
async fn live_tokens_of_an_owner_are_read_with_the_roles_of_their_issue() {
    on_each!(|fresh| {
        let made = [fresh.create("alice", "a").await, fresh.create("alice", "b").await];
        let revoked = fresh.create("alice", "revoked").await;
        fresh.create("bob", "c").await;
        // Made in the same millisecond.
        fresh.execute("UPDATE tokens SET created_at = 7").await;
        revoke(&fresh.store, revoked.pat_id, &event(Act::TokenRevoked, &revoked)).await.unwrap();
        let alice = UserId::new("alice");
        let list = async |last: Option<&TokenRecord>, now, limit| {
            fresh.store.list_live_tokens_after(&alice, last, now, limit).await.unwrap()
        };
        let all = list(None, NOW, 10).await;
        let ids: Vec<PatId> = all.iter().map(|token| token.record.pat_id).collect();
        assert_eq!(ids, [made[0].pat_id, made[1].pat_id]);
        assert!(all.iter().all(|token| token.owner_roles == made[0].owner_roles));
        assert_eq!(list(Some(&all[0].record), NOW, 10).await, all[1..]);
        assert_eq!(list(None, NOW, 1).await, all[..1]);
        assert_eq!(list(None, NOW.plus(DAY * 1000), 10).await, []);
    });
}

#[tokio::test]
async fn a_token_is_suspended_once_and_released_once_and_a_revoked_one_stays_as_it_is() {
    on_each!(|fresh| {
        let live = fresh.create("alice", "live").await;
        let revoked = fresh.create("alice", "revoked").await;
        revoke(&fresh.store, revoked.pat_id, &event(Act::TokenRevoked, &revoked)).await.unwrap();
        let number = fresh.store.last_change().await.unwrap();
        for (suspension, action) in [
            (Suspension::Suspended, Act::TokenSuspended),
            (Suspension::Released, Act::TokenReleased),
        ] {
            let events =
                || [&live, &revoked].map(|token| (token.pat_id, event(action, token))).to_vec();
            let done = fresh.store.set_suspension(events(), suspension).await.unwrap();
            assert_eq!(
                done,
                [event(action, &live)]
                    .map(|event| hallpass::audit::Event { id: done[0].id, ..event })
            );
            assert_eq!(fresh.store.set_suspension(events(), suspension).await.unwrap(), []);
            let found = fresh.store.find_token(&live.user_id, live.pat_id).await.unwrap().unwrap();
            assert_eq!(found.suspended_at.is_some(), suspension == Suspension::Suspended);
            let found =
                fresh.store.find_token(&live.user_id, revoked.pat_id).await.unwrap().unwrap();
            assert_eq!(found.suspended_at, None);
        }
        let changes = fresh.store.list_changes_after(number).await.unwrap();
        let told: Vec<_> = changes.iter().map(|change| (change.kind, &*change.subject)).collect();
        let id = live.pat_id.to_string();
        assert_eq!(told, [(Some(ChangeKind::TokenSuspended), &*id); 2]);
        assert_eq!(
            fresh.count("audit_events WHERE action IN ('token_suspended', 'token_released')").await,
            2
        );
    });
}

#[tokio::test]
async fn an_owner_is_held_as_long_as_a_live_token_of_theirs_is_suspended() {
    on_each!(|fresh| {
        let ends = [
            "DELETE FROM tokens WHERE user_id = 'b'",
            "UPDATE tokens SET revoked_at = 1 WHERE user_id = 'b'",
            "UPDATE tokens SET suspended_at = NULL WHERE user_id = 'b'",
            "UPDATE tokens SET expires_at = 1 WHERE user_id = 'b'",
        ];
        let held = async || {
            let held = fresh.store.list_held_owners_after(None, 10).await.unwrap();
            held.iter().map(|held| held.user_id.to_string()).collect::<Vec<_>>()
        };
        let counted = ["a", "b", "c"].map(|owner| (UserId::new(owner), EndReason::RolesChanged));
        for end in ends {
            for owner in ["a", "b", "c"] {
                fresh.create(owner, "one").await;
            }
            fresh.execute("UPDATE tokens SET suspended_at = 1 WHERE user_id IN ('a', 'b')").await;
            // Nothing of the third is suspended: there is nothing to decide.
            fresh.store.hold_owners(&counted, NOW).await.unwrap();
            assert_eq!(held().await, ["a", "b"], "{end}");
            fresh.execute(end).await;
            fresh.store.end_vain_holds(NOW).await.unwrap();
            assert_eq!(held().await, ["a"], "{end}");
            // Somebody decided while it was counted.
            fresh.store.hold_owners(&counted, NOW).await.unwrap();
            assert_eq!(held().await, ["a"], "{end}");
            fresh.execute("DELETE FROM tokens").await;
            fresh.store.end_vain_holds(NOW).await.unwrap();
        }
    });
}

#[tokio::test]
async fn what_is_known_of_an_owner_is_kept_and_a_federated_one_stays_one() {
    on_each!(|fresh| {
        let alice = UserId::new("alice");
        let find = async || fresh.store.find_owner_note(&alice).await.unwrap();
        assert_eq!(find().await, OwnerNote::default());
        let (early, late) = (NOW, NOW.plus(Duration::from_mins(1)));
        let doubted = OwnerNote { doubted_at: Some(early), ..OwnerNote::default() };
        fresh.store.note_owner(&alice, doubted).await.unwrap();
        assert_eq!(find().await, doubted);
        // A mint in between keeps it.
        fresh.create("alice", "ci").await;
        assert_eq!(find().await, doubted);
        for federated_at in [Some(early), Some(late), None] {
            let note = OwnerNote { federated_at, ..OwnerNote::default() };
            fresh.store.note_owner(&alice, note).await.unwrap();
            assert_eq!(
                find().await,
                OwnerNote { federated_at: Some(early), ..OwnerNote::default() }
            );
        }
    });
}

#[tokio::test]
async fn a_position_is_kept_for_each_source_and_never_goes_back() {
    on_each!(|fresh| {
        let at = Timestamp::from_millis;
        assert_eq!(fresh.store.find_followed("one").await.unwrap(), None);
        for (noted, kept) in [(5, 5), (9, 9), (7, 9)] {
            fresh.store.note_followed("one", at(noted)).await.unwrap();
            assert_eq!(fresh.store.find_followed("one").await.unwrap(), Some(at(kept)));
        }
        assert_eq!(fresh.store.find_followed("two").await.unwrap(), None);
    });
}

#[tokio::test]
async fn one_process_follows_at_a_time_and_another_after_it() {
    on_each!(|fresh| {
        let store = &fresh.store;
        let nobody = store.find_follower().await.unwrap();
        assert_eq!(nobody.process, None);
        let beat = store.follow_realm("a", nobody.beat, None).await.unwrap().unwrap();
        // Who saw the same as another, and came later.
        assert_eq!(store.follow_realm("b", nobody.beat, None).await.unwrap(), None);
        let next = store.follow_realm("a", beat, Some(NOW)).await.unwrap().unwrap();
        assert!(next > beat);
        assert_eq!(store.find_follower().await.unwrap().process.as_deref(), Some("a"));
        store.leave_realm("b").await.unwrap();
        assert_eq!(store.find_follower().await.unwrap().process.as_deref(), Some("a"));
        store.leave_realm("a").await.unwrap();
        let free = store.find_follower().await.unwrap();
        assert_eq!(free.process, None);
        // Whoever left does not go on by the sign that it gave last.
        assert_eq!(store.follow_realm("a", next, None).await.unwrap(), None);
        assert!(store.follow_realm("b", free.beat, None).await.unwrap().is_some());
        store.note_sweep(NOW).await.unwrap();
        let progress = store.find_progress().await.unwrap();
        assert_eq!((progress.polled_at, progress.swept_at), (Some(NOW), Some(NOW)));
        assert_eq!(progress.held_owners, 0);
    });
}

#[tokio::test]
async fn owners_are_found_by_the_roles_of_their_tokens_and_among_others() {
    on_each!(|fresh| {
        let roles = [
            ("alice", r#"{"realm":["reader"],"clients":{}}"#),
            ("bob", r#"{"realm":["read"],"clients":{"reports":["reader"]}}"#),
            ("carol", r#"{"realm":["a\"b"],"clients":{}}"#),
            ("dora", r#"{"realm":[],"clients":{}}"#),
            ("eve", r#"{"realm":[],"clients":{}}"#),
        ];
        for (owner, roles) in roles {
            let owner_roles = roles.to_owned();
            create(&fresh.store, &NewToken { owner_roles, ..new_token(owner, "t") }).await.unwrap();
        }
        // Given later, and accepted.
        let accepted = r#"{"realm":["reader"],"clients":{"late":["x"]}}"#;
        let accept = "UPDATE tokens SET accepted_roles =";
        fresh.execute(&format!("{accept} '{accepted}' WHERE user_id = 'eve'")).await;
        for (role, owners) in [
            (None, &["alice", "bob", "carol", "dora", "eve"][..]),
            (Some("reader"), &["alice", "bob", "eve"]),
            (Some("reports"), &["bob"]),
            (Some("late"), &["eve"]),
            (Some("read"), &["bob"]),
            (Some("a\"b"), &["carol"]),
            (Some("%"), &[]),
        ] {
            let found = fresh.store.list_token_owners_after(None, role, NOW, 10).await.unwrap();
            let found: Vec<_> = found.iter().map(UserId::as_str).collect();
            assert_eq!(found, owners, "{role:?}");
        }
        let asked: Vec<_> = ["dora", "nobody", "alice"].map(UserId::new).into();
        let mut found = fresh.store.list_token_owners_among(&asked, NOW).await.unwrap();
        found.sort();
        assert_eq!(found, [UserId::new("alice"), UserId::new("dora")]);
        let later = NOW.plus(DAY * 1000);
        assert_eq!(fresh.store.list_token_owners_among(&asked, later).await.unwrap(), []);
    });
}
