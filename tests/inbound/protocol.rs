//! What is spoken on a connection.

use hallpass::serve::Limits;
use tokio::io::AsyncWriteExt as _;

use super::{answer, connect, long, send, until_closed};
use crate::support::TestServer;

#[tokio::test]
async fn http_2_is_not_spoken() {
    let server = TestServer::with_limits(long(), &[]).await;
    let mut connection = connect(&server).await;
    // The preface and an empty SETTINGS frame (RFC 9113 §3.4).
    send(&mut connection, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0").await;
    let said = until_closed(&mut connection).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said:?}");
    // And nobody is asked to change to it.
    let mut connection = connect(&server).await;
    let upgrade = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    send(&mut connection, upgrade).await;
    assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200 "));
    server.stop().await;
}

#[tokio::test]
async fn a_header_is_bounded() {
    let server = TestServer::with_limits(Limits::default(), &[]).await;
    let header = |bytes: usize| {
        format!("GET /livez HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(bytes))
    };
    let mut connection = connect(&server).await;
    send(&mut connection, &header(48 * 1024)).await;
    assert!(answer(&mut connection).await.starts_with("HTTP/1.1 200 "));
    let mut connection = connect(&server).await;
    // It may be refused before all of it is sent.
    let _ = connection.write_all(header(80 * 1024).as_bytes()).await;
    let said = until_closed(&mut connection).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
    server.stop().await;
}

#[tokio::test]
async fn a_head_of_forward_auth_has_the_length_of_a_get() {
    let server = TestServer::with_limits(long(), &[]).await;
    let user = server.user(&server.realm.person().await).await;
    let minted = user.mint("head").await;
    let token = minted["token"].as_str().unwrap();
    let mut connection = connect(&server).await;
    for method in ["GET", "HEAD", "HEAD"] {
        let request = format!(
            "{method} /forward-auth HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        send(&mut connection, &request).await;
        let said = answer(&mut connection).await;
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
        assert_eq!(said.matches("content-length: 0\r\n").count(), 1, "{method}: {said}");
    }
    // A refusal has a body that a HEAD does not show, and its length.
    let bad = "HEAD /forward-auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    send(&mut connection, bad).await;
    let said = until_closed(&mut connection).await;
    assert!(said.starts_with("HTTP/1.1 401 ") && said.ends_with("\r\n\r\n"), "{said}");
    let length = said.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(length.parse::<u32>().unwrap() > 0, "{said}");
    server.stop().await;
}
