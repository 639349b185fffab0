//! Hallpass as a child process: for what only a process can show. It dies with the test.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Api, Database, Person, TcpProxy, TestRealm, service};

/// Far longer than a start or an end takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The command with these arguments, in this folder and with no environment but what is added.
pub fn hallpass(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
    command.args(arguments).env_clear().current_dir(folder).kill_on_drop(true);
    command.stdin(Stdio::null());
    command
}

/// Runs the command to its end, which must come by itself.
pub async fn run(mut command: Command) -> Output {
    timeout(PATIENCE, command.output()).await.expect("the command ends").unwrap()
}

/// Ends the Keycloak of this run and starts it again, with what it had. Whoever else uses it meanwhile fails.
pub async fn restart_keycloak() {
    let mut command = Command::new(service("HALLPASS_TEST_KEYCLOAK_RESTART"));
    let status = command.stdin(Stdio::null()).status().await.unwrap();
    assert!(status.success(), "Keycloak could not be restarted");
}

/// A `hallpass serve` that listens.
pub struct Process {
    child: Child,
    base: String,
    written: Arc<Mutex<String>>,
    reading: Vec<JoinHandle<()>>,
}

impl Process {
    /// A store with the realm's signing key, as bootstrap leaves it.
    pub async fn prepare_store(realm: &TestRealm, database: &Database) {
        database.create().await;
        let store = hallpass::store::Store::open(&database.url()).await.unwrap();
        realm.put_signing_key(&store).await;
        store.close().await;
    }

    /// Starts on this store, with other settings than usual, and waits until it listens. It can be started
    /// again on the same store.
    pub async fn serve(
        realm: &TestRealm,
        database: &Database,
        folder: &Path,
        extra: &[(&str, &str)],
    ) -> Self {
        let mut command = hallpass(folder, &["serve"]);
        command.envs(realm.environment(database, extra));
        Self::spawn(command).await
    }

    /// The same with at most so many open files.
    pub async fn serve_with_open_files(
        most: u32,
        realm: &TestRealm,
        database: &Database,
        folder: &Path,
    ) -> Self {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {most}; exec \"$0\" serve");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_hallpass")]);
        command.env_clear().current_dir(folder).kill_on_drop(true).stdin(Stdio::null());
        command.envs(realm.environment(database, &[]));
        Self::spawn(command).await
    }

    async fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let written = Arc::<Mutex<String>>::default();
        let (listens, address) = tokio::sync::oneshot::channel();
        let reading = vec![
            tokio::spawn(collect(child.stdout.take().unwrap(), written.clone(), None)),
            tokio::spawn(collect(child.stderr.take().unwrap(), written.clone(), Some(listens))),
        ];
        let address: SocketAddr = timeout(PATIENCE, address)
            .await
            .unwrap_or_else(|_| panic!("it does not listen: {}", written.lock().unwrap()))
            .unwrap_or_else(|_| panic!("it ended: {}", written.lock().unwrap()));
        Self { child, base: format!("http://{address}"), written, reading }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn api(&self, token: Option<&str>) -> Api {
        Api::new(&self.base, token)
    }

    pub async fn user(&self, realm: &TestRealm, person: &Person) -> Api {
        self.api(Some(&realm.access_token(person).await))
    }

    /// How much processor time it has taken, in hundredths of a second (fields 14 and 15 of its `stat`).
    pub fn processor_time(&self) -> u64 {
        let id = self.child.id().expect("it runs");
        let text = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let (_, fields) = text.rsplit_once(')').unwrap();
        fields.split_whitespace().skip(11).take(2).map(|time| time.parse::<u64>().unwrap()).sum()
    }

    /// Everything on standard output and standard error until now.
    pub fn written(&self) -> String {
        self.written.lock().unwrap().clone()
    }

    /// Ends it at once, wherever it is: `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to end: SIGTERM.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends it a signal of this name.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; answers how it ended and everything that it wrote.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let status = timeout(PATIENCE, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("it does not end: {}", self.written()))
            .unwrap();
        for reading in self.reading.drain(..) {
            reading.await.unwrap();
        }
        (status, self.written())
    }

    /// Ends it in order.
    pub async fn stop(self) -> String {
        self.terminate().await;
        let (status, written) = self.ended().await;
        assert!(status.success(), "{status}: {written}");
        written
    }
}

/// A `hallpass serve` on PostgreSQL with a proxy between the two.
pub struct ProxiedStore {
    pub realm: TestRealm,
    pub proxy: TcpProxy,
    pub process: Process,
    /// Held for its drop.
    pub folder: tempfile::TempDir,
}

impl ProxiedStore {
    pub async fn serve() -> Self {
        let realm = TestRealm::shared().await;
        let folder = tempfile::tempdir().unwrap();
        let database = Database::postgres(&folder);
        Process::prepare_store(&realm, &database).await;
        let server: url::Url = service("HALLPASS_TEST_POSTGRES_URL").parse().unwrap();
        let target = format!("{}:{}", server.host_str().unwrap(), server.port().unwrap());
        let proxy = TcpProxy::before(target).await;
        let mut url: url::Url = database.url_text().parse().unwrap();
        url.set_port(Some(proxy.port())).unwrap();
        let extra = [("HALLPASS_STORE__URL", url.as_str())];
        let process = Process::serve(&realm, &database, folder.path(), &extra).await;
        Self { realm, proxy, process, folder }
    }
}

async fn collect(
    from: impl AsyncRead + Unpin,
    written: Arc<Mutex<String>>,
    mut listens: Option<tokio::sync::oneshot::Sender<SocketAddr>>,
) {
    let mut lines = BufReader::new(from).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let found = line.contains("hallpass listens").then(|| address_in(&line));
        // The line is there before anybody is told.
        let mut all = written.lock().unwrap();
        all.push_str(&line);
        all.push('\n');
        drop(all);
        if let Some(address) = found
            && let Some(listens) = listens.take()
        {
            let _ = listens.send(address);
        }
    }
}

/// The address in the log line, whose format is text or JSON.
fn address_in(line: &str) -> SocketAddr {
    let (_, rest) = line.split_once("127.0.0.1:").expect("an address");
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))
}
