//! What may become ours that the store does not list.
//!
//! 1. Everything of our names is looked up before anything is changed. What the store lists by Keycloak's id is ours.
//! 2. Anything else is foreign, whatever it says of itself, and the run ends. With `--adopt` it is taken over: [`adopt`]
//!    leaves nothing on it that is not ours, and gives it new secrets.
//! 3. A store from before there was a list takes over what it can prove to be the realm's that it signs for.

use serde_json::Value;

use super::adopt::{adopt, take_over};
use super::run::{Run, text};
use super::scopes::ScopeRequest;
use super::{BootstrapError, MANAGED, clients, other_keys, roles};
use crate::keycloak::GRANTABLE;
use crate::store::{ObjectKind, RealmObject};

/// What becomes of objects of our names that the store does not list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// They are refused.
    Nothing,
    /// They are ours: the store is from before there was a list, and proved it. They come on the list together, at the
    /// end, so that an interrupted run proves it again.
    Proven(Vec<RealmObject>),
    /// The operator wants them taken over.
    Adopt,
}

/// The client scopes that every realm has: they are never taken over.
const STOCK_SCOPES: [&str; 14] = [
    "acr",
    "address",
    "basic",
    "email",
    "microprofile-jwt",
    "offline_access",
    "organization",
    "phone",
    "profile",
    "role_list",
    "roles",
    "saml_organization",
    "service_account",
    "web-origins",
];

/// The client scopes that a client may have.
pub(super) struct Allowed<'a> {
    pub(super) default_scopes: &'a [&'a str],
    pub(super) optional_scopes: &'a [String],
}

/// Refuses a realm in which somebody else uses our names, before anything is changed.
pub(super) async fn examine(
    run: &mut Run<'_>,
    scopes: &[ScopeRequest],
    adopt: bool,
) -> Result<(), BootstrapError> {
    let names = clients::names(run);
    let [one, two, three, four] = names.each_ref().map(|name| run.find_client(name));
    let (one, two, three, four) = tokio::try_join!(one, two, three, four)?;
    let clients: Vec<Value> = [one, two, three, four].into_iter().flatten().collect();
    let mut found_scopes = run.list("/client-scopes").await?;
    found_scopes.retain(|found| scopes.iter().any(|scope| found["name"] == scope.name()));
    found_scopes.sort_by(|one, other| text(one, "name").cmp(text(other, "name")));

    let foreign_clients = foreign(run, ObjectKind::Client, &clients, "clientId");
    let foreign_scopes = foreign(run, ObjectKind::ClientScope, &found_scopes, "name");
    if foreign_clients.is_empty() && foreign_scopes.is_empty() {
        return Ok(());
    }
    if !adopt && is_proven(run, &clients, &found_scopes).await? {
        run.claim = Claim::Proven(Vec::new());
        return Ok(());
    }
    if let Some(stock) = foreign_scopes.iter().find(|name| STOCK_SCOPES.contains(&name.as_str())) {
        return Err(BootstrapError::StockScope(stock.clone()));
    }
    if adopt {
        run.claim = Claim::Adopt;
        return Ok(());
    }
    let scopes = foreign_scopes.iter().map(|name| format!("client scope {name}"));
    let names = foreign_clients.iter().map(|name| format!("client {name}")).chain(scopes);
    let keys = other_keys::find(run).await?;
    let keys: Vec<String> = keys.iter().map(|key| format!("\n  {}", key.advice())).collect();
    let names: Vec<String> = names.collect();
    Err(BootstrapError::Foreign { names: names.join(", "), keys: keys.concat() })
}

fn foreign(run: &Run<'_>, kind: ObjectKind, found: &[Value], name: &str) -> Vec<String> {
    let others = found.iter().filter(|found| !run.inventory.has(kind, text(found, "id")));
    others.map(|found| text(found, name).to_owned()).collect()
}

/// Whether a store without a list is the one that this realm was prepared with, and the realm's objects are those that
/// it was prepared with: the realm publishes the store's key, the settings' secret is that of the client, and somebody
/// who may give roles gave its service account the three that it needs. A client that was registered by a stranger has
/// none. Each object must carry the mark besides.
pub(super) async fn is_proven(
    run: &mut Run<'_>,
    clients: &[Value],
    scopes: &[Value],
) -> Result<bool, BootstrapError> {
    use secrecy::ExposeSecret as _;

    if !run.inventory.predates_the_list().await? {
        return Ok(false);
    }
    let Some(service) = clients.iter().find(|one| one["clientId"] == *run.settings.client_id)
    else {
        return Ok(false);
    };
    let secret = run.settings.client_secret.as_ref();
    let same_secret = secret.is_some_and(|secret| service["secret"] == secret.expose_secret());
    let marked = clients.iter().all(|client| client["attributes"][MANAGED] == "true")
        && scopes.iter().all(|scope| scope["attributes"][GRANTABLE].is_string());
    if !same_secret || !marked {
        return Ok(false);
    }
    let (Some(key), service) = (
        match run.inventory.store() {
            Some(store) => store.find_active_key().await?,
            None => None,
        },
        text(service, "id").to_owned(),
    ) else {
        return Ok(false);
    };
    let keys = run.get("/keys").await?;
    let published = keys["keys"].as_array().into_iter().flatten();
    let published = published.into_iter().any(|found| found["kid"] == key.kid.as_str());
    Ok(published && roles::holds_run_time_roles(run, &service).await?)
}

/// The client as it is to be compared with what is wanted, once it is ours; an error where it is foreign.
pub(super) async fn client(
    run: &mut Run<'_>,
    wanted: &Value,
    found: Value,
    allowed: &Allowed<'_>,
) -> Result<Value, BootstrapError> {
    let (name, id) = (text(&found, "clientId").to_owned(), text(&found, "id").to_owned());
    if run.inventory.has(ObjectKind::Client, &id) {
        run.inventory.confirm(&id).await?;
        return Ok(found);
    }
    match &mut run.claim {
        Claim::Nothing => Err(appeared(format!("client {name}"))),
        Claim::Proven(proven) => {
            let kind = ObjectKind::Client;
            proven.push(RealmObject { kind, name, id, made: true });
            Ok(take_over(run, found).await?)
        }
        Claim::Adopt => {
            let clean = adopt(run, wanted, &found, allowed).await?;
            run.inventory.add(ObjectKind::Client, &name, &id).await?;
            Ok(clean)
        }
    }
}

/// As [`client`], for a client scope: one that is taken over loses its mappers.
pub(super) async fn scope(run: &mut Run<'_>, found: &Value) -> Result<Value, BootstrapError> {
    let (name, id) = (text(found, "name").to_owned(), text(found, "id").to_owned());
    if run.inventory.has(ObjectKind::ClientScope, &id) {
        run.inventory.confirm(&id).await?;
        return Ok(found.clone());
    }
    match &mut run.claim {
        Claim::Nothing => Err(appeared(format!("client scope {name}"))),
        Claim::Proven(proven) => {
            let kind = ObjectKind::ClientScope;
            proven.push(RealmObject { kind, name, id, made: true });
            Ok(found.clone())
        }
        Claim::Adopt => {
            super::adopt::remove_mappers(run, &format!("/client-scopes/{id}"), &name).await?;
            run.inventory.add(ObjectKind::ClientScope, &name, &id).await?;
            let mut clean = found.clone();
            clean["protocolMappers"] = Value::Array(Vec::new());
            Ok(clean)
        }
    }
}

/// Everything that was found is on the list now.
pub(super) async fn complete(run: &mut Run<'_>) -> Result<(), BootstrapError> {
    let proven = match &mut run.claim {
        Claim::Proven(proven) => std::mem::take(proven),
        Claim::Nothing | Claim::Adopt => Vec::new(),
    };
    Ok(run.inventory.complete(proven).await?)
}

/// It was not there a moment ago.
fn appeared(what: String) -> BootstrapError {
    BootstrapError::Foreign { names: what, keys: String::new() }
}
