//! `hallpass serve`.

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::logging;
use super::settings::SettingsArgs;
use crate::clock::Clock;
use crate::config::Settings;
use crate::serve::Server;

#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Where to listen: `server.listen`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let sources = self.settings.sources_with(None, vec![("server.listen", self.listen)]);
        let settings = Settings::load(&sources)?;
        let _lines = logging::start(settings.log_format);
        // Before the start, so that a signal during it is not lost.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let public_url = settings.server.public_url.clone();
        let server = Server::start(settings, Clock::system()).await?;
        tracing::info!(address = %server.address(), %public_url, "hallpass listens");
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("hallpass stops");
        server.stop().await;
        Ok(())
    }
}
