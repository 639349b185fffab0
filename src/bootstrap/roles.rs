//! Roles: those that Hallpass gives to people, and those that Keycloak gives to Hallpass.

use reqwest::Method;
use serde_json::{Value, json};

use super::BootstrapError;
use super::desired::CLI_CLIENT;
use super::run::{Run, text};
use crate::config::{Realm, segment};
use crate::keycloak::KeycloakError;
use crate::principal::Role;

/// What Hallpass may do in the realm at run time: these three, and nothing else.
pub(crate) const RUN_TIME_ROLES: [&str; 3] = ["manage-clients", "view-events", "view-users"];

/// Everything that an administrator of Hallpass may do.
pub(crate) const ADMINISTRATOR: &str = "administrator";
/// What an administrator is. Introspection is for machines.
pub(crate) const ADMINISTRATORS_ROLES: [Role; 6] = [
    Role::CreateTokens,
    Role::CreateApiClients,
    Role::ManageTokens,
    Role::ManageApiClients,
    Role::ManageServiceAccounts,
    Role::ReadAudit,
];

/// The client roles on the service client, and its own permissions.
pub(super) async fn prepare(run: &mut Run<'_>, service: &str) -> Result<(), BootstrapError> {
    let path = format!("/clients/{service}/roles");
    let found = run.list(&path).await?;
    let described = Role::ALL.map(|role| (role.name(), role.description()));
    for (name, description) in
        described.into_iter().chain([(ADMINISTRATOR, "Administer all of Hallpass")])
    {
        if !found.iter().any(|found| found["name"] == name) {
            let body = json!({"name": name, "description": description});
            run.change(&format!("create role {name}"), Method::POST, &path, Some(&body)).await?;
        }
    }
    prepare_administrator(run, service).await?;
    prepare_command_line_scope(run, service).await?;
    match prepare_service_account(run, service).await {
        // Keycloak 26.4: who has the very roles may not give them.
        Err(KeycloakError::Forbidden(_)) => Err(BootstrapError::MayNotGiveRoles),
        prepared => Ok(prepared?),
    }
}

/// The names of all client roles on the service client.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    Role::ALL.map(Role::name).into_iter().chain([ADMINISTRATOR])
}

/// Whether the client has a service account with everything that Hallpass needs at run time: only who may give roles in
/// the realm can have given it that.
pub(super) async fn holds_run_time_roles(
    run: &Run<'_>,
    service: &str,
) -> Result<bool, KeycloakError> {
    let path = format!("/clients/{service}/service-account-user");
    let account = match run.find(&path).await {
        Ok(Some(account)) => account,
        Ok(None) | Err(KeycloakError::Rejected { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let management = realm_management(run).await?;
    let path = format!("/users/{}/role-mappings/clients/{management}", text(&account, "id"));
    let held = run.list(&path).await?;
    Ok(RUN_TIME_ROLES.iter().all(|name| held.iter().any(|role| role["name"] == *name)))
}

/// Whether everybody may create tokens; `None`: the client has no such role.
pub(super) async fn find_default_role(
    run: &Run<'_>,
    service: &str,
) -> Result<Option<bool>, KeycloakError> {
    let wanted = service_roles(run, service, &[Role::CreateTokens.name()]).await?;
    if wanted.is_empty() {
        return Ok(None);
    }
    let default_role = text(&run.realm["defaultRole"], "id");
    let path = format!("/roles-by-id/{default_role}/composites/clients/{service}");
    Ok(Some(without(&wanted, &run.list(&path).await?).is_empty()))
}

/// Adds `create-tokens` to the realm's default roles: everybody has it.
pub(super) async fn prepare_default_role(
    run: &mut Run<'_>,
    service: &str,
) -> Result<(), KeycloakError> {
    let default_role = &run.realm["defaultRole"];
    let path = format!("/roles-by-id/{}/composites", text(default_role, "id"));
    let what = "add create-tokens to the realm's default roles";
    let wanted = service_roles(run, service, &[Role::CreateTokens.name()]).await?;
    let there = run.list(&format!("{path}/clients/{service}")).await?;
    add_missing(run, what, &path, &wanted, &there).await
}

async fn prepare_administrator(run: &mut Run<'_>, service: &str) -> Result<(), KeycloakError> {
    let path = format!("/clients/{service}/roles/{ADMINISTRATOR}/composites");
    let there = match run.find(&path).await? {
        Some(Value::Array(there)) => there,
        // In a dry run the role may not be there yet.
        _ => Vec::new(),
    };
    let names = ADMINISTRATORS_ROLES.map(Role::name);
    let wanted = service_roles(run, service, &names).await?;
    add_missing(run, "compose role administrator", &path, &wanted, &there).await
}

/// The command line's tokens show Hallpass's roles.
async fn prepare_command_line_scope(run: &mut Run<'_>, service: &str) -> Result<(), KeycloakError> {
    let Some(cli) = run.find_client(CLI_CLIENT).await? else { return Ok(()) };
    let path = format!("/clients/{}/scope-mappings/clients/{service}", text(&cli, "id"));
    let wanted = run.list(&format!("/clients/{service}/roles")).await?;
    let there = run.list(&path).await?;
    add_missing(run, "put Hallpass's roles in the scope of hallpass-cli", &path, &wanted, &there)
        .await
}

/// The service account has exactly the run-time roles, assigned and in its client's scope, and is in no group: Keycloak
/// gives every new user the realm's default roles and puts them into its default groups; a service needs none of them.
async fn prepare_service_account(run: &mut Run<'_>, service: &str) -> Result<(), KeycloakError> {
    let management = realm_management(run).await?;
    let roles = run.list(&format!("/clients/{management}/roles")).await?;
    let wanted: Vec<Value> =
        roles.into_iter().filter(|role| RUN_TIME_ROLES.contains(&text(role, "name"))).collect();

    let scope = format!("/clients/{service}/scope-mappings");
    exactly(run, "the scope of client hallpass", &scope, (&management, &wanted)).await?;
    let account = format!("/users/{}", run.service_account(service).await?);
    let mappings = format!("{account}/role-mappings");
    exactly(run, "the service account", &mappings, (&management, &wanted)).await?;
    let mut groups = run.list(&format!("{account}/groups?max=1000")).await?;
    groups.sort_by(|one, other| text(one, "path").cmp(text(other, "path")));
    for group in groups {
        let what = format!("take the service account out of group {}", text(&group, "path"));
        let path = format!("{account}/groups/{}", text(&group, "id"));
        run.change(&what, Method::DELETE, &path, None).await?;
    }
    Ok(())
}

/// So many people are looked at one by one; of more it is only asked whether there are as many holders of the role.
const COUNTED_ONE_BY_ONE: usize = 1_000;
/// How Keycloak names the users of service accounts: they hold the role too, and are no people.
const SERVICE_ACCOUNT: &str = "service-account-";

/// What to say of people who lack the realm's default role, and so `create-tokens`: those of an import.
pub(super) async fn without_default_role(run: &Run<'_>) -> Result<Option<String>, KeycloakError> {
    let people = run.get("/users/count").await?;
    let people = people.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
    if people == 0 {
        return Ok(None);
    }
    let name = text(&run.realm["defaultRole"], "name");
    let holders = holders(run, name, people).await?;
    let lacking = people.saturating_sub(holders);
    Ok((lacking > 0).then(|| {
        format!(
            "of {people} people at least {lacking} lack the realm's default role `{name}`, as an import leaves it out, \
             and so cannot create tokens: give them that role, or `create-tokens` of client {}",
            run.settings.client_id
        )
    }))
}

async fn holders(run: &Run<'_>, role: &str, people: usize) -> Result<usize, KeycloakError> {
    const PAGE: usize = 500;
    let page = async |first: usize, max: usize| {
        let query = [
            ("first", first.to_string()),
            ("max", max.to_string()),
            ("briefRepresentation", "true".to_owned()),
        ];
        run.list_with(&format!("/roles/{}/users", segment(role)), &query).await
    };
    if people > COUNTED_ONE_BY_ONE {
        let last = page(people - 1, 1).await?;
        return Ok(if last.is_empty() { people - 1 } else { people });
    }
    let (mut holders, mut first) = (0, 0);
    loop {
        let found = page(first, PAGE).await?;
        if found.is_empty() {
            return Ok(holders);
        }
        let person = |user: &&Value| !text(user, "username").starts_with(SERVICE_ACCOUNT);
        holders += found.iter().filter(person).count();
        first += PAGE;
    }
}

/// The `client_id` of the client that holds the realm's administration roles.
pub(crate) fn management_client(realm: &Realm) -> &'static str {
    if realm.name() == "master" { "master-realm" } else { "realm-management" }
}

/// That client.
async fn realm_management(run: &Run<'_>) -> Result<String, KeycloakError> {
    let name = management_client(&run.settings.realm);
    let client = run.find_client(name).await?;
    let client = client.ok_or_else(|| KeycloakError::NotFound(format!("client {name}")))?;
    Ok(text(&client, "id").to_owned())
}

async fn service_roles(
    run: &Run<'_>,
    service: &str,
    names: &[&str],
) -> Result<Vec<Value>, KeycloakError> {
    let roles = run.list(&format!("/clients/{service}/roles")).await?;
    Ok(roles.into_iter().filter(|role| names.contains(&text(role, "name"))).collect())
}

async fn add_missing(
    run: &mut Run<'_>,
    what: &str,
    path: &str,
    wanted: &[Value],
    there: &[Value],
) -> Result<(), KeycloakError> {
    let missing = without(wanted, there);
    if missing.is_empty() {
        return Ok(());
    }
    run.map_roles(what, Method::POST, path, &missing.into()).await
}

/// Makes the mappings at `path` exactly the wanted roles of the client `management`: no other client's, none of the realm.
async fn exactly(
    run: &mut Run<'_>,
    whose: &str,
    path: &str,
    (management, wanted): (&str, &[Value]),
) -> Result<(), KeycloakError> {
    // What a dry run would have made has no mappings yet, or those that it is given with.
    let found = run.find(path).await?.unwrap_or_default();
    let clients = found["clientMappings"].as_object().into_iter().flatten();
    let mut of_clients: Vec<(String, Vec<Value>)> = clients
        .map(|(_, client)| (text(client, "id"), roles_in(client, "mappings")))
        .map(|(client, roles)| (format!("{path}/clients/{client}"), roles))
        .collect();
    let own = format!("{path}/clients/{management}");
    if !of_clients.iter().any(|(path, _)| *path == own) {
        of_clients.push((own.clone(), Vec::new()));
    }
    for (path, roles) in of_clients {
        let there = run.members(&path, roles);
        let needed = if path == own { wanted } else { &[] };
        let missing = without(needed, &there);
        if !missing.is_empty() {
            let what = format!("give {} to {whose}", listed(&missing));
            run.map_roles(&what, Method::POST, &path, &missing.into()).await?;
        }
        take(run, whose, &path, without(&there, needed)).await?;
    }
    let path = format!("{path}/realm");
    let of_realm = run.members(&path, roles_in(&found, "realmMappings"));
    take(run, whose, &path, of_realm).await
}

async fn take(
    run: &mut Run<'_>,
    whose: &str,
    path: &str,
    roles: Vec<Value>,
) -> Result<(), KeycloakError> {
    if roles.is_empty() {
        return Ok(());
    }
    let what = format!("take {} from {whose}", listed(&roles));
    run.map_roles(&what, Method::DELETE, path, &roles.into()).await
}

fn roles_in(mappings: &Value, member: &str) -> Vec<Value> {
    mappings[member].as_array().cloned().unwrap_or_default()
}

fn without(roles: &[Value], others: &[Value]) -> Vec<Value> {
    let known = |role: &Value| others.iter().any(|other| other["id"] == role["id"]);
    roles.iter().filter(|role| !known(role)).cloned().collect()
}

fn listed(roles: &[Value]) -> String {
    roles.iter().map(|role| text(role, "name")).collect::<Vec<_>>().join(", ")
}
