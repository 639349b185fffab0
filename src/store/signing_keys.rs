//! The signing keys: sealed private parts and which one is in use.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::changes::{self, ChangeKind};
use super::{Store, StoreError, within};
use crate::clock::Timestamp;

/// A signing key as the store keeps it.
#[derive(Clone, Debug)]
pub struct SealedKey {
    /// Its id in the realm's JWKS.
    pub kid: String,
    /// The PKCS#8 private key, sealed for this issuer and `kid`.
    pub sealed_private_key: String,
}

/// A signing key by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Its id in the realm's JWKS.
    pub kid: String,
    /// It was taken out of use for good.
    pub retired: bool,
}

impl Store {
    /// The key that signs now.
    pub async fn find_active_key(&self) -> Result<Option<SealedKey>, StoreError> {
        self.find_key("SELECT kid, sealed_private_key FROM signing_keys WHERE state = 'active'")
            .await
    }

    /// A key that was made but is not in use yet: bootstrap was interrupted before it was published.
    pub async fn find_pending_key(&self) -> Result<Option<SealedKey>, StoreError> {
        self.find_key(
            "SELECT kid, sealed_private_key FROM signing_keys WHERE state = 'pending' \
             ORDER BY created_at, kid LIMIT 1",
        )
        .await
    }

    async fn find_key(&self, sql: &'static str) -> Result<Option<SealedKey>, StoreError> {
        within(async {
            let row = sqlx::query(sql).fetch_optional(&self.pool).await?;
            Ok(row.as_ref().map(sealed_key).transpose()?)
        })
        .await
    }

    /// All keys that there ever were.
    pub async fn list_kids(&self) -> Result<Vec<KnownKey>, StoreError> {
        within(async {
            let rows = sqlx::query("SELECT kid, state FROM signing_keys ORDER BY kid")
                .fetch_all(&self.pool)
                .await?;
            let known = |row: &AnyRow| {
                let retired = row.try_get::<&str, _>("state")? == "retired";
                Ok(KnownKey { kid: row.try_get("kid")?, retired })
            };
            rows.iter().map(known).collect()
        })
        .await
    }

    /// The keys that are not retired, the one that signs first.
    pub async fn list_kids_in_use(&self) -> Result<Vec<String>, StoreError> {
        within(async {
            Ok(sqlx::query_scalar(
                "SELECT kid FROM signing_keys WHERE state <> 'retired' \
                 ORDER BY CASE state WHEN 'active' THEN 0 ELSE 1 END, kid",
            )
            .fetch_all(&self.pool)
            .await?)
        })
        .await
    }

    /// The realm's own keys as a process last saw them, sealed.
    pub async fn find_realm_keys(&self) -> Result<Option<String>, StoreError> {
        within(async {
            Ok(sqlx::query_scalar("SELECT value FROM facts WHERE name = 'realm_keys'")
                .fetch_optional(&self.pool)
                .await?)
        })
        .await
    }

    /// Keeps them for a start while Keycloak is away.
    pub async fn put_realm_keys(&self, sealed: &str) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "INSERT INTO facts (name, value) VALUES ('realm_keys', $1) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(sealed)
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }

    /// Records a new key, before it is published anywhere.
    pub async fn insert_pending_key(
        &self,
        key: &SealedKey,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        within(async {
            sqlx::query(
                "INSERT INTO signing_keys (kid, state, sealed_private_key, created_at) \
                 VALUES ($1, 'pending', $2, $3)",
            )
            .bind(key.kid.as_str())
            .bind(key.sealed_private_key.as_str())
            .bind(now.millis())
            .execute(&self.pool)
            .await?;
            Ok(())
        })
        .await
    }

    /// Makes a pending key the one that signs. False when it is not pending, or another one is active.
    pub async fn activate_key(&self, kid: &str, now: Timestamp) -> Result<bool, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            changes::lock(&mut tx).await?;
            let switched = sqlx::query(
                "UPDATE signing_keys SET state = 'active', activated_at = $2 \
                 WHERE kid = $1 AND state = 'pending' \
                 AND NOT EXISTS (SELECT 1 FROM signing_keys WHERE state = 'active')",
            )
            .bind(kid)
            .bind(now.millis())
            .execute(&mut *tx)
            .await?
            .rows_affected()
                == 1;
            if switched {
                changes::record(&mut tx, ChangeKind::KeySwitched, kid, now).await?;
            }
            tx.commit().await?;
            Ok(switched)
        })
        .await
    }

    /// Takes every key out of use: the realm no longer publishes them. Answers how many there were.
    pub async fn retire_all_keys(&self, now: Timestamp) -> Result<u64, StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            changes::lock(&mut tx).await?;
            let kids: Vec<String> = sqlx::query_scalar(
                "SELECT kid FROM signing_keys WHERE state <> 'retired' ORDER BY kid",
            )
            .fetch_all(&mut *tx)
            .await?;
            for kid in &kids {
                // The private part goes too: a key that is taken back must not sign again.
                sqlx::query(
                    "UPDATE signing_keys SET state = 'retired', retired_at = $2, \
                     sealed_private_key = '' WHERE kid = $1",
                )
                .bind(kid.as_str())
                .bind(now.millis())
                .execute(&mut *tx)
                .await?;
                changes::record(&mut tx, ChangeKind::KeySwitched, kid, now).await?;
            }
            tx.commit().await?;
            Ok(kids.len() as u64)
        })
        .await
    }
}

fn sealed_key(row: &AnyRow) -> Result<SealedKey, sqlx::Error> {
    Ok(SealedKey {
        kid: row.try_get("kid")?,
        sealed_private_key: row.try_get("sealed_private_key")?,
    })
}
