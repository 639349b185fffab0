//! `hallpass doctor`: what is wrong with settings, store and realm, and what to do about it.
//!
//! 1. The settings come first: without them nothing else can be looked at.
//! 2. Then each check of [`CHECKS`], in order, within a bound of time. A check that needs another one which failed
//!    is skipped, with the reason.
//! 3. Nothing is changed, neither in the store nor in the realm, and no administrator is needed: what the
//!    service account may not read is not looked at.
//!
//! What the realm should look like is what bootstrap makes: both read it from `bootstrap::desired`.

mod allowed;
mod clients;
mod connection;
mod finding;
mod following;
mod permissions;
mod realm;
mod settings;
mod signing_key;
mod store;
mod tokens;

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::timeout;

pub use finding::{Finding, Outcome};

use crate::clock::Clock;
use crate::config::{Problems, Settings};
use crate::keycloak::{Credentials, Discovery, Keycloak, http_client};
use crate::keys::Signer;
use crate::store::Store;
use connection::TimedLogin;
use finding::{Checked, Verdict};

/// A check that takes longer has found that something does not answer.
const PATIENCE: Duration = Duration::from_secs(20);
const SETTINGS: &str = "settings";

/// What the checks look at, and what earlier ones leave to later ones.
struct Examination {
    settings: Settings,
    clock: Clock,
    keycloak: Keycloak,
    store: OnceLock<Store>,
    signer: OnceLock<Arc<Signer>>,
    discovery: OnceLock<Discovery>,
    login: OnceLock<TimedLogin>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Checked> + Send + 'a>>;

/// One check: what it is called, what must be good before it, and how it is done.
struct Check {
    name: &'static str,
    needs: &'static [&'static str],
    run: for<'a> fn(&'a Examination) -> Running<'a>,
}

macro_rules! check {
    ($name:literal, $run:path, needs $needs:expr) => {
        Check { name: $name, needs: &$needs, run: |examination| Box::pin($run(examination)) }
    };
}

/// All checks but that of the settings.
const CHECKS: [Check; 35] = [
    check!("store-files", store::files, needs[SETTINGS]),
    check!("store", store::opens, needs[SETTINGS]),
    check!("store-realm", store::realm, needs["store"]),
    check!("encryption-key", store::encryption_key, needs["store-realm"]),
    check!("keycloak", connection::answers, needs[SETTINGS]),
    check!("issuer", connection::issuer, needs["keycloak"]),
    check!("login", connection::login, needs["keycloak"]),
    check!("clock", connection::clock, needs["login"]),
    check!("manage-clients", permissions::manage_clients, needs["login"]),
    check!("view-users", permissions::view_users, needs["login"]),
    check!("view-events", permissions::view_events, needs["login"]),
    check!("service-client", clients::service, needs["manage-clients"]),
    check!("roles", clients::roles, needs["manage-clients"]),
    check!("login-redirect", clients::login_redirect, needs["manage-clients"]),
    check!("command-line-client", clients::command_line, needs ["manage-clients", "roles"]),
    check!("made-by-bootstrap", clients::made_by_bootstrap,
        needs ["store-realm", "manage-clients"]),
    check!("mappers", clients::mappers, needs ["service-client", "command-line-client"]),
    check!("signatures", signing_key::checkable, needs ["login", "manage-clients"]),
    check!("allowed-clients", allowed::clients, needs ["login", "manage-clients"]),
    check!("client-scopes", realm::stock_scopes, needs["manage-clients"]),
    check!("designated-client", clients::designated, needs["manage-clients"]),
    check!("probe-client", clients::probe, needs["manage-clients"]),
    check!("no-more-permissions", permissions::no_more,
        needs ["view-users", "view-events", "probe-client"]),
    check!("audiences", tokens::audiences, needs["designated-client"]),
    check!("grantable-scopes", tokens::grantable_scopes, needs["manage-clients"]),
    check!("account-attribute", realm::account_attribute, needs["view-users"]),
    check!("account-groups", realm::account_of_groups, needs["view-users"]),
    check!("events", realm::events, needs["view-events"]),
    check!("following", following::follows, needs["store-realm"]),
    check!("brake", following::brake, needs["store-realm"]),
    check!("readable-owners", following::readable_owners, needs["store-realm"]),
    check!("published-key", signing_key::published, needs ["keycloak", "encryption-key"]),
    check!("passive-key", signing_key::passive, needs ["login", "encryption-key"]),
    check!("other-stores", signing_key::other_stores, needs ["store-realm", "manage-clients"]),
    check!("minting", tokens::minting,
        needs ["published-key", "designated-client", "probe-client", "view-users"]),
];

/// Makes all checks. `settings_file`: the file that the settings came from, if any.
pub async fn examine(
    settings: Result<Settings, Problems>,
    settings_file: Option<&Path>,
    clock: &Clock,
) -> Result<Vec<Finding>, reqwest::Error> {
    let mut findings = Vec::new();
    let settings = match settings {
        Ok(settings) => {
            findings.push(settings::good(settings_file).called(SETTINGS));
            settings
        }
        Err(problems) => {
            findings.push(settings::wrong(&problems).called(SETTINGS));
            findings.extend(CHECKS.iter().map(|check| Verdict::needs(SETTINGS).called(check.name)));
            return Ok(findings);
        }
    };
    let examination = Examination::new(settings, clock.clone())?;
    for check in &CHECKS {
        let verdict = match check.needs.iter().find(|need| !is_good(&findings, need)) {
            Some(need) => Verdict::needs(need),
            None => bounded((check.run)(&examination)).await,
        };
        findings.push(verdict.called(check.name));
    }
    if let Some(store) = examination.store.get() {
        store.close().await;
    }
    Ok(findings)
}

impl Examination {
    fn new(settings: Settings, clock: Clock) -> Result<Self, reqwest::Error> {
        let realm = settings.keycloak.realm.clone();
        let credentials = Credentials::Client {
            realm: realm.name().to_owned(),
            client_id: settings.keycloak.client_id.clone(),
            client_secret: settings.keycloak.client_secret.clone(),
        };
        Ok(Self {
            keycloak: Keycloak::new(http_client()?, realm, credentials),
            settings,
            clock,
            store: OnceLock::new(),
            signer: OnceLock::new(),
            discovery: OnceLock::new(),
            login: OnceLock::new(),
        })
    }
}

/// What an earlier check left; the table of checks says who needs whom.
fn left<T>(slot: &OnceLock<T>) -> Result<&T, Verdict> {
    slot.get().ok_or_else(|| Verdict::skipped("an earlier check left nothing to look at"))
}

fn is_good(findings: &[Finding], name: &str) -> bool {
    findings
        .iter()
        .any(|found| found.check == name && matches!(found.result, Outcome::Ok | Outcome::Warn))
}

async fn bounded(check: Running<'_>) -> Verdict {
    match timeout(PATIENCE, check).await {
        Ok(Ok(verdict) | Err(verdict)) => verdict,
        Err(_) => Verdict::fail(
            format!("no answer within {} seconds", PATIENCE.as_secs()),
            "look whether Keycloak and the database answer",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_needs_only_what_comes_before_it() {
        let mut before = vec![SETTINGS];
        for check in &CHECKS {
            assert!(!before.contains(&check.name), "{} is there twice", check.name);
            for need in check.needs {
                assert!(before.contains(need), "{} needs {need}", check.name);
            }
            before.push(check.name);
        }
    }
}
