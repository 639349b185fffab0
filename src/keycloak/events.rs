//! The realm's admin events: hints that something changed.

use serde::Deserialize;

use super::{Keycloak, KeycloakError};
use crate::clock::Timestamp;
use crate::id::UserId;

/// Something that an administrator, or we, did in the realm.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminEvent {
    /// Its id.
    pub id: String,
    /// When it was done, in milliseconds since the epoch, by Keycloak's clock; stamped before the commit.
    pub time: i64,
    #[serde(default)]
    resource_path: Option<String>,
}

/// What an event is about, as far as anybody here asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The client of this internal id, or something below it.
    Client(String),
    /// The user of this id, or something below them.
    User(UserId),
}

impl AdminEvent {
    /// What it is about. Read from the path: a client's mappers, scopes and secret have resource types of their own.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        let mut segments = self.resource_path.as_deref()?.split('/');
        match (segments.next()?, segments.next()?) {
            ("clients", uuid) => Some(Subject::Client(uuid.to_owned())),
            ("users", id) => Some(Subject::User(UserId::new(id))),
            _ => None,
        }
    }
}

impl Keycloak {
    /// Admin events from a moment on, oldest first; `first` and `max` page through them.
    pub async fn list_admin_events(
        &self,
        from: Timestamp,
        first: usize,
        max: usize,
    ) -> Result<Vec<AdminEvent>, KeycloakError> {
        let (from, first, max) = (from.millis().to_string(), first.to_string(), max.to_string());
        let query = [
            ("dateFrom", from.as_str()),
            ("direction", "asc"),
            ("first", first.as_str()),
            ("max", max.as_str()),
        ];
        self.get("/admin-events", &query).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let of = |path: &str| {
            let resource_path = Some(path.to_owned());
            AdminEvent { id: "e".to_owned(), time: 0, resource_path }.subject()
        };
        let client = Some(Subject::Client("c1".to_owned()));
        assert_eq!(of("clients/c1"), client);
        assert_eq!(of("clients/c1/optional-client-scopes/s1"), client);
        assert_eq!(of("users/u1/role-mappings/realm"), Some(Subject::User(UserId::new("u1"))));
        assert_eq!(of("clients"), None);
        assert_eq!(of("groups/g1"), None);
    }
}
