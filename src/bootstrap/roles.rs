//! Roles: those that Hallpass gives to people, and those that Keycloak gives to Hallpass.

use reqwest::Method;
use serde_json::{Value, json};

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
pub(super) async fn prepare(run: &mut Run<'_>, service: &str) -> Result<(), KeycloakError> {
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
    prepare_service_account(run, service).await
}

/// Adds `create-tokens` to the realm's default roles: everybody has it.
pub(super) async fn prepare_default_role(
    run: &mut Run<'_>,
    service: &str,
    realm: &Value,
) -> Result<(), KeycloakError> {
    let path = format!("/roles-by-id/{}/composites", text(&realm["defaultRole"], "id"));
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
    let account = run.get(&format!("/clients/{service}/service-account-user")).await?;
    let account = format!("/users/{}", text(&account, "id"));
    let mappings = format!("{account}/role-mappings");
    exactly(run, "the service account", &mappings, (&management, &wanted)).await?;
    for group in run.list(&format!("{account}/groups?max=1000")).await? {
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
pub(super) async fn without_default_role(
    run: &Run<'_>,
    realm: &Value,
) -> Result<Option<String>, KeycloakError> {
    let people = run.get("/users/count").await?;
    let people = people.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
    if people == 0 {
        return Ok(None);
    }
    let name = text(&realm["defaultRole"], "name");
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
    let found = run.get(path).await?;
    let no_clients = serde_json::Map::new();
    let clients = found["clientMappings"].as_object().unwrap_or(&no_clients);
    let of_clients =
        clients.values().map(|client| (text(client, "id"), roles_in(client, "mappings")));
    let there = of_clients.clone().find(|(id, _)| *id == management);
    let missing = without(wanted, there.map(|(_, roles)| roles).unwrap_or_default());
    if !missing.is_empty() {
        let what = format!("give {} to {whose}", names(&missing));
        let path = format!("{path}/clients/{management}");
        run.map_roles(&what, Method::POST, &path, &missing.into()).await?;
    }
    for (client, roles) in of_clients {
        take(run, whose, &format!("{path}/clients/{client}"), without(roles, wanted)).await?;
    }
    let of_realm = roles_in(&found, "realmMappings").to_vec();
    take(run, whose, &format!("{path}/realm"), of_realm).await
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
    let what = format!("take {} from {whose}", names(&roles));
    run.map_roles(&what, Method::DELETE, path, &roles.into()).await
}

fn roles_in<'v>(mappings: &'v Value, member: &str) -> &'v [Value] {
    mappings[member].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn without(roles: &[Value], others: &[Value]) -> Vec<Value> {
    let known = |role: &Value| others.iter().any(|other| other["id"] == role["id"]);
    roles.iter().filter(|role| !known(role)).cloned().collect()
}

fn names(roles: &[Value]) -> String {
    roles.iter().map(|role| text(role, "name")).collect::<Vec<_>>().join(", ")
}
