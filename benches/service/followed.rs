//! From a change in Keycloak to the refusal of the personal access tokens that it concerns.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Report;
use crate::support::{Admin, Api, Database, Person, TestRealm, TestServer, unique};

const TRIALS: usize = 20;
/// For users, role mappings and memberships.
const TARGET: Duration = Duration::from_secs(2);
const TARGET_OF_COMPOSITES: Duration = Duration::from_secs(5);
const TOKENS: &str = "/api/pat/v1/tokens";
/// Others with tokens, who are not concerned.
const BYSTANDERS: usize = 20;
const MEMBERS: usize = 100;

/// A realm with two roles and a group, and a service that follows it as it does by default.
struct Scene {
    realm: TestRealm,
    server: TestServer,
    admin: Admin,
    role: Value,
    composite: Value,
    group: String,
}

/// Somebody with a token.
pub struct Holder {
    pub person: Person,
    pat: Api,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Disabled,
    Deleted,
    RoleGiven,
    RoleTaken,
    GroupJoined,
    GroupLeft,
    GroupGetsRole,
    GroupLosesRole,
    CompositeGains,
    CompositeLoses,
}

const KINDS: [(&str, Kind, Duration); 10] = [
    ("user disabled", Kind::Disabled, TARGET),
    ("user deleted", Kind::Deleted, TARGET),
    ("role given", Kind::RoleGiven, TARGET),
    ("role taken", Kind::RoleTaken, TARGET),
    ("group joined", Kind::GroupJoined, TARGET),
    ("group left", Kind::GroupLeft, TARGET),
    ("role given to a group", Kind::GroupGetsRole, TARGET),
    ("role taken from a group", Kind::GroupLosesRole, TARGET),
    ("role added to a composite", Kind::CompositeGains, TARGET_OF_COMPOSITES),
    ("role removed from a composite", Kind::CompositeLoses, TARGET_OF_COMPOSITES),
];

pub async fn measure(report: &mut Report) {
    report.section(
        "Changes in Keycloak that end tokens",
        "From the answer of Keycloak to the refusal of the token, 20 times each, with 20 other owners of tokens in the realm. Of a group of a \
         hundred: until the last of them is refused.",
        "| change | median, s | maximum, s | target, s |\n|---|---:|---:|---:|",
    );
    let scene = Scene::set().await;
    for (name, kind, target) in KINDS {
        let mut times = Vec::new();
        for _ in 0..TRIALS {
            let holder = scene.prepare(kind).await;
            scene.change(kind, &holder.person).await;
            times.push(refused(&[holder]).await);
            scene.undo(kind).await;
        }
        report.change(name, times, target);
    }
    let (mut taken, mut given) = (Vec::new(), Vec::new());
    let mut members = Vec::new();
    for _ in 0..MEMBERS {
        let person = scene.realm.person().await;
        scene.join(&person).await;
        members.push((scene.server.user(&person).await, person));
    }
    for trial in 0..TRIALS {
        let mut holders = Vec::new();
        for (api, person) in &mut members {
            if trial % 5 == 4 {
                // An access token lives for five minutes.
                *api = scene.server.user(person).await;
            }
            holders.push(holder(&scene.server, api, person.clone()).await);
        }
        let (kind, times) = if trial % 2 == 0 {
            (Kind::GroupGetsRole, &mut given)
        } else {
            (Kind::GroupLosesRole, &mut taken)
        };
        scene.change(kind, &holders[0].person).await;
        times.push(refused(&holders).await);
    }
    report.change("role given to a group of a hundred", given, TARGET);
    report.change("role taken from a group of a hundred", taken, TARGET);
    scene.server.stop().await;
}

impl Scene {
    async fn set() -> Self {
        let realm = TestRealm::own().await;
        let brake = [("HALLPASS_LIFECYCLE__BRAKE", "1000")];
        let server = TestServer::start_with(realm.clone(), Database::sqlite, &brake).await;
        let admin = Admin::log_in().await;
        let path = |rest: &str| format!("/{}/{rest}", realm.name);
        for role in ["reader", "staff"] {
            admin.post(&path("roles"), &json!({"name": role})).await;
        }
        let role = admin.get(&path("roles/reader")).await;
        let composite = admin.get(&path("roles/staff")).await;
        admin.post(&path("groups"), &json!({"name": "readers"})).await;
        let groups = admin.get(&path("groups?search=readers&exact=true")).await;
        let group = groups[0]["id"].as_str().unwrap().to_owned();
        let scene = Self { realm, server, admin, role, composite, group };
        for _ in 0..BYSTANDERS {
            scene.holder().await;
        }
        scene
    }

    fn path(&self, rest: &str) -> String {
        format!("/{}/{rest}", self.realm.name)
    }

    async fn holder(&self) -> Holder {
        let person = self.realm.person().await;
        let api = self.server.user(&person).await;
        holder(&self.server, &api, person).await
    }

    async fn join(&self, person: &Person) {
        let path = self.path(&format!("users/{}/groups/{}", person.id, self.group));
        self.admin.put(&path, &Value::Null).await;
    }

    async fn map(&self, person: &Person, role: &Value) {
        let path = self.path(&format!("users/{}/role-mappings/realm", person.id));
        self.admin.post(&path, &json!([role])).await;
    }

    fn group_roles(&self) -> String {
        self.path(&format!("groups/{}/role-mappings/realm", self.group))
    }

    fn composites(&self) -> String {
        self.path(&format!("roles-by-id/{}/composites", self.composite["id"].as_str().unwrap()))
    }

    /// Somebody whom the change will concern, and whose token was made before it.
    async fn prepare(&self, kind: Kind) -> Holder {
        let person = self.realm.person().await;
        match kind {
            Kind::RoleTaken => self.map(&person, &self.role).await,
            Kind::GroupLeft | Kind::GroupGetsRole | Kind::GroupLosesRole => {
                self.join(&person).await;
            }
            Kind::CompositeGains | Kind::CompositeLoses => self.map(&person, &self.composite).await,
            Kind::Disabled | Kind::Deleted | Kind::RoleGiven | Kind::GroupJoined => {}
        }
        if matches!(kind, Kind::GroupJoined | Kind::GroupLeft | Kind::GroupLosesRole) {
            self.admin.post(&self.group_roles(), &json!([self.role])).await;
        }
        if kind == Kind::CompositeLoses {
            self.admin.post(&self.composites(), &json!([self.role])).await;
        }
        let api = self.server.user(&person).await;
        // What came before is followed, or it would be measured.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        holder(&self.server, &api, person).await
    }

    async fn change(&self, kind: Kind, person: &Person) {
        let user = self.path(&format!("users/{}", person.id));
        let delete = reqwest::Method::DELETE;
        match kind {
            Kind::Disabled => drop(self.admin.put(&user, &json!({"enabled": false})).await),
            Kind::Deleted => drop(self.admin.delete(&user).await),
            Kind::RoleGiven => self.map(person, &self.role).await,
            Kind::RoleTaken => {
                let path = format!("{user}/role-mappings/realm");
                self.admin.call(delete, &path, Some(&json!([self.role]))).await;
            }
            Kind::GroupJoined => self.join(person).await,
            Kind::GroupLeft => {
                self.admin.delete(&format!("{user}/groups/{}", self.group)).await;
            }
            Kind::GroupGetsRole => {
                self.admin.post(&self.group_roles(), &json!([self.role])).await;
            }
            Kind::GroupLosesRole => {
                let path = self.group_roles();
                self.admin.call(delete, &path, Some(&json!([self.role]))).await;
            }
            Kind::CompositeGains => {
                self.admin.post(&self.composites(), &json!([self.role])).await;
            }
            Kind::CompositeLoses => {
                let path = self.composites();
                self.admin.call(delete, &path, Some(&json!([self.role]))).await;
            }
        }
    }

    /// So that the next trial begins as this one did.
    async fn undo(&self, kind: Kind) {
        let delete = reqwest::Method::DELETE;
        let role = json!([self.role]);
        match kind {
            Kind::GroupJoined | Kind::GroupLeft | Kind::GroupGetsRole => {
                self.admin.call(delete, &self.group_roles(), Some(&role)).await;
            }
            Kind::CompositeGains => {
                self.admin.call(delete, &self.composites(), Some(&role)).await;
            }
            _ => {}
        }
    }
}

async fn holder(server: &TestServer, api: &Api, person: Person) -> Holder {
    let minted = api.post(TOKENS, &json!({"name": unique("followed")})).await.expect(201);
    let pat = server.with_token(minted["token"].as_str().unwrap());
    pat.get(&format!("{TOKENS}/self")).await.expect(200);
    Holder { person, pat }
}

/// How long it takes from now until the last of these tokens is refused.
async fn refused(holders: &[Holder]) -> Duration {
    let began = Instant::now();
    for holder in holders {
        while holder.pat.get(&format!("{TOKENS}/self")).await.status != 401 {
            assert!(began.elapsed() < Duration::from_secs(30), "{} is good", holder.person.id);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    began.elapsed()
}
