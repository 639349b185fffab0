//! Names follow their owner: the old one may be somebody else's by now.

use reqwest::Method;
use serde_json::{Value, json};

use super::{EVENTS_ONLY, Holder, Scene, TOKENS, until, user};
use crate::support::{Api, Database, ServiceClient, TestServer, unique};

/// What forward-auth says of the owner: name at login and address.
async fn told(api: &Api, token: &str) -> [String; 2] {
    let answer = api.send(api.request(Method::GET, "/forward-auth").bearer_auth(token)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    ["x-auth-username", "x-auth-email"]
        .map(|name| answer.headers[name].to_str().unwrap().to_owned())
}

/// What introspection says of the owner.
async fn introspected(service: &ServiceClient, api: &Api, token: &str) -> [Value; 4] {
    let answer = service.ask(api, token, &[]).await.expect(200);
    ["username", "preferred_username", "email", "email_verified"].map(|name| answer[name].clone())
}

/// The names of the owners that a list shows for this search.
async fn found(administrator: &Api, search: &str) -> Vec<String> {
    let list = administrator.get(&format!("/api/pat/v1/users/tokens?search={search}")).await;
    let list = list.expect(200);
    let tokens = list["tokens"].as_array().unwrap();
    tokens.iter().map(|token| token["username"].as_str().unwrap().to_owned()).collect()
}

impl Scene {
    async fn let_usernames_change(&self) {
        let realm = format!("/{}", self.realm.name);
        self.admin.put(&realm, &json!({"editUsernameAllowed": true})).await;
    }

    async fn rename(&self, holder: &Holder, names: Value) {
        self.put(&user(&holder.person), &names).await;
    }

    async fn administrator(&self) -> Api {
        let person = self.realm.person().await;
        self.realm.give_roles(&person, "hallpass", &["administrator"]).await;
        self.server.user(&person).await
    }
}

async fn follows_on(database: fn(&tempfile::TempDir) -> Database, with_replica: bool) {
    let scene = Scene::set_with(database, &EVENTS_ONLY).await;
    scene.let_usernames_change().await;
    let (service, administrator) = (scene.realm.introspector().await, scene.administrator().await);
    let (holder, other) = (scene.holder().await, scene.holder().await);
    let replica = if with_replica { Some(scene.server.replica().await) } else { None };
    let here = scene.server.anonymous();
    let there = replica.as_ref().map_or_else(|| here.clone(), TestServer::anonymous);
    let old = holder.person.username.clone();
    let old_address = format!("{old}@example.org");
    for api in [&here, &there] {
        assert_eq!(told(api, &holder.token).await, [&*old, &*old_address]);
        let expected = [json!(old), json!(old), json!(old_address), json!(true)];
        assert_eq!(introspected(&service, api, &holder.token).await, expected);
    }
    // It was made without a use: what is said of a first sight follows, too.
    let unseen = scene.holder_of(holder.person.clone()).await;

    let new = unique("renamed");
    let address = format!("{new}@example.com");
    scene.rename(&holder, json!({"username": new, "email": address, "emailVerified": false})).await;
    let tokens = [&holder, &unseen].map(|holder| holder.token.as_str());
    for (api, token) in [(&here, tokens[0]), (&there, tokens[0]), (&here, tokens[1])] {
        // Not verified: it may be anybody's.
        until("the new name", async || told(api, token).await == [&*new, ""]).await;
        let expected = [json!(new), json!(new), json!(address), json!(false)];
        assert_eq!(introspected(&service, api, token).await, expected);
    }
    let own = holder.api.get(&format!("{TOKENS}/{}", holder.pat_id)).await.expect(200);
    assert_eq!(own["username"], json!(new));
    assert_eq!(found(&administrator, &new).await, [&*new, &*new]);

    // The old name is somebody else's by now.
    let heir = scene.realm.person_with(&old, json!({"email": old_address})).await;
    let heir = scene.holder_of(heir).await;
    assert_eq!(found(&administrator, &old).await, [&*old]);
    assert_eq!(told(&here, &heir.token).await, [&*old, &*old_address]);
    assert_eq!(told(&there, &other.token).await[0], other.person.username);

    scene.rename(&holder, json!({"email": address, "emailVerified": true})).await;
    for api in [&here, &there] {
        until("the address", async || told(api, &holder.token).await[1] == address).await;
    }
    // Nobody uses what one process remembers after a start.
    if let Some(replica) = replica {
        replica.stop().await;
    }
    let server = scene.server.restart(&EVENTS_ONLY).await;
    let here = server.anonymous();
    for token in tokens {
        assert_eq!(told(&here, token).await, [&*new, &*address]);
        let expected = [json!(new), json!(new), json!(address), json!(true)];
        assert_eq!(introspected(&service, &here, token).await, expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_new_name_is_in_every_answer_and_list_on_sqlite() {
    follows_on(Database::sqlite, false).await;
}

#[tokio::test]
async fn a_new_name_is_in_every_answer_and_list_of_every_replica_on_postgres() {
    follows_on(Database::postgres, true).await;
}

#[tokio::test]
async fn who_had_no_address_and_who_has_none_any_more() {
    let scene = Scene::set().await;
    let service = scene.realm.introspector().await;
    let mut holder = scene.holder().await;
    let name = holder.person.username.clone();
    let address = format!("{name}@example.com");
    // Keycloak lets nobody log in who has no address: only after that it is taken away.
    scene.rename(&holder, json!({"email": "", "emailVerified": false})).await;
    let minted = holder.api.mint("without").await;
    holder.token = minted["token"].as_str().unwrap().to_owned();
    let here = scene.server.anonymous();
    assert_eq!(told(&here, &holder.token).await, [&*name, ""]);
    let none = [json!(name), json!(name), Value::Null, json!(false)];
    assert_eq!(introspected(&service, &here, &holder.token).await, none);

    scene.rename(&holder, json!({"email": address, "emailVerified": true})).await;
    until("an address", async || told(&here, &holder.token).await[1] == address).await;
    let expected = [json!(name), json!(name), json!(address), json!(true)];
    assert_eq!(introspected(&service, &here, &holder.token).await, expected);

    scene.rename(&holder, json!({"email": "", "emailVerified": false})).await;
    until("no address", async || told(&here, &holder.token).await[1].is_empty()).await;
    assert_eq!(introspected(&service, &here, &holder.token).await, none);
    scene.server.stop().await;
}

/// Whoever is disabled is in lists, too, and so is who has only dead tokens.
#[tokio::test]
async fn names_of_dead_and_suspended_tokens_follow_too() {
    let scene = Scene::set().await;
    scene.let_usernames_change().await;
    let administrator = scene.administrator().await;
    let holder = scene.holder().await;
    let dead = scene.holder_of(holder.person.clone()).await;
    let path = format!("{TOKENS}/{}/invalidate", dead.pat_id);
    holder.api.post_empty(&path).await.expect(200);
    let new = unique("renamed");
    scene.rename(&holder, json!({"username": new})).await;
    until("both", async || found(&administrator, &new).await.len() == 2).await;
    assert!(found(&administrator, &holder.person.username).await.is_empty());
    scene.server.stop().await;
}

#[tokio::test]
async fn the_owner_of_an_api_client_is_named_as_they_are_called_now() {
    let scene = Scene::set().await;
    scene.let_usernames_change().await;
    let person = scene.realm.person().await;
    scene.realm.give_roles(&person, "hallpass", &["create-api-clients"]).await;
    let administrator = scene.administrator().await;
    let api = scene.server.user(&person).await;
    let account = person.username.replace('-', "");
    let body = json!({"clientId": format!("{account}_script"), "displayName": "Nightly",
        "capabilities": ["script"]});
    api.post("/api/clients/v1/clients", &body).await.expect(201);
    let new = unique("renamed");
    scene.put(&user(&person), &json!({"username": new})).await;
    let listed = async |search: &str| {
        let path = format!("/api/clients/v1/clients?search={search}");
        let list = administrator.get(&path).await.expect(200);
        let clients = list["clients"].as_array().unwrap();
        clients.iter().map(|client| client["owner"]["username"].clone()).collect::<Vec<_>>()
    };
    until("the owner's name", async || listed(&new).await == [json!(new)]).await;
    // What else a search looks at is as it was; the old name is in the client's id no more than in its owner.
    assert_eq!(listed("nightly").await, [json!(new)]);
    assert!(listed(&person.username).await.is_empty());
    scene.server.stop().await;
}

/// A realm may have personal access tokens that say no address: Hallpass does not say it either.
#[tokio::test]
async fn an_address_that_tokens_do_not_tell_is_not_told() {
    let scene = Scene::set().await;
    let client = scene.admin.client_uuid(&scene.realm.name, "hallpass-pat").await;
    let scopes = scene.get("client-scopes").await;
    let email = scopes.as_array().unwrap().iter().find(|scope| scope["name"] == "email").unwrap();
    let path = format!("clients/{client}/default-client-scopes/{}", email["id"].as_str().unwrap());
    scene.delete(&path, &Value::Null).await;
    let holder = scene.holder().await;
    let here = scene.server.anonymous();
    assert_eq!(told(&here, &holder.token).await, [&*holder.person.username, ""]);
    let service = scene.realm.introspector().await;
    let [.., address, verified] = introspected(&service, &here, &holder.token).await;
    assert_eq!([address, verified], [Value::Null, Value::Null]);
    scene.server.stop().await;
}
