//! Clients that are slow, each in its own way.

use std::time::{Duration, Instant};

use hallpass::serve::Limits;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PATIENCE, address, answer, connect, long, send, until_closed};
use crate::support::{Metrics, TestServer};

const SHORT: Duration = Duration::from_millis(300);
const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
const FORM: &str = "POST /oauth2/revoke HTTP/1.1\r\nHost: x\r\n\
    Content-Type: application/x-www-form-urlencoded\r\n";

async fn cut_off(server: &TestServer, reason: &str) -> String {
    let series = format!("hallpass_connections_cut_off_total{{reason=\"{reason}\"}}");
    Metrics::of(&server.anonymous()).await.value(&series).to_string()
}

/// Sends a byte now and then, for ever.
async fn drip(connection: &mut TcpStream) {
    while connection.write_all(b"a").await.is_ok() {
        tokio::time::sleep(SHORT / 10).await;
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_closes_the_connection() {
    let server = TestServer::with_limits(Limits { header: SHORT, ..long() }, &[]).await;
    let mut silent = connect(&server).await;
    let mut half = connect(&server).await;
    send(&mut half, "GET /livez HTTP/1.1\r\nHost: ").await;
    let mut second = connect(&server).await;
    send(&mut second, LIVEZ).await;
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200 "));
    send(&mut second, "GET").await;
    // A byte now and then does not prolong it.
    let mut dripping = connect(&server).await;
    send(&mut dripping, "GET /").await;
    let ends = async {
        tokio::join!(until_closed(&mut silent), until_closed(&mut half), until_closed(&mut second))
    };
    let ((), (silent, half, second)) =
        timeout(PATIENCE, async { tokio::join!(drip(&mut dripping), ends) }).await.unwrap();
    assert_eq!([silent, half, second], ["", "", ""]);
    assert_eq!(cut_off(&server, "header").await, "4");
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_in_time_waits_longer_between_its_requests() {
    let server = TestServer::with_limits(Limits { header: SHORT, ..long() }, &[]).await;
    let mut connection = connect(&server).await;
    for _ in 0..3 {
        send(&mut connection, LIVEZ).await;
        assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200 "));
        tokio::time::sleep(SHORT * 2).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_refused_and_closes_the_connection() {
    let server = TestServer::with_limits(Limits { body: SHORT, ..long() }, &[]).await;
    let token = server.realm.access_token(&server.realm.person().await).await;
    let json = format!(
        "POST /api/pat/v1/tokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\n"
    );
    let bodiless = format!(
        "DELETE /api/pat/v1/tokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    );
    for (head, body) in [
        (&*json, "Content-Length: 100\r\n\r\n{\"name\": "),
        (&json, "Content-Length: 100\r\n\r\n"),
        (&json, "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"n"),
        (&json, "Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"),
        (FORM, "Content-Length: 100\r\n\r\ntoken="),
        // Whether there is one is not known before.
        (&bodiless, "Transfer-Encoding: chunked\r\n\r\n"),
    ] {
        let mut connection = connect(&server).await;
        send(&mut connection, head).await;
        send(&mut connection, body).await;
        let said = until_closed(&mut connection).await;
        let said = said.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n");
        assert!(said.starts_with("HTTP/1.1 408 "), "{head}{body}: {said}");
    }
    let (reading, mut writing) = connect(&server).await.into_split();
    writing.write_all(json.as_bytes()).await.unwrap();
    writing.write_all(b"Content-Length: 100000\r\n\r\n").await.unwrap();
    let mut dripping = reading.reunite(writing).unwrap();
    timeout(PATIENCE, drip(&mut dripping)).await.unwrap();

    // Nobody reads it: the answer does not wait for it.
    let mut unread = connect(&server).await;
    send(&mut unread, "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{").await;
    assert!(until_closed(&mut unread).await.starts_with("HTTP/1.1 404 "));
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_sooner_in_a_crowd() {
    let limits = Limits { idle: SHORT * 4, idle_in_a_crowd: SHORT, connections: 6, ..long() };
    let server = TestServer::with_limits(limits, &[]).await;
    let idle = async || {
        let mut connection = connect(&server).await;
        send(&mut connection, LIVEZ).await;
        assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200 "));
        connection
    };
    let begun = Instant::now();
    assert_eq!(until_closed(&mut idle().await).await, "");
    assert!(begun.elapsed() >= SHORT * 4, "{:?}", begun.elapsed());
    server.stop().await;

    let server = TestServer::with_limits(Limits { idle: super::LONG, ..limits }, &[]).await;
    let idle = async |from| {
        let mut connection = super::connect_from(from, &server).await;
        send(&mut connection, LIVEZ).await;
        assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200 "));
        connection
    };
    let mut connections =
        [idle("127.0.0.1").await, idle("127.0.0.2").await, idle("127.0.0.3").await];
    let mut last = super::connect_from("127.0.0.4", &server).await;
    // Four of six: one of those that wait has to go, and then there is room.
    let [one, two, three] = &mut connections;
    tokio::select! {
        said = until_closed(one) => assert_eq!(said, ""),
        said = until_closed(two) => assert_eq!(said, ""),
        said = until_closed(three) => assert_eq!(said, ""),
    }
    send(&mut last, LIVEZ).await;
    assert!(answer(&mut last).await.starts_with("HTTP/1.1 200 "));
    drop((connections, last));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_cut_off() {
    let server = TestServer::with_limits(Limits { answer: SHORT, ..long() }, &[]).await;
    let mut connection = TcpStream::connect(address(server.base())).await.unwrap();
    let document = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
    // Until the buffers between are full, and the server gives up.
    let ask = async { while connection.write_all(document.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, ask).await.expect("it is closed");
    assert_eq!(cut_off(&server, "answer").await, "1");
    server.stop().await;
}

#[tokio::test]
async fn connections_that_wait_do_not_delay_the_end() {
    let server = TestServer::with_limits(long(), &[]).await;
    let mut silent = connect(&server).await;
    let mut idle = connect(&server).await;
    send(&mut idle, LIVEZ).await;
    answer(&mut idle).await;
    let begun = Instant::now();
    server.stop().await;
    // What is under way has eight seconds.
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(until_closed(&mut silent).await, "");
    assert_eq!(until_closed(&mut idle).await, "");
}
