//! The realm's events, on which the life cycle of tokens leans; what was there before is noted.

use reqwest::Method;
use serde_json::{Value, json};

use super::compare::merge;
use super::run::{Run, text};
use crate::keycloak::KeycloakError;

/// The user events that Hallpass needs: people who go without an administrator's act.
const USER_EVENTS: [&str; 2] = ["DELETE_ACCOUNT", "USER_DISABLED_BY_PERMANENT_LOCKOUT"];
/// Events are kept this long where the realm keeps them without end: 7 days.
const RETENTION_SECONDS: u64 = 7 * 24 * 3600;
const ADMIN_RETENTION: &str = "adminEventsExpiration";
/// The attribute of the service client that notes what was there before.
const BEFORE: &str = "hallpass.events-before";
/// The settings that are ours to change.
const SETTINGS: [&str; 5] = [
    "adminEventsEnabled",
    "adminEventsDetailsEnabled",
    "eventsEnabled",
    "enabledEventTypes",
    "eventsExpiration",
];

/// Switches events on.
pub(super) async fn prepare(run: &mut Run<'_>, service: &str) -> Result<(), KeycloakError> {
    let realm = run.get("").await?;
    let found = settings_of(&realm);
    let wanted = wanted(&found);
    if super::compare::differences(&wanted, &found).is_empty() {
        return Ok(());
    }
    note(run, service, &found).await?;
    let what = "switch on admin events with details, and the user events that Hallpass needs";
    run.change(what, Method::PUT, "", Some(&with_settings(&realm, &wanted))).await
}

/// The names of the settings that fall short, of those that the run-time account can read. How long admin events
/// are kept is not among them.
pub(crate) fn unmet(found: &Value) -> Vec<String> {
    let mut wanted = wanted(found);
    wanted.as_object_mut().map(|wanted| wanted.remove(ADMIN_RETENTION));
    super::compare::differences(&wanted, found)
}

/// Gives the realm back what was noted, where it still has what we set.
pub(super) async fn remove(run: &mut Run<'_>, service: &Value) -> Result<(), KeycloakError> {
    let Some(before) = service["attributes"][BEFORE].as_str() else { return Ok(()) };
    let Ok(before) = serde_json::from_str::<Value>(before) else { return Ok(()) };
    let realm = run.get("").await?;
    let found = settings_of(&realm);
    let ours = wanted(&before);
    let mut restored = found.clone();
    for name in SETTINGS.into_iter().chain([ADMIN_RETENTION]) {
        if super::compare::differences(&json!({name: ours[name]}), &found).is_empty() {
            restored[name] = before[name].clone();
        }
    }
    if restored == found {
        return Ok(());
    }
    run.change(
        "give back the event settings",
        Method::PUT,
        "",
        Some(&with_settings(&realm, &restored)),
    )
    .await
}

/// The note is made once: a second run would note our own settings.
async fn note(run: &mut Run<'_>, service: &str, found: &Value) -> Result<(), KeycloakError> {
    let path = format!("/clients/{service}");
    let client = run.get(&path).await?;
    if client["attributes"][BEFORE].is_string() {
        return Ok(());
    }
    let noted = json!({"attributes": {BEFORE: found.to_string()}});
    let what = "note the realm's event settings on client hallpass";
    run.change(what, Method::PUT, &path, Some(&merge(&noted, &client))).await
}

fn settings_of(realm: &Value) -> Value {
    let mut settings = json!({ADMIN_RETENTION: realm["attributes"][ADMIN_RETENTION]});
    for name in SETTINGS {
        settings[name] = realm[name].clone();
    }
    settings
}

/// What to write of the realm: with the whole of it Keycloak would write out defaults that nobody set, for good.
fn with_settings(realm: &Value, settings: &Value) -> Value {
    // A realm's attributes are replaced as a whole: what is left out is deleted.
    let mut part = json!({"attributes": realm["attributes"]});
    for name in SETTINGS {
        part[name] = settings[name].clone();
    }
    // What is null stays as it is; kept without an end is 0.
    if part["eventsExpiration"].is_null() {
        part["eventsExpiration"] = json!(0);
    }
    if settings[ADMIN_RETENTION].is_null() {
        part["attributes"].as_object_mut().map(|attributes| attributes.remove(ADMIN_RETENTION));
    } else {
        part["attributes"][ADMIN_RETENTION] = settings[ADMIN_RETENTION].clone();
    }
    part
}

fn wanted(found: &Value) -> Value {
    let mut events: Vec<Value> = if found["eventsEnabled"] == true {
        found["enabledEventTypes"].as_array().cloned().unwrap_or_default()
    } else {
        Vec::new()
    };
    // An empty list that is switched on means all of them.
    if found["eventsEnabled"] != true || !events.is_empty() {
        let missing = USER_EVENTS.into_iter().filter(|name| !events.contains(&json!(name)));
        let missing: Vec<Value> = missing.map(Value::from).collect();
        events.extend(missing);
    }
    let unlimited = found["eventsExpiration"].as_u64().is_none_or(|seconds| seconds == 0);
    let admin = text(found, ADMIN_RETENTION);
    let admin_unlimited = admin.is_empty() || admin == "0";
    json!({
        "adminEventsEnabled": true,
        "adminEventsDetailsEnabled": true,
        "eventsEnabled": true,
        "enabledEventTypes": events,
        "eventsExpiration":
            if unlimited { json!(RETENTION_SECONDS) } else { found["eventsExpiration"].clone() },
        ADMIN_RETENTION:
            if admin_unlimited { RETENTION_SECONDS.to_string() } else { admin.to_owned() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_events_are_off_only_ours_are_switched_on() {
        let found = json!({"eventsEnabled": false, "enabledEventTypes": ["LOGIN"], "eventsExpiration": null});
        let wanted = wanted(&found);
        assert_eq!(wanted["enabledEventTypes"], json!(USER_EVENTS));
        assert_eq!(wanted["eventsExpiration"], RETENTION_SECONDS);
        assert_eq!(wanted[ADMIN_RETENTION], "604800");
    }

    #[test]
    fn where_events_are_on_ours_are_added_and_the_retention_stays() {
        let found = json!({"eventsEnabled": true, "enabledEventTypes": ["LOGIN"], "eventsExpiration": 60,
            ADMIN_RETENTION: "90"});
        let wanted = wanted(&found);
        assert_eq!(wanted["enabledEventTypes"], json!(["LOGIN", USER_EVENTS[0], USER_EVENTS[1]]));
        assert_eq!(
            (wanted["eventsExpiration"].clone(), text(&wanted, ADMIN_RETENTION)),
            (json!(60), "90")
        );
        assert_eq!(super::wanted(&wanted), wanted);
    }

    #[test]
    fn what_falls_short_is_named() {
        let found = json!({"adminEventsEnabled": true, "eventsEnabled": true, "eventsExpiration": 60,
            "enabledEventTypes": ["LOGIN"]});
        assert_eq!(unmet(&found), ["adminEventsDetailsEnabled", "enabledEventTypes"]);
        assert_eq!(unmet(&wanted(&found)), [""; 0]);
    }
}
