//! The realm's own settings on which Hallpass leans.

use serde_json::{Value, json};

use super::Examination;
use super::finding::{BOOTSTRAP, Checked, Verdict};
use crate::bootstrap::{ACCOUNT_ATTRIBUTE, STOCK_SCOPES, unmet_event_settings};

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

/// Keycloak gives its members the attribute of a group where they have none themselves: who manages the group would
/// choose their account.
pub(super) async fn account_of_groups(examination: &Examination) -> Checked {
    match examination.keycloak.find_group_with_attribute(ACCOUNT_ATTRIBUTE).await? {
        None => Ok(Verdict::ok(format!("no group has the attribute `{ACCOUNT_ATTRIBUTE}`"))),
        Some(group) => Ok(Verdict::fail(
            format!(
                "the group {group} has the attribute `{ACCOUNT_ATTRIBUTE}`: it is no member's own"
            ),
            "take the attribute from the group in Keycloak, and give it to its members themselves",
        )),
    }
}

/// Client scopes that every realm has from the start.
pub(super) async fn stock_scopes(examination: &Examination) -> Checked {
    let scopes = examination.keycloak.list_scope_details().await?;
    let has = |name: &str| scopes.iter().any(|one| one.name == name && one.is_openid_connect());
    let missing: Vec<_> = STOCK_SCOPES.into_iter().filter(|name| !has(name)).collect();
    if missing.is_empty() {
        return Ok(Verdict::ok("the realm has the client scopes that API clients get"));
    }
    Ok(Verdict::warn(
        format!(
            "the realm lacks client scopes that Keycloak makes in every realm: {}",
            missing.join(", ")
        ),
        "make them in Keycloak, unless tokens of API clients shall not have their claims",
    ))
}

/// Whoever can change their own account can act for another one.
fn judge_profile(profile: &Value) -> Verdict {
    let declared = profile["attributes"]
        .as_array()
        .and_then(|all| all.iter().find(|attribute| attribute["name"] == ACCOUNT_ATTRIBUTE));
    match declared {
        Some(attribute) if attribute["multivalued"] == true => Verdict::fail(
            format!("`{ACCOUNT_ATTRIBUTE}` may have several values: nobody has an account then"),
            format!(
                "declare `{ACCOUNT_ATTRIBUTE}` with one value in the user profile of the realm"
            ),
        ),
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
