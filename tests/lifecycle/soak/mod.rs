//! The long tests of the lifecycle, and those that need more than `make test` starts: `make soak` runs them, one at a time.

mod directory;
mod keycloak;
