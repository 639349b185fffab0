//! What bootstrap made in the realm, and what it has to remember between two runs.

use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};

use super::{Store, StoreError, within};
use crate::clock::Timestamp;

/// What an object in the realm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A client.
    Client,
    /// A client scope.
    ClientScope,
    /// A component that publishes a signing key.
    KeyProvider,
}

impl ObjectKind {
    const ALL: [Self; 3] = [Self::Client, Self::ClientScope, Self::KeyProvider];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::ClientScope => "client_scope",
            Self::KeyProvider => "key_provider",
        }
    }
}

/// An object in the realm that bootstrap made, or is about to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmObject {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name: of a client, the `client_id`.
    pub name: String,
    /// Keycloak's id of it.
    pub id: String,
    /// Whether it was seen in Keycloak. Otherwise only its id was chosen.
    pub made: bool,
}

/// What bootstrap remembers between two runs, one text each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// What the operator chose by flag.
    Choices,
    /// The realm's user profile before bootstrap changed it, where the realm had the default.
    ProfileBefore,
    /// The list of realm objects is complete. A store from before there was a list lacks this note.
    Listed,
}

impl Note {
    const fn name(self) -> &'static str {
        match self {
            Self::Choices => "bootstrap_choices",
            Self::ProfileBefore => "user_profile_before",
            Self::Listed => "realm_objects_listed",
        }
    }
}

impl Store {
    /// All objects that bootstrap made. None where the tables are not that far.
    pub async fn list_realm_objects(&self) -> Result<Vec<RealmObject>, StoreError> {
        if !self.has_table("realm_objects").await? {
            return Ok(Vec::new());
        }
        within(async {
            let sql =
                "SELECT kind, name, keycloak_id, made_at FROM realm_objects ORDER BY kind, name";
            let rows = sqlx::query(sql).fetch_all(&self.pool).await?;
            rows.iter().map(realm_object).collect()
        })
        .await
    }

    /// Notes the id that an object is going to have, before Keycloak is asked to make it. It replaces an older id of
    /// the same kind and name.
    pub async fn choose_realm_object(
        &self,
        object: &RealmObject,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            put(&mut tx, object, now).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Notes the object under this id as made.
    pub async fn confirm_realm_object(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        within(async {
            sqlx::query("UPDATE realm_objects SET made_at = $2 WHERE keycloak_id = $1")
                .bind(id)
                .bind(now.millis())
                .execute(&self.pool)
                .await?;
            Ok(())
        })
        .await
    }

    /// Adds objects that are in the realm already, and notes that the list is complete.
    pub async fn complete_realm_objects(
        &self,
        objects: &[RealmObject],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        within(async {
            let mut tx = self.begin().await?;
            for object in objects {
                put(&mut tx, object, now).await?;
            }
            tx.commit().await?;
            Ok(())
        })
        .await?;
        self.keep_note(Note::Listed, "yes").await
    }

    /// Takes an object off the list: it is gone from the realm.
    pub async fn forget_realm_object(&self, id: &str) -> Result<(), StoreError> {
        within(async {
            sqlx::query("DELETE FROM realm_objects WHERE keycloak_id = $1")
                .bind(id)
                .execute(&self.pool)
                .await?;
            Ok(())
        })
        .await
    }

    /// What was noted.
    pub async fn find_note(&self, note: Note) -> Result<Option<String>, StoreError> {
        self.find_fact(note.name()).await
    }

    /// Notes a text in place of the one before.
    pub async fn keep_note(&self, note: Note, text: &str) -> Result<(), StoreError> {
        self.put_fact(note.name(), text).await
    }

    /// Forgets what was noted.
    pub async fn forget_note(&self, note: Note) -> Result<(), StoreError> {
        self.remove_fact(note.name()).await
    }
}

async fn put(
    tx: &mut Transaction<'_, Any>,
    object: &RealmObject,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Its id may stand under another name: Keycloak's objects can be renamed.
    sqlx::query("DELETE FROM realm_objects WHERE keycloak_id = $1 OR (kind = $2 AND name = $3)")
        .bind(object.id.as_str())
        .bind(object.kind.as_str())
        .bind(object.name.as_str())
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO realm_objects (keycloak_id, kind, name, chosen_at, made_at) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(object.id.as_str())
    .bind(object.kind.as_str())
    .bind(object.name.as_str())
    .bind(now.millis())
    .bind(object.made.then(|| now.millis()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn realm_object(row: &AnyRow) -> Result<RealmObject, StoreError> {
    let kind: String = row.try_get("kind")?;
    let kind = ObjectKind::ALL.into_iter().find(|known| known.as_str() == kind);
    Ok(RealmObject {
        kind: kind.ok_or(StoreError::Corrupt("kind of realm object"))?,
        name: row.try_get("name")?,
        id: row.try_get("keycloak_id")?,
        made: row.try_get::<Option<i64>, _>("made_at")?.is_some(),
    })
}
