//! Realms of the throwaway Keycloak, prepared by the product's own bootstrap.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hallpass::bootstrap::{Mode, Options, bootstrap};
use hallpass::clock::Clock;
use hallpass::config::{BootstrapSettings, SealingKey, Settings, Sources};
use hallpass::keycloak::{Credentials, Keycloak, http_client};
use hallpass::keys::SigningKey;
use hallpass::seal::Sealer;
use hallpass::store::{Note, RealmObject, SealedKey, Store};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

use super::{Admin, Database, http, service, unique};

/// A client by which tests log in with a password: the product's own clients allow no such grant.
pub const LOGIN_CLIENT: &str = "test-login";
/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";

/// Keycloak makes realms one at a time faster than several at once.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A realm that was bootstrapped.
#[derive(Clone)]
pub struct TestRealm {
    pub name: String,
    pub client_secret: SecretString,
    encryption_key: SealingKey,
    pub signing_key: SealedKey,
    /// What bootstrap made, as its store lists it.
    objects: Vec<RealmObject>,
    /// What was chosen in that bootstrap.
    choices: String,
    /// Deletes the realm at its end; the shared one has no end.
    #[expect(dead_code, reason = "held for its drop")]
    guard: std::sync::Arc<RealmGuard>,
}

/// Somebody in the realm.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub username: String,
}

impl TestRealm {
    /// The realm of the tests that change nothing in it but their own people.
    pub async fn shared() -> Self {
        static SHARED: OnceCell<TestRealm> = OnceCell::const_new();
        SHARED.get_or_init(|| Self::make(unique("shared"))).await.clone()
    }

    /// A realm for one test that changes it.
    pub async fn own() -> Self {
        Self::make(unique("own")).await
    }

    async fn make(name: String) -> Self {
        let guard = std::sync::Arc::new(create_realm(&name, json!({})).await);
        let folder = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(folder.path().join("bootstrap.db"));
        let encryption_key = SealingKey::generate().unwrap();
        let settings = bootstrap_settings(&name, &database);
        let keycloak = administrator(&settings);
        let outcome = Box::pin(bootstrap(
            &keycloak,
            &settings,
            &encryption_key,
            &Clock::system(),
            &options(),
            Box::new(|_| {}),
        ))
        .await
        .unwrap();
        let store = Store::open(&database.url()).await.unwrap();
        create_login_client(&name, json!({})).await;
        let (bare, secret) = (BareRealm { name, guard }, outcome.client_secret.unwrap());
        let realm = Self::bootstrapped(&bare, secret, encryption_key, &store).await;
        store.close().await;
        realm
    }

    /// A realm that was bootstrapped with this store.
    pub async fn bootstrapped(
        realm: &BareRealm,
        client_secret: SecretString,
        encryption_key: SealingKey,
        store: &Store,
    ) -> Self {
        let (name, guard) = (realm.name.clone(), realm.guard.clone());
        let signing_key = store.find_active_key().await.unwrap().unwrap();
        let objects = store.list_realm_objects().await.unwrap();
        let choices = store.find_note(Note::Choices).await.unwrap().unwrap();
        Self { name, client_secret, encryption_key, signing_key, objects, choices, guard }
    }

    /// The settings of a server in this realm, on this database, as environment variables.
    pub fn environment(
        &self,
        database: &Database,
        extra: &[(&str, &str)],
    ) -> Vec<(String, String)> {
        let mut environment = vec![
            ("HALLPASS_SERVER__LISTEN", "127.0.0.1:0".to_owned()),
            ("HALLPASS_SERVER__ALLOWED_CLIENTS", format!("hallpass,hallpass-cli,{LOGIN_CLIENT}")),
            ("HALLPASS_KEYCLOAK__URL", service("HALLPASS_TEST_KEYCLOAK_URL")),
            ("HALLPASS_KEYCLOAK__PUBLIC_URL", service("HALLPASS_TEST_KEYCLOAK_URL")),
            ("HALLPASS_KEYCLOAK__REALM", self.name.clone()),
            ("HALLPASS_KEYCLOAK__CLIENT_SECRET", self.client_secret.expose_secret().to_owned()),
            ("HALLPASS_STORE__URL", database.url_text()),
            (
                "HALLPASS_STORE__ENCRYPTION_KEY",
                self.encryption_key.to_base64().expose_secret().to_owned(),
            ),
        ];
        for (name, value) in extra {
            environment.retain(|(known, _)| known != name);
            environment.push((name, (*value).to_owned()));
        }
        environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The same, read as the service reads them.
    pub fn settings(&self, database: &Database, extra: &[(&str, &str)]) -> Settings {
        let environment = self.environment(database, extra).into_iter();
        let environment = environment.map(|(name, value)| (name.into(), value.into())).collect();
        Settings::load(&Sources { environment, ..Sources::default() }).unwrap()
    }

    /// Gives a fresh store this realm's signing key, and the list of what bootstrap made.
    pub async fn put_signing_key(&self, store: &Store) {
        let now = Clock::system().now();
        store.complete_realm_objects(&self.objects, now).await.unwrap();
        store.keep_note(Note::Choices, &self.choices).await.unwrap();
        store.claim_issuer(&self.issuer()).await.unwrap();
        store.insert_pending_key(&self.signing_key, now).await.unwrap();
        assert!(store.activate_key(&self.signing_key.kid, now).await.unwrap());
    }

    /// The private signing key: what an attacker who stole it would hold.
    pub fn signing_key(&self) -> SigningKey {
        let sealer = Sealer::new(self.encryption_key.bytes(), None).unwrap();
        SigningKey::from_sealed(&sealer, &self.issuer(), &self.signing_key).unwrap()
    }

    pub fn issuer(&self) -> String {
        format!("{}/realms/{}", service("HALLPASS_TEST_KEYCLOAK_URL"), self.name)
    }

    pub fn jwks_url(&self) -> String {
        format!("{}/protocol/openid-connect/certs", self.issuer())
    }

    /// A new person with an account of their own; everybody has the default role `create-tokens`.
    pub async fn person(&self) -> Person {
        let username = unique("person");
        let account = username.replace('-', "");
        self.person_with(&username, json!({"attributes": {"account_id": [account]}})).await
    }

    pub async fn person_with(&self, username: &str, extra: Value) -> Person {
        create_person(&self.name, username, extra).await
    }

    /// An access token of this person, as the login client gets it.
    pub async fn access_token(&self, person: &Person) -> String {
        self.access_token_from(person, LOGIN_CLIENT).await
    }

    pub async fn access_token_from(&self, person: &Person, client_id: &str) -> String {
        let answer = self.log_in(person, client_id).await;
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// All tokens of a login with the password.
    pub async fn log_in(&self, person: &Person, client_id: &str) -> Value {
        let form = [
            ("grant_type", "password"),
            ("client_id", client_id),
            ("username", person.username.as_str()),
            ("password", PASSWORD),
            ("scope", "openid"),
        ];
        let url = format!("{}/protocol/openid-connect/token", self.issuer());
        let answer = http().post(url).form(&form).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Takes the realm's default roles from a person: `create-tokens` is among them.
    pub async fn take_default_roles(&self, person: &Person) {
        let admin = Admin::log_in().await;
        let role = admin.get(&format!("/{0}/roles/default-roles-{0}", self.name)).await;
        let path = format!("/{}/users/{}/role-mappings/realm", self.name, person.id);
        admin.call(Method::DELETE, &path, Some(&json!([role]))).await;
    }

    /// Gives roles of a client to a person.
    pub async fn give_roles(&self, person: &Person, client_id: &str, names: &[&str]) {
        self.change_roles(Method::POST, person, client_id, names).await;
    }

    pub async fn take_roles(&self, person: &Person, client_id: &str, names: &[&str]) {
        self.change_roles(Method::DELETE, person, client_id, names).await;
    }

    async fn change_roles(&self, method: Method, person: &Person, client_id: &str, names: &[&str]) {
        let admin = Admin::log_in().await;
        let client = admin.client_uuid(&self.name, client_id).await;
        let mut roles = Vec::new();
        for name in names {
            roles.push(admin.get(&format!("/{}/clients/{client}/roles/{name}", self.name)).await);
        }
        let path = format!("/{}/users/{}/role-mappings/clients/{client}", self.name, person.id);
        admin.call(method, &path, Some(&roles.into())).await;
    }
}

async fn create_person(realm: &str, username: &str, extra: Value) -> Person {
    let mut user = json!({
        "username": username, "enabled": true, "firstName": "Test", "lastName": "Person",
        "email": format!("{username}@example.org"), "emailVerified": true,
        "credentials": [{"type": "password", "value": PASSWORD, "temporary": false}],
    });
    user.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let admin = Admin::log_in().await;
    admin.post(&format!("/{realm}/users"), &user).await;
    let found = admin.get(&format!("/{realm}/users?username={username}&exact=true")).await;
    let id = found[0]["id"].as_str().unwrap().to_owned();
    Person { id, username: username.to_owned() }
}

/// Deletes the realm when the last test lets go of it.
struct RealmGuard {
    name: String,
}

impl Drop for RealmGuard {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        // A runtime of its own: the test's may be at its end.
        let deleted = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(
                async {
                    Admin::log_in().await.delete(&format!("/{name}")).await;
                },
            );
        });
        assert!(
            deleted.join().is_ok() || std::thread::panicking(),
            "the realm could not be deleted"
        );
    }
}

async fn create_realm(name: &str, special: Value) -> RealmGuard {
    let _one = ONE_AT_A_TIME.lock().await;
    let mut realm = json!({
        "realm": name,
        "enabled": true,
        // Passwords are hashed once: logins are not what is tested.
        "passwordPolicy": "hashIterations(1)",
        "accessTokenLifespan": 36_000,
        "ssoSessionIdleTimeout": 36_000,
        "ssoSessionMaxLifespan": 36_000,
        "components": {"org.keycloak.keys.KeyProvider": [
            {"name": "rsa", "providerId": "rsa", "config": {
                "priority": ["100"], "algorithm": ["RS256"], "privateKey": [realm_key()]}},
            {"name": "hmac", "providerId": "hmac-generated", "config": {"priority": ["100"], "algorithm": ["HS512"]}},
            {"name": "aes", "providerId": "aes-generated", "config": {"priority": ["100"]}},
        ]},
    });
    realm.as_object_mut().unwrap().extend(special.as_object().unwrap().clone());
    Admin::log_in().await.post("", &realm).await;
    RealmGuard { name: name.to_owned() }
}

/// One RSA key for all realms of the run: Keycloak would look for new primes for each.
pub fn realm_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        STANDARD.encode(der.as_ref())
    })
}

/// The client with these members beside its own.
async fn create_login_client(realm: &str, special: Value) {
    // Whole without any client scope, and where tokens are lightweight.
    let access = json!({"access.token.claim": "true", "lightweight.claim": "true", "jsonType.label": "String"});
    let mapper = |name: &str, kind: &str, config: Value| {
        let mut all = access.clone();
        all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        json!({"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": all})
    };
    let mut client = json!({
        "clientId": LOGIN_CLIENT, "publicClient": true, "directAccessGrantsEnabled": true,
        "standardFlowEnabled": false, "fullScopeAllowed": true,
        "defaultClientScopes": ["basic", "profile", "email"], "optionalClientScopes": [],
        "protocolMappers": [
            mapper("subject", "oidc-sub-mapper", json!({})),
            mapper("username", "oidc-usermodel-attribute-mapper", json!({
                "user.attribute": "username", "claim.name": "preferred_username"})),
            mapper("audience", "oidc-audience-mapper", json!({"included.client.audience": "hallpass"})),
            mapper("roles", "oidc-usermodel-client-role-mapper", json!({
                "usermodel.clientRoleMapping.clientId": "hallpass", "multivalued": "true",
                "claim.name": "resource_access.${client_id}.roles"})),
            mapper("account", "oidc-usermodel-attribute-mapper", json!({
                "user.attribute": "account_id", "claim.name": "account_id"})),
            mapper("impersonator", "oidc-usersessionmodel-note-mapper", json!({
                "user.session.note": "IMPERSONATOR_ID", "claim.name": "impersonator"})),
        ],
    });
    client.as_object_mut().unwrap().extend(special.as_object().unwrap().clone());
    Admin::log_in().await.post(&format!("/{realm}/clients"), &client).await;
}

/// The settings of a bootstrap of this realm.
pub fn bootstrap_settings(realm: &str, database: &Database) -> BootstrapSettings {
    bootstrap_settings_by(service("HALLPASS_TEST_KEYCLOAK_URL"), realm, database)
}

/// The same by way of another address of Keycloak.
pub fn bootstrap_settings_by(
    keycloak: String,
    realm: &str,
    database: &Database,
) -> BootstrapSettings {
    let environment = [
        ("HALLPASS_KEYCLOAK__URL", keycloak),
        ("HALLPASS_KEYCLOAK__PUBLIC_URL", service("HALLPASS_TEST_KEYCLOAK_URL")),
        ("HALLPASS_KEYCLOAK__REALM", realm.to_owned()),
        ("HALLPASS_STORE__URL", database.url_text()),
    ];
    let environment =
        environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    BootstrapSettings::load(&Sources { environment, ..Sources::default() }).unwrap()
}

/// Keycloak with an administrator's credentials.
pub fn administrator(settings: &BootstrapSettings) -> Keycloak {
    let credentials = Credentials::Administrator {
        realm: "master".to_owned(),
        username: service("HALLPASS_TEST_KEYCLOAK_ADMIN"),
        password: service("HALLPASS_TEST_KEYCLOAK_ADMIN_PASSWORD").into(),
    };
    Keycloak::new(http_client().unwrap(), settings.realm.clone(), credentials)
}

/// What an operator gets who chooses nothing.
pub fn options() -> Options {
    Options {
        scopes: Vec::new(),
        default_role: None,
        events: None,
        allow_master: false,
        adopt: false,
        mode: Mode::Apply,
    }
}

/// An empty realm, not bootstrapped.
pub async fn bare_realm() -> BareRealm {
    odd_realm(json!({})).await
}

/// The same with these members.
pub async fn odd_realm(special: Value) -> BareRealm {
    let name = unique("bare");
    let guard = std::sync::Arc::new(create_realm(&name, special).await);
    BareRealm { name, guard }
}

/// A realm that nothing was done to yet.
pub struct BareRealm {
    pub name: String,
    guard: std::sync::Arc<RealmGuard>,
}

impl BareRealm {
    /// A person who can log in, by a client that has these members beside its own.
    pub async fn person(&self, login_client: Value) -> Person {
        create_login_client(&self.name, login_client).await;
        // Their attribute is declared by bootstrap only.
        create_person(&self.name, &unique("person"), json!({})).await
    }
}
