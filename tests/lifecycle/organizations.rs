//! Members of an organization whose accounts the organization manages: who joined by way of its identity provider. Keycloak
//! shows them as disabled while the organization is, and deletes them with it, and tells of neither as of a user.

use serde_json::{Value, json};

use super::{Holder, SWEEPING, Scene, user};
use crate::support::{BareRealm, Browser, Database, PASSWORD, Person, Stop, bare_realm};

/// An organization, and the realm of its identity provider.
struct Organization {
    id: String,
    home: BareRealm,
}

/// A client secret of the test's own.
const SECRET: &str = "between-two-realms-of-a-test";

impl Scene {
    async fn organization(&self) -> Organization {
        self.put("", &json!({"organizationsEnabled": true})).await;
        let home = bare_realm().await;
        let endpoint = self.realm.issuer().replace(&self.realm.name, &home.name);
        let back = format!("{}/broker/corp/endpoint", self.realm.issuer());
        let client = json!({"clientId": "relying-party", "secret": SECRET, "redirectUris": [back],
            "publicClient": false, "standardFlowEnabled": true});
        self.admin.post(&format!("/{}/clients", home.name), &client).await;
        let path = |name: &str| format!("{endpoint}/protocol/openid-connect/{name}");
        let provider = json!({"alias": "corp", "providerId": "oidc", "enabled": true, "trustEmail": true,
            "config": {"clientId": "relying-party", "clientSecret": SECRET, "issuer": endpoint,
                "authorizationUrl": path("auth"), "tokenUrl": path("token"), "jwksUrl": path("certs"),
                "useJwksUrl": "true", "validateSignature": "true", "defaultScope": "openid profile email",
                "clientAuthMethod": "client_secret_post"}});
        self.post("identity-provider/instances", &provider).await;
        let body = json!({"name": "Corp", "alias": "corp", "domains": [{"name": "corp.example"}]});
        self.post("organizations", &body).await;
        let id = self.get("organizations").await[0]["id"].as_str().unwrap().to_owned();
        self.post(&format!("organizations/{id}/identity-providers"), &json!("corp")).await;
        Organization { id, home }
    }

    /// Somebody who joined by the organization's identity provider, with a token.
    async fn managed_member(&self, organization: &Organization, name: &str) -> Holder {
        let account = json!({
            "username": name, "enabled": true, "firstName": "Test", "lastName": "Member",
            "email": format!("{name}@corp.example"), "emailVerified": true,
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": false}],
        });
        self.admin.post(&format!("/{}/users", organization.home.name), &account).await;
        let mut browser = Browser::new(&self.realm.issuer());
        let page = browser.open(&self.login_url(&[("kc_idp_hint", "corp")])).await;
        let login = [("username", name), ("password", PASSWORD)];
        let stop = browser.send_form(page, &login).await;
        assert!(matches!(stop, Stop::Away(_)), "{stop:?}");

        let found = self.get(&format!("users?username={name}&exact=true")).await;
        let id = found[0]["id"].as_str().unwrap().to_owned();
        let path = format!("organizations/{}/members/{id}", organization.id);
        assert_eq!(self.get(&path).await["membershipType"], "MANAGED");
        let password = json!({"type": "password", "value": PASSWORD, "temporary": false});
        self.put(&format!("users/{id}/reset-password"), &password).await;
        self.holder_of(Person { id, username: name.to_owned() }).await
    }

    /// A member who had an account before.
    async fn unmanaged_member(&self, organization: &Organization) -> Holder {
        let holder = self.holder().await;
        let path = format!("organizations/{}/members", organization.id);
        self.post(&path, &json!(holder.person.id)).await;
        holder
    }

    async fn set_organization(&self, organization: &Organization, enabled: bool) {
        let path = format!("organizations/{}", organization.id);
        let mut body = self.get(&path).await;
        body["enabled"] = json!(enabled);
        self.put(&path, &body).await;
    }

    /// Whether Keycloak has this user.
    async fn is_there(&self, person: &Person) -> bool {
        self.admin.has(&format!("/{}/{}", self.realm.name, user(person))).await
    }
}

#[tokio::test]
async fn managed_members_of_a_disabled_organization_are_suspended_until_it_is_enabled() {
    let scene = Scene::set_with(Database::sqlite, &SWEEPING).await;
    let organization = scene.organization().await;
    let managed = scene.managed_member(&organization, "mary").await;
    let unmanaged = scene.unmanaged_member(&organization).await;
    scene.wait_until_followed().await;
    scene.set_organization(&organization, false).await;
    assert_eq!(scene.get(&user(&managed.person)).await["enabled"], false);
    scene.wait_for(&managed, "suspended").await;
    scene.pat(&managed).await.expect_problem(401, "unauthenticated");

    // However many sweeps agree.
    let scene = scene.sweep_until_certain().await;
    let (managed, unmanaged) = (scene.renewed(managed), scene.renewed(unmanaged));
    scene.wait_for(&managed, "suspended").await;
    let log = scene.audited(&managed).await;
    assert_eq!(log[1..], ["token_suspended by hallpass, owner_disabled"], "{log:?}");
    scene.assert_good(&unmanaged).await;

    scene.set_organization(&organization, true).await;
    scene.wait_for(&managed, "active").await;
    scene.assert_good(&managed).await;
    assert_eq!(scene.audited(&managed).await[2..], ["token_released by hallpass, owner_as_before"]);
    assert_eq!(scene.audited(&unmanaged).await.len(), 1);
    scene.server.stop().await;
}

/// Keycloak deletes who is removed, and all with the organization.
#[tokio::test]
async fn managed_members_who_are_removed_or_whose_organization_is_deleted_lose_their_tokens() {
    let scene = Scene::set_with(Database::sqlite, &SWEEPING).await;
    let organization = scene.organization().await;
    let removed = scene.managed_member(&organization, "rose").await;
    let left = scene.managed_member(&organization, "leo").await;
    let (unmanaged, other) = (scene.unmanaged_member(&organization).await, scene.holder().await);
    scene.wait_until_followed().await;

    let path = format!("organizations/{}", organization.id);
    scene.delete(&format!("{path}/members/{}", removed.person.id), &Value::Null).await;
    assert!(!scene.is_there(&removed.person).await);
    scene.wait_for(&removed, "suspended").await;
    scene.assert_good(&left).await;
    scene.delete(&path, &Value::Null).await;
    assert!(!scene.is_there(&left.person).await && scene.is_there(&unmanaged.person).await);
    scene.wait_for(&left, "suspended").await;
    scene.pat(&left).await.expect_problem(401, "unauthenticated");

    // It is no event of a user: sweeps make it certain.
    let scene = scene.sweep_until_certain().await;
    for holder in [removed, left] {
        scene.assert_deleted(&scene.renewed(holder), "owner_deleted").await;
    }
    for holder in [unmanaged, other] {
        let holder = scene.renewed(holder);
        scene.assert_good(&holder).await;
        assert_eq!(scene.audited(&holder).await.len(), 1);
    }
    scene.server.stop().await;
}
