//! Records of tokens: written, read back, listed, ended.

use std::collections::BTreeSet;

use hallpass::audit::Act::{
    TokenCreated as CREATED, TokenDeleted as DELETED, TokenRevoked as REVOKED,
};
use hallpass::credential::EndReason;
use hallpass::id::{PatId, UserId};
use hallpass::page::PageRequest;
use hallpass::store::{
    Chain, NewToken, Restrictions, TokenCreated, TokenDeleted, TokenRecord, TokenRevoked,
};

use super::{DAY, Fresh, NOW, create, delete, event, event_by, list, new_token, on_each, revoke};

impl Fresh {
    async fn find(&self, token: &NewToken) -> Option<TokenRecord> {
        self.store.find_token(&token.user_id, token.pat_id).await.unwrap()
    }

    async fn create_within(&self, max_live: u32, token: &NewToken) -> TokenCreated {
        self.store.create_token(token, max_live, &event(CREATED, token)).await.unwrap()
    }
}

/// The record of a token to which nothing happened yet.
fn untouched(token: &NewToken) -> TokenRecord {
    TokenRecord {
        pat_id: token.pat_id,
        user_id: token.user_id.clone(),
        names: token.names.clone(),
        name: token.name.clone(),
        description: token.description.clone(),
        created_at: token.created_at,
        expires_at: token.expires_at,
        revoked_at: None,
        revoked_reason: None,
        revoked_note: None,
        suspended_at: None,
        suspended_reason: None,
        last_used_at: None,
        last_used_ip: None,
        scopes: token.restrictions.scopes.clone(),
        roles: token.restrictions.roles.clone(),
        audience: token.restrictions.audience.clone(),
        allowed_cidrs: token.restrictions.allowed_cidrs.clone(),
        rotated_from: None,
        rotated_to: None,
        grace_until: None,
        rotated_by_person: false,
        chain: Chain { family_id: token.pat_id, began_at: token.created_at },
    }
}

#[tokio::test]
async fn a_record_is_read_back_as_it_was_written() {
    on_each!(|fresh| {
        let plain = new_token("alice", "plain");
        let described = NewToken {
            description: Some("nightly\nbuild".to_owned()),
            ..new_token("alice", "described")
        };
        let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect());
        let narrowed = NewToken {
            restrictions: Restrictions {
                // Narrowed to nothing is not the same as not narrowed.
                scopes: list(&[]),
                roles: list(&["a", "c:\"b\", é"]),
                audience: list(&["https://x.example"]),
                allowed_cidrs: list(&["10.0.0.0/8", "2001:db8::/32"]),
            },
            ..new_token("alice", "narrowed")
        };
        for token in [&plain, &described, &narrowed] {
            create(&fresh.store, token).await.unwrap();
            let found = fresh.find(token).await.unwrap();
            assert_eq!(found.restrictions(), token.restrictions);
            assert_eq!(found.is_narrowed(), token.name == "narrowed");
            assert_eq!(found, untouched(token));
        }
        let hidden = fresh.rows("SELECT kid, owner_roles FROM tokens ORDER BY created_at").await;
        assert_eq!(sqlx::Row::get::<String, _>(&hidden[0], "kid"), plain.kid);
        assert_eq!(sqlx::Row::get::<String, _>(&hidden[0], "owner_roles"), plain.owner_roles);
    });
}

#[tokio::test]
async fn every_column_of_a_record_is_read() {
    on_each!(|fresh| {
        let token = fresh.create("alice", "full").await;
        let (before, after) = (PatId::new(NOW), PatId::new(NOW.plus(DAY)));
        fresh
            .execute(&format!(
                "UPDATE tokens SET revoked_at = 1, revoked_reason = 'rotated', revoked_note = 'n', suspended_at = 2, suspended_reason = 'of_a_newer_version', last_used_at = 3, \
                 last_used_ip = '2001:db8::1', scopes = '[]', roles = '[\"a\",\"c:b\"]', \
                 audience = '[\"x\"]', allowed_cidrs = '[\"10.0.0.0/8\"]', rotated_from = '{before}', \
                 rotated_to = '{after}', family_id = '{before}', chain_began_at = 4, grace_until = {}",
                i64::MAX
            ))
            .await;
        let at = |millis| Some(hallpass::clock::Timestamp::from_millis(millis));
        let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect());
        let expected = TokenRecord {
            revoked_at: at(1),
            revoked_reason: Some(EndReason::Rotated),
            revoked_note: Some("n".to_owned()),
            suspended_at: at(2),
            suspended_reason: Some(EndReason::Unknown),
            last_used_at: at(3),
            last_used_ip: Some("2001:db8::1".to_owned()),
            // Narrowed to nothing is not the same as not narrowed.
            scopes: list(&[]),
            roles: list(&["a", "c:b"]),
            audience: list(&["x"]),
            allowed_cidrs: list(&["10.0.0.0/8"]),
            rotated_from: Some(before),
            rotated_to: Some(after),
            grace_until: at(i64::MAX),
            chain: Chain {
                family_id: before,
                began_at: hallpass::clock::Timestamp::from_millis(4),
            },
            ..untouched(&token)
        };
        assert_eq!(fresh.find(&token).await, Some(expected));
    });
}

#[tokio::test]
async fn a_name_is_unique_among_the_owners_listed_tokens_without_successor() {
    on_each!(|fresh| {
        let first = fresh.create("alice", "ci").await;
        let again = new_token("alice", "ci");
        assert_eq!(create(&fresh.store, &again).await.unwrap(), TokenCreated::NameTaken);
        assert_eq!(fresh.find(&again).await, None);
        // What was not made is not in the audit log.
        assert_eq!(fresh.count("audit_events").await, 1);

        fresh.create("alice", "CI").await;
        fresh.create("bob", "ci").await;
        // A revoked token is listed still.
        revoke(&fresh.store, first.pat_id, &event(REVOKED, &first)).await.unwrap();
        assert_eq!(create(&fresh.store, &again).await.unwrap(), TokenCreated::NameTaken);
        // One with a successor leaves its name to that, and to that alone.
        let sql = "UPDATE tokens SET rotated_to = pat_id WHERE name = 'ci' AND user_id = 'alice'";
        fresh.execute(sql).await;
        assert_eq!(create(&fresh.store, &again).await.unwrap(), TokenCreated::Created);
        let third = new_token("alice", "ci");
        assert_eq!(create(&fresh.store, &third).await.unwrap(), TokenCreated::NameTaken);
        // A deleted one frees it.
        delete(&fresh.store, again.pat_id, &event(DELETED, &again)).await.unwrap();
        assert_eq!(create(&fresh.store, &third).await.unwrap(), TokenCreated::Created);
    });
}

#[tokio::test]
async fn only_live_tokens_of_the_owner_count_towards_the_limit() {
    on_each!(|fresh| {
        let first = fresh.create("alice", "first").await;
        fresh.create("alice", "second").await;
        fresh.create("bob", "first").await;
        let third = new_token("alice", "third");
        assert_eq!(fresh.create_within(2, &third).await, TokenCreated::LimitReached);
        assert_eq!((fresh.count("tokens").await, fresh.count("audit_events").await), (3, 3));
        // At the limit, a taken name is no other answer.
        let taken = new_token("alice", "first");
        assert_eq!(fresh.create_within(2, &taken).await, TokenCreated::LimitReached);
        // A revoked one lives no more, and an expired one neither.
        revoke(&fresh.store, first.pat_id, &event(REVOKED, &first)).await.unwrap();
        assert_eq!(fresh.create_within(2, &third).await, TokenCreated::Created);
        let later = NOW.plus(30 * DAY);
        let fourth = NewToken { created_at: later, ..new_token("alice", "fourth") };
        assert_eq!(fresh.create_within(1, &fourth).await, TokenCreated::Created);
        // 0 is no limit.
        assert_eq!(fresh.create_within(0, &new_token("bob", "more")).await, TokenCreated::Created);
    });
}

#[tokio::test]
async fn a_second_revocation_changes_nothing() {
    on_each!(|fresh| {
        let token = fresh.create("alice", "ci").await;
        let first = event(REVOKED, &token);
        let revoked = revoke(&fresh.store, token.pat_id, &first).await.unwrap();
        assert_eq!(revoked, TokenRevoked::Revoked(Box::new(first.clone())));
        let record = fresh.find(&token).await.unwrap();
        assert_eq!(
            (record.revoked_at, record.revoked_reason),
            (Some(first.at), first.end_reason())
        );

        let mut second = event(REVOKED, &token).because(EndReason::ByAdministrator);
        second.at = second.at.plus(DAY);
        let revoked = revoke(&fresh.store, token.pat_id, &second).await.unwrap();
        assert_eq!(revoked, TokenRevoked::AlreadyRevoked);
        assert_eq!(fresh.find(&token).await, Some(record));
        // Neither a change nor an audit event tells of what did not happen.
        assert_eq!((fresh.count("changes").await, fresh.count("audit_events").await), (1, 2));
    });
}

#[tokio::test]
async fn a_token_is_deleted_once_with_all_its_metadata() {
    on_each!(|fresh| {
        let token = fresh.create("alice", "ci").await;
        let other = fresh.create("alice", "other").await;
        let event_of = event(DELETED, &token);
        for expected in [TokenDeleted::Deleted(Box::new(event_of.clone())), TokenDeleted::NotFound]
        {
            let deleted = delete(&fresh.store, token.pat_id, &event_of).await;
            assert_eq!(deleted.unwrap(), expected);
            assert_eq!(fresh.find(&token).await, None);
        }
        let revoked = revoke(&fresh.store, token.pat_id, &event(REVOKED, &token)).await;
        assert_eq!(revoked.unwrap(), TokenRevoked::NotFound);
        assert_eq!(fresh.count("tokens").await, 1);
        assert!(fresh.find(&other).await.is_some());
        assert_eq!((fresh.count("changes").await, fresh.count("audit_events").await), (1, 3));
    });
}

#[tokio::test]
async fn another_owners_token_is_not_found() {
    on_each!(|fresh| {
        let token = fresh.create("alice", "ci").await;
        let bob = UserId::new("bob");
        assert_eq!(fresh.store.find_token(&bob, token.pat_id).await.unwrap(), None);
        let revoked = revoke(&fresh.store, token.pat_id, &event_by(REVOKED, &token, "bob")).await;
        assert_eq!(revoked.unwrap(), TokenRevoked::NotFound);
        let deleted = delete(&fresh.store, token.pat_id, &event_by(DELETED, &token, "bob")).await;
        assert_eq!(deleted.unwrap(), TokenDeleted::NotFound);
        let page = PageRequest { offset: 0, limit: 10 };
        assert_eq!(list(&fresh.store, &bob, page).await.unwrap().total, 0);
        assert_eq!(fresh.find(&token).await, Some(untouched(&token)));
        assert_eq!((fresh.count("changes").await, fresh.count("audit_events").await), (0, 1));
    });
}

#[tokio::test]
async fn pages_are_in_one_total_order_and_say_how_many_there_are() {
    on_each!(|fresh| {
        let mut expected = Vec::new();
        for number in 0..23 {
            let mut token = new_token("alice", &format!("t{number}"));
            // Several at the same moment: their ids decide.
            token.created_at = NOW.plus(DAY * (number / 5));
            // Not in the order of the ids: else any order would look right.
            token.pat_id = PatId::from(uuid::Uuid::from_u128(u128::from(number * 7 % 23)));
            create(&fresh.store, &token).await.unwrap();
            expected.push((token.created_at, token.pat_id));
        }
        fresh.create("bob", "t0").await;
        expected.sort_by(|a, b| b.cmp(a));
        // The order is the statement's own, not that of an index which it happens to walk along.
        fresh.execute("DROP INDEX tokens_of_owner").await;

        let alice = UserId::new("alice");
        for limit in [1, 4, 10, 23, 100] {
            let mut found = Vec::new();
            for offset in (0..23).step_by(limit as usize) {
                let page = list(&fresh.store, &alice, PageRequest { offset, limit }).await.unwrap();
                assert_eq!(page.total, 23);
                assert!(page.items.len() <= limit as usize);
                found.extend(page.items.iter().map(|record| (record.created_at, record.pat_id)));
            }
            assert_eq!(found, expected, "by {limit}");
        }
        // Beyond the end nothing is, and the total still says how many there are.
        for offset in [23, 24, u32::MAX] {
            let page = PageRequest { offset, limit: u32::MAX };
            let page = list(&fresh.store, &alice, page).await.unwrap();
            assert_eq!((page.items.len(), page.total), (0, 23), "{offset}");
        }
        let ids: BTreeSet<_> = expected.into_iter().map(|(_, id)| id).collect();
        assert_eq!(ids.len(), 23);
    });
}
