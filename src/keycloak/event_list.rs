//! The realm's two lists of events, a page at a time.

use super::elements::Bounds;
use super::events::{DELETE_ACCOUNT, LOCKED_OUT, Listed, read_admin_event, read_user_event};
use super::{EventKind, Keycloak, KeycloakError, RealmEvent};
use crate::clock::Timestamp;

impl Keycloak {
    /// Events from a moment on, oldest first; `first` and `max` page through them. Those of one stamp have no order: two
    /// calls may give them out in two.
    ///
    /// An event is read however large what was sent with it is. One that cannot be read may concern everybody; it has the
    /// stamp of the one before it.
    pub async fn list_events(
        &self,
        kind: EventKind,
        from: Timestamp,
        first: usize,
        max: usize,
    ) -> Result<Vec<RealmEvent>, KeycloakError> {
        // Keycloak 26.5 and older refuse a moment before 1970.
        let begin = from.millis().max(0).to_string();
        let (first, max) = (first.to_string(), max.to_string());
        let mut query = vec![
            ("dateFrom", begin.as_str()),
            ("direction", "asc"),
            ("first", first.as_str()),
            ("max", max.as_str()),
        ];
        let listed = match kind {
            EventKind::Admin => {
                self.get_each("/admin-events", &query, Bounds::EVENT, read_admin_event).await?
            }
            EventKind::User => {
                query.extend([("type", DELETE_ACCOUNT), ("type", LOCKED_OUT)]);
                self.get_each("/events", &query, Bounds::EVENT, read_user_event).await?
            }
        };
        Ok(with_stamps(listed, from))
    }
}

fn with_stamps(listed: Vec<Listed>, from: Timestamp) -> Vec<RealmEvent> {
    let mut time = from.millis();
    let stamped = listed.into_iter().map(|event| match event {
        Ok(event) => {
            time = event.time;
            event
        }
        Err(id) => RealmEvent::concerning_everybody(id, time),
    });
    stamped.collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Subject, Wide};
    use super::*;

    #[test]
    fn an_event_that_cannot_be_read_concerns_everybody() {
        let good =
            br#"{"id": "a", "time": 7, "operationType": "ACTION", "resourcePath": "clients"}"#;
        let bad: [&[u8]; 5] = [
            br#"{"id": "b", "time": 8, "resourcePath": null}"#,
            br#"{"id": "b", "time": 8, "resourcePath": "users/u", "details": {"a": "#,
            br#"{"id": null, "time": 8}"#,
            br#"{"id": "b"}"#,
            b"7",
        ];
        let everybody = [Subject::Owners(Wide::Everybody)];
        for bad in bad {
            let events = with_stamps(
                vec![read_admin_event(bad), read_admin_event(good), read_admin_event(bad)],
                Timestamp::from_millis(3),
            );
            assert_eq!(events.iter().map(|event| event.time).collect::<Vec<_>>(), [3, 7, 7]);
            assert_eq!([&events[0].subjects, &events[2].subjects], [&everybody, &everybody]);
            // It is the same one, whenever it is read.
            assert!(events[0].id == events[2].id && events[0].id != events[1].id);
            assert!(read_user_event(bad).is_err());
        }
    }
}
