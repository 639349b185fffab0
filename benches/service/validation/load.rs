//! Requests over kept connections, as many as they can, each answer checked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How many connections are kept.
const CONNECTIONS: usize = 64;

/// Makes the request with this number.
pub type Ask = Arc<dyn Fn(usize) -> Request<Full<Bytes>> + Send + Sync>;
/// Whether it is the right answer.
pub type Right = fn(StatusCode, &HeaderMap, &[u8]) -> bool;

/// Sends the requests `from..to` to this address, and answers how long it took and the time below which 99 of 100 were answered.
pub async fn send(
    address: SocketAddr,
    ask: &Ask,
    right: Right,
    range: std::ops::Range<usize>,
) -> (Duration, Duration) {
    let (next, began) = (Arc::new(AtomicUsize::new(range.start)), Instant::now());
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (ask, next) = (ask.clone(), next.clone());
        connections.spawn(keep_asking(address, ask, right, next, range.end));
    }
    let mut times = Vec::with_capacity(range.len());
    while let Some(some) = connections.join_next().await {
        times.extend(some.unwrap());
    }
    let took = began.elapsed();
    assert_eq!(times.len(), range.len());
    times.sort();
    (took, times[times.len() * 99 / 100])
}

async fn keep_asking(
    address: SocketAddr,
    ask: Ask,
    right: Right,
    next: Arc<AtomicUsize>,
    end: usize,
) -> Vec<Duration> {
    let host = HeaderValue::try_from(address.to_string()).unwrap();
    let mut sender = connect(address).await;
    let mut times = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return times;
        }
        let mut request = ask(number);
        request.headers_mut().insert(HOST, host.clone());
        let mut began = Instant::now();
        let mut answer = sender.send_request(request.clone()).await;
        // Some servers close a kept connection now and then, as they may: every client asks again.
        if answer.is_err() {
            sender = connect(address).await;
            began = Instant::now();
            answer = sender.send_request(request).await;
        }
        let answer = answer.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        times.push(began.elapsed());
        let text = || String::from_utf8_lossy(&body).into_owned();
        assert!(right(head.status, &head.headers, &body), "{number}: {head:?} {}", text());
    }
}

async fn connect(address: SocketAddr) -> http1::SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}
