//! The running service: built, listening, watching for changes, ended in order.

mod accept;
mod allowed_clients;
mod connection;
mod limits;
mod phase;
mod places;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

pub use limits::Limits;

use crate::app::{App, StartError};
use crate::clock::Clock;
use crate::config::Settings;
use crate::keys::find_other_keys;
use crate::store::ChangeKind;
use accept::Inbound;

/// How often the store is asked what other processes changed.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long to wait for a Keycloak that did not say what the realm has.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
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
    listening: JoinHandle<()>,
    watching: JoinHandle<()>,
    remembering: JoinHandle<()>,
    following_realm: JoinHandle<()>,
    following_keys: JoinHandle<()>,
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
        Self::start_within(settings, clock, Limits::default()).await
    }

    /// The same with other limits of connections.
    pub async fn start_within(
        settings: Settings,
        clock: Clock,
        limits: Limits,
    ) -> Result<Self, ServeError> {
        let address = settings.server.listen;
        // Boxed at once: all that waits for the start would be as large.
        let app = Box::pin(App::build(settings, clock)).await?;
        let listen = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let (stop, stopped) = watch::channel(false);
        let inbound = Inbound::new(listener, &app, limits);
        let listening = tokio::spawn(inbound.run(stopped.clone()));
        let following_realm = tokio::spawn(app.watch.clone().run(until(stopped.clone())));
        let every = app.settings.lifecycle.poll_interval;
        let keys = app.published.clone().follow(every, until(stopped.clone()));
        let following_keys = tokio::spawn(keys);
        let writing_uses = tokio::spawn(app.tokens.uses.clone().run(until(stopped.clone())));
        let folding_metrics = tokio::spawn(app.metrics.clone().run(until(stopped.clone())));
        let remembering = tokio::spawn(remember(app.clone(), stopped.clone()));
        // It ends by itself, and touches nothing that has to be closed.
        tokio::spawn(look_for_other_stores(app.clone(), stopped.clone()));
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
            following_keys,
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
                self.following_keys,
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

/// Says so where the realm shows signing keys of another store: their tokens are good everywhere, and nobody can revoke
/// them here. Keycloak may be away at first.
async fn look_for_other_stores(app: App, stopped: watch::Receiver<bool>) {
    let settings = &app.settings.keycloak;
    let look = async {
        loop {
            let own = app.store.list_kids().await.unwrap_or_default();
            let keycloak = &app.clients.keycloak;
            let found = find_other_keys(keycloak, &settings.realm, &settings.client_id, &own);
            match found.await {
                Ok(kids) => return kids,
                Err(_) => sleep(LOOK_AGAIN).await,
            }
        }
    };
    tokio::select! {
        () = until(stopped) => {}
        kids = look => for kid in kids {
            tracing::error!(kid, "the realm publishes a signing key of another Hallpass store: `hallpass doctor` says what to do");
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
            Ok(()) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("changes are followed again");
                }
            }
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
            Some(ChangeKind::ClientChanged) => app.introspectors.forget(&change.subject).await,
            // The store has forgotten what it remembered of it.
            Some(
                ChangeKind::TokenEnded | ChangeKind::TokenSuspended | ChangeKind::TokenOwnerRenamed,
            )
            | None => {}
        }
    }
    heard?;
    if *keys_are_old {
        app.keys.reload().await?;
        app.decider.renew();
        // What the realm publishes changed, too.
        app.published.look_soon();
        *keys_are_old = false;
    }
    Ok(())
}
