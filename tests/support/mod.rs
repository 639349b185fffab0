//! What tests stand on: services, realms, servers, people and their clients.

mod admin;
mod api;
mod database;
mod realm;
mod server;
mod tokens;

pub use admin::Admin;
pub use api::{Answer, Api};
pub use database::{DATABASES, Database};
pub use realm::{LOGIN_CLIENT, Person, TestRealm};
pub use server::TestServer;
pub use tokens::claims_of;

/// A variable that `dev/with-services` exports.
pub fn service(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests by `make test`"))
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
