//! Accepting connections, each in its place, until the service stops.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use metrics::Counter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::connection;
use super::limits::Limits;
use super::phase::Cut;
use super::places::Places;
use super::until;
use crate::app::App;
use crate::http::Service;
use crate::telemetry::{Family, Metrics};

const CUT_OFF: Family = Family {
    name: "hallpass_connections_cut_off_total",
    help: "Inbound connections ended because a header, a body, an answer or the next request took too long.",
};
/// How long nothing is accepted after an error that the next connection would meet too, such as too many open files.
const REST: Duration = Duration::from_millis(100);
/// How often the log says that connections are refused.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// Accepts connections. What it holds is closed when it is dropped.
pub(super) struct Inbound {
    listener: TcpListener,
    service: Service,
    limits: Limits,
    places: Places,
    cut_off: [Counter; Cut::ALL.len()],
    /// When the log last said that a connection was refused.
    said: Option<Instant>,
    failing: bool,
}

impl Inbound {
    pub(super) fn new(listener: TcpListener, app: &App, limits: Limits) -> Self {
        let limits = limits.within_open_files();
        let trusted = &app.settings.server.trusted_proxies;
        Self {
            listener,
            service: Service::new(app.clone()),
            limits,
            places: Places::new(limits.connections, trusted, &app.metrics),
            cut_off: Cut::ALL.map(|cut| cut_off(&app.metrics, cut)),
            said: None,
            failing: false,
        }
    }

    /// Accepts until `stopped`, then waits for the requests that are under way.
    pub(super) async fn run(mut self, stopped: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let mut stop = pin!(until(stopped.clone()));
        loop {
            tokio::select! {
                biased;
                () = stop.as_mut() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(stream, peer, &stopped, &mut connections),
                    Err(error) => self.recover(&error).await,
                },
            }
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }

    fn admit(
        &mut self,
        stream: TcpStream,
        peer: SocketAddr,
        stopped: &watch::Receiver<bool>,
        connections: &mut JoinSet<()>,
    ) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("connections are accepted again");
        }
        let Some(place) = self.places.take(peer.ip()) else {
            if self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
                self.said = Some(Instant::now());
                tracing::warn!(address = %peer.ip(), "connections are refused: there are too many");
            }
            return;
        };
        let (edge, limits, stopped) = (self.service.edge(peer), self.limits, stopped.clone());
        let cut_off = self.cut_off.clone();
        connections.spawn(async move {
            if let Some(cut) = connection::serve(stream, edge, limits, place, stopped).await {
                cut_off[cut as usize].increment(1);
                tracing::debug!(address = %peer.ip(), reason = cut.name(), "a connection is cut off");
            }
        });
    }

    /// An error of one connection is passed over. Any other would come again at once.
    async fn recover(&mut self, error: &io::Error) {
        let of_one = [
            ErrorKind::ConnectionAborted,
            ErrorKind::ConnectionRefused,
            ErrorKind::ConnectionReset,
        ];
        if of_one.contains(&error.kind()) {
            return;
        }
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "connections cannot be accepted"
            );
        }
        sleep(REST).await;
    }
}

fn cut_off(metrics: &Metrics, cut: Cut) -> Counter {
    metrics.counter(CUT_OFF, &[("reason", cut.name())])
}
