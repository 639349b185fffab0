//! The realm's own settings on which Hallpass leans.

use serde_json::{Value, json};

use super::Examination;
use super::finding::{BOOTSTRAP, Checked, Verdict};
use crate::bootstrap::{ACCOUNT_ATTRIBUTE, unmet_event_settings};

/// How long user events are kept: without an end they fill the database, but nothing is missed.
const RETENTION: &str = "eventsExpiration";

pub(super) async fn events(examination: &Examination) -> Checked {
    let found = examination.keycloak.get_event_settings().await?;
    let mut unmet = unmet_event_settings(&found);
    let unlimited = unmet.iter().any(|name| name == RETENTION);
    unmet.retain(|name| name != RETENTION);
    if !unmet.is_empty() {
        return Ok(Verdict::fail(
            format!(
                "the realm does not record what Hallpass listens to: {}; changes are then noticed minutes later",
                unmet.join(", ")
            ),
            "run `hallpass bootstrap` again, without `--no-events`",
        ));
    }
    if unlimited {
        return Ok(Verdict::warn("user events are kept without end", BOOTSTRAP));
    }
    Ok(Verdict::ok("admin events with details and the needed user events are recorded"))
}

pub(super) async fn account_attribute(examination: &Examination) -> Checked {
    Ok(judge_profile(&examination.keycloak.get_user_profile().await?))
}

/// Whoever can change their own account can act for another one.
fn judge_profile(profile: &Value) -> Verdict {
    let declared = profile["attributes"]
        .as_array()
        .and_then(|all| all.iter().find(|attribute| attribute["name"] == ACCOUNT_ATTRIBUTE));
    match declared {
        Some(attribute) if attribute["permissions"]["edit"] == json!(["admin"]) => {
            Verdict::ok(format!("only administrators can edit `{ACCOUNT_ATTRIBUTE}`"))
        }
        Some(attribute) => Verdict::fail(
            format!(
                "`{ACCOUNT_ATTRIBUTE}` can be edited by {}, not by administrators alone",
                attribute["permissions"]["edit"]
            ),
            BOOTSTRAP,
        ),
        None if profile["unmanagedAttributePolicy"] == "ENABLED" => Verdict::fail(
            format!(
                "users can set `{ACCOUNT_ATTRIBUTE}` themselves: it is not declared, and the realm takes unmanaged attributes"
            ),
            BOOTSTRAP,
        ),
        None => Verdict::warn(
            format!(
                "the user profile does not declare `{ACCOUNT_ATTRIBUTE}`: nobody has an account"
            ),
            BOOTSTRAP,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    fn result(profile: &Value) -> Outcome {
        judge_profile(profile).called("account-attribute").result
    }

    #[test]
    fn the_profile_is_judged() {
        let with = |edit: Value| {
            json!({"unmanagedAttributePolicy": "ENABLED", "attributes": [
                {"name": "username", "permissions": {"edit": ["user"]}},
                {"name": "account_id", "permissions": {"edit": edit}}]})
        };
        assert_eq!(result(&with(json!(["admin"]))), Outcome::Ok);
        assert_eq!(result(&with(json!(["admin", "user"]))), Outcome::Fail);
        assert_eq!(result(&with(Value::Null)), Outcome::Fail);
        assert_eq!(result(&json!({"attributes": []})), Outcome::Warn);
        let unmanaged = |policy| json!({"attributes": [], "unmanagedAttributePolicy": policy});
        assert_eq!(result(&unmanaged("ENABLED")), Outcome::Fail);
        assert_eq!(result(&unmanaged("ADMIN_EDIT")), Outcome::Warn);
    }
}
