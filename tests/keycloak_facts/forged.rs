//! Tokens that a holder of the signing key makes, and Keycloak's own endpoints to try them at.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass::clock::Clock;
use hallpass::keys::Signer;
use serde_json::{Value, json};

use crate::support::{Admin, Person, TestRealm, http, service};

/// A confidential client that may exchange and introspect; its id is in the audience of every forged token.
pub(super) const CLIENT: &str = "resource-server";
const SECRET: &str = "resource-server-secret";

/// What Keycloak's own endpoints said to one token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) userinfo: u16,
    pub(super) account: u16,
    pub(super) admin: u16,
    pub(super) exchange: u16,
    pub(super) active: bool,
}

/// Refused everywhere.
pub(super) const REFUSED: Answers =
    Answers { userinfo: 401, account: 401, admin: 401, exchange: 400, active: false };

/// A realm with a client that asks, and the key that signs.
pub(super) struct Forge {
    pub(super) realm: TestRealm,
    signer: Signer,
}

impl Forge {
    pub(super) async fn new() -> Self {
        let realm = TestRealm::own().await;
        let client = json!({
            "clientId": CLIENT, "secret": SECRET, "publicClient": false, "serviceAccountsEnabled": true,
            "directAccessGrantsEnabled": true, "standardFlowEnabled": false, "fullScopeAllowed": true,
            "attributes": {"standard.token.exchange.enabled": "true"},
        });
        Admin::log_in().await.post(&format!("/{}/clients", realm.name), &client).await;
        let signer = realm.signing_key().into_signer().unwrap();
        Self { realm, signer }
    }

    /// Somebody who administers the realm: whatever they may do, a token of theirs could.
    pub(super) async fn administrator(&self) -> Person {
        let person = self.realm.person().await;
        self.realm.give_roles(&person, "realm-management", &["realm-admin"]).await;
        person
    }

    /// The claims that Keycloak itself would put into an access token of this person, for everything.
    pub(super) fn claims(&self, person: &Person) -> Value {
        let now = Clock::system().now().seconds();
        json!({
            "iss": self.realm.issuer(), "sub": person.id, "azp": CLIENT,
            "aud": [CLIENT, "account", "realm-management"],
            "jti": fresh_id(), "iat": now, "exp": now + 600,
            "scope": "openid profile email", "preferred_username": person.username,
            "resource_access": {
                "account": {"roles": ["manage-account", "view-profile"]},
                "realm-management": {"roles": ["realm-admin"]},
            },
        })
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.signer.kid()});
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let input = format!("{}.{}", encode(&header), encode(claims));
        format!("{input}.{}", self.signer.sign(&input).unwrap())
    }

    /// The same claims with others put in; `null` takes one out.
    pub(super) fn forge(&self, person: &Person, others: &Value) -> String {
        let mut claims = self.claims(person);
        for (name, value) in others.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.sign(&claims)
    }

    /// Tries the token at each of Keycloak's own endpoints.
    pub(super) async fn ask(&self, token: &str) -> Answers {
        let issuer = self.realm.issuer();
        let admin =
            format!("{}/admin/realms/{}", service("HALLPASS_TEST_KEYCLOAK_URL"), self.realm.name);
        Answers {
            userinfo: get(&format!("{issuer}/protocol/openid-connect/userinfo"), token).await,
            account: get(&format!("{issuer}/account/"), token).await,
            admin: get(&format!("{admin}/users?max=1"), token).await,
            exchange: self.exchange(token).await,
            active: self.introspect(token).await["active"] == true,
        }
    }

    async fn exchange(&self, token: &str) -> u16 {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        let url = format!("{}/protocol/openid-connect/token", self.realm.issuer());
        let request = http().post(url).basic_auth(CLIENT, Some(SECRET)).form(&form);
        request.send().await.unwrap().status().as_u16()
    }

    pub(super) async fn introspect(&self, token: &str) -> Value {
        let url = format!("{}/protocol/openid-connect/token/introspect", self.realm.issuer());
        let request = http().post(url).basic_auth(CLIENT, Some(SECRET)).form(&[("token", token)]);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// Posts to Keycloak's revocation endpoint as the client.
    pub(super) async fn revoke(&self, token: &str) -> (u16, String) {
        let url = format!("{}/protocol/openid-connect/revoke", self.realm.issuer());
        let request = http().post(url).basic_auth(CLIENT, Some(SECRET)).form(&[("token", token)]);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

/// The id of a token or session that nobody else has.
#[expect(clippy::disallowed_methods, reason = "a test need not know it beforehand")]
pub(super) fn fresh_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

async fn get(url: &str, token: &str) -> u16 {
    let request = http().get(url).header("Accept", "application/json").bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}
