//! The interactive clients: how people log in, what their tokens carry, and what they cannot change.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use serde_json::{Value, json};
use url::Url;

use crate::support::{
    Admin, Browser, PASSWORD, Person, Stop, TestRealm, TestServer, decode_claims, http, service,
};

const REDIRECT: &str = "http://localhost:8090/auth/callback";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more-1234";

/// The address at which the web UI's login begins.
fn authorization_url(realm: &TestRealm, with_pkce: bool) -> String {
    let url = format!("{}/protocol/openid-connect/auth", realm.issuer());
    let mut url: Url = url.parse().unwrap();
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", "hallpass"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid"),
        ("state", "x"),
    ]);
    if with_pkce {
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        url.query_pairs_mut()
            .extend_pairs([("code_challenge", &*challenge), ("code_challenge_method", "S256")]);
    }
    url.into()
}

async fn token(realm: &TestRealm, form: &[(&str, &str)]) -> (StatusCode, Value) {
    let url = format!("{}/protocol/openid-connect/token", realm.issuer());
    let answer = http().post(url).form(form).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// Redeems the code in the redirect, as the web UI does.
async fn redeem(realm: &TestRealm, stop: Stop) -> String {
    let Stop::Away(url) = stop else { panic!("no redirect: {stop:?}") };
    assert!(url.as_str().starts_with(REDIRECT), "{url}");
    let code = url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let admin = Admin::log_in().await;
    let uuid = admin.client_uuid(&realm.name, "hallpass").await;
    let secret = admin.get(&format!("/{}/clients/{uuid}/client-secret", realm.name)).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", REDIRECT),
        ("client_id", "hallpass"),
        ("client_secret", secret["value"].as_str().unwrap()),
        ("code_verifier", VERIFIER),
    ];
    let (status, answer) = token(realm, &form).await;
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

/// A member of the account `acme` who administers both Hallpass and the realm.
async fn member(realm: &TestRealm) -> Person {
    let username = crate::support::unique("member");
    let account = json!({"attributes": {"account_id": ["acme"]}});
    let person = realm.person_with(&username, account).await;
    realm.give_roles(&person, "hallpass", &["read-audit"]).await;
    realm.give_roles(&person, "realm-management", &["realm-admin"]).await;
    person
}

/// Hallpass in `aud`, Hallpass's roles and no others, the account, and the person.
fn assert_interactive(claims: &Value, person: &Person, azp: &str) {
    assert_eq!(claims["azp"], azp);
    assert_eq!(claims["sub"], json!(person.id), "{claims}");
    assert_eq!(claims["preferred_username"], json!(person.username), "{claims}");
    assert_eq!(claims["aud"], "hallpass", "{claims}");
    assert_eq!(claims["account_id"], "acme", "{claims}");
    assert!(claims.get("realm_access").is_none(), "{claims}");
    let access = claims["resource_access"].as_object().unwrap();
    assert_eq!(access.keys().collect::<Vec<_>>(), ["hallpass"], "{claims}");
    let mut roles = access["hallpass"]["roles"].as_array().unwrap().clone();
    roles.sort_by_key(Value::to_string);
    assert_eq!(roles, ["create-tokens", "read-audit"], "{claims}");
}

async fn log_in(browser: &mut Browser, page: Stop, person: &Person) -> Stop {
    browser.send_form(page, &[("username", &person.username), ("password", PASSWORD)]).await
}

#[tokio::test]
async fn a_web_login_gives_a_token_for_hallpass_alone() {
    let realm = TestRealm::own().await;
    let person = member(&realm).await;
    let mut browser = Browser::new(&realm.issuer());
    let page = browser.open(&authorization_url(&realm, true)).await;
    let stop = log_in(&mut browser, page, &person).await;
    let token = redeem(&realm, stop).await;
    let claims = decode_claims(&token);
    assert_interactive(&claims, &person, "hallpass");
    assert!(claims.get("impersonator").is_none(), "{claims}");

    let server = TestServer::in_realm(realm).await;
    server.with_token(&token).mint("of-the-web").await;
    server.stop().await;
}

#[tokio::test]
async fn a_web_login_without_pkce_is_refused() {
    let realm = TestRealm::shared().await;
    let stop = Browser::new(&realm.issuer()).open(&authorization_url(&realm, false)).await;
    let Stop::Away(url) = stop else { panic!("no redirect: {stop:?}") };
    let error = url.query_pairs().find(|(name, _)| name == "error").unwrap();
    assert_eq!(error.1, "invalid_request", "{url}");
}

#[tokio::test]
async fn an_administrator_who_impersonates_may_look_and_not_mint() {
    let realm = TestRealm::own().await;
    let person = member(&realm).await;
    let administrator = Admin::log_in().await;
    let mut browser = Browser::new(&realm.issuer());
    let url = format!(
        "{}/admin/realms/{}/users/{}/impersonation",
        service("HALLPASS_TEST_KEYCLOAK_URL"),
        realm.name,
        person.id
    );
    browser.impersonate(&url, &administrator.token()).await;
    let stop = browser.open(&authorization_url(&realm, true)).await;
    let token = redeem(&realm, stop).await;
    let claims = decode_claims(&token);
    assert_interactive(&claims, &person, "hallpass");
    let name = service("HALLPASS_TEST_KEYCLOAK_ADMIN");
    let known = administrator.get(&format!("/master/users?username={name}&exact=true")).await;
    assert_eq!(claims["impersonator"], known[0]["id"], "{claims}");

    let server = TestServer::in_realm(realm.clone()).await;
    let own = server.user(&person).await.mint("own").await;
    let impersonator = server.with_token(&token);
    let seen = impersonator.get("/api/pat/v1/tokens").await.expect(200);
    assert_eq!(seen["tokens"][0]["patId"], own["patId"], "{seen}");
    let body = json!({"name": "of-somebody-else"});
    impersonator.post("/api/pat/v1/tokens", &body).await.expect_problem(403, "impersonated");
    let path = format!("/api/pat/v1/tokens/{}", own["patId"].as_str().unwrap());
    impersonator.delete(&path).await.expect_problem(403, "impersonated");
    let path = format!("{path}/invalidate");
    impersonator.post_empty(&path).await.expect_problem(403, "impersonated");
    server.stop().await;
}

async fn start_device_login(realm: &TestRealm) -> Value {
    let url = format!("{}/protocol/openid-connect/auth/device", realm.issuer());
    let form = [("client_id", "hallpass-cli"), ("scope", "openid")];
    http().post(url).form(&form).send().await.unwrap().json().await.unwrap()
}

async fn poll(realm: &TestRealm, device: &Value) -> (StatusCode, Value) {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", "hallpass-cli"),
        ("device_code", device["device_code"].as_str().unwrap_or_else(|| panic!("{device}"))),
    ];
    token(realm, &form).await
}

#[tokio::test]
async fn the_command_lines_login_asks_the_person_and_gives_a_token_for_hallpass_alone() {
    let realm = TestRealm::own().await;
    let person = member(&realm).await;
    let unanswered = start_device_login(&realm).await;
    let (status, answer) = poll(&realm, &unanswered).await;
    assert_eq!((status.as_u16(), answer["error"].as_str()), (400, Some("authorization_pending")));

    // Another one, since Keycloak wants a pause before it is asked about the same again.
    let device = start_device_login(&realm).await;
    let mut browser = Browser::new(&realm.issuer());
    let page = browser.open(device["verification_uri_complete"].as_str().unwrap()).await;
    let consent = log_in(&mut browser, page, &person).await;
    let Stop::Page { html, .. } = &consent else { panic!("{consent:?}") };
    assert!(html.contains("name=\"accept\""), "nobody is asked: {html}");
    browser.send_form(consent, &[("accept", "Yes")]).await;

    let (status, answer) = poll(&realm, &device).await;
    assert_eq!(status, 200, "{answer}");
    let granted = answer["access_token"].as_str().unwrap();
    assert_interactive(&decode_claims(granted), &person, "hallpass-cli");
    let server = TestServer::in_realm(realm).await;
    server.with_token(granted).mint("of-the-command-line").await;
    server.stop().await;
}

#[tokio::test]
async fn no_client_of_ours_gives_a_token_for_a_password_and_only_one_for_its_secret() {
    let realm = TestRealm::own().await;
    let person = realm.person().await;
    let admin = Admin::log_in().await;
    for client_id in ["hallpass", "hallpass-cli", "hallpass-pat", "hallpass-probe"] {
        let uuid = admin.client_uuid(&realm.name, client_id).await;
        let secret = admin.get(&format!("/{}/clients/{uuid}/client-secret", realm.name)).await;
        let secret = secret["value"].as_str().unwrap_or_default();
        let mut form = vec![("client_id", client_id), ("client_secret", secret)];
        form.push(("grant_type", "client_credentials"));
        let (status, answer) = token(&realm, &form).await;
        assert_eq!(status == 200, client_id == "hallpass", "{client_id}: {answer}");
        form.pop();
        form.extend([("grant_type", "password"), ("username", &person.username)]);
        form.push(("password", PASSWORD));
        let (status, answer) = token(&realm, &form).await;
        assert!(status.is_client_error(), "{client_id}: {answer}");
    }
}

#[tokio::test]
async fn a_person_cannot_change_their_account_and_an_administrator_can() {
    let realm = TestRealm::own().await;
    let person = member(&realm).await;
    let admin = Admin::log_in().await;
    // A client by which people reach the account API: it shows all roles and puts `account` into `aud`.
    let client = json!({
        "clientId": "account-page", "publicClient": true, "directAccessGrantsEnabled": true,
        "standardFlowEnabled": false, "fullScopeAllowed": true,
        "defaultClientScopes": ["basic", "profile", "email", "roles"], "optionalClientScopes": [],
    });
    admin.post(&format!("/{}/clients", realm.name), &client).await;
    let token = realm.access_token_from(&person, "account-page").await;
    let url = format!("{}/account/", realm.issuer());
    let call = |request: reqwest::RequestBuilder| {
        let request = request.header("Accept", "application/json").bearer_auth(&token);
        async move {
            let answer = request.send().await.unwrap();
            (answer.status(), answer.text().await.unwrap())
        }
    };
    let (status, text) = call(http().get(&url)).await;
    assert_eq!(status, 200, "{text}");
    let mut account: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(account["attributes"]["account_id"], json!(["acme"]), "{account}");

    // Another name is theirs to choose; another account is not.
    account["firstName"] = json!("Changed");
    let (status, text) = call(http().post(&url).json(&account)).await;
    assert_eq!(status, 204, "{text}");
    account["attributes"]["account_id"] = json!(["globex"]);
    let (status, text) = call(http().post(&url).json(&account)).await;
    assert_eq!(status, 400, "{text}");
    account["attributes"].as_object_mut().unwrap().remove("account_id");
    let (status, text) = call(http().post(&url).json(&account)).await;
    assert!(status == 204 || status == 400, "{text}");

    let path = format!("/{}/users/{}", realm.name, person.id);
    let mut user = admin.get(&path).await;
    assert_eq!(user["firstName"], "Changed");
    assert_eq!(user["attributes"]["account_id"], json!(["acme"]), "{user}");
    user["attributes"]["account_id"] = json!(["globex"]);
    admin.put(&path, &user).await;
    assert_eq!(admin.get(&path).await["attributes"]["account_id"], json!(["globex"]));
}
