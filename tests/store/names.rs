//! What owners are called, in all of their tokens.

use hallpass::audit::Act;
use hallpass::id::UserId;
use hallpass::names::{Email, Names};
use hallpass::page::PageRequest;
use hallpass::store::{TokenFilter, TokenRecord};

use super::{Fresh, NOW, event, names, new_token, on_each, revoke};

async fn list(fresh: &Fresh, search: &str) -> Vec<TokenRecord> {
    let page = PageRequest { offset: 0, limit: 100 };
    let filter = TokenFilter { search: search.to_owned(), ..TokenFilter::newest(page) };
    fresh.store.list_tokens(None, &filter, NOW).await.unwrap().items
}

#[tokio::test]
async fn all_tokens_of_the_owner_say_it_and_no_others_do() {
    on_each!(|fresh| {
        let store = &fresh.store;
        // More than one transaction changes.
        for number in 0..300 {
            fresh.create("alice", &format!("token-{number}")).await;
        }
        let dead = fresh.create("alice", "dead").await;
        revoke(store, dead.pat_id, &event(Act::TokenRevoked, &dead)).await.unwrap();
        let other = fresh.create("bob", "of-another").await;
        store.remember_live(NOW).await.unwrap();
        let (before, renaming) = (store.last_change().await.unwrap(), store.renaming(dead.pat_id));

        let owner = UserId::new("alice");
        let new = names("Zoë_%'\\");
        store.rename_owner(&owner, &new, NOW).await.unwrap();
        assert_eq!(fresh.count("tokens").await, 302);
        let changes = store.last_change().await.unwrap() - before;
        assert_eq!(changes, 301, "each is told of, once");
        assert_ne!(store.renaming(dead.pat_id), renaming);
        let found = list(&fresh, "zoë_%'\\").await;
        assert_eq!(found.len(), 100);
        assert!(found.iter().all(|token| token.names == new && token.user_id == owner));
        assert!(list(&fresh, "alice@login").await.is_empty());
        let found = list(&fresh, "dead").await;
        assert_eq!((found.len(), &found[0].names), (1, &new));
        assert_eq!(list(&fresh, "bob@login").await[0].pat_id, other.pat_id);

        // Nothing new, nothing written.
        store.rename_owner(&owner, &new, NOW).await.unwrap();
        assert_eq!(store.last_change().await.unwrap(), before + 301);
        for email in [
            Email::default(),
            Email { address: "a@b.example".to_owned(), verified: false },
            Email { address: "a@b.example".to_owned(), verified: true },
        ] {
            let new = Names { email: Some(email), ..new.clone() };
            store.rename_owner(&owner, &new, NOW).await.unwrap();
            assert_eq!(list(&fresh, "dead").await[0].names, new);
        }
    });
}

/// A version before this one wrote no addresses, and may still do so beside it.
#[tokio::test]
async fn an_address_that_nobody_asked_for_yet_is_unknown_and_then_known() {
    on_each!(|fresh| {
        let token = fresh.create("alice", "old").await;
        fresh.execute("UPDATE tokens SET email = NULL, email_verified = NULL").await;
        let store = &fresh.store;
        let found = store.find_token(&token.user_id, token.pat_id).await.unwrap().unwrap();
        assert_eq!(found.names, Names { email: None, ..token.names.clone() });
        // Not even then is it taken for one of a person without an address.
        let unknown = Names { email: None, ..names("other") };
        store.rename_owner(&token.user_id, &unknown, NOW).await.unwrap();
        assert_eq!(list(&fresh, "other").await.len(), 0);
        store.rename_owner(&token.user_id, &token.names, NOW).await.unwrap();
        let found = store.find_token(&token.user_id, token.pat_id).await.unwrap().unwrap();
        assert_eq!(found.names, new_token("alice", "old").names);
    });
}
