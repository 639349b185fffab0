//! A TCP proxy before PostgreSQL that ends connections, or goes silent, as a test tells it to.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// New connections pass.
    Open,
    /// All connections are ended, new ones too.
    Cut,
    /// All connections stay, new ones too, and nothing passes any more: as when a machine is gone and nobody
    /// says so. Those stay silent for good.
    Silent,
}

/// The proxy. It ends when it is dropped.
pub struct TcpProxy {
    address: SocketAddr,
    line: watch::Sender<Line>,
    accepting: JoinHandle<()>,
}

impl TcpProxy {
    pub async fn before(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = watch::Sender::new(Line::Open);
        let accepting = tokio::spawn(accept(listener, target, line.clone()));
        Self { address, line, accepting }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: String, line: watch::Sender<Line>) {
    // Dropped with this task: then the connections end too.
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        connections.spawn(pass(connection, target.clone(), line.clone()));
    }
}

/// What ends this function ends the connection.
async fn pass(mut client: TcpStream, target: String, line: watch::Sender<Line>) {
    let passing = async {
        let mut server = TcpStream::connect(target).await.unwrap();
        tokio::select! {
            biased;
            // The server's end stays too: it is not told either.
            () = wait(&line, |line| line != Line::Open) => std::future::pending().await,
            _ = copy_bidirectional(&mut client, &mut server) => {}
        }
    };
    tokio::select! {
        biased;
        () = wait(&line, |line| line == Line::Cut) => {}
        () = passing => {}
    }
}

async fn wait(line: &watch::Sender<Line>, wanted: fn(Line) -> bool) {
    let _ = line.subscribe().wait_for(|line| wanted(*line)).await;
}
