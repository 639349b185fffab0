//! The names of claims that mean something to Hallpass.

/// Claims that say who issued what to whom and for how long (RFC 7519 §4.1, OpenID Connect Core 1.0 §2),
/// bind a token to a session or another token, say where its status is looked up, or who acts for whom (RFC 8693 §4).
/// Hallpass alone writes them: a mapper could forge them.
pub const PROTOCOL: [&str; 21] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "typ",
    "azp",
    "sid",
    "acr",
    "auth_time",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "session_state",
    "cnf",
    "status",
    "act",
    "may_act",
];
/// The claims of roles, as Keycloak's own mappers name them.
pub const ROLES: [&str; 2] = ["realm_access", "resource_access"];
/// The name at login (OpenID Connect Core 1.0 §5.1).
pub const USERNAME: &str = "preferred_username";
/// The email address.
pub const EMAIL: &str = "email";
/// Whether the address was shown to be the person's.
pub const EMAIL_VERIFIED: &str = "email_verified";
