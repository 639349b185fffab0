//! Which roles count: those that the token's record has, whatever claim the realm writes them to; and each for itself.

use reqwest::Method;
use serde_json::{Value, json};

use super::{PATH, TOKENS, ask, identity, jwt, refused};
use crate::support::{Admin, Api, Person, TestRealm, TestServer, claims_of};

/// A realm whose tokens have the roles of the realm in the claim `roles`, and those of clients nowhere.
async fn realm_of_other_claims() -> TestRealm {
    let realm = TestRealm::own().await;
    let admin = Admin::log_in().await;
    let scopes = admin.get(&format!("/{}/client-scopes", realm.name)).await;
    let scope = scopes.as_array().unwrap().iter().find(|scope| scope["name"] == "roles").unwrap();
    let mappers = format!(
        "/{}/client-scopes/{}/protocol-mappers/models",
        realm.name,
        scope["id"].as_str().unwrap()
    );
    for mut mapper in admin.get(&mappers).await.as_array().unwrap().clone() {
        let path = format!("{mappers}/{}", mapper["id"].as_str().unwrap());
        match mapper["name"].as_str().unwrap() {
            "realm roles" => {
                mapper["config"]["claim.name"] = "roles".into();
                admin.put(&path, &mapper).await;
            }
            "client roles" => drop(admin.call(Method::DELETE, &path, None).await),
            _ => {}
        }
    }
    realm
}

/// Gives a role of the realm to a person, which is made where there is none.
async fn give_realm_role(realm: &TestRealm, person: &Person, name: &str) {
    let admin = Admin::log_in().await;
    let path = format!("/{}/roles/{name}", realm.name);
    if !admin.has(&path).await {
        admin.post(&format!("/{}/roles", realm.name), &json!({"name": name})).await;
    }
    let role = admin.get(&path).await;
    let path = format!("/{}/users/{}/role-mappings/realm", realm.name, person.id);
    admin.post(&path, &json!([role])).await;
}

/// Gives a role of a client to a person; both are made where they are not there.
async fn give_client_role(realm: &TestRealm, person: &Person, client: &str, name: &str) {
    let admin = Admin::log_in().await;
    let clients = format!("/{}/clients", realm.name);
    if admin.get(&format!("{clients}?clientId={client}")).await.as_array().unwrap().is_empty() {
        let made = json!({"clientId": client, "publicClient": true, "standardFlowEnabled": false});
        admin.post(&clients, &made).await;
    }
    let uuid = admin.client_uuid(&realm.name, client).await;
    admin.post(&format!("{clients}/{uuid}/roles"), &json!({"name": name})).await;
    realm.give_roles(person, client, &[name]).await;
}

async fn has(api: &Api, token: &Value, role: &str) -> bool {
    let answer = ask(api, &format!("{PATH}?role={role}"), jwt(token)).await;
    if answer.status == 200 {
        identity(&answer);
        return true;
    }
    refused(&answer, 403);
    false
}

#[tokio::test]
async fn roles_are_those_of_the_record_whatever_claim_they_are_in() {
    let realm = realm_of_other_claims().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let person = realm.person().await;
    give_realm_role(&realm, &person, "editor").await;
    realm.give_roles(&person, "hallpass", &["manage-tokens"]).await;
    let user = server.user(&person).await;
    let whole = user.mint("whole").await;
    let narrow = json!({"name": "narrow", "roles": ["editor"]});
    let narrow = user.post(TOKENS, &narrow).await.expect(201);
    let none = json!({"name": "none", "scopes": ["email"]});
    let none = user.post(TOKENS, &none).await.expect(201);
    let claims = claims_of(jwt(&whole));
    let said = claims["roles"].as_array().unwrap_or_else(|| panic!("{claims}"));
    assert!(said.contains(&json!("editor")), "{claims}");
    assert!(claims.get("realm_access").is_none() && claims.get("resource_access").is_none());

    let service = realm.introspector().await;
    let server = {
        // And once more when nothing is remembered but what a start reads.
        check(&server, &service, (&whole, &narrow, &none)).await;
        server.restart(&[]).await
    };
    check(&server, &service, (&whole, &narrow, &none)).await;
    // The API asks for the owner's roles, too.
    server.with_token(jwt(&whole)).get("/api/pat/v1/users/tokens").await.expect(200);
    server.stop().await;
}

async fn check(
    server: &TestServer,
    service: &crate::support::ServiceClient,
    (whole, narrow, none): (&Value, &Value, &Value),
) {
    let anyone = server.anonymous();
    assert!(has(&anyone, whole, "editor").await);
    assert!(has(&anyone, whole, "hallpass:create-tokens").await);
    assert!(!has(&anyone, whole, "roles").await);
    assert!(has(&anyone, narrow, "editor").await);
    assert!(!has(&anyone, narrow, "hallpass:create-tokens").await);
    assert!(!has(&anyone, none, "editor").await);
    let [_, _, _, roles, ..] = identity(&ask(&anyone, PATH, jwt(whole)).await);
    let mut roles: Vec<_> = roles.split(',').collect();
    roles.retain(|role| !role.starts_with("default-roles-"));
    let expected = [
        "editor",
        "offline_access",
        "uma_authorization",
        "hallpass:create-tokens",
        "hallpass:manage-tokens",
    ];
    assert_eq!(roles, expected);
    let [_, _, _, roles, ..] = identity(&ask(&anyone, PATH, jwt(narrow)).await);
    assert_eq!(roles, "editor");
    let told = service.ask(&anyone, jwt(whole), &[]).await.expect(200);
    assert!(told["roles"].as_array().unwrap().contains(&json!("editor")), "{told}");
    assert!(told["realm_access"]["roles"].as_array().unwrap().contains(&json!("editor")), "{told}");
    assert_eq!(
        told["resource_access"]["hallpass"]["roles"],
        json!(["create-tokens", "manage-tokens"])
    );
    let told = service.ask(&anyone, jwt(narrow), &[]).await.expect(200);
    assert_eq!(
        (&told["realm_access"], told.get("resource_access")),
        (&json!({"roles": ["editor"]}), None)
    );
    let told = service.ask(&anyone, jwt(none), &[]).await.expect(200);
    assert_eq!((told.get("realm_access"), told.get("resource_access")), (None, None));
}

#[tokio::test]
async fn a_role_of_one_client_does_not_pass_for_that_of_another() {
    let realm = TestRealm::own().await;
    let server = TestServer::in_realm(realm.clone()).await;
    let anyone = server.anonymous();
    let mut tokens = Vec::new();
    for (client, name) in [
        (Some("svc"), "eu:admin"),
        (Some("svc:eu"), "admin"),
        (None, "svc:eu:admin"),
        (Some("svc"), "eu"),
        (None, "svc:eu"),
    ] {
        let person = realm.person().await;
        match client {
            Some(client) => give_client_role(&realm, &person, client, name).await,
            None => give_realm_role(&realm, &person, name).await,
        }
        tokens.push(server.user(&person).await.mint("colons").await);
    }
    // What could mean several of them lets nobody in.
    for token in &tokens {
        refused(&ask(&anyone, &format!("{PATH}?role=svc:eu:admin"), jwt(token)).await, 400);
    }
    let spelled =
        ["svc:eu%253Aadmin", "svc%253Aeu:admin", "svc%253Aeu%253Aadmin", "svc:eu", "svc%253Aeu"];
    for (number, role) in spelled.iter().enumerate() {
        for (other, token) in tokens.iter().enumerate() {
            assert_eq!(has(&anyone, token, role).await, number == other, "{role} of {other}");
        }
        let [_, _, _, roles, ..] = identity(&ask(&anyone, PATH, jwt(&tokens[number])).await);
        let role = role.replace("%253A", "%3A");
        assert!(roles.split(',').any(|one| one == role), "{role}: {roles}");
    }
    server.stop().await;
}
