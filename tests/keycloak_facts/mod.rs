//! What Keycloak really does: facts that the code leans on. Each fails when an upgrade changes the fact.

mod acceptance;
mod callers;
mod directory;
mod evaluation;
mod forged;
mod signing_key;
