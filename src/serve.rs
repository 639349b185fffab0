//! The running service: built, listening, watching for changes, ended in order.

mod allowed_clients;

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::IncomingStream;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tower::service_fn;

use crate::app::{App, StartError};
use crate::clock::Clock;
use crate::config::Settings;
use crate::http;
use crate::store::ChangeKind;

/// How often the store is asked what other processes changed.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long requests under way have to finish.
const DRAIN: Duration = Duration::from_secs(8);
/// How long the store has then to end its statements; one that has fallen silent never would.
const CLOSE: Duration = Duration::from_millis(1500);

/// A service that accepts requests.
pub struct Server {
    address: SocketAddr,
    /// Boxed: all that waits for the service would be as large.
    app: App,
    stop: watch::Sender<bool>,
    listening: JoinHandle<std::io::Result<()>>,
    watching: JoinHandle<()>,
    remembering: JoinHandle<()>,
    following_realm: JoinHandle<()>,
    writing_uses: JoinHandle<()>,
    folding_metrics: JoinHandle<()>,
    warning: JoinHandle<()>,
}

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A part could not be made.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// `server.listen`.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

impl Server {
    /// Builds the parts and starts to listen; requests are accepted when this returns.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, ServeError> {
        let address = settings.server.listen;
        // Boxed at once: all that waits for the start would be as large.
        let app = Box::pin(App::build(settings, clock)).await?;
        let listen = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let (stop, stopped) = watch::channel(false);
        let service = http::Service::new(app.clone());
        let edge = service_fn(move |stream: IncomingStream<'_, TcpListener>| {
            ready(Ok::<_, Infallible>(service.edge(*stream.remote_addr())))
        });
        let server = axum::serve(listener, edge).with_graceful_shutdown(until(stopped.clone()));
        let listening = tokio::spawn(server.into_future());
        let following_realm = tokio::spawn(app.watch.clone().run(until(stopped.clone())));
        let writing_uses = tokio::spawn(app.tokens.uses.clone().run(until(stopped.clone())));
        let folding_metrics = tokio::spawn(app.metrics.clone().run(until(stopped.clone())));
        let remembering = tokio::spawn(remember(app.clone(), stopped.clone()));
        let warning = tokio::spawn(allowed_clients::warn(app.clone(), stopped.clone()));
        let watching = tokio::spawn(watch_changes(app.clone(), stopped));
        Ok(Self {
            address,
            app,
            stop,
            listening,
            watching,
            remembering,
            following_realm,
            writing_uses,
            folding_metrics,
            warning,
        })
    }

    /// Where it listens: the port that the system chose, where 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets requests under way finish, and closes the store. Within ten seconds.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let abort = self.listening.abort_handle();
        if timeout(DRAIN, self.listening).await.is_err() {
            tracing::warn!("requests were still under way after {DRAIN:?}; they are cut off");
            abort.abort();
        }
        let close = async {
            for task in [
                self.watching,
                self.remembering,
                self.following_realm,
                self.writing_uses,
                self.folding_metrics,
                self.warning,
            ] {
                let _ = task.await;
            }
            if let Err(error) = self.app.tokens.uses.write_all().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the last uses of tokens are not recorded"
                );
            }
            self.app.store.close().await;
        };
        if timeout(CLOSE, close).await.is_err() {
            tracing::warn!(
                "the store did not answer within {CLOSE:?}; its connections are cut off"
            );
        }
    }
}

/// Without it each token's first use is a look into the store.
async fn remember(app: App, stopped: watch::Receiver<bool>) {
    let now = app.clock.now();
    tokio::select! {
        () = until(stopped) => {}
        outcome = app.store.remember_live(now) => {
            if let Err(error) = outcome {
                tracing::warn!(error = &error as &dyn std::error::Error, "live tokens are not remembered ahead of their use");
            }
        }
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error says that the sender is gone, which also ends the service.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Hears of the changes that this and other processes number, and follows them.
async fn watch_changes(app: App, stopped: watch::Receiver<bool>) {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What was switched before the first look is not in a change.
    let mut keys_are_old = true;
    let mut failing = false;
    let end = until(stopped);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => return,
            _ = ticks.tick() => {}
        }
        match follow(&app, &mut keys_are_old).await {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "changes cannot be followed"
                );
            }
            Err(_) => {}
        }
    }
}

async fn follow(app: &App, keys_are_old: &mut bool) -> Result<(), StartError> {
    let heard = app.store.hear().await;
    for change in app.store.take_heard() {
        match change.kind {
            Some(ChangeKind::KeySwitched) => *keys_are_old = true,
            Some(ChangeKind::ClientChanged) => app.callers.forget(&change.subject).await,
            // The store has forgotten what it remembered of it.
            Some(ChangeKind::TokenEnded | ChangeKind::TokenSuspended) | None => {}
        }
    }
    heard?;
    if *keys_are_old {
        app.keys.reload().await?;
        app.decider.renew();
        *keys_are_old = false;
    }
    Ok(())
}
