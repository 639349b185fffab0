//! What Keycloak really does: facts that the code leans on.
