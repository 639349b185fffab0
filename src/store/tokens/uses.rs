//! When and from where tokens were last used.

use std::net::IpAddr;

use crate::clock::Timestamp;
use crate::id::PatId;
use crate::store::{Store, StoreError, within};

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
    /// Records uses, in one transaction. What is recorded already and later stays.
    pub async fn record_uses(&self, uses: &[TokenUse]) -> Result<(), StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            for used in uses {
                sqlx::query(
                    "UPDATE tokens SET last_used_at = $2, last_used_ip = $3 \
                     WHERE pat_id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
                )
                .bind(used.pat_id.to_string())
                .bind(used.at.millis())
                .bind(used.address.to_string())
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}
