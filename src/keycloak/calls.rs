//! How many calls were made to Keycloak, what came of them, and how long they took.

use std::time::Duration;

use super::KeycloakError;
use crate::telemetry::{Family, Metrics};

const COUNT: Family = Family {
    name: "hallpass_keycloak_calls_total",
    help: "Calls to Keycloak, by method, kind of resource and outcome.",
};
const DURATION: Family = Family {
    name: "hallpass_keycloak_call_duration_seconds",
    help: "A call to Keycloak with its retry and the login that it needed, by method and kind of resource.",
};

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
/// The first segments of the paths that we call, and `token`, the login.
const RESOURCES: [&str; 13] = [
    "admin-events",
    "attack-detection",
    "client-scopes",
    "clients",
    "components",
    "events",
    "groups",
    "keys",
    "organizations",
    "roles",
    "roles-by-id",
    "token",
    "users",
];
/// What is called at the realm itself.
const REALM: &str = "realm";
const OTHER: &str = "other";

/// Where calls are counted; nowhere by default, as for commands that end.
#[derive(Clone, Default)]
pub struct Calls {
    metrics: Option<Metrics>,
}

impl Calls {
    /// Counts in `metrics`.
    #[must_use]
    pub const fn new(metrics: Metrics) -> Self {
        Self { metrics: Some(metrics) }
    }

    /// Counts `call`, a method and a path.
    pub(super) fn count(&self, call: &str, error: Option<&KeycloakError>, duration: Duration) {
        let Some(metrics) = &self.metrics else { return };
        let (method, resource) = labels(call);
        let labels = [("method", method), ("resource", resource)];
        metrics.durations(DURATION, &labels).record(duration);
        let [method, resource] = labels;
        let outcome = ("outcome", error.map_or("ok", outcome));
        metrics.counter(COUNT, &[method, resource, outcome]).increment(1);
    }
}

/// Words of ours only: a path holds ids.
fn labels(call: &str) -> (&'static str, &'static str) {
    let (method, path) = call.split_once(' ').unwrap_or((call, ""));
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let resource = match first {
        "" => REALM,
        first => RESOURCES.into_iter().find(|known| *known == first).unwrap_or(OTHER),
    };
    (METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER), resource)
}

const fn outcome(error: &KeycloakError) -> &'static str {
    match error {
        KeycloakError::Unauthorized(_) => "unauthorized",
        KeycloakError::Forbidden(_) | KeycloakError::HttpsRequired(_) => "forbidden",
        KeycloakError::NotFound(_) => "not_found",
        KeycloakError::Conflict(_) => "conflict",
        KeycloakError::Rejected { .. } => "rejected",
        KeycloakError::Unavailable(_) => "unavailable",
        KeycloakError::Failed(_) => "failed",
        KeycloakError::Protocol { .. } => "protocol",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_no_labels() {
        for (call, expected) in [
            ("GET /users/4f0c", ("GET", "users")),
            ("GET ", ("GET", "realm")),
            ("PUT /clients/1/default-client-scopes/2", ("PUT", "clients")),
            ("POST token", ("POST", "token")),
            ("PATCH /4f0c/x", ("other", "other")),
        ] {
            assert_eq!(labels(call), expected, "{call}");
        }
    }
}
