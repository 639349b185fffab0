//! From a change in Keycloak to the refusal of the personal access tokens that it concerns.

use std::time::{Duration, Instant};

use reqwest::Method;
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
struct Holder {
    person: Person,
    pat: Api,
}

/// A way to have the role, and to lose it.
#[derive(Clone, Copy)]
enum Way {
    Mapped,
    Member,
    Group,
    Composite,
}

const WAYS: [(Way, &str, &str, Duration); 4] = [
    (Way::Mapped, "role given", "role taken", TARGET),
    (Way::Member, "group joined", "group left", TARGET),
    (Way::Group, "role given to a group", "role taken from a group", TARGET),
    (
        Way::Composite,
        "role added to a composite",
        "role removed from a composite",
        TARGET_OF_COMPOSITES,
    ),
];

pub async fn measure(report: &mut Report) {
    report.section(
        "Changes in Keycloak that end tokens",
        "From the answer of Keycloak to the refusal of the token, 20 times each, with 20 other owners of tokens in the realm. Of a group of a \
         hundred: until the last of them is refused.",
        "| change | median, s | maximum, s | target, s |\n|---|---:|---:|---:|",
    );
    let scene = Box::pin(Scene::set()).await;
    for (name, deletes) in [("user disabled", false), ("user deleted", true)] {
        let mut times = Vec::new();
        for trial in 0..TRIALS {
            let holder = scene.holder(scene.realm.person().await).await;
            anytime(trial).await;
            let user = scene.path(&format!("users/{}", holder.person.id));
            if deletes {
                scene.admin.delete(&user).await;
            } else {
                scene.admin.put(&user, &json!({"enabled": false})).await;
            }
            times.push(refused(&[holder]).await);
        }
        report.change(name, times, TARGET);
    }
    for (way, gained, lost, target) in WAYS {
        let members = vec![scene.prepared(way).await];
        let [gains, losses] = scene.trials(way, members).await;
        report.change(gained, gains, target);
        report.change(lost, losses, target);
    }
    let mut members = Vec::new();
    for _ in 0..MEMBERS {
        members.push(scene.prepared(Way::Group).await);
    }
    let [gains, losses] = scene.trials(Way::Group, members).await;
    report.change("role given to a group of a hundred", gains, TARGET);
    report.change("role taken from a group of a hundred", losses, TARGET);
    scene.server.stop().await;
}

impl Scene {
    async fn set() -> Self {
        let realm = TestRealm::own().await;
        let brake = [
            ("HALLPASS_LIFECYCLE__BRAKE", "1000"),
            ("HALLPASS_TOKENS__MAX_PER_USER", "0"),
            ("HALLPASS_SERVER__TRUSTED_PROXIES", "127.0.0.1"),
        ];
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
            scene.holder(scene.realm.person().await).await;
        }
        scene
    }

    fn path(&self, rest: &str) -> String {
        format!("/{}/{rest}", self.realm.name)
    }

    /// Somebody who can gain and lose the role this way, and has not got it.
    async fn prepared(&self, way: Way) -> Person {
        let person = self.realm.person().await;
        let user = self.path(&format!("users/{}", person.id));
        match way {
            Way::Group => {
                self.admin.put(&format!("{user}/groups/{}", self.group), &Value::Null).await;
            }
            Way::Composite => {
                let mappings = format!("{user}/role-mappings/realm");
                self.admin.post(&mappings, &json!([self.composite])).await;
            }
            Way::Mapped | Way::Member => {}
        }
        person
    }

    /// These people gain and lose the role in turn; each time all have a new token before.
    async fn trials(&self, way: Way, people: Vec<Person>) -> [Vec<Duration>; 2] {
        let mut times = [Vec::new(), Vec::new()];
        // A member who joins is to find the group with its role.
        let group_roles = self.path(&format!("groups/{}/role-mappings/realm", self.group));
        if matches!(way, Way::Member) {
            self.admin.post(&group_roles, &json!([self.role])).await;
        }
        let mut logins = Vec::new();
        for trial in 0..2 * TRIALS {
            if trial % 8 == 0 {
                logins.clear();
                for person in &people {
                    logins.push(self.server.user(person).await);
                }
            }
            let mut holders = Vec::new();
            for (person, login) in people.iter().zip(&logins) {
                holders.push(self.holder_by(login, person.clone()).await);
            }
            anytime(trial).await;
            self.change(way, trial % 2 == 0, &people[0]).await;
            times[trial % 2].push(refused(&holders).await);
        }
        if matches!(way, Way::Member) {
            self.admin.call(Method::DELETE, &group_roles, Some(&json!([self.role]))).await;
        }
        times
    }

    async fn change(&self, way: Way, gains: bool, person: &Person) {
        let user = self.path(&format!("users/{}", person.id));
        let path = match way {
            Way::Mapped => format!("{user}/role-mappings/realm"),
            Way::Member => format!("{user}/groups/{}", self.group),
            Way::Group => self.path(&format!("groups/{}/role-mappings/realm", self.group)),
            Way::Composite => {
                let id = self.composite["id"].as_str().unwrap();
                self.path(&format!("roles-by-id/{id}/composites"))
            }
        };
        let (method, body) = match (way, gains) {
            (Way::Member, true) => (Method::PUT, None),
            (Way::Member, false) => (Method::DELETE, None),
            (_, true) => (Method::POST, Some(json!([self.role]))),
            (_, false) => (Method::DELETE, Some(json!([self.role]))),
        };
        self.admin.call(method, &path, body.as_ref()).await;
    }

    /// A new token of this person.
    async fn holder(&self, person: Person) -> Holder {
        let login = self.server.user(&person).await;
        self.holder_by(&login, person).await
    }

    async fn holder_by(&self, login: &Api, person: Person) -> Holder {
        let minted = login.post(TOKENS, &json!({"name": unique("followed")})).await.expect(201);
        let pat = self.server.with_token(minted["token"].as_str().unwrap());
        pat.get(&format!("{TOKENS}/self")).await.expect(200);
        Holder { person, pat }
    }
}

/// At another moment between two readings of the events each time.
async fn anytime(trial: usize) {
    tokio::time::sleep(Duration::from_millis(trial as u64 * 137 % 1000)).await;
}

/// How long it takes from now until the last of these tokens is refused. Each is used from an address of its own: from
/// one, so many refusals are too many.
async fn refused(holders: &[Holder]) -> Duration {
    let began = Instant::now();
    for (number, holder) in holders.iter().enumerate() {
        let address = format!("10.0.0.{number}");
        let ask = || {
            let request = holder.pat.request(Method::GET, &format!("{TOKENS}/self"));
            holder.pat.send(request.header("x-forwarded-for", &address))
        };
        while ask().await.status != 401 {
            assert!(began.elapsed() < Duration::from_secs(30), "{} is good", holder.person.id);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    began.elapsed()
}
