//! What holds when Keycloak or the process itself fails, at the worst moment.

mod killed;
