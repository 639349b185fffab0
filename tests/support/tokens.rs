//! Tokens that people do not get by logging in: taken apart, forged, and of impersonated sessions.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use serde_json::{Value, json};

use super::{Admin, Person, TestRealm, http, service};

/// What a token says, unchecked.
pub fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The token with another byte in the middle of the signature: the last one would only be no base64.
pub fn forged(good: &str) -> String {
    let at = good.len() - 100;
    let other = if good.as_bytes()[at] == b'A' { 'B' } else { 'A' };
    format!("{}{other}{}", &good[..at], &good[at + 1..])
}

impl TestRealm {
    /// A token with these claims under Hallpass's own signing key: what a thief of the key could make.
    pub fn forge(&self, claims: &Value) -> String {
        let signer = self.signing_key().into_signer().unwrap();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": signer.kid()});
        let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let input = format!("{}.{}", encode(&header), encode(claims));
        let signature = signer.sign(&input).unwrap();
        format!("{input}.{signature}")
    }

    /// An access token of the client `hallpass` that an administrator of Keycloak gets who impersonates
    /// this person: by the console's cookies and the code flow.
    pub async fn impersonated_access_token(&self, person: &Person) -> String {
        const VERIFIER: &str = "a-verifier-of-43-characters-or-more-as-rfc-7636-asks";
        const REDIRECT: &str = "http://localhost:8090/auth/callback";
        let cookies = self.impersonate(person).await;
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let query = [
            ("client_id", "hallpass"),
            ("response_type", "code"),
            ("scope", "openid"),
            ("redirect_uri", REDIRECT),
            ("prompt", "none"),
            ("code_challenge_method", "S256"),
            ("code_challenge", &challenge),
        ];
        let url = format!("{}/protocol/openid-connect/auth", self.issuer());
        let answer = http().get(url).query(&query).header(COOKIE, cookies).send().await.unwrap();
        let location = answer.headers()[LOCATION].to_str().unwrap();
        let location: url::Url = location.parse().unwrap();
        let code = location.query_pairs().find(|(name, _)| name == "code");
        let code = code.unwrap_or_else(|| panic!("{location}")).1.into_owned();

        let admin = Admin::log_in().await;
        let uuid = admin.client_uuid(&self.name, "hallpass").await;
        let secret = admin.get(&format!("/{}/clients/{uuid}/client-secret", self.name)).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "hallpass"),
            ("client_secret", secret["value"].as_str().unwrap()),
            ("redirect_uri", REDIRECT),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        let url = format!("{}/protocol/openid-connect/token", self.issuer());
        let answer: Value =
            http().post(url).form(&form).send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// The cookies of a session in the person's name.
    async fn impersonate(&self, person: &Person) -> String {
        let url = format!(
            "{}/admin/realms/{}/users/{}/impersonation",
            service("HALLPASS_TEST_KEYCLOAK_URL"),
            self.name,
            person.id
        );
        let token = Admin::log_in().await.token();
        let answer = http().post(url).bearer_auth(token).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        let cookies = answer.headers().get_all(SET_COOKIE).iter();
        let pairs = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
        // A cookie without a value is one that Keycloak takes away.
        pairs.filter(|pair| !pair.ends_with('=')).collect::<Vec<_>>().join("; ")
    }
}
