//! Integration tests, against a real Keycloak and real databases.
