//! What is wrong with a request, whoever sends it: bodies, parameters, methods, paths.

use std::fmt::Write as _;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::support::{Answer, Api, Database, TestRealm, TestServer};

const TOKENS: &str = "/api/pat/v1/tokens";
const SELF: &str = "/api/pat/v1/tokens/self";

async fn user(server: &TestServer) -> Api {
    server.user(&server.realm.person().await).await
}

fn creation(user: &Api) -> RequestBuilder {
    user.request(Method::POST, TOKENS).header("content-type", "application/json")
}

async fn create(user: &Api, body: impl Into<reqwest::Body>) -> Answer {
    user.send(creation(user).body(body)).await
}

#[tokio::test]
async fn every_wrong_field_is_named_in_one_answer() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    let body = json!({
        "name": "not allowed", "description": "x".repeat(256), "expiresIn": 1, "expiresAt": "soon",
        "expires_in": 60, "": 1,
    });
    let problem = user.post(TOKENS, &body).await.expect_problem(400, "invalid");
    insta::assert_json_snapshot!("invalid", problem);
    server.stop().await;
}

#[tokio::test]
async fn a_name_that_is_nearly_right_is_answered_with_the_right_one() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    let said = async |answer: Answer| answer.expect_problem(400, "invalid")["detail"].to_string();
    for (body, meant) in [
        (json!({"name": "x", "Description": "y"}), "`description`"),
        (json!({"name": "x", "expires_at": "y"}), "`expiresAt`"),
        (json!({"name": "x", "role": []}), "`roles`"),
        (json!({"name": "x", "allowed_cidrs": []}), "`allowedCidrs`"),
    ] {
        let said = said(user.post(TOKENS, &body).await).await;
        assert!(said.contains(&format!("did you mean {meant}?")), "{said}");
    }
    for (query, meant) in
        [("state=active", "`status`"), ("Limit=5", "`limit`"), ("of_set=1", "`offset`")]
    {
        let said = said(user.get(&format!("{TOKENS}?{query}")).await).await;
        assert!(said.contains(&format!("did you mean {meant}?")), "{said}");
    }
    let said = said(server.anonymous().get("/forward-auth?roles=x").await).await;
    assert!(said.contains("did you mean `role`?"), "{said}");
    let unlike = said_of_unlike(&user).await;
    assert!(!unlike.contains("did you mean"), "{unlike}");
    server.stop().await;
}

async fn said_of_unlike(user: &Api) -> String {
    let problem = user.get(&format!("{TOKENS}?colour=red")).await.expect_problem(400, "invalid");
    problem["detail"].to_string()
}

#[tokio::test]
async fn a_lifetime_is_said_as_a_person_counts_and_a_date_without_a_time_by_what_it_lacks() {
    let extra = [("HALLPASS_TOKENS__MAX_LIFETIME", "90d")];
    let realm = TestRealm::shared().await;
    let server = TestServer::start_with(realm, Database::sqlite, &extra).await;
    let user = user(&server).await;
    for (body, said) in [
        (
            json!({"name": "x", "expiresIn": 59}),
            "from 60 to 7776000 seconds from now (a minute to 90 days)",
        ),
        (json!({"name": "x", "expiresAt": "2100-01-01"}), "write `2100-01-01T00:00:00Z`"),
        (json!({"name": "x", "expiresAt": "2100-01-01T00:00:00"}), "no time zone"),
    ] {
        let problem = user.post(TOKENS, &body).await.expect_problem(400, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_says_by_what_a_list_is_ordered_begins_with_the_smallest() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    for name in ["b", "c", "a"] {
        user.mint(name).await;
    }
    let names = async |query: &str| {
        let list = user.get(&format!("{TOKENS}{query}")).await.expect(200);
        let tokens = list["tokens"].as_array().unwrap().iter();
        tokens.map(|token| token["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("?sort=name").await, ["a", "b", "c"]);
    assert_eq!(names("?sort=name&direction=desc").await, ["c", "b", "a"]);
    assert_eq!(names("?direction=asc&sort=createdAt").await.len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn a_credential_that_has_expired_is_called_so_and_a_forged_one_is_not() {
    let server = TestServer::start().await;
    let person = server.realm.person().await;
    let token = server.realm.access_token(&person).await;
    let body = json!({"name": "short", "expiresIn": 60});
    let minted = server.with_token(&token).post(TOKENS, &body).await.expect(201);
    server.clock.advance(std::time::Duration::from_hours(48));
    let detail = async |token: &str, path: &str| {
        let problem =
            server.with_token(token).get(path).await.expect_problem(401, "unauthenticated");
        problem["detail"].as_str().unwrap().to_owned()
    };
    let expired = "The credential has expired; get a new one.";
    assert_eq!(detail(&token, TOKENS).await, expired);
    assert_eq!(detail(minted["token"].as_str().unwrap(), SELF).await, expired);
    assert_eq!(detail(minted["token"].as_str().unwrap(), "/forward-auth").await, expired);
    let forged = crate::support::forged(&token);
    assert_eq!(detail(&forged, TOKENS).await, "The credential is not valid.");
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_without_its_content() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    let deep = format!("{{\"name\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for body in [
        "",
        "hunter2",
        "{",
        "{\"name\": \"hunter2\"",
        "{\"name\": \"hunter2\",}",
        "{\"name\": hunter2}",
        "{\"name\": \"hunter2\"} {}",
        "{\"name\": \"\u{1}\"}",
        "{\"name\": \"\\ud800\"}",
        "{\"name\": \"hunter2\", \"expiresIn\": 1e400}",
        "[]",
        "[{\"name\": \"hunter2\"}]",
        "null",
        "\"hunter2\"",
        "7",
        &deep,
        // Which of the two would count?
        "{\"name\": \"one\", \"name\": \"two\"}",
        "{\"name\": \"one\", \"n\\u0061me\": \"two\"}",
    ] {
        let answer = create(&user, body.to_owned()).await;
        let problem = answer.expect_problem(400, "malformed-json");
        assert!(problem["detail"].as_str().unwrap().contains("(line 1, column "), "{problem}");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }
    let answer = create(&user, vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}']).await;
    answer.expect_problem(400, "malformed-json");
    assert_eq!(user.get(TOKENS).await.expect(200)["pagination"]["total"], 0);
    server.stop().await;
}

#[tokio::test]
async fn only_json_is_taken() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    let body = r#"{"name": "typed"}"#;
    let with = |content_type: &str| {
        user.request(Method::POST, TOKENS).header("content-type", content_type).body(body)
    };
    for wrong in
        ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", "text/json"]
    {
        let answer = user.send(with(wrong)).await;
        answer.expect_problem(415, "unsupported-media-type");
    }
    let none = user.send(user.request(Method::POST, TOKENS).body(body)).await;
    none.expect_problem(415, "unsupported-media-type");
    user.send(with("Application/JSON ; charset=utf-8")).await.expect(201);
    server.stop().await;
}

#[tokio::test]
async fn a_body_over_64_kib_is_refused_and_one_of_64_kib_is_read() {
    let server = TestServer::start().await;
    let token = server.realm.access_token(&server.realm.person().await).await;
    let user = server.with_token(&token);
    let of = |bytes: usize| {
        let frame = r#"{"name": "large"}"#.len();
        format!(r#"{{"name": "large"{}}}"#, " ".repeat(bytes - frame))
    };
    create(&user, of(64 * 1024 + 1)).await.expect_problem(413, "body-too-large");
    let refused = create_in_chunks(&server, &token, &of(64 * 1024 + 1)).await;
    assert_eq!(refused, "HTTP/1.1 413 Payload Too Large");
    let read = create_in_chunks(&server, &token, &of(64 * 1024)).await;
    assert_eq!(read, "HTTP/1.1 201 Created");
    create(&user, of(64 * 1024)).await.expect_problem(409, "name-taken");
    server.stop().await;
}

/// A creation with a body in chunks, its length not said beforehand; answers the status line.
async fn create_in_chunks(server: &TestServer, token: &str, body: &str) -> String {
    let address = server.base().strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let mut request = format!(
        "POST {TOKENS} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    for chunk in body.as_bytes().chunks(8_000) {
        let text = std::str::from_utf8(chunk).unwrap();
        write!(request, "{:x}\r\n{text}\r\n", chunk.len()).unwrap();
    }
    request.push_str("0\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut line = String::new();
    BufReader::new(connection).read_line(&mut line).await.unwrap();
    line.trim_end().to_owned()
}

#[tokio::test]
async fn unknown_query_parameters_are_refused_by_name() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    let path = format!("{TOKENS}/{}", user.mint("target").await["patId"].as_str().unwrap());
    for (method, path) in [
        (Method::POST, TOKENS),
        (Method::GET, SELF),
        (Method::GET, &path),
        (Method::POST, &format!("{path}/invalidate")),
        (Method::DELETE, &path),
    ] {
        let request = user.request(method.clone(), &format!("{path}?dry-run=1&x"));
        // The others take no body.
        let request = if path == TOKENS { request.json(&json!({"name": "x"})) } else { request };
        let problem = user.send(request).await.expect_problem(400, "invalid");
        let errors = problem["errors"].as_array().unwrap();
        let fields: Vec<_> = errors.iter().map(|error| &error["field"]).collect();
        assert_eq!(fields, ["dry-run", "x"], "{method} {path}");
    }
    assert_eq!(user.get(&path).await.expect(200)["status"], "active");
    server.stop().await;
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_405_and_says_which_it_takes() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    for (method, path, allow) in [
        (Method::PUT, TOKENS, "DELETE,GET,HEAD,POST"),
        (Method::OPTIONS, TOKENS, "DELETE,GET,HEAD,POST"),
        (Method::PUT, "/api/pat/v1/tokens/x", "DELETE,GET,HEAD,PATCH"),
        (Method::GET, "/api/pat/v1/tokens/x/invalidate", "POST"),
        (Method::TRACE, SELF, "GET,HEAD"),
        (Method::POST, "/livez", "GET,HEAD"),
        (Method::from_bytes(b"BREW").unwrap(), SELF, "GET,HEAD"),
    ] {
        let answer = user.send(user.request(method.clone(), path)).await;
        let allowed = answer.headers["allow"].to_str().unwrap().to_owned();
        let mut allowed: Vec<_> = allowed.split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), allow, "{method} {path}");
        answer.expect_problem(405, "method-not-allowed");
    }
    let head = user.send(user.request(Method::HEAD, TOKENS)).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_path_is_a_problem_like_any_other() {
    let extra = [("HALLPASS_SERVER__PUBLIC_URL", "https://hallpass.example/base/")];
    let realm = TestRealm::shared().await;
    let server = TestServer::start_with(realm, Database::sqlite, &extra).await;
    for path in
        ["/api", "/api/pat/v1", "/api/pat/v1/tokens/", "/api/pat/v2/tokens", "/%00", "/..%2f"]
    {
        let answer = server.anonymous().get(path).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        let problem = answer.expect_problem(404, "not-found");
        assert_eq!(problem["type"], "https://hallpass.example/base/problems/not-found", "{path}");
        insta::assert_json_snapshot!("not-found", problem);
    }
    server.stop().await;
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let server = TestServer::start().await;
    let user = user(&server).await;
    let anonymous = server.anonymous();
    let mut seen = std::collections::BTreeSet::new();
    for answer in [
        user.get(TOKENS).await,
        user.get(TOKENS).await,
        user.post(TOKENS, &Value::Null).await,
        anonymous.get(TOKENS).await,
        anonymous.get("/nowhere").await,
        anonymous.get("/livez").await,
        anonymous.get("/openapi.json").await,
        anonymous.get("/docs/").await,
        anonymous.post_empty("/livez").await,
    ] {
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id.len(), 36, "{id}");
        assert!(seen.insert(id), "{answer:?}");
    }
    // A caller chooses none: log lines could be passed off as another request's.
    let request = anonymous.request(Method::GET, "/livez").header("x-request-id", "mine");
    assert_ne!(anonymous.send(request).await.headers["x-request-id"], "mine");
    server.stop().await;
}
