//! The floor of the benchmarks: a server of the same framework that answers what Hallpass answers without a look at anything.
//! Its arguments are the headers, as a JSON list of pairs, and the body; it prints where it listens.

#![allow(clippy::unwrap_used, reason = "a part of the benchmarks")]

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::routing::{get, post};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let headers: Vec<(String, String)> = serde_json::from_str(&arguments.next().unwrap()).unwrap();
    let headers: HeaderMap = headers
        .into_iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), shared(value)))
        .collect();
    let body = Bytes::from(arguments.next().unwrap());
    let app = Router::new()
        .route("/forward-auth", get(async move || headers.clone()))
        .route("/oauth2/introspect", post(async move |_: Bytes| body.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, app).await.unwrap();
}

fn shared(value: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(value)).unwrap()
}
