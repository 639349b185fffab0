//! A directory that people come from: Debian's `slapd`, on loopback, with its data in a folder of its own. It ends with the
//! test, and can be stopped and started in between.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

pub const LDAP_SUFFIX: &str = "dc=example,dc=org";
pub const LDAP_ADMIN: &str = "cn=admin,dc=example,dc=org";
pub const LDAP_PASSWORD: &str = "secret";

/// Far longer than a start takes.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Ldap {
    folder: tempfile::TempDir,
    url: String,
    server: Option<Child>,
}

impl Ldap {
    /// An empty directory with places for people and groups.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        std::fs::write(folder.path().join("slapd.conf"), configuration(folder.path())).unwrap();
        // Somebody may take the port before slapd does: then it ends, and the start fails.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ldap://{}", free.local_addr().unwrap());
        drop(free);
        let mut ldap = Self { folder, url, server: None };
        ldap.up().await;
        ldap.add("", "objectClass: dcObject\nobjectClass: organization\ndc: example\no: Example")
            .await;
        for place in ["people", "groups"] {
            ldap.add(&format!("ou={place},"), "objectClass: organizationalUnit").await;
        }
        ldap
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts it (again), with what it had.
    pub async fn up(&mut self) {
        let mut command = Command::new("/usr/sbin/slapd");
        command.args(["-h", &self.url, "-d", "0", "-f"]).arg(self.folder.path().join("slapd.conf"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = command.kill_on_drop(true).spawn();
        self.server = Some(started.expect("slapd: run this by `make soak`"));
        let (begun, address) = (Instant::now(), self.url.strip_prefix("ldap://").unwrap());
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "slapd does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends it, in order: what it holds is there when it is started again.
    pub async fn down(&mut self) {
        let mut server = self.server.take().expect("it runs");
        let id = server.id().expect("it runs").to_string();
        assert!(Command::new("kill").arg(&id).status().await.unwrap().success());
        server.wait().await.unwrap();
    }

    /// A person who can log in, and is enabled.
    pub async fn add_person(&self, uid: &str, password: &str) {
        let attributes = format!(
            "objectClass: inetOrgPerson\ncn: {uid}\nsn: Person\ngivenName: Test\n\
             mail: {uid}@example.org\nemployeeType: true\nuserPassword: {password}"
        );
        self.add(&format!("uid={uid},ou=people,"), &attributes).await;
    }

    /// A group with these people. It is never empty: the schema wants a member.
    pub async fn add_group(&self, name: &str, uids: &[&str]) {
        let member = |uid: &&str| format!("\nmember: uid={uid},ou=people,{LDAP_SUFFIX}");
        let members: String = uids.iter().map(member).collect();
        let attributes = format!("objectClass: groupOfNames\nmember: {LDAP_ADMIN}{members}");
        self.add(&format!("cn={name},ou=groups,"), &attributes).await;
    }

    async fn add(&self, name: &str, attributes: &str) {
        self.change(&format!("dn: {name}{LDAP_SUFFIX}\nchangetype: add\n{attributes}\n")).await;
    }

    /// Changes the entry of this name below the suffix, in the words of LDIF (RFC 2849).
    pub async fn modify(&self, name: &str, change: &str) {
        self.change(&format!("dn: {name},{LDAP_SUFFIX}\nchangetype: modify\n{change}\n")).await;
    }

    pub async fn delete(&self, name: &str) {
        self.change(&format!("dn: {name},{LDAP_SUFFIX}\nchangetype: delete\n")).await;
    }

    async fn change(&self, ldif: &str) {
        let mut command = Command::new("ldapmodify");
        command.args(["-x", "-H", &self.url, "-D", LDAP_ADMIN, "-w", LDAP_PASSWORD]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut running = command.spawn().expect("ldapmodify: run this by `make soak`");
        running.stdin.take().unwrap().write_all(ldif.as_bytes()).await.unwrap();
        let done = running.wait_with_output().await.unwrap();
        assert!(done.status.success(), "{ldif}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

fn configuration(folder: &Path) -> String {
    let schema = |name: &str| format!("include /etc/ldap/schema/{name}.schema\n");
    let schemas: String = ["core", "cosine", "inetorgperson"].map(schema).concat();
    let folder = folder.display();
    format!(
        "{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {folder}/pid\n\
         database mdb\nmaxsize 16777216\nsuffix \"{LDAP_SUFFIX}\"\nrootdn \"{LDAP_ADMIN}\"\n\
         rootpw {LDAP_PASSWORD}\ndirectory {folder}/data\n"
    )
}
