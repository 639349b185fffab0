//! Taking everything back: the realm is then as it was.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;

use super::run::{Mode, Report, Run, text};
use super::signing_key::PROVIDERS;
use super::{
    BootstrapError, MANAGED, begin, claim, clients, events, open_store, other_keys, profile, scopes,
};
use crate::clock::Clock;
use crate::config::BootstrapSettings;
use crate::keycloak::{GRANTABLE, Keycloak, KeycloakError};
use crate::store::{Note, ObjectKind, RealmObject};

/// How many clients are asked for at once.
const PAGE: usize = 200;
/// How many of those who use a scope are named.
const NAMED: usize = 5;

/// How to take everything back.
#[derive(Clone, Copy, Debug)]
pub struct Removal {
    /// Do it, or only say what would be done.
    pub mode: Mode,
    /// Whether it is done without the store, whose keys then stay: by the marks on clients and scopes.
    pub without_store: bool,
}

/// What was taken back.
#[derive(Debug)]
pub struct TakenBack {
    /// How many things were changed, or would be.
    pub changes: usize,
    /// What a person should know, and is no change.
    pub notes: Vec<String>,
}

/// Removes what bootstrap made, and gives back what it changed. The keys in the store are retired for good:
/// tokens that they signed do not become valid again with the next bootstrap.
pub async fn remove(
    keycloak: &Keycloak,
    settings: &BootstrapSettings,
    clock: &Clock,
    removal: Removal,
    report: Report,
) -> Result<TakenBack, BootstrapError> {
    let Removal { mode, without_store } = removal;
    let mut run = begin((keycloak, settings), clock, mode, report).await?;
    if run.inventory.store().is_none() {
        if !without_store {
            return Err(BootstrapError::NoStore(settings.store_url.place()));
        }
        run.notes.push(
            "the signing keys in the store stay as they are: a bootstrap with that store publishes them again, and \
             tokens that they signed are then good again"
                .to_owned(),
        );
    }
    let objects = made(&mut run).await?;
    if mode == Mode::Apply && run.inventory.store().is_some() {
        open_store(&mut run).await?;
    }
    remove_keys(&mut run).await?;
    retire_keys(&mut run, clock).await?;
    remove_clients(&mut run, &objects).await?;
    profile::remove(&mut run).await?;
    remove_scopes(&mut run, &objects).await?;
    if let Some(store) = run.inventory.writable() {
        store.forget_note(Note::Choices).await?;
    }
    note_what_stays(&mut run, &objects).await?;
    run.inventory.close().await;
    Ok(TakenBack { changes: run.changes(), notes: run.notes })
}

/// What bootstrap made, as the store lists it; without a list, what carries our names and our mark.
async fn made(run: &mut Run<'_>) -> Result<Vec<RealmObject>, BootstrapError> {
    let predates = run.inventory.predates_the_list().await?;
    if run.inventory.store().is_some() && !predates {
        return Ok(run.inventory.objects().to_vec());
    }
    let mut made = Vec::new();
    let mut add = |kind, name: &str, id: &str| {
        made.push(RealmObject { kind, name: name.to_owned(), id: id.to_owned(), made: true });
    };
    let mut marked = Vec::new();
    for name in clients::names(run) {
        let found = run.find_client(&name).await?;
        marked.extend(found.filter(|client| client["attributes"][MANAGED] == "true"));
    }
    let mut scopes = run.list("/client-scopes").await?;
    // A scope of SAML is never granted, whatever mark it carries.
    scopes.retain(|scope| {
        scope["attributes"][GRANTABLE].is_string() && scope["protocol"] == "openid-connect"
    });
    if predates && !marked.is_empty() && !claim::is_proven(run, &marked, &scopes).await? {
        return Err(BootstrapError::NotListed);
    }
    for client in &marked {
        add(ObjectKind::Client, text(client, "clientId"), text(client, "id"));
    }
    for scope in &scopes {
        add(ObjectKind::ClientScope, text(scope, "name"), text(scope, "id"));
    }
    Ok(made)
}

async fn remove_keys(run: &mut Run<'_>) -> Result<(), BootstrapError> {
    let providers = run.list(PROVIDERS).await?;
    let (ours, others) = other_keys::split(run, &providers).await?;
    for provider in ours {
        let (name, id) = (text(&provider, "name"), text(&provider, "id"));
        let what = format!("remove key provider {name}");
        run.change(&what, Method::DELETE, &format!("/components/{id}"), None).await?;
        run.inventory.forget(id).await?;
    }
    run.notes.extend(others.iter().map(other_keys::OtherKey::advice));
    Ok(())
}

async fn retire_keys(run: &mut Run<'_>, clock: &Clock) -> Result<(), BootstrapError> {
    let Some(store) = run.inventory.store().cloned() else { return Ok(()) };
    let live =
        store.find_active_key().await?.is_some() || store.find_pending_key().await?.is_some();
    if live && run.announce("retire the signing keys in the store") {
        store.retire_all_keys(clock.now()).await?;
    }
    Ok(())
}

/// The service client last: the event settings that were there before are noted on it.
async fn remove_clients(run: &mut Run<'_>, objects: &[RealmObject]) -> Result<(), BootstrapError> {
    let is_service = |object: &RealmObject| object.name == run.settings.client_id;
    let clients = objects.iter().filter(|object| object.kind == ObjectKind::Client);
    let (service, others): (Vec<_>, Vec<_>) = clients.partition(|object| is_service(object));
    for RealmObject { id, name, .. } in others.into_iter().chain(service) {
        let path = format!("/clients/{id}");
        if let Some(client) = run.find(&path).await? {
            events::remove(run, &client).await?;
            run.change(&format!("remove client {name}"), Method::DELETE, &path, None).await?;
        }
        run.inventory.forget(id).await?;
    }
    Ok(())
}

/// Scopes that we made go, unless somebody uses them; those that we only marked lose the mark.
async fn remove_scopes(run: &mut Run<'_>, objects: &[RealmObject]) -> Result<(), BootstrapError> {
    let listed = objects.iter().filter(|object| object.kind == ObjectKind::ClientScope);
    let listed: Vec<&RealmObject> = listed.collect();
    if listed.is_empty() {
        return Ok(());
    }
    let users = users_of_scopes(run, objects).await?;
    for RealmObject { id, name, .. } in listed {
        let path = format!("/client-scopes/{id}");
        let Some(mut scope) = run.find(&path).await? else {
            run.inventory.forget(id).await?;
            continue;
        };
        let used_by = users.get(text(&scope, "name"));
        if scope["attributes"][MANAGED] == "true" && used_by.is_none() {
            run.change(&format!("remove client scope {name}"), Method::DELETE, &path, None).await?;
            run.inventory.forget(id).await?;
            continue;
        }
        if scope["attributes"][GRANTABLE].is_string() {
            // Attributes are merged; a null deletes one.
            scope["attributes"][GRANTABLE] = Value::Null;
            let what = format!("take the mark from client scope {name}");
            run.change(&what, Method::PUT, &path, Some(&scope)).await?;
            if scope["attributes"][MANAGED] != "true"
                && let Some(mapper) = scopes::audience_mapper(&scope)
            {
                let path = format!("{path}/protocol-mappers/models/{}", text(mapper, "id"));
                let what = format!("take the audience from client scope {name}");
                run.change(&what, Method::DELETE, &path, None).await?;
            }
        }
        if let Some(used_by) = used_by {
            // It stays on the list: the next bootstrap knows it again.
            run.notes.push(format!("client scope {name} stays: {} it", used(used_by)));
        } else {
            run.inventory.forget(id).await?;
        }
    }
    Ok(())
}

/// The clients that have each client scope, but for those that go.
async fn users_of_scopes(
    run: &Run<'_>,
    going: &[RealmObject],
) -> Result<BTreeMap<String, Vec<String>>, KeycloakError> {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for page in 0.. {
        let (first, max) = ((page * PAGE).to_string(), PAGE.to_string());
        let query = [("first", first.as_str()), ("max", max.as_str())];
        let found: Vec<Value> = run.keycloak().get("/clients", &query).await?;
        let stays = |client: &&Value| !going.iter().any(|object| client["id"] == *object.id);
        for client in found.iter().filter(stays) {
            for list in ["defaultClientScopes", "optionalClientScopes"] {
                let scopes = client[list].as_array().into_iter().flatten();
                for scope in scopes.filter_map(Value::as_str) {
                    let users = users.entry(scope.to_owned()).or_default();
                    users.push(text(client, "clientId").to_owned());
                }
            }
        }
        if found.len() < PAGE {
            break;
        }
    }
    Ok(users)
}

fn used(by: &[String]) -> String {
    let named = by[..by.len().min(NAMED)].join(", ");
    match by.len() {
        1 => format!("client {named} uses"),
        count if count > NAMED => format!("clients {named} and {} more use", count - NAMED),
        _ => format!("clients {named} use"),
    }
}

/// What carries our names and is not on the list.
async fn note_what_stays(run: &mut Run<'_>, removed: &[RealmObject]) -> Result<(), BootstrapError> {
    for name in clients::names(run) {
        if let Some(client) = run.find_client(&name).await?
            && !removed.iter().any(|object| client["id"] == *object.id)
        {
            run.notes.push(format!("client {name} stays: this store did not make it"));
        }
    }
    Ok(())
}
