//! The numbered changes by which replicas hear of each other.

use sqlx::{Any, AssertSqlSafe, Row as _, Transaction};

use super::{Store, StoreError, rows_of_placeholders, within};
use crate::clock::Timestamp;

/// How many changes one statement writes.
const PART: usize = 250;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A personal access token was revoked or deleted; the subject is its id.
    TokenEnded,
    /// A personal access token was suspended or released; the subject is its id.
    TokenSuspended,
    /// The owner of a personal access token is called otherwise; the subject is the token's id.
    TokenOwnerRenamed,
    /// A signing key became active or retired; the subject is its `kid`.
    KeySwitched,
    /// Something happened to a client in the realm; the subject is Keycloak's id of it.
    ClientChanged,
}

impl ChangeKind {
    const ALL: [Self; 5] = [
        Self::TokenEnded,
        Self::TokenSuspended,
        Self::TokenOwnerRenamed,
        Self::KeySwitched,
        Self::ClientChanged,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::TokenEnded => "token_ended",
            Self::TokenSuspended => "token_suspended",
            Self::TokenOwnerRenamed => "token_owner_renamed",
            Self::KeySwitched => "key_switched",
            Self::ClientChanged => "client_changed",
        }
    }

    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its place in the order of the commits.
    pub number: i64,
    /// What changed; `None` for a kind that a newer version writes.
    pub kind: Option<ChangeKind>,
    /// What it happened to.
    pub subject: String,
}

impl Store {
    /// The number of the newest change; 0 before the first.
    pub async fn last_change(&self) -> Result<i64, StoreError> {
        within(async {
            Ok(sqlx::query_scalar("SELECT last_number FROM change_counter WHERE id = 1")
                .fetch_one(&self.pool)
                .await?)
        })
        .await
    }

    /// Tells every process that something happened to a client in the realm.
    pub async fn tell_client_changed(&self, uuid: &str, at: Timestamp) -> Result<(), StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            record(&mut tx, ChangeKind::ClientChanged, uuid, at).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// The changes after `number`, in order, at most 1,000 of them.
    pub async fn list_changes_after(&self, number: i64) -> Result<Vec<Change>, StoreError> {
        within(async {
            let rows = sqlx::query(
                "SELECT number, kind, subject FROM changes WHERE number > $1 ORDER BY number LIMIT 1000",
            )
            .bind(number)
            .fetch_all(&self.pool)
            .await?;
            rows.iter()
                .map(|row| {
                    Ok(Change {
                        number: row.try_get("number")?,
                        kind: ChangeKind::find(row.try_get("kind")?),
                        subject: row.try_get("subject")?,
                    })
                })
                .collect()
        })
        .await
    }
}

/// Takes the counter's row before anything else, for a unit that looks at several rows and then changes some:
/// two such units would see what the other is about to change, or wait for each other in a ring.
pub(super) async fn lock(tx: &mut Transaction<'static, Any>) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE change_counter SET last_number = last_number WHERE id = 1")
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Numbers a change in the transaction that makes it. The counter's row stays locked until the commit.
pub(super) async fn record(
    tx: &mut Transaction<'static, Any>,
    kind: ChangeKind,
    subject: &str,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    record_all(tx, kind, &[subject.to_owned()], at).await
}

/// Numbers several changes, in their order.
pub(super) async fn record_all(
    tx: &mut Transaction<'static, Any>,
    kind: ChangeKind,
    subjects: &[String],
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    for part in subjects.chunks(PART) {
        let count = i64::try_from(part.len()).unwrap_or(i64::MAX);
        // A change without a number is one that no replica hears of: no row is an error.
        let last: i64 = sqlx::query_scalar(
            "UPDATE change_counter SET last_number = last_number + $1 WHERE id = 1 RETURNING last_number",
        )
        .bind(count)
        .fetch_one(&mut **tx)
        .await?;
        let rows = rows_of_placeholders(part.len(), 4);
        let sql = format!("INSERT INTO changes (number, kind, subject, changed_at) VALUES {rows}");
        let query = part.iter().zip(last - count + 1..).fold(
            sqlx::query(AssertSqlSafe(sql)),
            |query, (subject, number)| {
                query.bind(number).bind(kind.name()).bind(subject.as_str()).bind(at.millis())
            },
        );
        query.execute(&mut **tx).await?;
    }
    Ok(())
}
