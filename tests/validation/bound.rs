//! Access tokens that are bound to their sender are no bearer tokens (RFC 9449 §7.2, RFC 8705 §3): whoever has one without the
//! sender's key has nothing.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::Scene;
use crate::oauth2::expect_error;
use crate::support::{
    Admin, LOGIN_CLIENT, PASSWORD, Person, ServiceClient, TestRealm, TestServer, claims_of, http,
};

/// A proof that a new key is held (RFC 9449 §4.2).
fn proof(url: &str, now: i64) -> String {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)});
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
    let claims =
        json!({"jti": crate::support::unique("proof"), "htm": "POST", "htu": url, "iat": now});
    let [header, claims] = [header, claims].map(|part| encode(part.to_string().as_bytes()));
    let input = format!("{header}.{claims}");
    let signature = key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", encode(signature.as_ref()))
}

/// An access token of this form, bound to a key by Keycloak.
async fn bound(realm: &TestRealm, now: i64, form: &[(&str, &str)]) -> String {
    let url = format!("{}/protocol/openid-connect/token", realm.issuer());
    let request = http().post(&url).header("DPoP", proof(&url, now)).form(form);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

async fn of_a_person(realm: &TestRealm, now: i64, person: &Person) -> String {
    let (name, client) = (person.username.as_str(), LOGIN_CLIENT);
    let form = [
        ("grant_type", "password"),
        ("client_id", client),
        ("username", name),
        ("password", PASSWORD),
    ];
    bound(realm, now, &form).await
}

async fn of_a_service(realm: &TestRealm, now: i64, service: &ServiceClient) -> String {
    let (id, secret) = (service.id.as_str(), service.secret.as_str());
    let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    bound(realm, now, &form).await
}

/// Has the login client's tokens say that they are bound, as those of a login with a certificate do.
async fn bind_by_certificate(realm: &TestRealm) {
    let admin = Admin::log_in().await;
    let client = admin.client_uuid(&realm.name, LOGIN_CLIENT).await;
    let mapper = json!({
        "name": "bound", "protocol": "openid-connect", "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": {"claim.name": "cnf", "claim.value": r#"{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}"#,
            "jsonType.label": "JSON", "access.token.claim": "true"},
    });
    admin.post(&format!("/{}/clients/{client}/protocol-mappers/models", realm.name), &mapper).await;
}

#[tokio::test]
async fn a_token_that_is_bound_to_its_sender_is_refused_wherever_a_bearer_is_taken() {
    let realm = TestRealm::own().await;
    let scene = Scene::of(TestServer::in_realm(realm.clone()).await).await;
    let person = realm.person().await;
    let now = scene.server.clock.now().seconds();
    let free = realm.access_token(&person).await;
    let by_key = of_a_person(&realm, now, &person).await;
    let service = of_a_service(&realm, now, &scene.service).await;
    bind_by_certificate(&realm).await;
    let by_certificate = realm.access_token(&person).await;
    assert_eq!(claims_of(&by_certificate)["typ"], "Bearer");
    for (token, good) in
        [(&free, true), (&by_key, false), (&by_certificate, false), (&service, false)]
    {
        assert_eq!(claims_of(token)["cnf"].is_object(), !good, "{}", claims_of(token));
        let api = scene.server.with_token(token);
        for path in ["/api/pat/v1/tokens", "/api/clients/v1/quota", "/forward-auth?aud=hallpass"] {
            let answer = api.get(path).await;
            if good {
                answer.expect(if path.contains("clients") { 403 } else { 200 });
            } else {
                answer.expect_problem(401, "unauthenticated");
            }
        }
        let asks = api.request(Method::POST, "/oauth2/introspect").form(&[("token", "x")]);
        let (status, error) =
            if good { (403, "unauthorized_client") } else { (401, "invalid_client") };
        expect_error(&api.send(asks).await, status, error);
    }
    scene.server.stop().await;
}
