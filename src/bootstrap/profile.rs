//! The attribute `account_id` in the user profile, which only administrators may edit.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::run::Run;
use super::{BootstrapError, MANAGED};
use crate::keycloak::KeycloakError;
pub(crate) use crate::owner::ACCOUNT_ATTRIBUTE;
use crate::store::Note;

/// Where the permissions of an attribute that was there before us are noted.
const EDIT_BEFORE: &str = "hallpass.edit-before";
/// Notes on our attribute that the realm had Keycloak's default profile, which no realm stores: its SHA-256, so that a
/// change by somebody else since shows. Our store may be lost by then.
const DEFAULT_BEFORE: &str = "hallpass.default-before";
const PATH: &str = "/users/profile";
/// Where Keycloak stores a profile that is not its default.
const COMPONENTS: &str = "/components?type=org.keycloak.userprofile.UserProfileProvider";

/// Declares the attribute; takes the users' permission to edit it where they have one, since whoever
/// can change their account can act for another one.
pub(super) async fn prepare(run: &mut Run<'_>) -> Result<(), BootstrapError> {
    let mut profile = run.get(PATH).await?;
    let before = hash(&profile);
    let Some(attributes) = profile["attributes"].as_array_mut() else {
        let reason = "there are no attributes".to_owned();
        return Err(KeycloakError::Protocol { call: format!("GET {PATH}"), reason }.into());
    };
    let what = match attributes.iter_mut().find(|found| found["name"] == ACCOUNT_ATTRIBUTE) {
        None => {
            let mut ours = declaration();
            if run.list(COMPONENTS).await?.is_empty() {
                ours["annotations"][DEFAULT_BEFORE] = json!(before);
            }
            attributes.push(ours);
            "declare the user attribute account_id"
        }
        Some(found) if found["permissions"]["edit"] == json!(["admin"]) => {
            if !drop_pattern(found) {
                return Ok(());
            }
            "let the user attribute account_id have any value"
        }
        Some(found) => {
            let before = found["permissions"].to_string();
            found["annotations"][EDIT_BEFORE] = json!(before);
            found["permissions"] = permissions();
            "let only administrators edit the user attribute account_id"
        }
    };
    Ok(run.change(what, Method::PUT, PATH, Some(&profile)).await?)
}

/// Takes the declaration back, or gives back the permissions that were there.
pub(super) async fn remove(run: &mut Run<'_>) -> Result<(), BootstrapError> {
    let mut profile = run.get(PATH).await?;
    let Some(attributes) = profile["attributes"].as_array_mut() else { return Ok(()) };
    let Some(index) = attributes.iter().position(|found| found["name"] == ACCOUNT_ATTRIBUTE) else {
        return Ok(());
    };
    let found = &mut attributes[index];
    let default = found["annotations"][DEFAULT_BEFORE].as_str().map(str::to_owned);
    let what = if found["annotations"][MANAGED] == "true" {
        attributes.remove(index);
        "remove the user attribute account_id"
    } else if let Some(before) = take_note(found) {
        found["permissions"] = before;
        "give back the permissions of the user attribute account_id"
    } else {
        return Ok(());
    };
    let is_default_again = match default {
        Some(before) => before == hash(&profile),
        None => noted(run).await?.as_ref() == Some(&profile),
    };
    // Nobody changed anything else since: null makes it Keycloak's default, of whatever version.
    let profile = if is_default_again { Value::Null } else { profile };
    run.change(what, Method::PUT, PATH, Some(&profile)).await?;
    if let Some(store) = run.inventory.writable() {
        store.forget_note(Note::ProfileBefore).await?;
    }
    Ok(())
}

/// Earlier versions kept the default profile in the store.
async fn noted(run: &Run<'_>) -> Result<Option<Value>, BootstrapError> {
    let Some(store) = run.inventory.store() else { return Ok(None) };
    let before = store.find_note(Note::ProfileBefore).await?;
    Ok(before.and_then(|before| serde_json::from_str(&before).ok()))
}

fn hash(profile: &Value) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, profile.to_string().as_bytes()))
}

fn take_note(attribute: &mut Value) -> Option<Value> {
    let annotations = attribute["annotations"].as_object_mut()?;
    let before = serde_json::from_str(annotations.remove(EDIT_BEFORE)?.as_str()?).ok()?;
    if annotations.is_empty() {
        attribute.as_object_mut()?.remove("annotations");
    }
    Some(before)
}

/// Earlier versions declared a pattern. It made administrators' changes of users fail whose value is another one, which
/// gives no account anyway.
fn drop_pattern(attribute: &mut Value) -> bool {
    if attribute["annotations"][MANAGED] != "true" {
        return false;
    }
    let validations = attribute["validations"].as_object_mut();
    validations.is_some_and(|validations| validations.remove("pattern").is_some())
}

fn permissions() -> Value {
    json!({"view": ["admin", "user"], "edit": ["admin"]})
}

fn declaration() -> Value {
    json!({
        "name": ACCOUNT_ATTRIBUTE,
        "displayName": "Account",
        "permissions": permissions(),
        "annotations": {MANAGED: "true"},
        "multivalued": false,
    })
}
