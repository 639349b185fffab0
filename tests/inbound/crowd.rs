//! How many connections there may be, and how many from one address.

use std::time::Duration;

use hallpass::serve::Limits;
use tokio::net::TcpStream;

use super::{PATIENCE, address, connect_from, long, until_closed};
use crate::support::{Database, Process, TestRealm, TestServer};

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

/// Whether a connection is served; it is used for one request.
async fn is_served(connection: &mut TcpStream) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    if connection.write_all(LIVEZ.as_bytes()).await.is_err() {
        return false;
    }
    let mut begin = [0; 12];
    let read = tokio::time::timeout(PATIENCE, connection.read_exact(&mut begin)).await;
    read.expect("an answer or an end").is_ok() && begin == *b"HTTP/1.1 200"
}

/// Connects until one is not served; answers those that are.
async fn fill(from: &str, server: &TestServer) -> Vec<TcpStream> {
    let mut taken_in = Vec::new();
    loop {
        let mut connection = connect_from(from, server).await;
        if !is_served(&mut connection).await {
            return taken_in;
        }
        taken_in.push(connection);
    }
}

#[tokio::test]
async fn an_address_leaves_room_for_others_and_a_trusted_proxy_for_a_probe() {
    let limits = Limits { connections: 32, ..long() };
    let proxies = [("HALLPASS_SERVER__TRUSTED_PROXIES", "127.0.0.9/32")];
    let server = TestServer::with_limits(limits, &proxies).await;
    let first = fill("127.0.0.2", &server).await;
    assert_eq!(first.len(), 16);
    let second = fill("127.0.0.3", &server).await;
    assert_eq!(second.len(), 8);
    let proxy = fill("127.0.0.9", &server).await;
    assert_eq!(proxy.len(), 6);
    let probe = fill("127.0.0.4", &server).await;
    assert_eq!(probe.len(), 1);
    // Who goes makes room; the server has to see it first.
    drop((first, probe));
    let mut again = connect_from("127.0.0.2", &server).await;
    let seen = async {
        while !is_served(&mut again).await {
            again = connect_from("127.0.0.2", &server).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn too_few_open_files_end_nothing_and_keep_no_processor_busy() {
    let (realm, folder) = (TestRealm::shared().await, tempfile::tempdir().unwrap());
    let database = Database::sqlite(&folder);
    Process::prepare_store(&realm, &database).await;
    let process = Process::serve_with_open_files(40, &realm, &database, folder.path()).await;
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(TcpStream::connect(address(process.base())).await.unwrap());
    }
    let said = async {
        while !process.written().contains("connections are refused")
            && !process.written().contains("connections cannot be accepted")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, said).await.expect("it says that there are too many");
    let before = process.processor_time();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let taken = process.processor_time() - before;
    assert!(taken < 60, "{taken} hundredths of a second within two");
    drop(connections);
    let answered = async {
        loop {
            let mut connection = TcpStream::connect(address(process.base())).await.unwrap();
            if is_served(&mut connection).await {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.expect("it serves again");
    let mut last = TcpStream::connect(address(process.base())).await.unwrap();
    process.stop().await;
    assert_eq!(until_closed(&mut last).await, "");
}
