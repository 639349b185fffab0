//! Others who check tokens, each as a process of its own: the programs are found on the path or where a variable says, and
//! configured by the files in `benches/peers/`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, Command};

use super::cpu::family;
use super::{free_address, until_answers};
use crate::support::{TestRealm, http, service};

/// A server beside Hallpass.
pub struct Peer {
    pub address: SocketAddr,
    pub processes: Vec<u32>,
    child: Option<Child>,
    /// What it reads.
    _folder: tempfile::TempDir,
}

/// With those that it started, which would stay.
impl Drop for Peer {
    fn drop(&mut self) {
        if self.child.is_some() {
            let ids = family(&self.processes).into_iter().map(|id| id.to_string());
            let _ = std::process::Command::new("kill").arg("-KILL").args(ids).status();
        }
    }
}

/// What they are told of the realm.
pub struct Peers {
    issuer: String,
    jwks: String,
    /// The key that personal access tokens are signed with, as its certificate.
    kid: String,
    certificate: String,
}

impl Peers {
    pub async fn of(realm: &TestRealm) -> Self {
        let jwks = http().get(realm.jwks_url()).send().await.unwrap().text().await.unwrap();
        let kid = realm.signing_key.kid.clone();
        let set: Value = serde_json::from_str(&jwks).unwrap();
        let keys = set["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["kid"] == *kid).unwrap();
        let certificate = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            key["x5c"][0].as_str().unwrap()
        );
        Self { issuer: realm.issuer(), jwks, kid, certificate }
    }

    /// nginx: `/plain`, and `/protected`, for which it asks the authorizer at this address and path.
    pub async fn nginx(&self, authorizer: SocketAddr, path: &str) -> Peer {
        let (folder, address) = (self.folder(), free_address());
        let values = [("authorizer", authorizer.to_string()), ("path", path.to_owned())];
        let file = configure(folder.path(), "nginx.conf", address, &values);
        let mut command = Command::new(program("nginx"));
        command.arg("-e").arg("stderr").arg("-p").arg(folder.path()).arg("-c").arg(file);
        start(&mut command, folder, address, "/plain").await
    }

    /// Envoy, which remembers checked tokens or not.
    pub async fn envoy(&self, remembers: bool) -> Peer {
        let (folder, address) = (self.folder(), free_address());
        let cache = if remembers { "jwt_cache_config: { jwt_cache_size: 20000 }" } else { "" };
        let values = [("issuer", self.issuer.clone()), ("cache", cache.to_owned())];
        let file = configure(folder.path(), "envoy.yaml", address, &values);
        let mut command = Command::new(program("envoy"));
        command.args(["--use-dynamic-base-id", "--concurrency", "2", "--log-level", "error", "-c"]);
        start(command.arg(file), folder, address, "/").await
    }

    /// Apache's `mod_auth_openidc`.
    pub async fn apache(&self) -> Peer {
        let (folder, address) = (self.folder(), free_address());
        let modules = "/usr/lib/apache2/modules".to_owned();
        let values = [("modules", modules), ("kid", self.kid.clone())];
        let file = configure(folder.path(), "apache.conf", address, &values);
        let mut command = Command::new(program("apache2"));
        start(command.arg("-DFOREGROUND").arg("-f").arg(file), folder, address, "/").await
    }

    /// fastify with jose.
    pub async fn fastify(&self) -> Peer {
        let (folder, address) = (self.folder(), free_address());
        let mut command = Command::new("node");
        let server = PathBuf::from(service("HALLPASS_BENCH_PEERS")).join("server.mjs");
        command.arg(server).arg(address.port().to_string()).arg(&self.issuer);
        command.arg(folder.path().join("jwks.json"));
        start(&mut command, folder, address, "/").await
    }

    /// oauth2-proxy, where a binary is given.
    pub async fn oauth2_proxy(&self, audience: &str) -> Option<Peer> {
        let binary = std::env::var_os("HALLPASS_BENCH_OAUTH2_PROXY")?;
        let (folder, address) = (self.folder(), free_address());
        let mut command = Command::new(binary);
        command
            .args(["--provider=oidc", "--skip-jwt-bearer-tokens=true", "--email-domain=*"])
            .args(["--upstream=static://200", "--client-secret=none"])
            .args(["--cookie-secret=only-for-a-test-only-for-a-test-", "--set-xauthrequest=true"])
            .args(["--request-logging=false", "--auth-logging=false", "--standard-logging=false"])
            .args(["--insecure-oidc-allow-unverified-email=true", "--reverse-proxy=true"])
            .arg(format!("--client-id={audience}"))
            .arg(format!("--oidc-issuer-url={}", self.issuer))
            .arg(format!("--http-address={address}"));
        Some(start(&mut command, folder, address, "/ping").await)
    }

    /// The realm's own Keycloak.
    pub fn keycloak() -> Peer {
        let url: url::Url = service("HALLPASS_TEST_KEYCLOAK_URL").parse().unwrap();
        let address = url.socket_addrs(|| None).unwrap()[0];
        let process = service("HALLPASS_TEST_KEYCLOAK_PID").parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        Peer { address, processes: vec![process], child: None, _folder: folder }
    }

    fn folder(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        // Some servers work as another user than root.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), mode).unwrap();
        for (name, content) in [
            ("jwks.json", &*self.jwks),
            ("key.pem", &self.certificate),
            ("ok", "ok"),
            ("www/index.html", "ok"),
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }
}

/// The configuration with these values, in the folder.
fn configure(folder: &Path, name: &str, address: SocketAddr, values: &[(&str, String)]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(name);
    let mut text = std::fs::read_to_string(source).unwrap();
    let known = [
        ("folder", folder.display().to_string()),
        ("address", address.to_string()),
        ("port", address.port().to_string()),
    ];
    for (name, value) in known.iter().chain(values) {
        text = text.replace(&format!("@{name}@"), value);
    }
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

/// A program that a variable names, as `HALLPASS_BENCH_NGINX`, or that is where programs are.
fn program(name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(format!("HALLPASS_BENCH_{}", name.to_uppercase())) {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run `make bench`, which does that"))
}

async fn start(
    command: &mut Command,
    folder: tempfile::TempDir,
    address: SocketAddr,
    path: &str,
) -> Peer {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let child = command.spawn().unwrap();
    until_answers(&format!("http://{address}{path}")).await;
    let processes = vec![child.id().unwrap()];
    Peer { address, processes, child: Some(child), _folder: folder }
}
