//! The service behind a gateway. It writes down each request as its bytes came, since a library would have tidied them.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request, as it came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Request line and headers.
    pub head: String,
    /// Chunks put together.
    pub body: Vec<u8>,
    /// What came behind the last chunk.
    pub trailers: String,
}

impl Seen {
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Names in lower case, with their values.
    pub fn headers(&self) -> Vec<(String, String)> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect()
    }

    pub fn value(&self, name: &str) -> Option<String> {
        self.headers().into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }
}

/// Answers everything with 200. It ends when it is dropped.
pub struct Service {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: JoinHandle<()>,
}

impl Service {
    pub async fn start(host: IpAddr) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let record = seen.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, record.clone()));
            }
        });
        Self { address, seen, accepting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What came since this was last asked.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One request after the other: what a gateway took for a body and this takes for a request shows, too.
async fn serve(mut connection: TcpStream, record: Arc<Mutex<Vec<Seen>>>) {
    let mut buffer = Vec::new();
    while let Some(seen) = read_request(&mut connection, &mut buffer).await {
        let answer: &[u8] = match seen.method() {
            "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved",
        };
        record.lock().unwrap().push(seen);
        if connection.write_all(answer).await.is_err() {
            return;
        }
    }
}

async fn read_request(connection: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let head = read_until(connection, buffer, b"\r\n\r\n").await?;
    let mut seen = Seen { head: latin_1(&head), ..Seen::default() };
    if seen.value("transfer-encoding").is_some() {
        loop {
            let size = latin_1(&read_until(connection, buffer, b"\r\n").await?);
            let size = usize::from_str_radix(size.trim().split(';').next()?, 16).ok()?;
            if size == 0 {
                break;
            }
            let chunk = read_exactly(connection, buffer, size + 2).await?;
            seen.body.extend_from_slice(&chunk[..size]);
        }
        loop {
            let line = latin_1(&read_until(connection, buffer, b"\r\n").await?);
            if line == "\r\n" {
                break;
            }
            seen.trailers.push_str(&line);
        }
    } else if let Some(length) = seen.value("content-length") {
        seen.body = read_exactly(connection, buffer, length.parse().ok()?).await?;
    }
    Some(seen)
}

async fn read_until(
    connection: &mut TcpStream,
    buffer: &mut Vec<u8>,
    end: &[u8],
) -> Option<Vec<u8>> {
    loop {
        if let Some(at) = buffer.windows(end.len()).position(|window| window == end) {
            return Some(buffer.drain(..at + end.len()).collect());
        }
        more(connection, buffer).await?;
    }
}

async fn read_exactly(
    connection: &mut TcpStream,
    buffer: &mut Vec<u8>,
    count: usize,
) -> Option<Vec<u8>> {
    while buffer.len() < count {
        more(connection, buffer).await?;
    }
    Some(buffer.drain(..count).collect())
}

async fn more(connection: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    connection.read_buf(buffer).await.is_ok_and(|count| count != 0).then_some(())
}

/// Each byte a character: nothing is lost.
fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
