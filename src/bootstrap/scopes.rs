//! The client scopes that can be granted, marked as such, with the audiences that they put into tokens.

use std::str::FromStr;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::compare::{differences, merge};
use super::run::{Run, text};
use super::{BootstrapError, MANAGED, claim};
use crate::keycloak::{GRANTABLE, KeycloakError};
use crate::store::ObjectKind;

/// The mapper by which a scope names whom its tokens are for.
pub(super) const AUDIENCE_MAPPER: &str = "hallpass-audience";
/// The longest audience: so long a value a mapper may have.
const MAX_AUDIENCE: usize = 255;

/// A client scope to make, as `NAME=DESCRIPTION`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct ScopeRequest {
    name: String,
    description: String,
    /// What is in `aud` of a token with this scope.
    audience: Option<String>,
}

/// Whom tokens with a scope are for, as `NAME=AUDIENCE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeAudience {
    scope: String,
    audience: String,
}

impl ScopeAudience {
    /// The scope's name.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }
}

impl FromStr for ScopeAudience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scope, audience) = text.split_once('=').ok_or("write NAME=AUDIENCE")?;
        let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        if !(1..=MAX_AUDIENCE).contains(&audience.len()) || !audience.chars().all(allowed) {
            return Err(format!("{audience:?} is no audience: use 1 to 255 visible characters"));
        }
        Ok(Self { scope: scope.to_owned(), audience: audience.to_owned() })
    }
}

impl ScopeRequest {
    /// A scope that is there already, whatever its name.
    pub(super) fn new(name: &str, description: &str) -> Self {
        Self { name: name.to_owned(), description: description.to_owned(), audience: None }
    }

    /// The scope's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The scopes where none are asked for.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let scope = |name: &str, description: &str| Self {
            audience: Some(name.to_owned()),
            ..Self::new(name, description)
        };
        vec![
            scope("datahub-api", "Query the API"),
            scope("push-data", "Send data points to the platform"),
        ]
    }

    /// These scopes with their audiences; refuses an audience for a scope that is not among them.
    pub fn with_audiences(
        mut scopes: Vec<Self>,
        audiences: Vec<ScopeAudience>,
    ) -> Result<Vec<Self>, String> {
        for ScopeAudience { scope: name, audience } in audiences {
            let scope = scopes.iter_mut().find(|scope| scope.name == name);
            let scope = scope.ok_or_else(|| {
                format!("--scope-audience {name}={audience}: name the scope with --scope, too")
            })?;
            scope.audience = Some(audience);
        }
        Ok(scopes)
    }

    fn mapper(&self) -> Option<Value> {
        let audience = self.audience.as_deref()?;
        Some(json!({
            "name": AUDIENCE_MAPPER,
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": {
                "included.custom.audience": audience,
                "access.token.claim": "true",
                "introspection.token.claim": "true",
                "id.token.claim": "false",
            },
        }))
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
        Ok(Self { name: name.to_owned(), description: description.to_owned(), audience: None })
    }
}

/// Makes the scopes that are missing and marks those that are there. Answers their names.
pub(super) async fn prepare(
    run: &mut Run<'_>,
    found: &[Value],
    wanted: &[ScopeRequest],
) -> Result<Vec<String>, BootstrapError> {
    for scope in wanted {
        let mark = json!({"attributes": {GRANTABLE: "true"}});
        match found.iter().find(|found| found["name"] == scope.name.as_str()) {
            None => {
                let id = run.inventory.choose(ObjectKind::ClientScope, &scope.name).await?;
                let new = json!({
                    "id": id,
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
                    "protocolMappers": scope.mapper().into_iter().collect::<Vec<_>>(),
                });
                let what = format!("create client scope {}", scope.name);
                run.change(&what, Method::POST, "/client-scopes", Some(&new)).await?;
                run.inventory.confirm(&id).await?;
            }
            Some(found) => {
                let found = &claim::scope(run, found).await?;
                if !differences(&mark, found).is_empty() {
                    let what = format!("mark client scope {} as grantable", scope.name);
                    let path = format!("/client-scopes/{}", text(found, "id"));
                    run.change(&what, Method::PUT, &path, Some(&merge(&mark, found))).await?;
                }
                audience(run, scope, found).await?;
            }
        }
    }
    Ok(wanted.iter().map(|scope| scope.name.clone()).collect())
}

/// Gives a scope that is there the audience that it is to have. One of whose audience nothing is said keeps its own.
async fn audience(
    run: &mut Run<'_>,
    scope: &ScopeRequest,
    found: &Value,
) -> Result<(), KeycloakError> {
    let Some(wanted) = scope.mapper() else { return Ok(()) };
    let path = format!("/client-scopes/{}/protocol-mappers/models", text(found, "id"));
    let what = format!("put an audience into tokens with scope {}", scope.name);
    match audience_mapper(found) {
        None => run.change(&what, Method::POST, &path, Some(&wanted)).await,
        Some(mapper) if differences(&wanted, mapper).is_empty() => Ok(()),
        Some(mapper) => {
            let path = format!("{path}/{}", text(mapper, "id"));
            run.change(&what, Method::PUT, &path, Some(&merge(&wanted, mapper))).await
        }
    }
}

/// Our mapper on this scope.
pub(super) fn audience_mapper(scope: &Value) -> Option<&Value> {
    let mappers = scope["protocolMappers"].as_array()?;
    mappers.iter().find(|mapper| mapper["name"] == AUDIENCE_MAPPER)
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

    #[test]
    fn an_audience_is_for_a_scope_that_is_named() {
        let scopes = || vec!["a=What".parse::<ScopeRequest>().unwrap()];
        let audiences = |text: &str| vec![text.parse::<ScopeAudience>().unwrap()];
        let found = ScopeRequest::with_audiences(scopes(), audiences("a=https://a.example"));
        assert_eq!(found.unwrap()[0].audience.as_deref(), Some("https://a.example"));
        assert!(ScopeRequest::with_audiences(scopes(), audiences("b=x")).is_err());
        for bad in ["a", "a=", "a=x y", "a=\"", "a=\u{e4}"] {
            assert!(bad.parse::<ScopeAudience>().is_err(), "{bad}");
        }
    }
}
