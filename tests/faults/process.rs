//! The process's end, and what it writes.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::SELDOM;
use crate::support::{Api, Database, Fault, FaultProxy, Process, TestRealm};

const BOUND: Duration = Duration::from_secs(10);

/// A service behind a proxy, with its folder and what else it was started with.
struct Started {
    realm: TestRealm,
    proxy: FaultProxy,
    database: Database,
    process: Process,
    folder: tempfile::TempDir,
}

async fn start(extra: &[(&str, &str)]) -> Started {
    let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
    let folder = tempfile::tempdir().unwrap();
    let database = Database::sqlite(&folder);
    Process::prepare_store(&realm, &database).await;
    let mut all = SELDOM.to_vec();
    all.push(("HALLPASS_KEYCLOAK__URL", proxy.url()));
    all.extend(extra);
    let process = Process::serve(&realm, &database, folder.path(), &all).await;
    Started { realm, proxy, database, process, folder }
}

#[tokio::test]
async fn sigterm_lets_a_request_finish_and_refuses_new_ones() {
    let Started { realm, proxy, database, process, folder } = start(&[]).await;
    let user = process.user(&realm, &realm.person().await).await;
    let rule = proxy.on_nth(2, "GET */users?*", Fault::HoldRequest);
    let base = process.base().to_owned();
    let body = json!({"name": "under-way"});
    let (answer, ()) = tokio::join!(user.post("/api/pat/v1/tokens", &body), async {
        rule.wait_until_held().await;
        process.terminate().await;
        let asked = Instant::now();
        // It refuses connections while the request is still under way.
        while tokio::net::TcpStream::connect(base.strip_prefix("http://").unwrap()).await.is_ok() {
            assert!(asked.elapsed() < Duration::from_secs(1), "it still accepts connections");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rule.release();
    });
    let minted = answer.expect(201);
    let (status, written) = process.ended().await;
    assert!(status.success(), "{status}: {written}");
    assert!(written.contains("hallpass stops"), "{written}");

    // What was answered last is there.
    let process = Process::serve(&realm, &database, folder.path(), &[]).await;
    let pat = process.api(Some(minted["token"].as_str().unwrap()));
    pat.get("/api/pat/v1/tokens/self").await.expect(200);
    process.stop().await;
}

#[tokio::test]
async fn sigterm_ends_the_process_in_time_whatever_is_under_way() {
    let Started { realm, proxy, process, database: _, folder: _folder } = start(&[]).await;
    let user = process.user(&realm, &realm.person().await).await;
    let hangs = proxy.on("GET *evaluate-scopes*", Fault::HoldRequest);
    let request = user.request(Method::POST, "/api/pat/v1/tokens");
    let request = request.json(&json!({"name": "late"})).send();
    let request = tokio::spawn(request);
    hangs.wait_until_held().await;
    // Half a request, whose other half never comes.
    let address = process.base().strip_prefix("http://").unwrap();
    let mut half = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(
        &mut half,
        b"POST /api/pat/v1/tokens HTTP/1.1\r\nHost: x\r\n",
    )
    .await
    .unwrap();
    let asked = Instant::now();
    process.terminate().await;
    let (status, written) = process.ended().await;
    assert!(asked.elapsed() < BOUND, "{:?}: {written}", asked.elapsed());
    assert!(status.success(), "{status}: {written}");
    // Answered or cut off, but not left.
    let _ = request.await.unwrap();
}

#[tokio::test]
async fn each_answer_has_a_request_id_and_its_one_line() {
    let Started { realm, proxy: _proxy, process, database: _, folder: _folder } =
        start(&[("HALLPASS_TELEMETRY__LOG_FORMAT", "json"), ("RUST_LOG", "debug")]).await;
    let user = process.user(&realm, &realm.person().await).await;
    let anyone = process.api(None);
    let minted = user.post("/api/pat/v1/tokens", &json!({"name": "logged"})).await;
    let no_json = user.request(Method::POST, "/api/pat/v1/tokens").body("text");
    let large = user.request(Method::POST, "/api/pat/v1/tokens").json(&"x".repeat(70_000));
    let answers = [
        (minted, 201),
        (user.get("/api/pat/v1/tokens").await, 200),
        (user.get("/api/pat/v1/tokens?nonsense=1").await, 400),
        (anyone.get("/api/pat/v1/tokens").await, 401),
        (anyone.get("/nowhere").await, 404),
        (anyone.send(anyone.request(Method::PUT, "/livez")).await, 405),
        (user.send(large).await, 413),
        (user.send(no_json).await, 415),
        (anyone.get("/livez").await, 200),
        (anyone.get("/openapi.json").await, 200),
    ];
    let written = process.stop().await;
    let parse =
        |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}"));
    let lines: Vec<Value> = written.lines().map(parse).collect();
    for (answer, status) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        let id = answer.headers["x-request-id"].to_str().unwrap();
        let own = |line: &&Value| line["target"] == "hallpass::request" && line["request_id"] == id;
        let own: Vec<_> = lines.iter().filter(own).collect();
        assert_eq!(own.len(), 1, "{answer:?}");
        assert_eq!(own[0]["status"], status, "{own:?}");
        // What is asked for all the time is for those who look for it.
        let level = if own[0]["route"] == "/livez" { "DEBUG" } else { "INFO" };
        assert_eq!(own[0]["level"], level, "{own:?}");
        assert!(own[0]["duration_us"].is_u64() && own[0]["method"].is_string(), "{own:?}");
        if !answer.status.is_success() {
            assert_eq!(own[0]["code"], answer.json()["code"]);
        }
    }
    let audited = |line: &&Value| line["target"] == "hallpass::audit";
    assert_eq!(lines.iter().filter(audited).count(), 1);
}

/// Mints, lists, revokes, deletes, and fails in every way that puts a cause in the log. Answers each token.
async fn do_everything(user: &Api, started: &Started) -> Vec<String> {
    let Started { proxy, process, .. } = started;
    let list = "/api/pat/v1/tokens";
    let mut tokens = Vec::new();
    for name in ["first", "second"] {
        let minted = user.mint(name).await;
        let token = minted["token"].as_str().unwrap().to_owned();
        process.api(Some(&token)).get("/api/pat/v1/tokens/self").await.expect(200);
        let path = format!("{list}/{}", minted["patId"].as_str().unwrap());
        user.post_empty(&format!("{path}/invalidate")).await.expect(200);
        user.delete(&path).await.expect(204);
        process.api(Some(&token)).get(list).await.expect_problem(401, "unauthenticated");
        tokens.push(token);
    }
    user.get(list).await.expect(200);
    // A token where it does not belong: in a path, a query, a body, twice in a header.
    let token = &tokens[0];
    user.get(&format!("{list}/{token}")).await.expect_problem(404, "not-found");
    user.get(&format!("/{token}")).await.expect_problem(404, "not-found");
    user.get(&format!("{list}?token={token}")).await.expect_problem(400, "invalid");
    user.post(list, &json!({"name": token})).await.expect_problem(400, "invalid");
    user.post(list, &json!(token)).await.expect_problem(400, "malformed-json");
    process.api(Some(&format!("{token}x"))).get(list).await.expect_problem(401, "unauthenticated");
    let twice = user.request(Method::GET, list).bearer_auth(token);
    user.send(twice).await.expect_problem(401, "unauthenticated");
    for fault in [Fault::CutAnswer, Fault::Garbage, Fault::status(401), Fault::status(500)] {
        proxy.clear();
        proxy.on("GET */users?*", fault);
        assert_eq!(user.post(list, &json!({"name": "fails"})).await.status, 503);
    }
    proxy.clear();
    tokens
}

#[tokio::test]
async fn no_secret_is_in_the_log_even_at_trace() {
    let started = start(&[("RUST_LOG", "trace")]).await;
    let person = started.realm.person().await;
    let access_token = started.realm.access_token(&person).await;
    let user = started.process.api(Some(&access_token));
    let tokens = do_everything(&user, &started).await;

    let mut secrets = vec![("the access token", access_token)];
    secrets.extend(tokens.into_iter().map(|token| ("a personal access token", token)));
    for (name, value) in started.realm.environment(&started.database, &[]) {
        match name.as_str() {
            "HALLPASS_KEYCLOAK__CLIENT_SECRET" => secrets.push(("the client secret", value)),
            "HALLPASS_STORE__ENCRYPTION_KEY" => secrets.push(("the encryption key", value)),
            _ => {}
        }
    }
    let private = started.realm.signing_key().provider().private_key;
    // The middle: what an encoding puts before and after it may differ.
    secrets.push(("the private key", private[200..300].to_owned()));
    assert_eq!(secrets.len(), 6);

    let written = started.process.stop().await;
    assert!(written.contains("TRACE"), "trace was not on");
    for (what, secret) in secrets {
        assert!(!written.contains(&secret), "{what} is in the log");
        // A token's signature or claims alone are as good as the whole.
        for part in secret.split('.').filter(|part| part.len() > 60) {
            assert!(!written.contains(part), "part of {what} is in the log");
        }
    }
    assert!(!written.contains("correct horse"), "a password is in the log");
    drop(started.folder);
}
