//! Hallpass: personal access tokens and self-service API clients beside a Keycloak realm.
