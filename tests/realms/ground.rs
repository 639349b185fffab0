//! A realm that is to be lived through: bootstrap on it, and what an operator does.

use std::sync::{Arc, Mutex};

use hallpass::bootstrap::{
    Bootstrapped, Mode, Options, Removal, Report, bootstrap, remove, remove_key,
};
use hallpass::clock::Clock;
use hallpass::config::{BootstrapSettings, SealingKey};
use serde_json::{Value, json};

use super::Oddity;
use crate::bootstrap::snapshot::{self, assert_same};
use crate::support::{
    Admin, BareRealm, Database, LOGIN_CLIENT, Person, administrator, bootstrap_settings, odd_realm,
    options, realm_key, sorted,
};

/// What an operator does about a refusal.
pub(super) enum Mending {
    /// Sets these members of the realm.
    Members(&'static str),
    /// Exempts Hallpass's clients from all policies.
    Exemption,
    /// Switches all policies off.
    PoliciesOff,
    /// Takes a client scope away.
    Scope(&'static str),
}

/// A realm, and what a bootstrap of it needs.
pub(super) struct Ground {
    pub(super) realm: BareRealm,
    pub(super) settings: BootstrapSettings,
    pub(super) key: SealingKey,
    pub(super) admin: Admin,
    pub(super) folder: tempfile::TempDir,
}

impl Ground {
    pub(super) async fn new(oddity: &Oddity) -> Self {
        let text = oddity.realm.replace("${REALM_KEY}", realm_key());
        let realm = odd_realm(serde_json::from_str(&text).unwrap()).await;
        let folder = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(folder.path().join("hallpass.db"));
        let settings = bootstrap_settings(&realm.name, &database);
        let key = SealingKey::generate().unwrap();
        let admin = Admin::log_in().await;
        // Keycloak writes its defaults out with the first change of a realm, and what people have with the first of them.
        let path = format!("/{}", realm.name);
        admin.put(&path, &admin.get(&path).await).await;
        Self { realm, settings, key, admin, folder }
    }

    pub(super) fn path(&self, path: &str) -> String {
        format!("/{}{path}", self.realm.name)
    }

    pub(super) async fn try_bootstrap(
        &self,
        mode: Mode,
    ) -> Result<(Bootstrapped, Vec<String>), String> {
        let keycloak = administrator(&self.settings);
        let (lines, report) = collected();
        let options = Options { mode, ..options() };
        let clock = Clock::system();
        let done = bootstrap(&keycloak, &self.settings, &self.key, &clock, &options, report).await;
        let lines = std::mem::take(&mut *lines.lock().unwrap());
        done.map(|outcome| (outcome, lines)).map_err(|error| error.to_string())
    }

    pub(super) async fn remove(&self) {
        let keycloak = administrator(&self.settings);
        let (_, report) = collected();
        // Where bootstrap refused the realm at once there is none.
        let removal = Removal { mode: Mode::Apply, without_store: true };
        remove(&keycloak, &self.settings, &Clock::system(), removal, report).await.unwrap();
    }

    /// Everything goes though the store is lost: what is left is its signing key, and how to remove that is said.
    pub(super) async fn remove_without_store(&self) {
        let lost = Database::Sqlite(self.folder.path().join("lost.db"));
        let settings = bootstrap_settings(&self.realm.name, &lost);
        let (keycloak, clock) = (administrator(&settings), Clock::system());
        let (_, report) = collected();
        let removal = Removal { mode: Mode::Apply, without_store: true };
        let removed = remove(&keycloak, &settings, &clock, removal, report).await.unwrap();
        let keys: Vec<_> =
            removed.notes.iter().filter_map(|note| note.split_once("--remove-key ")).collect();
        assert_eq!(keys.len(), 1, "{:?}", removed.notes);
        let id = keys[0].1.trim_end_matches('`');
        let (_, report) = collected();
        let realm = (&keycloak, &settings);
        assert_eq!(remove_key(realm, &clock, Mode::Apply, id, report).await.unwrap(), 1);
    }

    /// It is refused in these words, and nothing stays of the try.
    pub(super) async fn assert_refused(&self, words: &[&str]) {
        let before = snapshot::of(&self.admin, &self.realm.name).await;
        let error = self.try_bootstrap(Mode::Apply).await.unwrap_err();
        for word in words {
            assert!(error.contains(word), "{word:?} is not in {error:?}");
        }
        self.remove().await;
        assert_same(&before, &snapshot::of(&self.admin, &self.realm.name).await);
    }

    pub(super) async fn mend(&self, mending: &Mending) {
        match mending {
            Mending::Members(members) => {
                self.admin.put(&self.path(""), &serde_json::from_str(members).unwrap()).await;
            }
            Mending::Exemption => {
                let attributes = json!([{"key": "hallpass.managed", "value": "true"}]).to_string();
                let condition = json!({"condition": "client-attributes", "configuration": {
                    "is-negative-logic": true, "attributes": attributes}});
                self.change_policies(|policy| {
                    policy["conditions"].as_array_mut().unwrap().push(condition.clone());
                })
                .await;
            }
            Mending::PoliciesOff => {
                self.change_policies(|policy| policy["enabled"] = false.into()).await;
            }
            Mending::Scope(name) => {
                let scopes = self.admin.get(&self.path("/client-scopes")).await;
                let scope = scopes.as_array().unwrap().iter().find(|one| one["name"] == *name);
                let id = scope.unwrap()["id"].as_str().unwrap();
                self.admin.delete(&self.path(&format!("/client-scopes/{id}"))).await;
            }
        }
    }

    async fn change_policies(&self, change: impl Fn(&mut Value)) {
        let path = self.path("/client-policies/policies");
        let mut policies = self.admin.get(&path).await;
        policies["policies"].as_array_mut().unwrap().iter_mut().for_each(change);
        self.admin.put(&path, &policies).await;
    }

    /// A policy of the realm may have taken full scope from the client by which people log in here.
    pub(super) async fn show_roles_at_login(&self) {
        let login = self.admin.client_uuid(&self.realm.name, LOGIN_CLIENT).await;
        let service = self.admin.client_uuid(&self.realm.name, "hallpass").await;
        let roles = self.admin.get(&self.path(&format!("/clients/{service}/roles"))).await;
        let scope = format!("/clients/{login}/scope-mappings/clients/{service}");
        self.admin.post(&self.path(&scope), &roles).await;
    }

    pub(super) async fn change_person(&self, person: &Person, attributes: Value) {
        let path = self.path(&format!("/users/{}", person.id));
        let mut user = self.admin.get(&path).await;
        user["attributes"] = attributes;
        self.admin.put(&path, &user).await;
    }

    pub(super) async fn key_providers(&self) -> Value {
        let path = self.path("/components?type=org.keycloak.keys.KeyProvider");
        sorted(self.admin.get(&path).await)
    }
}

fn collected() -> (Arc<Mutex<Vec<String>>>, Report) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let into = lines.clone();
    (lines, Box::new(move |line| into.lock().unwrap().push(line.to_owned())))
}
