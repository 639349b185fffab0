//! When and from where tokens were last used.

use std::net::IpAddr;

use sqlx::AssertSqlSafe;

use crate::clock::Timestamp;
use crate::id::PatId;
use crate::store::{Dialect, Store, StoreError, changes, within};

/// A use of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// Which token.
    pub pat_id: PatId,
    /// When.
    pub at: Timestamp,
    /// From which address.
    pub address: IpAddr,
}

/// How many uses one statement records. One of so many is parsed once: parsing takes SQLite nearly half as long as running.
const STATEMENT: usize = 250;

impl Store {
    /// Records uses, in one transaction; a thousand or so at a time. What is recorded already and later stays.
    pub async fn record_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        within(async {
            let mut tx = self.begin().await?;
            // Rows are locked in no order: two who do so would wait for each other.
            changes::lock(&mut tx).await?;
            for part in uses.chunks(STATEMENT) {
                let sql = format!(
                    "WITH used (pat_id, used_at, address) AS (VALUES {}) \
                     UPDATE tokens SET last_used_at = used.used_at, last_used_ip = used.address FROM used \
                     WHERE tokens.pat_id = used.pat_id \
                     AND (tokens.last_used_at IS NULL OR tokens.last_used_at < used.used_at)",
                    rows(self.dialect, part.len())
                );
                // Each other number is a statement of its own, which seldom comes again.
                let is_kept = part.len() == STATEMENT;
                let update = sqlx::query(AssertSqlSafe(sql)).persistent(is_kept);
                let query = part.iter().fold(update, |query, used| {
                    query
                        .bind(used.pat_id.to_string())
                        .bind(used.at.millis())
                        .bind(used.address.to_string())
                });
                query.execute(&mut *tx).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }
}

/// Placeholders for an id, a time and an address in each row.
fn rows(dialect: Dialect, count: usize) -> String {
    match dialect {
        // Without numbers: sqlx would look for each number among all of them.
        Dialect::Sqlite => vec!["(?, ?, ?)"; count].join(", "),
        Dialect::Postgres => {
            let row = |n: usize| format!("(${}, CAST(${} AS BIGINT), ${})", n, n + 1, n + 2);
            (0..count).map(|number| row(number * 3 + 1)).collect::<Vec<_>>().join(", ")
        }
    }
}
