//! The release build of Hallpass, as a process of its own: what is measured of it is what its users have.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::cpu;
use crate::support::{Api, Database, TestRealm, http, service};

/// A filter for the log: warnings and errors only, as its peers log no requests either.
pub const QUIET: &str = "warn";

/// A `hallpass serve` that is ready. It dies with the program.
pub struct Release {
    pub address: SocketAddr,
    /// From its start to the first good answer of `/readyz`.
    pub took: Duration,
    process: Child,
}

impl Release {
    /// Starts it on this store. Its log goes to a file in the folder, as a service's does.
    pub async fn serve(
        realm: &TestRealm,
        database: &Database,
        folder: &Path,
        log_filter: &str,
    ) -> Self {
        let address = free_address();
        let mut command = Command::new(service("HALLPASS_BENCH_HALLPASS"));
        command.arg("serve").env_clear().current_dir(folder).kill_on_drop(true);
        let listen = [("HALLPASS_SERVER__LISTEN", &*address.to_string())];
        command.envs(realm.environment(database, &listen)).env("RUST_LOG", log_filter);
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let began = Instant::now();
        let process = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let url = format!("http://{address}/readyz");
        while !http().get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
            assert!(began.elapsed() < Duration::from_secs(30), "{url} is never ready");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self { address, took: began.elapsed(), process }
    }

    pub fn id(&self) -> u32 {
        self.process.id().unwrap()
    }

    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn anonymous(&self) -> Api {
        Api::new(&self.base(), None)
    }

    pub fn api(&self, token: &str) -> Api {
        Api::new(&self.base(), Some(token))
    }

    /// Waits until what a start does in the background is done: the first sweep, and what is remembered of the tokens.
    pub async fn until_at_rest(self) -> Self {
        let part = Duration::from_secs(1);
        loop {
            let before = cpu::used_by(&[self.id()]);
            tokio::time::sleep(part).await;
            if cpu::used_by(&[self.id()]).saturating_sub(before) < part / 20 {
                return self;
            }
        }
    }

    /// Ends it in order.
    pub async fn stop(mut self) {
        let id = self.id().to_string();
        assert!(Command::new("kill").arg(id).status().await.unwrap().success());
        assert!(self.process.wait().await.unwrap().success());
    }
}

pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
