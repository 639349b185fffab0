//! What tests stand on: services, realms, servers, people and their clients.

mod admin;
mod api;
mod browser;
mod database;
mod fault_proxy;
mod ldap;
mod metrics;
mod process;
mod realm;
mod server;
mod service_client;
mod tcp_proxy;
mod tokens;

pub use admin::Admin;
pub use api::{Answer, Api, TOKEN_VARIES, redacted, without_use};
pub use browser::{Browser, Stop};
pub use database::{DATABASES, Database};
pub use fault_proxy::{Fault, FaultProxy, Rule};
pub use ldap::{LDAP_ADMIN, LDAP_PASSWORD, LDAP_SUFFIX, Ldap};
pub use metrics::Metrics;
pub use process::{Process, ProxiedStore, hallpass, restart_keycloak, run};
pub use realm::{
    BareRealm, LOGIN_CLIENT, PASSWORD, Person, TestRealm, administrator, bare_realm,
    bootstrap_settings, bootstrap_settings_by, odd_realm, options, realm_key,
};
pub use server::TestServer;
pub use service_client::{
    CHALLENGES, IDENTITY_HEADERS, INACTIVE, ServiceClient, passes, passes_with,
};
pub use tcp_proxy::{Line, TcpProxy};
pub use tokens::{claims_of, forged};

/// A representation with its lists in order: Keycloak's lists are sets.
pub fn sorted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Array(list) => {
            let mut list: Vec<_> = list.into_iter().map(sorted).collect();
            list.sort_by_key(serde_json::Value::to_string);
            list.into()
        }
        serde_json::Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, sorted(value))).collect()
        }
        other => other,
    }
}

/// A variable that `dev/with-services` exports.
pub fn service(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests by `make test`"))
}

/// Whether the tests run beside at least this Keycloak: for what an older one does otherwise.
pub fn keycloak_is_at_least(major: u32, minor: u32) -> bool {
    let version = service("HALLPASS_TEST_KEYCLOAK_VERSION");
    let mut parts = version.split('.').map(|part| part.parse().expect("a number"));
    (parts.next(), parts.next()) >= (Some(major), Some(minor))
}

/// How much of it `make soak` does, by this variable; else the small twin.
pub fn soak(variable: &str, twin: usize) -> usize {
    std::env::var(variable).map_or(twin, |text| text.parse().expect("a number"))
}

/// A name that no other test has.
pub fn unique(prefix: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{number}", std::process::id())
}

/// An HTTP client of the calling test's own: one that is shared across runtimes is a classic flake.
#[expect(clippy::disallowed_methods, reason = "a test's client needs none of the product's bounds")]
pub fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

/// One part of a compact token as JSON, unchecked.
pub fn decode_part(part: &str) -> serde_json::Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A token's claims, unchecked.
pub fn decode_claims(token: &str) -> serde_json::Value {
    decode_part(token.split('.').nth(1).unwrap())
}
