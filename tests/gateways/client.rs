//! A client that sends what it is given, byte for byte: no library would send what an attacker does.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::timeout;

/// Far longer than an answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first answer.
#[derive(Debug)]
pub struct Reply {
    /// 0 where the connection was ended without an answer.
    pub status: u16,
    /// Head and body as they came.
    pub text: String,
}

impl Reply {
    /// The values of this header.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }
}

/// Sends these bytes and reads until everything is answered: so many requests, or those before the gateway says that it
/// takes no more, or ends the connection.
pub async fn send(gateway: SocketAddr, bytes: &[u8], requests: usize) -> Reply {
    let sent = try_to_send(gateway, bytes, requests).await;
    sent.unwrap_or_else(|error| panic!("{gateway}: {error}"))
}

/// The same, where the gateway may not listen yet.
pub async fn try_to_send(
    gateway: SocketAddr,
    bytes: &[u8],
    requests: usize,
) -> std::io::Result<Reply> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((super::CLIENT, 0).into())?;
    let mut connection = socket.connect(gateway).await?;
    // A gateway that refuses need not read all of it.
    let _ = connection.write_all(bytes).await;
    let has_body = !bytes.starts_with(b"HEAD ");
    let mut answer = Vec::new();
    let reading = async {
        while !is_answered(&answer, has_body, requests)
            && connection.read_buf(&mut answer).await.is_ok_and(|count| count != 0)
        {}
    };
    let reading = timeout(PATIENCE, reading).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(reading.is_ok(), "no end: {text}");
    let status = text.split(' ').nth(1).map_or(0, |status| status.parse().unwrap_or(0));
    Ok(Reply { status, text })
}

/// Whether so many answers are whole, or the last one said (RFC 9112 section 9.6) that there will be no more.
fn is_answered(bytes: &[u8], has_body: bool, requests: usize) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let mut rest = &*text;
    for _ in 0..requests {
        let Some((head, behind)) = rest.split_once("\r\n\r\n") else { return false };
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let Some(length) = length.and_then(|length| length.parse().ok()) else { return false };
        let Some(behind) = behind.get(if has_body { length } else { 0 }..) else { return false };
        if head.contains("connection: close") {
            return true;
        }
        rest = behind;
    }
    true
}
