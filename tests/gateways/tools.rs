//! git, wget and pip by way of nginx: tools that send a name and a password, and most of them only when they are asked.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::gateway::{TOOLS, free_address, own_host};
use super::jwt;
use crate::support::{Database, TestRealm, TestServer};

const PATIENCE: Duration = Duration::from_secs(30);
/// A wheel is a zip archive (<https://packaging.python.org/specifications/binary-distribution-format/>).
const WHEEL: &str = r#"
import zipfile
with zipfile.ZipFile("simple/hello/hello-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("hello.py", "print('hello')\n")
    wheel.writestr("hello-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
    wheel.writestr("hello-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("hello-1.0.dist-info/RECORD", "")
"#;

/// Runs a program with nothing of the machine's own settings.
async fn run(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    for (name, value) in [
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("PIP_CONFIG_FILE", "/dev/null"),
        ("no_proxy", "*"),
    ] {
        command.env(name, value);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE * 2, command.output()).await;
    output.unwrap_or_else(|_| panic!("{program} does not end")).unwrap()
}

async fn done(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let output = run(folder, program, arguments).await;
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    output
}

/// A repository for git's plain protocol, a file, and an index of packages.
async fn files(folder: &Path) {
    let work = folder.join("work");
    std::fs::create_dir_all(&work).unwrap();
    std::fs::write(work.join("README"), "hello").unwrap();
    let author = ["-c", "user.name=x", "-c", "user.email=x@example.org"];
    done(&work, "git", &["init", "-q", "-b", "main"]).await;
    done(&work, "git", &["add", "README"]).await;
    done(&work, "git", &[&author[..], &["commit", "-q", "-m", "hello"]].concat()).await;
    done(folder, "git", &["clone", "-q", "--bare", "work", "project.git"]).await;
    done(&folder.join("project.git"), "git", &["update-server-info"]).await;
    std::fs::write(folder.join("file"), "hello").unwrap();
    std::fs::create_dir_all(folder.join("simple/hello")).unwrap();
    done(folder, "python3", &["-c", WHEEL]).await;
}

const PIP: [&str; 7] =
    ["-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "--disable-pip-version-check"];

/// Python's own server of files.
async fn serve(folder: &Path) -> (Child, SocketAddr) {
    let address = free_address(own_host());
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let mut command = Command::new("python3");
    command.args(["-m", "http.server", &port, "--bind", &host]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let child = command.spawn().unwrap();
    until_it_listens(address).await;
    (child, address)
}

async fn until_it_listens(address: SocketAddr) {
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "{address} does not listen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn git_wget_and_pip_get_what_they_ask_for_with_a_token_as_the_password_or_the_name() {
    let trusted = [("HALLPASS_SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let server =
        TestServer::start_with(TestRealm::shared().await, Database::sqlite, &trusted).await;
    let user = server.user(&server.realm.person().await).await;
    let (good, revoked) = (user.mint("tools").await, user.mint("revoked").await);
    let path = format!("/api/pat/v1/tokens/{}/invalidate", revoked["patId"].as_str().unwrap());
    user.post_empty(&path).await.expect(200);
    let (good, revoked) = (jwt(&good), jwt(&revoked));

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    files(folder).await;
    let (_files, service) = serve(folder).await;
    let address = free_address(own_host());
    let hallpass: SocketAddr = server.base().strip_prefix("http://").unwrap().parse().unwrap();
    let gateway = TOOLS.folder(&[(8080, address), (8090, hallpass), (9000, service)]);
    let _gateway = TOOLS.running(gateway.path());
    until_it_listens(address).await;

    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    for (number, (name, password)) in
        [("anybody", good), (good, "x-oauth-basic")].into_iter().enumerate()
    {
        let clone = format!("clone-{number}");
        let url = format!("http://{name}:{password}@{address}/project.git");
        done(home, "git", &["clone", "-q", &url, &clone]).await;
        assert_eq!(std::fs::read_to_string(home.join(&clone).join("README")).unwrap(), "hello");

        let (url, to) = (format!("http://{address}/file"), format!("file-{number}"));
        let (user, word) = (format!("--user={name}"), format!("--password={password}"));
        done(home, "wget", &["--no-config", "-q", "-t", "1", &user, &word, "-O", &to, &url]).await;
        assert_eq!(std::fs::read_to_string(home.join(&to)).unwrap(), "hello");

        let (index, to) =
            (format!("http://{name}:{password}@{address}/simple/"), format!("pip-{number}"));
        let host = address.ip().to_string();
        let download =
            [&PIP[..], &["--trusted-host", &host, "--index-url", &index, "-d", &to, "hello"]];
        done(home, "python3", &download.concat()).await;
        assert!(home.join(&to).join("hello-1.0-py3-none-any.whl").exists());
    }
    for (name, password) in
        [("anybody", revoked), ("anybody", "rubbish"), (revoked, "x-oauth-basic")]
    {
        let url = format!("http://{name}:{password}@{address}/project.git");
        assert!(!run(home, "git", &["clone", "-q", &url, "refused"]).await.status.success());
        let (url, user, word) = (
            format!("http://{address}/file"),
            format!("--user={name}"),
            format!("--password={password}"),
        );
        let refused = run(
            home,
            "wget",
            &["--no-config", "-q", "-t", "1", &user, &word, "-O", "refused", &url],
        )
        .await;
        // "Username/Password Authentication Failed", or any other answer than the file.
        assert!([6, 8].contains(&refused.status.code().unwrap()), "{refused:?}");
    }
    server.stop().await;
}
