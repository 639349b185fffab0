//! When and from where tokens were last used.

use std::net::IpAddr;

use sqlx::AssertSqlSafe;

use crate::clock::Timestamp;
use crate::id::PatId;
use crate::store::{Store, StoreError, changes, within};

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

impl Store {
    /// Records uses, by one statement; a hundred or so at a time. What is recorded already and later stays.
    pub async fn record_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        within(async {
            let rows: Vec<_> = (0..uses.len())
                .map(|row| row * 3)
                .map(|n| format!("(${}, CAST(${} AS BIGINT), ${})", n + 1, n + 2, n + 3))
                .collect();
            let sql = format!(
                "WITH used (pat_id, used_at, address) AS (VALUES {}) \
                 UPDATE tokens SET last_used_at = used.used_at, last_used_ip = used.address FROM used \
                 WHERE tokens.pat_id = used.pat_id \
                 AND (tokens.last_used_at IS NULL OR tokens.last_used_at < used.used_at)",
                rows.join(", ")
            );
            let query = uses.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, used| {
                query
                    .bind(used.pat_id.to_string())
                    .bind(used.at.millis())
                    .bind(used.address.to_string())
            });
            let mut tx = self.begin().await?;
            // Rows are locked in no order: two who do so would wait for each other.
            changes::lock(&mut tx).await?;
            query.execute(&mut *tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}
