//! Bodies where none is taken, over the whole OpenAPI document; and bodies in other forms than JSON.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api, TestServer};

const TOKENS: &str = "/api/pat/v1/tokens";

/// Method, path and whether it takes a body, of every operation of the API.
fn operations() -> Vec<(Method, String, bool)> {
    let document = serde_json::to_value(hallpass::http::document()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let paths = paths.filter(|(path, _)| path.starts_with("/api/"));
    let operations = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(|(method, operation)| {
            let method = method.to_uppercase().parse().unwrap();
            // Nobody's id, of every kind.
            let path = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
            let path = path.collect::<Vec<_>>().join("/");
            (method, path, operation["requestBody"].is_object())
        })
    });
    operations.collect()
}

async fn send(api: &Api, method: &Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = api.request(method.clone(), path).header("content-type", "application/json");
    api.send(request.body(body)).await
}

#[tokio::test]
async fn no_operation_passes_over_a_body_that_it_does_not_take() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let mut refused = 0;
    for (method, path, takes_one) in operations() {
        for body in ["{}", r#"{"patIds": ["x"]}"#, r#"{"reason": "y"}"#, " ", "null", "\0"] {
            let answer = send(&user, &method, &path, body).await;
            if takes_one {
                assert_ne!(answer.json()["code"], "unexpected-body", "{method} {path}");
            } else {
                answer.expect_problem(400, "unexpected-body");
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn a_list_of_ids_ends_not_all_tokens() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let one = user.mint("one").await;
    user.mint("two").await;
    let ids = json!({"patIds": [one["patId"]]}).to_string();
    let invalidate = format!("{TOKENS}/invalidate");
    // A revocation takes a reason, and nothing else.
    let (deletion, revocation) = (
        [(400, "unexpected-body"); 3],
        [(400, "invalid"), (400, "invalid"), (415, "unsupported-media-type")],
    );
    for (method, path, refusals) in
        [(Method::DELETE, TOKENS, deletion), (Method::POST, &*invalidate, revocation)]
    {
        // Without a length, and in another form, too.
        let form = user.request(method.clone(), path).form(&[("patIds", "x")]);
        let answers = [
            send(&user, &method, path, ids.clone()).await,
            send(&user, &method, path, futures_of(&ids)).await,
            user.send(form).await,
        ];
        for (answer, (status, code)) in answers.into_iter().zip(refusals) {
            answer.expect_problem(status, code);
        }
        let active = user.get(&format!("{TOKENS}?status=active")).await.expect(200);
        assert_eq!(active["pagination"]["total"], 2, "{method}");
    }
    // A body of no bytes is none, however it is announced.
    let empty = send(&user, &Method::POST, &invalidate, futures_of("")).await.expect(200);
    assert_eq!(empty["revoked"], 2);
    server.stop().await;
}

/// A body whose length is not said.
fn futures_of(text: &str) -> reqwest::Body {
    reqwest::Body::wrap(Unsized(Some(text.to_owned().into())))
}

struct Unsized(Option<bytes::Bytes>);

impl axum::body::HttpBody for Unsized {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        let frame = self.0.take().filter(|bytes| !bytes.is_empty());
        std::task::Poll::Ready(frame.map(|bytes| Ok(hyper::body::Frame::data(bytes))))
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_form_of_a_body_is_said() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let body = r#"{"name": "packed"}"#;
    for encoding in ["gzip", "br", "identity, gzip", "x"] {
        let request = user.request(Method::POST, TOKENS).header("content-type", "application/json");
        let answer = user.send(request.header("content-encoding", encoding).body(body)).await;
        let problem = answer.expect_problem(415, "unsupported-media-type");
        assert!(problem["detail"].as_str().unwrap().contains("Content-Encoding"), "{problem}");
    }
    let form = [("token", "x")];
    let request = server.anonymous().request(Method::POST, "/oauth2/revoke").form(&form);
    let answer = user.send(request.header("content-encoding", "gzip")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (415, &json!("invalid_request")));
    let request = user.request(Method::POST, TOKENS).header("content-type", "application/json");
    user.send(request.header("content-encoding", "identity").body(body)).await.expect(201);
    for (body, said) in [
        ("[]", "must be a JSON object"),
        ("7", "must be a JSON object"),
        ("{", "not well-formed JSON"),
    ] {
        let problem = send(&user, &Method::POST, TOKENS, body).await;
        let problem: Value = problem.expect_problem(400, "malformed-json");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{problem}");
    }
    server.stop().await;
}
