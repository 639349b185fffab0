//! The client scopes that can be granted, marked as such.

use std::str::FromStr;

use reqwest::Method;
use serde_json::json;

use super::MANAGED;
use super::compare::{differences, merge};
use super::run::{Run, text};
use crate::keycloak::{GRANTABLE, KeycloakError};

/// A client scope to make, as `NAME=DESCRIPTION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRequest {
    name: String,
    description: String,
}

impl ScopeRequest {
    /// The scopes where none are asked for.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let scope = |name: &str, description: &str| Self {
            name: name.to_owned(),
            description: description.to_owned(),
        };
        vec![
            scope("datahub-api", "Query the API"),
            scope("push-data", "Send data points to the platform"),
        ]
    }
}

impl FromStr for ScopeRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, description) = text.split_once('=').ok_or("write NAME=DESCRIPTION")?;
        // RFC 6749 §3.3: a scope token is visible ASCII without quotes and backslashes.
        let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        if !(1..=255).contains(&name.len()) || !name.chars().all(allowed) {
            return Err(format!("{name:?} is no scope: use 1 to 255 visible characters"));
        }
        if description.chars().count() > 255 {
            return Err("a description has at most 255 characters".to_owned());
        }
        Ok(Self { name: name.to_owned(), description: description.to_owned() })
    }
}

/// Makes the scopes that are missing and marks those that are there. Answers their names.
pub(super) async fn prepare(
    run: &mut Run<'_>,
    wanted: &[ScopeRequest],
) -> Result<Vec<String>, KeycloakError> {
    let found = run.list("/client-scopes").await?;
    for scope in wanted {
        let mark = json!({"attributes": {GRANTABLE: "true"}});
        match found.iter().find(|found| found["name"] == scope.name.as_str()) {
            None => {
                let new = json!({
                    "name": scope.name,
                    "description": scope.description,
                    "protocol": "openid-connect",
                    "attributes": {
                        GRANTABLE: "true",
                        MANAGED: "true",
                        "include.in.token.scope": "true",
                        "display.on.consent.screen": "true",
                        "consent.screen.text": scope.description,
                    },
                });
                let what = format!("create client scope {}", scope.name);
                run.change(&what, Method::POST, "/client-scopes", Some(&new)).await?;
            }
            Some(found) if differences(&mark, found).is_empty() => {}
            Some(found) => {
                let what = format!("mark client scope {} as grantable", scope.name);
                let path = format!("/client-scopes/{}", text(found, "id"));
                run.change(&what, Method::PUT, &path, Some(&merge(&mark, found))).await?;
            }
        }
    }
    Ok(wanted.iter().map(|scope| scope.name.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_with_their_description() {
        let scope: ScopeRequest = "a:b=What it=does".parse().unwrap();
        assert_eq!((scope.name.as_str(), scope.description.as_str()), ("a:b", "What it=does"));
        for bad in ["a", "=x", "a b=x", "ä=x", "a\"=x"] {
            assert!(bad.parse::<ScopeRequest>().is_err(), "{bad}");
        }
    }
}
