//! The audit log's list: what each filter finds, in which order, by which index.

use std::time::Duration;

use hallpass::audit::{Act, Event};
use hallpass::clock::Timestamp;
use hallpass::id::{UserId, uuid_at};
use hallpass::page::{Direction, PageRequest};
use hallpass::store::{AuditFilter, Store};
use sqlx::Row as _;

use super::{Fresh, NOW, on_each};

/// The newest events, whatever they tell of.
pub(super) fn everything() -> AuditFilter {
    AuditFilter {
        action: None,
        credential_id: None,
        owner_id: None,
        actor_id: None,
        search: String::new(),
        from: None,
        to: None,
        direction: Direction::Descending,
        page: PageRequest { offset: 0, limit: 100 },
    }
}

/// `seconds` after [`NOW`].
fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

fn act(seconds: u64, action: Act, names: [&str; 2], people: [&str; 2]) -> Event {
    let ([credential, actor_name], [owner, actor]) = (names, people);
    Event {
        id: uuid_at(at(seconds)),
        at: at(seconds),
        action,
        credential_id: format!("id of {credential}"),
        credential_name: credential.to_owned(),
        owner_id: UserId::new(owner),
        actor_id: UserId::new(actor),
        actor_name: actor_name.to_owned(),
        actor_credential: "access_token".to_owned(),
        address: "192.0.2.1".to_owned(),
        request_id: format!("request {seconds}"),
        reason: None,
        detail: None,
        note: None,
    }
}

/// The seconds of what was found, and how many there are in all.
async fn found(store: &Store, filter: &AuditFilter) -> (Vec<i64>, u64) {
    let page = store.list_audit_events(filter).await.unwrap();
    let seconds = page.items.iter().map(|event| event.occurred_at.seconds() - NOW.seconds());
    (seconds.collect(), page.total)
}

#[tokio::test]
async fn each_filter_finds_its_events_and_all_together_too() {
    on_each!(|fresh| {
        for event in [
            act(1, Act::TokenCreated, ["ci", "alice"], ["a", "a"]),
            act(2, Act::TokenRevoked, ["ci", "admin"], ["a", "x"]),
            act(3, Act::TokenCreated, ["ci", "bob"], ["b", "b"]),
            act(4, Act::ClientCreated, ["acme_app", "bob"], ["b", "b"]),
            act(5, Act::ClientDeleted, ["acme_app", "admin"], ["b", "x"]),
        ] {
            fresh.store.append_event(&event).await.unwrap();
        }
        let text = |value: &str| Some(value.to_owned());
        let all = everything;
        for (filter, expected) in [
            (all(), vec![5, 4, 3, 2, 1]),
            (AuditFilter { direction: Direction::Ascending, ..all() }, vec![1, 2, 3, 4, 5]),
            (AuditFilter { action: Some(Act::TokenCreated), ..all() }, vec![3, 1]),
            (AuditFilter { action: Some(Act::QuotaSet), ..all() }, vec![]),
            (AuditFilter { credential_id: text("id of ci"), ..all() }, vec![3, 2, 1]),
            (AuditFilter { credential_id: text("id of"), ..all() }, vec![]),
            (AuditFilter { owner_id: text("b"), ..all() }, vec![5, 4, 3]),
            (AuditFilter { owner_id: text(""), ..all() }, vec![]),
            (AuditFilter { actor_id: text("x"), ..all() }, vec![5, 2]),
            (AuditFilter { search: "ADMIN".to_owned(), ..all() }, vec![5, 2]),
            (AuditFilter { from: Some(at(3)), ..all() }, vec![5, 4, 3]),
            (AuditFilter { to: Some(at(3)), ..all() }, vec![2, 1]),
            (AuditFilter { from: Some(at(2)), to: Some(at(4)), ..all() }, vec![3, 2]),
            (AuditFilter { from: Some(at(4)), to: Some(at(2)), ..all() }, vec![]),
            (
                AuditFilter {
                    action: Some(Act::ClientDeleted),
                    credential_id: text("id of acme_app"),
                    owner_id: text("b"),
                    actor_id: text("x"),
                    search: "app".to_owned(),
                    from: Some(at(5)),
                    to: Some(at(6)),
                    ..all()
                },
                vec![5],
            ),
            (AuditFilter { owner_id: text("b"), search: "alice".to_owned(), ..all() }, vec![]),
        ] {
            let total = u64::try_from(expected.len()).unwrap();
            assert_eq!(found(&fresh.store, &filter).await, (expected, total), "{filter:?}");
        }
    });
}

#[tokio::test]
async fn the_order_is_total_and_pages_fit_together() {
    on_each!(|fresh| {
        let mut ids = Vec::new();
        // Three in each of three moments.
        for number in 0..9 {
            let event = act(number / 3, Act::TokenCreated, ["ci", "alice"], ["a", "a"]);
            fresh.store.append_event(&event).await.unwrap();
            ids.push((number / 3, event.id.to_string()));
        }
        ids.sort();
        for direction in [Direction::Ascending, Direction::Descending] {
            for limit in [1, 2, 4, 100] {
                let mut pieces = Vec::new();
                for offset in (0..12).step_by(limit) {
                    let page = PageRequest {
                        offset: u32::try_from(offset).unwrap(),
                        limit: u32::try_from(limit).unwrap(),
                    };
                    let filter = AuditFilter { direction, page, ..everything() };
                    let found = fresh.store.list_audit_events(&filter).await.unwrap();
                    assert_eq!(found.total, 9);
                    pieces.extend(found.items.into_iter().map(|event| event.event_id));
                }
                let expected: Vec<_> = ids.iter().map(|(_, id)| id.clone()).collect();
                if direction == Direction::Descending {
                    pieces.reverse();
                }
                assert_eq!(pieces, expected, "{direction:?} by {limit}");
            }
        }
    });
}

#[tokio::test]
async fn a_search_is_literal_and_knows_no_case_in_any_script() {
    on_each!(|fresh| {
        let names = [
            ["100 % Sure", "plain"],
            ["snake_case", "back\\slash"],
            ["snakeXcase 1000", "O'Neil \"quoted\""],
            ["👩‍👩‍👧‍👦 family", "ÜBER Straße"],
            ["שלום עולם \u{202e}right to left\u{202c}", "مرحبا"],
        ];
        for (seconds, names) in (1..).zip(names) {
            let event = act(seconds, Act::ClientCreated, names, ["a", "a"]);
            fresh.store.append_event(&event).await.unwrap();
        }
        for (search, expected) in [
            ("%", vec![1]),
            ("100 % s", vec![1]),
            ("e_C", vec![2]),
            ("_", vec![2]),
            ("\\", vec![2]),
            ("SNAKE", vec![3, 2]),
            ("o'neil \"Q", vec![3]),
            ("' OR '1'='1", vec![]),
            ("👩‍👩‍👧‍👦", vec![4]),
            ("👦 fam", vec![4]),
            ("über strasse", vec![]),
            ("üBER sTRAßE", vec![4]),
            ("שלום עולם \u{202e}", vec![5]),
            ("مرحبا", vec![5]),
            // Part of one name, not of two.
            ("sure plain", vec![]),
        ] {
            let filter = AuditFilter { search: search.to_owned(), ..everything() };
            assert_eq!(found(&fresh.store, &filter).await.0, expected, "{search}");
        }
        // And they come back as they went in.
        let page = fresh.store.list_audit_events(&everything()).await.unwrap();
        for (event, [credential, actor]) in page.items.iter().rev().zip(names) {
            assert_eq!([&*event.credential_name, &*event.actor_name], [credential, actor]);
        }
    });
}

/// Twenty thousand events of a hundred owners, by a hundred others, written behind the store's back.
async fn fill(fresh: &Fresh) {
    let numbers = if fresh.is_sqlite() {
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000)"
    } else {
        "WITH numbers (n) AS (SELECT generate_series(1, 20000))"
    };
    fresh
        .execute(&format!(
            "{numbers} INSERT INTO audit_events (event_id, occurred_at, action, credential_id, credential_name, \
             owner_id, actor_id, actor_name, actor_credential, address, request_id, search_text) \
             SELECT 'event-' || n, n, CASE n % 1000 WHEN 0 THEN 'quota_set' ELSE 'token_created' END, \
             'credential-' || (n % 1000), 'name', 'owner-' || (n % 100), 'actor-' || (n / 100 % 100), 'actor', \
             'access_token', '192.0.2.1', 'request', 'name' FROM numbers"
        ))
        .await;
    fresh.execute("ANALYZE").await;
}

/// How the database would run the statement, with these values in it.
async fn plan(fresh: &Fresh, statement: &str, values: &[&str]) -> String {
    let mut statement = statement.to_owned();
    for (value, number) in values.iter().zip(1..) {
        statement = statement.replacen(&format!("${number}"), value, 1);
    }
    assert!(!statement.contains('$'), "{statement}");
    let (explain, column) =
        if fresh.is_sqlite() { ("EXPLAIN QUERY PLAN", 3) } else { ("EXPLAIN", 0) };
    let rows = fresh.rows(&format!("{explain} {statement}")).await;
    rows.iter().map(|row| row.get::<String, _>(column)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn each_filter_is_served_by_its_index_in_the_order_of_the_answer() {
    on_each!(|fresh| {
        fill(&fresh).await;
        let page = PageRequest { offset: 0, limit: 10 };
        let all = || AuditFilter { page, ..everything() };
        let text = || Some("in the statement".to_owned());
        let time = || Some(at(0));
        let cases = [
            (all(), vec![], "audit_events_in_order"),
            (
                AuditFilter { from: time(), to: time(), ..all() },
                vec!["500", "600"],
                "audit_events_in_order",
            ),
            (
                AuditFilter { action: Some(Act::QuotaSet), ..all() },
                vec!["'quota_set'"],
                "audit_events_of_action",
            ),
            (
                AuditFilter { credential_id: text(), ..all() },
                vec!["'credential-7'"],
                "audit_events_of_credential",
            ),
            (AuditFilter { owner_id: text(), ..all() }, vec!["'owner-7'"], "audit_events_of_owner"),
            (AuditFilter { actor_id: text(), ..all() }, vec!["'actor-7'"], "audit_events_by_actor"),
            (
                AuditFilter { owner_id: text(), from: time(), ..all() },
                vec!["'owner-7'", "500"],
                "audit_events_of_owner",
            ),
        ];
        for (filter, values, index) in cases {
            if !values.is_empty() {
                // To count, SQLite may find another one cheaper.
                let counted = plan(&fresh, &filter.count_statement(), &values).await;
                assert!(counted.contains("audit_events_"), "{values:?}: {counted}");
            }
            for direction in [Direction::Ascending, Direction::Descending] {
                let filter = AuditFilter { direction, ..filter.clone() };
                let values = [values.as_slice(), &["10", "0"]].concat();
                let plan = plan(&fresh, &filter.page_statement(), &values).await;
                assert!(plan.contains(index), "{values:?}: {plan}");
                assert!(
                    !plan.contains("Sort") && !plan.contains("TEMP B-TREE"),
                    "{values:?}: {plan}"
                );
            }
        }
    });
}

/// What a version before the list wrote is found as well.
#[tokio::test]
async fn rows_of_before_have_their_search_text() {
    on_each!(|fresh| {
        let event = act(1, Act::ClientCreated, ["Old App", "Alice"], ["a", "a"]);
        fresh.store.append_event(&event).await.unwrap();
        fresh
            .execute(
                "ALTER TABLE audit_events DROP COLUMN search_text; DROP INDEX audit_events_in_order; \
                 DROP INDEX audit_events_of_credential; DROP INDEX audit_events_of_owner; \
                 DROP INDEX audit_events_by_actor; DROP INDEX audit_events_of_action; \
                 CREATE INDEX audit_events_by_credential ON audit_events (credential_id, occurred_at); \
                 DELETE FROM _sqlx_migrations WHERE version = 3",
            )
            .await;
        let store = Store::open(&fresh.database.url()).await.unwrap();
        for search in ["old app", "ALICE"] {
            let filter = AuditFilter { search: search.to_owned(), ..everything() };
            assert_eq!(found(&store, &filter).await, (vec![1], 1), "{search}");
        }
        store.close().await;
    });
}
