//! Checks tokens of a Keycloak realm, Hallpass's personal access tokens among them.
