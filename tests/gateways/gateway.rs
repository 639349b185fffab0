//! A gateway as an operator would run it: the real program, with the files of `examples/`. It ends with the test.

use std::fmt;
use std::fs::Permissions;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use super::client::try_to_send;
use super::service::Service;
use crate::support::{TestServer, service as variable};

/// Far longer than a start takes.
const PATIENCE: Duration = Duration::from_secs(30);
const LOG: &str = "log";

/// How a gateway is run.
pub struct Program {
    name: &'static str,
    /// Its folder of `examples/`.
    example: &'static str,
    /// The files in that folder.
    files: &'static [&'static str],
    /// What stands around the example where it is a part of something: name and text.
    frame: Option<(&'static str, &'static str)>,
    arguments: &'static [&'static str],
    /// It has no header without a value.
    pub omits_empty_headers: bool,
}

/// In place of Debian's own `nginx.conf`: logs and folders of the test's own.
const NGINX_CONF: &str = "daemon off; pid nginx.pid; events {} http { access_log off; \
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; \
    scgi_temp_path scgi; include hallpass.conf; }";

/// Its interface for administrators has one port for everybody.
const CADDY_FRAME: &str = "{\n\tadmin off\n}\nimport Caddyfile\n";

pub const PROGRAMS: [Program; 4] = [
    Program {
        name: "nginx",
        example: "nginx",
        files: &["hallpass.conf"],
        frame: Some(("nginx.conf", NGINX_CONF)),
        arguments: &["-p", ".", "-c", "nginx.conf", "-e", "stderr"],
        omits_empty_headers: true,
    },
    Program {
        name: "caddy",
        example: "caddy",
        files: &["Caddyfile"],
        frame: Some(("frame", CADDY_FRAME)),
        arguments: &["run", "--config", "frame", "--adapter", "caddyfile"],
        omits_empty_headers: false,
    },
    Program {
        name: "traefik",
        example: "traefik",
        files: &["traefik.yaml", "hallpass.yaml"],
        frame: None,
        arguments: &["--configFile=traefik.yaml"],
        omits_empty_headers: false,
    },
    Program {
        name: "envoy",
        example: "envoy",
        files: &["envoy.yaml"],
        frame: None,
        // The shared memory of a hot restart has one name for everybody.
        arguments: &[
            "-c",
            "envoy.yaml",
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "-l",
            "warn",
        ],
        omits_empty_headers: false,
    },
];

/// nginx for tools that know a name and a password only.
pub static TOOLS: Program = Program {
    name: "nginx",
    example: "nginx-basic",
    files: &["hallpass.conf"],
    frame: Some(("nginx.conf", NGINX_CONF)),
    arguments: &["-p", ".", "-c", "nginx.conf", "-e", "stderr"],
    omits_empty_headers: true,
};

pub struct Gateway {
    pub program: &'static Program,
    pub service: Service,
    address: SocketAddr,
    folder: tempfile::TempDir,
    child: Running,
}

impl fmt::Display for Gateway {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.program.name)
    }
}

impl Gateway {
    /// Starts it before a service of its own and waits until it serves.
    pub async fn start(program: &'static Program, hallpass: &TestServer) -> Self {
        let hallpass: SocketAddr =
            hallpass.base().strip_prefix("http://").unwrap().parse().unwrap();
        let host = own_host();
        let service = Service::start(host).await;
        let address = free_address(host);
        let folder =
            program.folder(&[(8080, address), (8090, hallpass), (9000, service.address())]);
        let child = program.running(folder.path());
        let mut gateway = Self { program, service, address, folder, child };
        gateway.until_it_serves().await;
        gateway
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a request reaches the service.
    async fn until_it_serves(&mut self) {
        let begun = Instant::now();
        let host = self.address;
        let request = format!("GET /public/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        while self.service.take().is_empty() {
            let ended = self.child.0.try_wait().unwrap();
            assert!(ended.is_none(), "{self} ended: {ended:?}");
            assert!(begun.elapsed() < PATIENCE, "{self} does not serve");
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = try_to_send(host, request.as_bytes(), 1).await;
        }
    }

    fn show_log(&self) {
        let log = std::fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        eprintln!("{self}:\n{}", lines[lines.len().saturating_sub(5)..].join("\n"));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show_log();
        }
    }
}

/// A program that runs. It ends with its workers, which the end of their master does not end.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(id) = self.0.id() {
            let group = format!("-{id}");
            let _ = std::process::Command::new("kill").args(["-KILL", "--", &group]).status();
        }
    }
}

/// A gateway and its service have an address of their own. At one that all share, whoever still asks at the port of a test
/// that has ended would be taken for a client of this one.
pub fn own_host() -> IpAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(1);
    let [high, low] = GIVEN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Ipv4Addr::new(127, 1, high, low).into()
}

pub fn free_address(host: IpAddr) -> SocketAddr {
    std::net::TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
}

impl Program {
    /// The example, with these addresses in place of its own.
    pub fn folder(&self, addresses: &[(u16, SocketAddr)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        // The workers of a master that is root are somebody else.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let mut found = vec![0; addresses.len()];
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(self.example);
        for name in self.files {
            let mut text = std::fs::read_to_string(examples.join(name)).unwrap();
            for ((port, address), found) in addresses.iter().zip(&mut found) {
                // As an address is written everywhere, and as Envoy writes it.
                let example = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
                for form in ["HOST:PORT", "address: HOST, port_value: PORT"] {
                    let [from, to] = [&example, address].map(|address| {
                        let form = form.replace("HOST", &address.ip().to_string());
                        form.replace("PORT", &address.port().to_string())
                    });
                    *found += text.matches(&from).count();
                    text = text.replace(&from, &to);
                }
            }
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        assert!(!found.contains(&0), "{}: an address is not there: {found:?}", self.name);
        if let Some((name, text)) = self.frame {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    /// Starts it in this folder.
    pub fn running(&self, folder: &Path) -> Running {
        let program = Path::new(&variable("HALLPASS_TEST_GATEWAYS")).join(self.name);
        let log = std::fs::File::create(folder.join(LOG)).unwrap();
        let mut command = Command::new(&program);
        command.args(self.arguments).current_dir(folder).env_clear().env("HOME", folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.process_group(0).kill_on_drop(true).spawn();
        Running(child.unwrap_or_else(|error| {
            panic!("{}: {error}: run `dev/test-gateways-install`", program.display())
        }))
    }
}
