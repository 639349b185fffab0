//! Lists of tokens: searched, filtered, in every order, and by which index.

use std::collections::BTreeSet;

use hallpass::clock::Timestamp;
use hallpass::id::{PatId, UserId};
use hallpass::page::{Direction, PageRequest};
use hallpass::store::{NewToken, TokenFilter, TokenRecord, TokenSort, TokenStatus};
use uuid::Uuid;

use super::{DAY, Fresh, NOW, create, new_token, on_each};
use crate::support::Database;

const SORTS: [TokenSort; 6] = [
    TokenSort::Name,
    TokenSort::Username,
    TokenSort::CreatedAt,
    TokenSort::ExpiresAt,
    TokenSort::LastUsedAt,
    TokenSort::Status,
];
const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];

fn all() -> TokenFilter {
    TokenFilter::newest(PageRequest { offset: 0, limit: 100 })
}

impl Fresh {
    async fn list_all(&self, owner: Option<&UserId>, filter: &TokenFilter) -> Vec<TokenRecord> {
        let page = self.store.list_tokens(owner, filter, NOW).await.unwrap();
        assert_eq!(page.total, page.items.len() as u64, "{filter:?}");
        page.items
    }

    async fn found(&self, search: &str) -> BTreeSet<String> {
        let filter = TokenFilter { search: search.to_owned(), ..all() };
        self.list_all(None, &filter).await.into_iter().map(|token| token.name).collect()
    }

    /// Tokens of three owners in every state, several alike in each respect.
    async fn fill(&self) {
        for number in 0..30_u32 {
            let owner = ["alice", "bob", "carol"][number as usize % 3];
            let token = NewToken {
                pat_id: PatId::from(Uuid::from_u128(u128::from(number * 7 % 31))),
                created_at: NOW.plus(DAY * (number % 4)),
                // Some ended, some about to, some not.
                expires_at: Timestamp::from_seconds(
                    NOW.seconds() + (i64::from(number % 5) - 1) * 4 * 86_400,
                ),
                ..new_token(owner, &format!("t{}-{number}", number % 4))
            };
            create(&self.store, &token).await.unwrap();
            let change = match number % 6 {
                1 => "revoked_at = 1".to_owned(),
                2 => "suspended_at = 1".to_owned(),
                3 => format!("rotated_to = pat_id, grace_until = {}", NOW.millis()),
                4 => format!("last_used_at = {}", number % 3),
                _ => continue,
            };
            self.execute(&format!("UPDATE tokens SET {change} WHERE pat_id = '{}'", token.pat_id))
                .await;
        }
    }
}

/// What a sort looks at, as Rust sees it.
fn key(sort: TokenSort, token: &TokenRecord) -> (String, i64) {
    match sort {
        TokenSort::Name => (token.name.clone(), 0),
        TokenSort::Username => (token.names.username.clone(), 0),
        TokenSort::CreatedAt => (String::new(), token.created_at.millis()),
        TokenSort::ExpiresAt => (String::new(), token.expires_at.millis()),
        TokenSort::LastUsedAt => (String::new(), token.last_used_at.map_or(0, Timestamp::millis)),
        TokenSort::Status => (token.status(NOW).name().to_owned(), 0),
    }
}

#[tokio::test]
async fn every_order_is_total_and_its_pages_cover_it_once() {
    on_each!(|fresh| {
        fresh.fill().await;
        let alice = UserId::new("alice");
        for (owner, total) in [(None, 30), (Some(&alice), 10)] {
            for (sort, direction) in SORTS.iter().flat_map(|sort| DIRECTIONS.map(|d| (*sort, d))) {
                let filter = TokenFilter { sort, direction, ..all() };
                let found = fresh.list_all(owner, &filter).await;
                assert_eq!(found.len(), total);
                let mut expected = found.clone();
                expected.sort_by_key(|token| (key(sort, token), token.pat_id.to_string()));
                if direction == Direction::Descending {
                    expected.reverse();
                }
                assert_eq!(found, expected, "{filter:?}");
                let mut walked = Vec::new();
                for offset in (0..36).step_by(7) {
                    let page = PageRequest { offset, limit: 7 };
                    let filter = TokenFilter { page, ..filter.clone() };
                    let page = fresh.store.list_tokens(owner, &filter, NOW).await.unwrap();
                    assert_eq!(page.total, total as u64);
                    walked.extend(page.items);
                }
                assert_eq!(walked, found, "{filter:?}");
            }
        }
    });
}

#[tokio::test]
async fn a_status_asks_for_what_records_say_of_themselves() {
    on_each!(|fresh| {
        fresh.fill().await;
        let everything = fresh.list_all(None, &all()).await;
        let mut seen = 0;
        for status in TokenStatus::ALL {
            for sort in SORTS {
                let filter = TokenFilter { status: Some(status), sort, ..all() };
                let found: BTreeSet<_> = fresh
                    .list_all(None, &filter)
                    .await
                    .into_iter()
                    .map(|token| token.pat_id)
                    .collect();
                let expected: BTreeSet<_> = everything
                    .iter()
                    .filter(|token| token.status(NOW) == status)
                    .map(|token| token.pat_id)
                    .collect();
                assert!(!expected.is_empty(), "{status:?} is not tried");
                assert_eq!(found, expected, "{filter:?}");
                seen += usize::from(sort == TokenSort::Name) * found.len();
            }
        }
        assert_eq!(seen, everything.len(), "each token has one status");
    });
}

#[tokio::test]
async fn a_search_is_literal_and_knows_no_case() {
    on_each!(|fresh| {
        for (owner, name) in [
            ("Ärger", "plain"),
            ("ÉTÉ_1", "a_b"),
            ("100%", "a-b"),
            ("back\\slash", "dot.dot"),
            ("it's \"quoted\"", "quoted"),
            ("مرحبا", "rtl"),
            ("😀👍🏽", "emoji"),
        ] {
            fresh.create(owner, name).await;
        }
        let set =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        for (search, names) in [
            ("PLAIN", &["plain"][..]),
            ("ärger", &["plain"]),
            ("ÄRGER", &["plain"]),
            ("été", &["a_b"]),
            ("_", &["a_b"]),
            ("%", &["a-b"]),
            ("0%@", &["a-b"]),
            ("\\", &["dot.dot"]),
            ("'", &["quoted"]),
            ("\"quoted", &["quoted"]),
            ("حب", &["rtl"]),
            ("👍", &["emoji"]),
            ("--", &[]),
            ("%%", &[]),
            ("dot_dot", &[]),
            // The end of a name and the beginning of its owner's are not one text.
            ("plainä", &[]),
        ] {
            assert_eq!(fresh.found(search).await, set(names), "{search:?}");
        }
        assert_eq!(fresh.found("").await.len(), 7);
        // Long: nothing is found, and nothing breaks.
        assert_eq!(fresh.found(&"x".repeat(10_000)).await, set(&[]));
    });
}

/// The plans of what administrators and owners ask: an index for each, never the table from end to end.
#[tokio::test]
async fn lists_go_by_indexes() {
    on_each!(|fresh| {
        many(&fresh).await;
        let owner = UserId::new("owner-7");
        for owner in [None, Some(&owner)] {
            for (search, status, sort) in ["", "7-ci"]
                .iter()
                .flat_map(|search| {
                    [None, Some(TokenStatus::Active), Some(TokenStatus::Revoked)]
                        .map(|status| (*search, status))
                })
                .flat_map(|(search, status)| SORTS.map(|sort| (search, status, sort)))
            {
                let page = PageRequest { offset: 0, limit: 10 };
                let filter = TokenFilter { search: search.to_owned(), status, sort, page, ..all() };
                let plan = fresh.store.explain_list_tokens(owner, &filter, NOW).await.unwrap();
                let bad = if fresh.is_sqlite() {
                    plan.iter().any(|line| line.starts_with("SCAN") && !line.contains("INDEX"))
                } else {
                    owner.is_some() && plan.iter().any(|line| line.contains("Seq Scan"))
                };
                assert!(!bad, "{filter:?} for {owner:?}: {plan:#?}");
                if owner.is_some() {
                    let of_owner =
                        plan.iter().filter(|line| line.contains("tokens_of_owner")).count();
                    assert!(of_owner >= 1, "{filter:?}: {plan:#?}");
                }
            }
        }
    });
}

/// Pages that are read from the other end of their order are those that a walk from the first end would give.
#[tokio::test]
async fn a_far_page_is_what_is_there() {
    on_each!(|fresh| {
        many(&fresh).await;
        // All, and every fifth.
        for (status, step, total) in [(None, 1, 20_000_u32), (Some(TokenStatus::Revoked), 5, 4_000)]
        {
            for direction in DIRECTIONS {
                for offset in [999, 1_000, total / 2, total / 2 + 1, total - 3, total, total + 9] {
                    let page = PageRequest { offset, limit: 7 };
                    let filter = TokenFilter { status, direction, page, ..all() };
                    let found = fresh.store.list_tokens(None, &filter, NOW).await.unwrap();
                    assert_eq!(found.total, u64::from(total));
                    let found: Vec<_> = found.items.into_iter().map(|token| token.name).collect();
                    // The newest has the smallest number.
                    let expected: Vec<_> = (offset..total.min(offset + 7))
                        .map(|place| match direction {
                            Direction::Descending => (place + 1) * step,
                            Direction::Ascending => (total - place) * step,
                        })
                        .map(|number| format!("token-{number}-ci"))
                        .collect();
                    assert_eq!(found, expected, "{filter:?}");
                }
            }
        }
    });
}

/// So many that a database goes by an index where it has one: 20,000 tokens of 2,000 owners.
async fn many(fresh: &Fresh) {
    let series = if fresh.is_sqlite() {
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
    } else {
        "WITH n (i) AS (SELECT generate_series(1, 20000)::bigint)"
    };
    let now = NOW.millis();
    fresh
        .execute(&format!(
            "INSERT INTO tokens (pat_id, user_id, username, name, kid, owner_roles, created_at, expires_at, \
             revoked_at, search_text) {series} \
             SELECT '00000000-0000-7000-8000-' || (100000000000 + i), 'owner-' || (i % 2000), 'owner-' || (i % 2000), 'token-' || i || '-ci', 'kid', '{{}}', \
             {now} - i * 1000, {now} + (i % 400) * 86400000, CASE WHEN i % 5 = 0 THEN 1 END, \
             'token-' || i || '-ci owner-' || (i % 2000) FROM n"
        ))
        .await;
    fresh.execute(if fresh.is_sqlite() { "ANALYZE" } else { "VACUUM ANALYZE tokens" }).await;
}

/// Each page of all live tokens and of all their owners is found by an index that has them in order: what is read page by page
/// would otherwise be read as often as there are pages.
#[tokio::test]
async fn a_walk_over_all_tokens_reads_each_once() {
    let fresh = Fresh::on(Database::sqlite).await;
    let plan = fresh.store.explain_walks().await.unwrap();
    let by = |index: &str| plan.iter().filter(|line| line.contains(index)).count();
    assert_eq!((plan.len(), by("tokens_of_owner"), by("autoindex_tokens")), (3, 2, 1), "{plan:#?}");
}
