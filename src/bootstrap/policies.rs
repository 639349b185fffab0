//! The realm's client policies, where one of them stands in the way of our clients.

use reqwest::Method;
use serde_json::Value;

use super::BootstrapError;
use super::run::{Run, text};
use crate::keycloak::KeycloakError;

/// Makes or changes one of our clients, which was reported. What the realm refuses is told with the policies that it may come from.
pub(super) async fn send(
    run: &mut Run<'_>,
    client_id: &str,
    (method, path): (Method, &str),
    body: &Value,
) -> Result<(), BootstrapError> {
    match run.send(method, path, Some(body)).await {
        Err(KeycloakError::Rejected { reason, .. }) => Err(BootstrapError::Refused {
            client_id: client_id.to_owned(),
            reason,
            policies: Policies::read(run).await?,
        }),
        other => Ok(other?),
    }
}

/// The enabled policies of a realm, with what they execute.
#[derive(Debug)]
pub struct Policies(Vec<String>);

impl Policies {
    pub(super) async fn read(run: &Run<'_>) -> Result<Self, KeycloakError> {
        let policies = run.get("/client-policies/policies?include-global-policies=true").await?;
        let profiles = run.get("/client-policies/profiles?include-global-profiles=true").await?;
        Ok(Self::of(&policies, &profiles))
    }

    fn of(policies: &Value, profiles: &Value) -> Self {
        let executors = |name: &Value| -> Vec<&str> {
            let named = all(profiles, ["profiles", "globalProfiles"]);
            let found = named.filter(|profile| profile["name"] == *name);
            found
                .flat_map(|profile| profile["executors"].as_array().into_iter().flatten())
                .map(|executor| text(executor, "executor"))
                .collect()
        };
        let enabled = all(policies, ["policies", "globalPolicies"])
            .filter(|policy| policy["enabled"] == true);
        let described = enabled.map(|policy| {
            let profiles = policy["profiles"].as_array().into_iter().flatten();
            let executors: Vec<_> = profiles.flat_map(executors).collect();
            format!("`{}` ({})", text(policy, "name"), executors.join(", "))
        });
        Self(described.collect())
    }
}

fn all<'v>(document: &'v Value, members: [&'v str; 2]) -> impl Iterator<Item = &'v Value> {
    members.into_iter().flat_map(|member| document[member].as_array().into_iter().flatten())
}

impl std::fmt::Display for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return write!(f, "the realm has no client policy that is enabled");
        }
        write!(
            f,
            "the realm's client policies: {}. Exempt Hallpass's clients: give the policy the condition \
             `client-attributes` with negative logic and the attribute `hallpass.managed` = `true`. Keycloak does not \
             ask it of a client that is being made: switch off a policy that rejects new ones for this bootstrap",
            self.0.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn enabled_policies_are_named_with_their_executors() {
        let profiles = json!({
            "profiles": [{"name": "p", "executors": [{"executor": "a"}, {"executor": "b"}]}],
            "globalProfiles": [{"name": "g", "executors": [{"executor": "c"}]}],
        });
        let policies = json!({"policies": [
            {"name": "one", "enabled": true, "profiles": ["p", "g"]},
            {"name": "off", "enabled": false, "profiles": ["p"]}]});
        let found = Policies::of(&policies, &profiles);
        assert!(found.to_string().contains(": `one` (a, b, c). "), "{found}");
        assert!(!found.to_string().contains("off`"), "{found}");
        let none = Policies::of(&json!({}), &json!({}));
        assert_eq!(none.to_string(), "the realm has no client policy that is enabled");
    }
}
