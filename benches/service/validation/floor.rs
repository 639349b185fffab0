//! The floor: `benches/floor`, a process of its own.

use std::net::SocketAddr;
use std::process::Stdio;

use http::HeaderMap;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::service;

/// Starts it, with these headers and this body to answer.
pub async fn start(headers: &HeaderMap, body: &str) -> (Child, SocketAddr) {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let mut command = Command::new(service("HALLPASS_BENCH_FLOOR"));
    command.args([&serde_json::to_string(&headers).unwrap(), body]);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.next_line().await.unwrap().unwrap().parse().unwrap();
    (child, address)
}
