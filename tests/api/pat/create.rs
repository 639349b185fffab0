//! `POST /api/pat/v1/tokens`.

use std::time::Duration;

use hallpass::clock::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Admin, Api, DATABASES, TOKEN_VARIES, TestRealm, TestServer, claims_of, redacted, without_use,
};

const TOKENS: &str = "/api/pat/v1/tokens";
const DAY: i64 = 24 * 3600;

/// The seconds of an RFC 3339 time in an answer.
fn seconds(time: &Value) -> i64 {
    Timestamp::parse(time.as_str().unwrap()).unwrap().seconds()
}

async fn user(server: &TestServer) -> Api {
    server.user(&server.realm.person().await).await
}

#[tokio::test]
async fn a_new_token_is_answered_with_all_of_its_metadata_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let person = realm.person().await;
        let user = server.user(&person).await;
        let body = json!({"name": " CI-Deploy.1 ", "description": "für den Bau 🚀\n", "expiresIn": 86_400});
        let answer = user.post(TOKENS, &body).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        let created = answer.expect(201);

        let claims = claims_of(created["token"].as_str().unwrap());
        assert_eq!(created["patId"], claims["jti"]);
        assert_eq!(created["userId"], person.id.as_str());
        assert_eq!(created["username"], person.username.as_str());
        assert_eq!(seconds(&created["createdAt"]), claims["iat"].as_i64().unwrap());
        assert_eq!(seconds(&created["expiresAt"]), claims["exp"].as_i64().unwrap());
        assert_eq!(seconds(&created["expiresAt"]) - seconds(&created["createdAt"]), DAY);
        insta::assert_json_snapshot!("created", redacted(&created, &TOKEN_VARIES));

        // The one that made it, its list and the token itself say the same, without the secret.
        let mut metadata = created.clone();
        metadata.as_object_mut().unwrap().remove("token").unwrap();
        let path = format!("{TOKENS}/{}", created["patId"].as_str().unwrap());
        assert_eq!(user.get(&path).await.expect(200), metadata);
        assert_eq!(user.get(TOKENS).await.expect(200)["tokens"], json!([metadata]));
        let pat = server.with_token(created["token"].as_str().unwrap());
        for path in [&format!("{TOKENS}/self"), &path] {
            assert_eq!(without_use(pat.get(path).await.expect(200)), metadata);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn without_a_wish_a_token_lives_as_long_as_the_settings_say() {
    let realm = TestRealm::shared().await;
    let extra =
        [("HALLPASS_TOKENS__DEFAULT_LIFETIME", "2h"), ("HALLPASS_TOKENS__MAX_LIFETIME", "3h")];
    let server = TestServer::start_with(realm, DATABASES[0], &extra).await;
    let user = user(&server).await;
    for (name, wish, lifetime) in [
        ("nothing", json!({}), 7_200),
        ("null", json!({"expiresIn": null, "expiresAt": null, "description": null}), 7_200),
        ("least", json!({"expiresIn": 60}), 60),
        ("most", json!({"expiresIn": 10_800}), 10_800),
    ] {
        let mut body = wish;
        body["name"] = name.into();
        let created = user.post(TOKENS, &body).await.expect(201);
        let lives = seconds(&created["expiresAt"]) - seconds(&created["createdAt"]);
        assert_eq!(lives, lifetime, "{name}");
        assert_eq!(created["description"], Value::Null);
    }
    let too_long = user.post(TOKENS, &json!({"name": "x", "expiresIn": 10_801})).await;
    let problem = too_long.expect_problem(400, "invalid");
    assert_eq!(
        problem["errors"][0]["message"],
        "must be from 60 to 10800 seconds from now (a minute to 3 hours)"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_end_that_is_asked_for_is_the_end_however_long_the_creation_takes() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    for number in 0..3 {
        // Just before the next second, so that it comes while Keycloak is asked.
        let millis = u64::try_from(server.clock.now().millis().rem_euclid(1_000)).unwrap();
        server.clock.advance(Duration::from_millis(1_995 - millis));
        let end = server.clock.now().floor_to_second().plus(Duration::from_hours(10 * 24));
        let body = json!({"name": format!("end-{number}"), "expiresAt": end});
        let created = user.post(TOKENS, &body).await.expect(201);
        assert_eq!(seconds(&created["expiresAt"]), end.seconds());
        let claims = claims_of(created["token"].as_str().unwrap());
        assert_eq!(claims["exp"], end.seconds());
    }
    server.stop().await;
}

#[tokio::test]
async fn an_end_is_read_with_its_offset_and_to_the_second() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    let end = server.clock.now().floor_to_second().plus(Duration::from_hours(48));
    let text = end.to_string();
    let east = end.plus(Duration::from_hours(2)).to_string().replace('Z', "+02:00");
    for (name, text) in
        [("z", text.clone()), ("east", east), ("millis", text.replace('Z', ".999Z"))]
    {
        let created =
            user.post(TOKENS, &json!({"name": name, "expiresAt": text})).await.expect(201);
        assert_eq!(seconds(&created["expiresAt"]), end.seconds(), "{name}");
        assert!(created["expiresAt"].as_str().unwrap().ends_with('Z'), "{created}");
    }
    server.stop().await;
}

/// JSON texts of a value, since some cannot be written as a value of Rust.
#[tokio::test]
async fn a_lifetime_is_whole_seconds_within_bounds() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    let bounds = "must be from 60 to 31536000 seconds from now (a minute to 365 days)";
    let whole = "must be a whole number of seconds";
    let time = "must be an RFC 3339 time, such as `2027-01-31T12:00:00Z`";
    let date = "is a date without a time: write `2026-12-24T00:00:00Z`";
    let zone =
        "has no time zone: write `2026-12-24T00:00:00Z` for UTC, or an offset such as `+02:00`";
    for (field, value, message) in [
        ("expiresIn", "59", bounds),
        ("expiresIn", "0", bounds),
        ("expiresIn", "31536001", bounds),
        ("expiresIn", "18446744073709551615", bounds),
        ("expiresIn", "9223372036854775807", bounds),
        ("expiresIn", "18446744073709551616", whole),
        ("expiresIn", "-1", whole),
        ("expiresIn", "-0", whole),
        ("expiresIn", "3600.0", whole),
        ("expiresIn", "3.6e3", whole),
        ("expiresIn", "\"3600\"", whole),
        ("expiresIn", "true", whole),
        ("expiresIn", "[3600]", whole),
        ("expiresIn", "{}", whole),
        ("expiresAt", "1900000000", "must be text"),
        ("expiresAt", "\"\"", time),
        ("expiresAt", "\"tomorrow\"", time),
        ("expiresAt", "\"2026-12-24\"", date),
        ("expiresAt", "\"2026-12-24T00:00:00\"", zone),
        ("expiresAt", "\"2026-13-24T00:00:00Z\"", time),
        ("expiresAt", "\"1970-01-01T00:00:00Z\"", bounds),
        ("expiresAt", "\"0000-01-01T00:00:00Z\"", bounds),
        ("expiresAt", "\"9999-12-31T23:59:59Z\"", bounds),
        ("expiresAt", "\"9999-12-31T23:59:59-23:59\"", bounds),
    ] {
        let body = format!(r#"{{"name": "x", "{field}": {value}}}"#);
        let request = user.request(Method::POST, TOKENS).header("content-type", "application/json");
        let problem = user.send(request.body(body)).await.expect_problem(400, "invalid");
        let expected = json!([{"field": field, "message": message}]);
        assert_eq!(problem["errors"], expected, "{field} {value}");
    }
    let body = json!({"name": "x", "expiresIn": 3600, "expiresAt": "2026-12-24T00:00:00Z"});
    let problem = user.post(TOKENS, &body).await.expect_problem(400, "invalid");
    assert_eq!(problem["errors"][0]["message"], "give either `expiresIn` or `expiresAt`");
    assert_eq!(user.get(TOKENS).await.expect(200)["pagination"]["total"], 0);
    server.stop().await;
}

#[tokio::test]
async fn a_name_is_trimmed_lowered_and_unique_among_the_owners_tokens() {
    let server = TestServer::start().await;
    let one = user(&server).await;
    let two = user(&server).await;
    let longest = "x".repeat(64);
    for (given, name) in
        [("My.Token-1", "my.token-1"), ("\t a \n", "a"), (".-.", ".-."), (&longest, &longest)]
    {
        assert_eq!(one.mint(given).await["name"], name, "{given:?}");
        one.post(TOKENS, &json!({"name": name})).await.expect_problem(409, "name-taken");
    }
    let too_long = "x".repeat(65);
    for bad in ["", "   ", "a b", "a_b", "a/b", "é", "İ", "\u{212a}", "a\0", too_long.as_str()] {
        let problem = one.post(TOKENS, &json!({"name": bad})).await.expect_problem(400, "invalid");
        assert_eq!(problem["errors"][0]["field"], "name", "{bad:?}");
    }
    for bad in [json!({}), json!({"name": null}), json!({"name": 7}), json!({"name": ["a"]})] {
        let problem = one.post(TOKENS, &bad).await.expect_problem(400, "invalid");
        assert_eq!(problem["errors"].as_array().unwrap().len(), 1, "{problem}");
        assert_eq!(problem["errors"][0]["field"], "name", "{problem}");
    }

    // Another owner's names are their own; a revoked token keeps its name, a deleted one does not.
    two.mint("a").await;
    let list = one.get(TOKENS).await.expect(200);
    let mut tokens = list["tokens"].as_array().unwrap().iter();
    let path = format!(
        "{TOKENS}/{}",
        tokens.find(|token| token["name"] == "a").unwrap()["patId"].as_str().unwrap()
    );
    let taken = async || {
        let refused = one.post(TOKENS, &json!({"name": "a"})).await;
        let problem = refused.expect_problem(409, "name-taken");
        problem["detail"].as_str().unwrap().to_owned()
    };
    assert!(taken().await.starts_with("You have another token named `a`"));
    one.post_empty(&format!("{path}/invalidate")).await.expect(200);
    // Who has the name is of no use any more: what to do about that.
    let pat_id = path.rsplit('/').next().unwrap();
    let detail = taken().await;
    assert!(detail.starts_with("Your token `a` is revoked"), "{detail}");
    assert!(detail.contains(&format!("delete it first ({pat_id})")), "{detail}");
    one.delete(&path).await.expect(204);
    one.post(TOKENS, &json!({"name": "a", "expiresIn": 60})).await.expect(201);
    server.clock.advance(std::time::Duration::from_secs(61));
    let detail = taken().await;
    assert!(detail.starts_with("Your token `a` has expired"), "{detail}");
    one.delete(TOKENS).await.expect(200);
    one.mint("a").await;
    server.stop().await;
}

#[tokio::test]
async fn a_description_has_at_most_255_characters_and_none_that_controls() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    let longest = "😀".repeat(255);
    for (number, good) in ["", " kept as it is ", "a\r\n\tb", "مرحبا", &longest].iter().enumerate()
    {
        let body = json!({"name": format!("good-{number}"), "description": good});
        assert_eq!(user.post(TOKENS, &body).await.expect(201)["description"], *good);
    }
    for bad in [json!("x".repeat(256)), json!("\0"), json!("\u{1b}[31m"), json!("\u{85}"), json!(1)]
    {
        let body = json!({"name": "bad", "description": bad});
        let problem = user.post(TOKENS, &body).await.expect_problem(400, "invalid");
        assert_eq!(problem["errors"][0]["field"], "description", "{bad}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_disabled_or_deleted_owner_gets_no_token_though_the_login_is_still_good() {
    let server = TestServer::start().await;
    let realm = &server.realm;
    let admin = Admin::log_in().await;
    let person = realm.person().await;
    let user = server.user(&person).await;
    user.mint("before").await;
    let path = format!("/{}/users/{}", realm.name, person.id);

    admin.put(&path, &json!({"enabled": false})).await;
    let refused = user.post(TOKENS, &json!({"name": "after"})).await;
    refused.expect_problem(403, "owner-disabled");

    admin.delete(&path).await;
    let refused = user.post(TOKENS, &json!({"name": "after"})).await;
    refused.expect_problem(403, "owner-disabled");
    server.stop().await;
}
