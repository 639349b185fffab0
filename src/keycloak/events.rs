//! The realm's events, of administrators and of users: hints that something changed.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::EventId;
use crate::clock::Timestamp;
use crate::id::UserId;

/// An event of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmEvent {
    /// What it is known by.
    pub id: EventId,
    /// When it happened, in milliseconds since the epoch, by Keycloak's clock; stamped before the commit.
    pub time: i64,
    /// What it is about, as far as anybody here asks.
    pub subjects: Vec<Subject>,
    /// The internal id of the client by which an administrator acted.
    pub by_client: Option<String>,
}

impl RealmEvent {
    /// Stands for an event that cannot be read, whoever it concerns, by where it is in its list.
    #[must_use]
    pub fn unread(from: Timestamp, first: usize) -> Self {
        let id = EventId::digest(format!("{} {first}", from.millis()).as_bytes());
        Self::concerning_everybody(id, from.millis())
    }

    pub(super) fn concerning_everybody(id: EventId, time: i64) -> Self {
        Self { id, time, subjects: vec![Subject::Owners(Wide::Everybody)], by_client: None }
    }
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The client of this internal id, or something below it.
    Client(String),
    /// The user of this id, or something below them.
    User(UserId, UserChange),
    /// Several users.
    Owners(Wide),
}

/// Users of whom one event concerns several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wide {
    /// Which cannot be told from the event: those of an organization or a directory, of a group or role that is gone.
    Everybody,
    /// Everybody but those whom the event names, in case it does not name all.
    Rest,
    /// Those who have this role.
    Role(RoleRef),
    /// The members of the group of this id, and of those below it.
    Group(String),
    /// Those who had roles of the client of this `client_id`, which is gone.
    FormerClient(String),
}

/// A role as events name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleRef {
    /// The internal id of its client; `None`: it is a role of the realm.
    pub client: Option<String>,
    /// Its name.
    pub name: String,
}

/// What an event says of a user. It may be over by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChange {
    /// Something of theirs changed.
    Changed,
    /// They were edited; how is not said.
    Edited,
    /// They were edited, and are enabled.
    Enabled,
    /// They were disabled or deleted, on purpose.
    Left,
}

impl UserChange {
    /// What is known after another change: the last word of whether the user left counts, and what says nothing of it takes
    /// nothing back.
    #[must_use]
    pub const fn then(self, later: Self) -> Self {
        if matches!(later, Self::Changed) { self } else { later }
    }

    /// Whether it says, or may say, that the user was disabled or deleted.
    #[must_use]
    pub const fn may_be_a_departure(self) -> bool {
        matches!(self, Self::Left | Self::Edited)
    }
}

/// The kinds of events of which there is a list each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// What administrators did, and what we did.
    Admin,
    /// What users did, as far as it ends their account.
    User,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdminEvent {
    id: String,
    time: i64,
    #[serde(default)]
    operation_type: String,
    /// Absent is one thing, left out for its length another: that is an event that cannot be read.
    #[serde(default, deserialize_with = "text")]
    resource_path: Option<String>,
    /// What the administrator sent, as JSON; absent where the realm does not record it, or where it is too long.
    #[serde(default)]
    representation: Option<String>,
    #[serde(default)]
    auth_details: AuthDetails,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthDetails {
    #[serde(default)]
    client_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserEvent {
    id: String,
    time: i64,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    user_id: Option<String>,
}

fn text<'de, D: Deserializer<'de>>(text: D) -> Result<Option<String>, D::Error> {
    String::deserialize(text).map(Some)
}

pub(super) const DELETE_ACCOUNT: &str = "DELETE_ACCOUNT";
pub(super) const LOCKED_OUT: &str = "USER_DISABLED_BY_PERMANENT_LOCKOUT";

impl AdminEvent {
    /// Read from the path: a client's mappers, scopes and secret have resource types of their own.
    fn subjects(&self) -> Vec<Subject> {
        let path: Vec<_> = self.resource_path.iter().flat_map(|path| path.split('/')).collect();
        let (made, gone) = (self.operation_type == "CREATE", self.operation_type == "DELETE");
        match *path {
            ["users", id, ref below @ ..] if !is_plain(id, below) => {
                vec![Subject::Owners(Wide::Everybody)]
            }
            ["users", id] => vec![Subject::User(UserId::new(id), self.user_change())],
            ["users", id, ..] => vec![Subject::User(UserId::new(id), UserChange::Changed)],
            // Nobody has a new role, is in a new group or organization.
            ["roles" | "groups" | "organizations", _] | ["clients", _, "roles", _] if made => {
                vec![]
            }
            ["clients", uuid] if gone => {
                vec![Subject::Client(uuid.to_owned()), Subject::Owners(Wide::Everybody)]
            }
            ["roles", name] | ["roles", name, "composites"] => of_role(None, name),
            ["clients", uuid, "roles", name] | ["clients", uuid, "roles", name, "composites"] => {
                of_role(Some(uuid), name)
            }
            // Which role it is cannot be asked; but who lost something by it had what it lost.
            ["roles-by-id", _, "composites"] if gone => self.lost_roles(),
            ["groups", id] if !gone => of_group(id),
            ["groups", id, "role-mappings" | "children", ..] => of_group(id),
            ["clients", _, "roles", ..]
            | [
                // The realm: what a partial import overwrites.
                "roles" | "roles-by-id" | "groups" | "organizations" | "components"
                | "user-storage" | "workflows" | "realms",
                ..,
            ] => vec![Subject::Owners(Wide::Everybody)],
            ["clients", uuid, ..] => vec![Subject::Client(uuid.to_owned())],
            _ => vec![],
        }
    }

    /// The roles that a composite lost.
    fn lost_roles(&self) -> Vec<Subject> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Lost {
            name: String,
            #[serde(default)]
            client_role: bool,
            #[serde(default)]
            container_id: Option<String>,
        }
        let read = |text: &String| serde_json::from_str::<Vec<Lost>>(text).ok();
        let lost = self.representation.as_ref().and_then(read).unwrap_or_default();
        let role = |lost: Lost| match (lost.client_role, lost.container_id) {
            (false, _) => Some(RoleRef { client: None, name: lost.name }),
            (true, client) => client.map(|uuid| RoleRef { client: Some(uuid), name: lost.name }),
        };
        let roles: Option<Vec<_>> = lost.into_iter().map(role).collect();
        match roles {
            Some(roles) if !roles.is_empty() => {
                // The names are the sender's, Keycloak went by the ids: these first, and then everybody.
                let roles = roles.into_iter().map(Wide::Role).chain([Wide::Rest]);
                roles.map(Subject::Owners).collect()
            }
            _ => vec![Subject::Owners(Wide::Everybody)],
        }
    }

    fn user_change(&self) -> UserChange {
        if self.operation_type == "DELETE" {
            return UserChange::Left;
        }
        let Some(text) = &self.representation else { return UserChange::Edited };
        let sent: Value = serde_json::from_str(text).unwrap_or_default();
        match sent.get("enabled").and_then(Value::as_bool) {
            Some(true) => UserChange::Enabled,
            Some(false) => UserChange::Left,
            None => UserChange::Changed,
        }
    }
}

/// Whether the id of a user in a path is the user's, as it stands. Those from elsewhere may have any characters, slashes
/// too, and are written in more than one way.
fn is_plain(id: &str, below: &[&str]) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let is_cut = id.starts_with("f:")
        && below.first().is_some_and(|first| !matches!(*first, "role-mappings" | "groups"));
    id.chars().all(plain) && !is_cut
}

fn of_group(id: &str) -> Vec<Subject> {
    vec![Subject::Owners(Wide::Group(id.to_owned()))]
}

/// Those who have a role whose name is in a path.
fn of_role(client: Option<&str>, name: &str) -> Vec<Subject> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    // Others are written in more than one way.
    let wide = if name.chars().all(plain) {
        Wide::Role(RoleRef { client: client.map(str::to_owned), name: name.to_owned() })
    } else {
        Wide::Everybody
    };
    vec![Subject::Owners(wide)]
}

impl UserEvent {
    fn subjects(&self) -> Vec<Subject> {
        let change = match self.kind.as_str() {
            DELETE_ACCOUNT => UserChange::Left,
            LOCKED_OUT => UserChange::Changed,
            _ => return vec![],
        };
        self.user_id.iter().map(|id| Subject::User(UserId::new(&**id), change)).collect()
    }
}

/// An event as its list has it; `Err`: it cannot be read, and this is what it is known by.
pub(super) type Listed = Result<RealmEvent, EventId>;

pub(super) fn read_admin_event(element: &[u8]) -> Listed {
    let event: AdminEvent =
        serde_json::from_slice(element).map_err(|_| EventId::digest(element))?;
    let subjects = event.subjects();
    let AdminEvent { id, time, auth_details: AuthDetails { client_id: by_client }, .. } = event;
    Ok(RealmEvent { id: EventId::digest(id.as_bytes()), time, subjects, by_client })
}

pub(super) fn read_user_event(element: &[u8]) -> Listed {
    let event: UserEvent = serde_json::from_slice(element).map_err(|_| EventId::digest(element))?;
    let (id, subjects) = (EventId::digest(event.id.as_bytes()), event.subjects());
    Ok(RealmEvent { id, time: event.time, subjects, by_client: None })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn admin(operation: &str, path: &str, representation: Option<&str>) -> Vec<Subject> {
        let event = json!({"id": "e", "time": 0, "operationType": operation, "resourcePath": path,
            "representation": representation});
        serde_json::from_value::<AdminEvent>(event).unwrap().subjects()
    }

    fn user(id: &str, change: UserChange) -> Vec<Subject> {
        vec![Subject::User(UserId::new(id), change)]
    }

    #[test]
    fn subjects_of_clients() {
        let client = vec![Subject::Client("c1".to_owned())];
        assert_eq!(admin("UPDATE", "clients/c1", None), client);
        assert_eq!(admin("CREATE", "clients/c1/optional-client-scopes/s1", None), client);
        assert_eq!(
            admin("DELETE", "clients/c1", None),
            [Subject::Client("c1".to_owned()), Subject::Owners(Wide::Everybody)]
        );
        for path in ["clients", "", "client-scopes/s", "authentication/flows/f"] {
            assert_eq!(admin("UPDATE", path, None), [], "{path}");
        }
    }

    #[test]
    fn what_is_said_of_a_user() {
        use UserChange::{Changed, Edited, Enabled, Left};
        for (operation, sent, change) in [
            ("UPDATE", Some(r#"{"enabled":false}"#), Left),
            ("UPDATE", Some(r#"{"enabled":true,"email":"x"}"#), Enabled),
            ("UPDATE", Some(r#"{"email":"x"}"#), Changed),
            ("UPDATE", Some("no JSON"), Changed),
            ("UPDATE", None, Edited),
            ("DELETE", None, Left),
            ("DELETE", Some(r#"{"enabled":true}"#), Left),
        ] {
            assert_eq!(admin(operation, "users/u1", sent), user("u1", change), "{sent:?}");
        }
        for path in ["users/f:1:a b", "users/f:1:a%20b", "users/f:1:a/b", "users/f:1:a/logout"] {
            assert_eq!(admin("DELETE", path, None), [Subject::Owners(Wide::Everybody)], "{path}");
        }
        assert_eq!(admin("CREATE", "users/f:1:a/groups/g1", None), user("f:1:a", Changed));
        for path in ["users/u1/role-mappings/realm", "users/u1/groups/g1", "users/u1/logout"] {
            assert_eq!(admin("DELETE", path, Some(r#"{"enabled":false}"#)), user("u1", Changed));
        }
    }

    #[test]
    fn what_concerns_many() {
        let role = |client: Option<&str>| {
            Wide::Role(RoleRef { client: client.map(str::to_owned), name: "r".to_owned() })
        };
        let group = Wide::Group("g1".to_owned());
        for (operation, path, wide) in [
            ("CREATE", "groups/g1/role-mappings/realm", group.clone()),
            ("DELETE", "groups/g1/role-mappings/clients/c1", group.clone()),
            ("UPDATE", "groups/g1", group.clone()),
            ("CREATE", "groups/g1/children", group),
            ("DELETE", "groups/g1", Wide::Everybody),
            ("UPDATE", "groups", Wide::Everybody),
            ("DELETE", "roles/r", role(None)),
            ("UPDATE", "roles/r", role(None)),
            ("CREATE", "roles/r/composites", role(None)),
            ("CREATE", "clients/c1/roles/r/composites", role(Some("c1"))),
            ("DELETE", "clients/c1/roles/r", role(Some("c1"))),
            ("DELETE", "roles/a%20b", Wide::Everybody),
            ("DELETE", "roles/a/b", Wide::Everybody),
            ("DELETE", "roles-by-id/r1", Wide::Everybody),
            ("CREATE", "roles-by-id/r1/composites", Wide::Everybody),
            ("DELETE", "roles-by-id/r1/composites", Wide::Everybody),
            ("UPDATE", "organizations/o1", Wide::Everybody),
            ("CREATE", "organizations/o1/members", Wide::Everybody),
            ("UPDATE", "components/ldap", Wide::Everybody),
        ] {
            assert_eq!(admin(operation, path, None), [Subject::Owners(wide)], "{operation} {path}");
        }
        for path in ["roles/r", "groups/g1", "organizations/o1", "clients/c1/roles/r"] {
            assert_eq!(admin("CREATE", path, None), [], "{path}");
        }
    }

    #[test]
    fn what_a_composite_lost_is_named() {
        let lost = |sent: &str| admin("DELETE", "roles-by-id/r1/composites", Some(sent));
        let role = |client: Option<&str>, name: &str| {
            let client = client.map(str::to_owned);
            Subject::Owners(Wide::Role(RoleRef { client, name: name.to_owned() }))
        };
        let both = r#"[{"name": "a", "clientRole": false, "containerId": "realm"},
            {"name": "b c", "clientRole": true, "containerId": "c1"}]"#;
        let rest = Subject::Owners(Wide::Rest);
        assert_eq!(lost(both), [role(None, "a"), role(Some("c1"), "b c"), rest]);
        for unclear in ["", "[]", "{}", r#"[{"name": "b", "clientRole": true}]"#, "[{}]"] {
            assert_eq!(lost(unclear), [Subject::Owners(Wide::Everybody)], "{unclear}");
        }
    }

    #[test]
    fn users_who_leave_by_themselves_and_who_are_locked_out() {
        let of = |kind: &str| {
            let event = json!({"id": "e", "time": 0, "type": kind, "userId": "u1"});
            serde_json::from_value::<UserEvent>(event).unwrap().subjects()
        };
        assert_eq!(of("DELETE_ACCOUNT"), user("u1", UserChange::Left));
        assert_eq!(of("USER_DISABLED_BY_PERMANENT_LOCKOUT"), user("u1", UserChange::Changed));
        assert_eq!(of("LOGIN"), []);
    }
}
