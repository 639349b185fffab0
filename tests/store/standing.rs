//! What is remembered of live tokens ahead of their use.

use std::time::Duration;

use hallpass::audit::Act;
use hallpass::clock::Timestamp;
use hallpass::store::{NewToken, OwnerSaid, Standing, Store};

use super::{NOW, create, delete, event, new_token, on_each, revoke};

fn is_plain(store: &Store, token: &NewToken) -> bool {
    store.is_known_as_plain(said(token), token.pat_id, token.expires_at)
}

/// What the token says of its owner.
fn said(token: &NewToken) -> OwnerSaid<'_> {
    let email = token.names.email.as_ref().unwrap();
    OwnerSaid {
        user_id: token.user_id.as_str(),
        roles: &token.owner_roles,
        username: &token.names.username,
        email: &email.address,
        email_verified: email.verified,
    }
}

/// Its standing, which may come from memory: the changes were read just now.
async fn standing(store: &Store, token: &NewToken) -> Standing {
    store.hear().await.unwrap();
    store.get_standing(token.pat_id).await.unwrap()
}

#[tokio::test]
async fn live_tokens_are_remembered_and_nothing_of_them_is_read_again() {
    on_each!(|fresh| {
        // More than are read at a time.
        let names = (0..1_500).map(|n| format!("token-{n}"));
        let mut tokens = Vec::new();
        for name in names {
            tokens.push(fresh.create("a", &name).await);
        }
        let store = &fresh.store;
        assert!(!is_plain(store, &tokens[0]));
        store.remember_live(NOW).await.unwrap();
        assert!(tokens.iter().all(|token| is_plain(store, token)));
        // Behind the store's back: what is remembered is not read.
        fresh.execute("DELETE FROM tokens").await;
        for token in [&tokens[0], &tokens[1_499]] {
            assert_eq!(standing(store, token).await, Standing::Good);
        }
    });
}

#[tokio::test]
async fn a_token_is_known_as_plain_only_as_it_is_and_while_it_is() {
    on_each!(|fresh| {
        let store = &fresh.store;
        let token = fresh.create("a", "plain").await;
        let (revoked, deleted) = (fresh.create("a", "r").await, fresh.create("a", "d").await);
        let ended = fresh.create("a", "ended").await;
        revoke(store, ended.pat_id, &event(Act::TokenRevoked, &ended)).await.unwrap();
        let mut narrowed = Vec::new();
        for part in 0..4 {
            let mut token = new_token("a", &format!("narrowed-{part}"));
            let list = Some(vec![]);
            match part {
                0 => token.restrictions.scopes = list,
                1 => token.restrictions.roles = list,
                2 => token.restrictions.audience = list,
                _ => token.restrictions.allowed_cidrs = list,
            }
            create(store, &token).await.unwrap();
            narrowed.push(token);
        }
        store.remember_live(NOW).await.unwrap();
        assert!(is_plain(store, &token) && is_plain(store, &revoked) && is_plain(store, &deleted));
        assert!(!is_plain(store, &ended));
        assert!(!narrowed.iter().any(|token| is_plain(store, token)));
        let (end, own) = (token.expires_at, said(&token));
        for (said, end) in [
            (OwnerSaid { user_id: "b", ..own }, end),
            (own, end.plus(Duration::from_secs(1))),
            (own, Timestamp::from_seconds(end.seconds() - 1)),
            (OwnerSaid { roles: r#"{"realm":["admin"],"clients":{}}"#, ..own }, end),
            (OwnerSaid { roles: "", ..own }, end),
            (OwnerSaid { username: "b", ..own }, end),
            (OwnerSaid { email: "", ..own }, end),
            (OwnerSaid { email_verified: false, ..own }, end),
        ] {
            assert!(!store.is_known_as_plain(said, token.pat_id, end), "{said:?}");
        }

        revoke(store, revoked.pat_id, &event(Act::TokenRevoked, &revoked)).await.unwrap();
        delete(store, deleted.pat_id, &event(Act::TokenDeleted, &deleted)).await.unwrap();
        assert!(!is_plain(store, &revoked) && !is_plain(store, &deleted));
        assert_eq!(standing(store, &revoked).await, Standing::Revoked);
        assert_eq!(standing(store, &deleted).await, Standing::Unknown);
        assert!(is_plain(store, &token));
    });
}

#[tokio::test]
async fn what_is_over_is_not_remembered() {
    on_each!(|fresh| {
        let token = fresh.create("a", "short").await;
        fresh.store.remember_live(token.expires_at).await.unwrap();
        assert!(!is_plain(&fresh.store, &token));
    });
}
