//! Text of every kind comes back as it went in, or is refused whole.

use hallpass::audit::Act;
use hallpass::id::UserId;
use hallpass::store::{NewToken, TokenCreated};
use sqlx::Row as _;

use super::{create, event, names, new_token, on_each, revoke};

const TEXTS: [&str; 12] = [
    "",
    " ",
    "100 % of '_' and \\ \"quoted\" ''; DROP TABLE tokens; --",
    "$1 ? :name @name ${x}",
    "👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "שלום עולם \u{202e}right to left\u{202c}",
    "e\u{301} and é are not the same",
    "line\r\nbreak\tand tab",
    "\u{1}\u{7f}\u{feff}\u{fffe}\u{10ffff}",
    "null",
    "0123",
    "[\"json\"]",
];

fn with_text(text: &str) -> NewToken {
    NewToken {
        user_id: UserId::new(format!("user {text}")),
        names: names(text),
        description: Some(text.to_owned()),
        kid: text.to_owned(),
        owner_roles: text.to_owned(),
        ..new_token("", text)
    }
}

#[tokio::test]
async fn text_comes_back_as_it_went_in() {
    on_each!(|fresh| {
        for text in TEXTS {
            let token = with_text(text);
            assert_eq!(
                create(&fresh.store, &token).await.unwrap(),
                TokenCreated::Created,
                "{text:?}"
            );
            assert_eq!(
                create(&fresh.store, &with_text(text)).await.unwrap(),
                TokenCreated::NameTaken
            );
            let revoked = event(Act::TokenRevoked, &token).with_note(Some(text));
            revoke(&fresh.store, token.pat_id, &revoked).await.unwrap();
            let found =
                fresh.store.find_token(&token.user_id, token.pat_id).await.unwrap().unwrap();
            assert_eq!(found.user_id, token.user_id);
            assert_eq!([&found.names.username, &found.name], [text, text]);
            assert_eq!(
                [found.description.as_deref(), found.revoked_note.as_deref()],
                [Some(text); 2]
            );
        }
        let rows = fresh.rows("SELECT credential_name, reason FROM audit_events WHERE action = 'token_revoked' ORDER BY occurred_at").await;
        let found: Vec<(String, String)> =
            rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(found, TEXTS.map(|text| (text.to_owned(), format!("revoked_by_owner: {text}"))));
    });
}

/// PostgreSQL has no NUL in its texts. Nobody can send one so far; if one came, nothing would be cut off at it.
#[tokio::test]
async fn a_nul_comes_back_or_is_refused_whole() {
    on_each!(|fresh| {
        for text in ["\0", "before\0after", "end\0"] {
            let token = with_text(text);
            let created = create(&fresh.store, &token).await;
            if fresh.is_sqlite() {
                assert_eq!(created.unwrap(), TokenCreated::Created);
                let found =
                    fresh.store.find_token(&token.user_id, token.pat_id).await.unwrap().unwrap();
                assert_eq!((found.name.as_str(), found.description.as_deref()), (text, Some(text)));
            } else {
                created.unwrap_err();
                assert_eq!(fresh.count("tokens").await + fresh.count("audit_events").await, 0);
            }
        }
        // The connections are good still.
        for _ in 0..12 {
            fresh.store.ping().await.unwrap();
        }
        fresh.create("alice", "ci").await;
    });
}
