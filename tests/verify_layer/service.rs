//! `verify/examples/axum_service.rs` as a child process. It dies with the test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::support::{Api, TestRealm};

/// The audience that the tests' tokens have.
const AUDIENCE: &str = "datahub";

pub struct Service {
    _child: Child,
    base: String,
}

impl Service {
    /// Starts it for this realm, and waits until it listens.
    pub async fn start(realm: &TestRealm, extra: &[(&str, &str)]) -> Self {
        let mut command = Command::new(built().await);
        command.env_clear().kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped());
        command.envs([("LISTEN", "127.0.0.1:0"), ("AUDIENCE", AUDIENCE)]);
        command.env("ISSUER", realm.issuer()).envs(extra.iter().copied());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(Duration::from_secs(30), lines.next_line()).await;
        let line = line.expect("it says where it listens").unwrap().expect("it goes on");
        let base = line.replace("listening on ", "http://");
        Self { _child: child, base }
    }

    /// A caller with this token.
    pub fn with_token(&self, token: &str) -> Api {
        Api::new(&self.base, Some(token))
    }

    pub fn anonymous(&self) -> Api {
        Api::new(&self.base, None)
    }
}

/// The example as the sources are now: a test that is run by itself does not build examples.
async fn built() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let path = BUILT.get_or_init(async || {
        // …/debug/deps/integration-1a2b, beside …/debug/examples.
        let own = std::env::current_exe().unwrap();
        let profile = own.ancestors().nth(2).unwrap();
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--quiet", "--workspace", "--locked", "--example", "axum_service"]);
        command.arg("--target-dir").arg(profile.parent().unwrap());
        if !profile.ends_with("debug") {
            command.arg("--profile").arg(profile.file_name().unwrap());
        }
        command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        assert!(command.status().await.unwrap().success(), "the example is not built");
        profile.join("examples/axum_service")
    });
    path.await
}
