//! Rows that this program never writes: an error of ours for whoever asks, and no panic.

use hallpass::error::Code;
use hallpass::page::PageRequest;

use super::{Fresh, code, list, on_each};

/// What breaks a row of `tokens`.
const BREAKAGES: [&str; 8] = [
    "pat_id = 'x'",
    "pat_id = UPPER(pat_id)",
    "rotated_from = 'x'",
    "rotated_to = ''",
    "scopes = 'not JSON'",
    "roles = '{}'",
    "audience = '[1]'",
    "allowed_cidrs = ''",
];

/// SQLite's columns take what they are given.
const LOOSE_BREAKAGES: [&str; 6] = [
    "created_at = 'soon'",
    "expires_at = 1.5",
    "revoked_at = x'00'",
    "username = x'c3'",
    "name = CAST(x'6180' AS TEXT)",
    "description = CAST(x'ff' AS TEXT)",
];

impl Fresh {
    async fn assert_unreadable(&self, breakage: &str) {
        let token = self.create("alice", "ci").await;
        self.execute(&format!("UPDATE tokens SET {breakage}")).await;
        let page = PageRequest { offset: 0, limit: 10 };
        let listed = list(&self.store, &token.user_id, page).await;
        assert_eq!(code(listed.unwrap_err()), Code::Internal, "{breakage}");
        // Under another id it is not the token that is asked for.
        if !breakage.starts_with("pat_id") {
            let found = self.store.find_token(&token.user_id, token.pat_id).await;
            assert_eq!(code(found.unwrap_err()), Code::Internal, "{breakage}");
        }
        self.execute("DELETE FROM tokens").await;
        // The connection is good still.
        self.store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn an_unreadable_token_is_an_internal_error() {
    on_each!(|fresh| {
        let loose: &[&str] = if fresh.is_sqlite() { &LOOSE_BREAKAGES } else { &[] };
        for breakage in BREAKAGES.iter().chain(loose) {
            fresh.assert_unreadable(breakage).await;
        }
    });
}

#[tokio::test]
async fn an_unreadable_key_or_change_is_an_internal_error() {
    on_each!(|fresh| {
        if fresh.is_sqlite() {
            super::signing_keys::insert(&fresh.store, "a").await;
            fresh.execute("UPDATE signing_keys SET sealed_private_key = x'ff'").await;
            assert_eq!(code(fresh.store.find_pending_key().await.unwrap_err()), Code::Internal);
            fresh.execute("UPDATE signing_keys SET kid = CAST(x'ff' AS TEXT)").await;
            assert_eq!(code(fresh.store.list_kids().await.unwrap_err()), Code::Internal);
            fresh.execute("INSERT INTO changes VALUES (1, x'ff', 's', 0)").await;
            assert_eq!(code(fresh.store.list_changes_after(0).await.unwrap_err()), Code::Internal);
            fresh.execute("UPDATE change_counter SET last_number = 'many'").await;
            assert_eq!(code(fresh.store.last_change().await.unwrap_err()), Code::Internal);
        }
    });
}
