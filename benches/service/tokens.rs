//! Lists of personal access tokens: 100,000 of 5,000 owners, written into the table as Hallpass writes them.

use std::time::Duration;

use hallpass::clock::Clock;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::support::{DATABASES, Database, TestRealm, TestServer};
use crate::{Question, Report, crowd};

const TOKENS: u64 = 100_000;
const OF_ONE: u64 = 20;
const EVERYBODY: &str = "/api/pat/v1/users/tokens";
const QUESTIONS: [(&str, &str, u64); 19] = [
    ("first page", "", TOKENS),
    ("last page", "offset=99990", TOKENS),
    ("a hundred at once", "limit=100&offset=50000", TOKENS),
    ("by name", "sort=name&direction=asc&offset=50000", TOKENS),
    ("by owner", "sort=username&offset=50000", TOKENS),
    ("by end", "sort=expiresAt&offset=50000", TOKENS),
    ("by last use", "sort=lastUsedAt&offset=99990", TOKENS),
    ("by status, first page", "sort=status", TOKENS),
    ("by status, in the middle", "sort=status&offset=50000", TOKENS),
    ("active", "status=active&sort=name", 40_000),
    ("expiring soon", "status=expiring_soon&sort=expiresAt&direction=asc", 20_000),
    ("expired", "status=expired&offset=19990", 20_000),
    ("revoked", "status=revoked&sort=lastUsedAt", 20_000),
    ("search, one hit", "search=token-77777-ci", 1),
    ("search, one owner", "search=USER-10042&sort=expiresAt", OF_ONE),
    ("search, no hit", "search=100%25", 0),
    ("search, all", "search=Token&sort=username&offset=500", TOKENS),
    ("search, all, in the middle", "search=Token&sort=username&offset=50000", TOKENS),
    ("search and status", "search=-ci&status=active&sort=status", 40_000),
];
const OF_ONE_OWNER: [(&str, &str, u64); 4] = [
    ("one owner", "", OF_ONE),
    ("one owner, by name", "sort=name&direction=asc&offset=10", OF_ONE),
    ("one owner, by status", "sort=status", OF_ONE),
    ("one owner, search", "search=-ci&status=active", 0),
];

pub async fn measure(report: &mut Report) {
    report.lists(
        "Lists of personal access tokens",
        "An administrator's lists, with 100,000 tokens of 5,000 owners in every status. A search looks for a part of a name, so it \
         goes through an index from end to end.",
    );
    let realm = TestRealm::own().await;
    let person = realm.person().await;
    realm.give_roles(&person, "hallpass", &["manage-tokens"]).await;
    for (name, database) in ["SQLite", "PostgreSQL"].into_iter().zip(DATABASES) {
        let seldom = [("HALLPASS_LIFECYCLE__POLL_INTERVAL", "24h")];
        let server = TestServer::start_with(realm.clone(), database, &seldom).await;
        // The looks at the start, by the sweep and for the events of the realm's making, would find that nobody owns them.
        while crowd::swept_at(&server).await.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        fill(&server.database, &server.clock).await;
        let everybody = QUESTIONS.iter().map(|question| (EVERYBODY.to_owned(), *question));
        let of_one = OF_ONE_OWNER
            .iter()
            .map(|question| ("/api/pat/v1/users/owner-10/tokens".to_owned(), *question));
        let questions: Vec<_> = everybody
            .chain(of_one)
            .map(|(path, (name, query, total))| Question {
                name,
                path: format!("{path}?{query}"),
                total,
            })
            .collect();
        report.ask(name, &server.user(&person).await, &questions).await;
        server.stop().await;
    }
}

/// Of five tokens one each is revoked, expired and about to expire.
async fn fill(database: &Database, clock: &Clock) {
    let series = match database {
        Database::Sqlite(_) => {
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
        }
        Database::Postgres(_) => "WITH n (i) AS (SELECT generate_series(1, 100000)::bigint)",
    };
    let now = clock.now().millis();
    let insert = format!(
        "INSERT INTO tokens (pat_id, user_id, username, name, description, kid, owner_roles, created_at, expires_at, \
         revoked_at, revoked_reason, last_used_at, last_used_ip, search_text) {series} \
         SELECT '01900000-0000-7000-8000-' || (100000000000 + i), 'owner-' || (i % 5000), 'user-' || (10000 + i % 5000), \
         'token-' || i || '-ci', 'What it is for, in a line as people write it', 'a-key', \
         '{{\"realm\":[\"analyst\",\"engineer\"],\"clients\":{{\"reports\":[\"read\",\"write\"]}}}}', \
         {now} - (100000 + i * 7919 % 100000) * 60000, \
         {now} + CASE i % 5 WHEN 1 THEN -3600000 - i * 1000 WHEN 2 THEN 86400000 + i ELSE 8640000000 + i * 1000 END, \
         CASE WHEN i % 5 = 0 THEN {now} - i END, CASE WHEN i % 5 = 0 THEN 'revoked_by_owner' END, \
         CASE WHEN i % 2 = 0 THEN {now} - i * 1000 ELSE 0 END, CASE WHEN i % 2 = 0 THEN '192.0.2.1' END, \
         'token-' || i || '-ci\nuser-' || (10000 + i % 5000) FROM n"
    );
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&database.url_text()).await.unwrap();
    // As after an hour of service: PostgreSQL does by itself what is asked for here, when it has time.
    let settle = match database {
        Database::Sqlite(_) => "PRAGMA optimize",
        Database::Postgres(_) => "VACUUM ANALYZE tokens",
    };
    for statement in [insert.as_str(), settle] {
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}
