//! Connections: how slow they may be, how many there may be, and what is spoken on them.

mod crowd;
mod protocol;
mod slow;

use std::net::SocketAddr;
use std::time::Duration;

use hallpass::serve::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::TestServer;

/// Far longer than any limit of these tests.
const PATIENCE: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_mins(5);

/// Limits that no test meets but for those that it shortens.
fn long() -> Limits {
    Limits {
        header: LONG,
        body: LONG,
        answer: LONG,
        idle: LONG,
        idle_in_a_crowd: LONG,
        ..Limits::default()
    }
}

fn address(base: &str) -> SocketAddr {
    base.strip_prefix("http://").unwrap().parse().unwrap()
}

async fn connect(server: &TestServer) -> TcpStream {
    TcpStream::connect(address(server.base())).await.unwrap()
}

/// Connects from another address of this machine.
async fn connect_from(from: &str, server: &TestServer) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(address(server.base())).await.unwrap()
}

async fn send(connection: &mut TcpStream, text: &str) {
    connection.write_all(text.as_bytes()).await.unwrap();
}

/// Everything until the server closes the connection, which it must.
async fn until_closed(connection: &mut TcpStream) -> String {
    let mut read = Vec::new();
    // A reset is an end, too.
    let _ = timeout(PATIENCE, connection.read_to_end(&mut read)).await.expect("it is closed");
    String::from_utf8_lossy(&read).into_owned()
}

/// One answer of a connection that stays open.
async fn answer(connection: &mut TcpStream) -> String {
    let read = async {
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        loop {
            let count = connection.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "closed after {text}");
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.unwrap().parse().unwrap() {
                    return text;
                }
            }
        }
    };
    timeout(PATIENCE, read).await.expect("an answer")
}
