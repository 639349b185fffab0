//! Families of rotated tokens: grace, lost answers, and a rotated token that comes back.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Row as _;

use crate::support::{Answer, Api, DATABASES, Database, TestRealm, TestServer};

const TOKENS: &str = "/api/pat/v1/tokens";
const SELF: &str = "/api/pat/v1/tokens/self";

pub fn id_of(token: &Value) -> &str {
    token["patId"].as_str().unwrap()
}

pub fn rotate_path(token: &Value) -> String {
    format!("{TOKENS}/{}/rotate", id_of(token))
}

/// All tokens of an owner who has one family.
#[derive(Debug)]
pub struct Family {
    pub tokens: Vec<Value>,
}

impl Family {
    pub async fn of(owner: &Api) -> Self {
        let list = owner.get(&format!("{TOKENS}?limit=100")).await.expect(200);
        Self { tokens: list["tokens"].as_array().unwrap().clone() }
    }

    pub fn good(&self) -> Vec<&str> {
        self.tokens.iter().filter(|token| token["isValid"] == true).map(id_of).collect()
    }

    fn reason(&self, token: &Value) -> &str {
        let found = self.tokens.iter().find(|one| one["patId"] == token["patId"]).unwrap();
        found["revokedReason"].as_str().unwrap_or("none")
    }
}

/// The service, an owner, and the owner's token with its successor.
struct Scene {
    server: TestServer,
    owner: Api,
    old: Value,
    new: Value,
}

impl Scene {
    /// Rotated by the owner, or by the token itself.
    async fn on(database: fn(&tempfile::TempDir) -> Database, grace: u64, by_itself: bool) -> Self {
        let realm = TestRealm::shared().await;
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let owner = server.user(&realm.person().await).await;
        let old = owner.mint("ci").await;
        // A person's rotation is told from the token's creation by its second.
        server.clock.advance(Duration::from_secs(2));
        let itself = server.with_token(old["token"].as_str().unwrap());
        let caller = if by_itself { &itself } else { &owner };
        let new =
            caller.post(&rotate_path(&old), &json!({"graceSeconds": grace})).await.expect(201);
        Self { server, owner, old, new }
    }

    fn with(&self, token: &Value) -> Api {
        self.server.with_token(token["token"].as_str().unwrap())
    }

    async fn works(&self, token: &Value) -> bool {
        let answer = self.with(token).get(SELF).await;
        if answer.status == 200 {
            return true;
        }
        answer.expect_problem(401, "unauthenticated");
        false
    }

    /// How often the family was burned, as the audit log has it.
    async fn burned(&self) -> usize {
        self.acts("family_burned").await
    }

    async fn acts(&self, action: &str) -> usize {
        let rows = sqlx_rows(&self.server, "SELECT action FROM audit_events").await;
        rows.iter().filter(|row| row.get::<&str, _>(0) == action).count()
    }

    /// What the audit log tells of a token.
    async fn told_of(&self, token: &Value) -> Vec<String> {
        let sql = "SELECT action, credential_id FROM audit_events ORDER BY occurred_at, event_id";
        let rows = sqlx_rows(&self.server, sql).await;
        let of_it = rows.iter().filter(|row| row.get::<String, _>(1) == id_of(token));
        of_it.map(|row| row.get(0)).collect()
    }

    /// Another process on the same database, where there can be one.
    async fn replica(&self) -> Option<TestServer> {
        let store = self.server.store().await;
        let is_shared = store.is_shared();
        store.close().await;
        if is_shared { Some(self.server.replica().await) } else { None }
    }

    async fn rotate_again(&self, api: &Api) -> Answer {
        api.post_empty(&rotate_path(&self.old)).await
    }
}

async fn sqlx_rows(server: &TestServer, sql: &'static str) -> Vec<sqlx::any::AnyRow> {
    use sqlx::Connection as _;
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&server.database.url_text()).await.unwrap();
    sqlx::query(sql).fetch_all(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_token_that_rotated_itself_works_until_its_grace_is_over_and_then_burns_its_family_once()
{
    for database in DATABASES {
        let scene = Scene::on(database, 600, true).await;
        assert!(scene.works(&scene.old).await && scene.works(&scene.new).await);
        let waiting = Family::of(&scene.owner).await;
        assert_eq!((waiting.good().len(), waiting.reason(&scene.old)), (2, "none"));

        scene.server.clock.advance(Duration::from_secs(601));
        let over = Family::of(&scene.owner).await;
        assert_eq!((over.good(), over.reason(&scene.old)), (vec![id_of(&scene.new)], "rotated"));
        assert!(scene.works(&scene.new).await);
        assert_eq!(scene.burned().await, 0);

        // Somebody has the old one still.
        assert!(!scene.works(&scene.old).await);
        assert!(!scene.works(&scene.new).await);
        let burned = Family::of(&scene.owner).await;
        assert_eq!((burned.good().len(), burned.reason(&scene.new)), (0, "family_burned"));
        for _ in 0..3 {
            assert!(!scene.works(&scene.old).await && !scene.works(&scene.new).await);
        }
        assert_eq!(scene.burned().await, 1, "once");
        assert_eq!(scene.told_of(&scene.new).await, ["token_created", "token_revoked"]);
        // The owner is not locked out.
        scene.owner.mint("another").await;
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn many_uses_at_once_burn_a_family_once_on_both_databases() {
    for database in DATABASES {
        let scene = Scene::on(database, 0, true).await;
        let mut uses = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let api = scene.with(&scene.old);
            uses.spawn(async move { api.get(SELF).await.status.as_u16() });
        }
        assert!(uses.join_all().await.iter().all(|status| *status == 401));
        assert_eq!((scene.burned().await, Family::of(&scene.owner).await.good().len()), (1, 0));
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn whoever_ends_a_successor_ends_the_grace_of_what_it_replaced() {
    for database in DATABASES {
        for end in ["invalidate", "delete"] {
            let scene = Scene::on(database, 600, false).await;
            let grace = json!({"graceSeconds": 600});
            let third = scene.owner.post(&rotate_path(&scene.new), &grace).await;
            // Of one chain one token is in its grace: the second now, and the first no more.
            let third = third.expect(201);
            assert!(scene.works(&scene.new).await && scene.works(&third).await);
            assert!(!scene.works(&scene.old).await && scene.works(&third).await, "{end}");
            let path = format!("{TOKENS}/{}", id_of(&third));
            if end == "delete" {
                scene.owner.delete(&path).await.expect(204);
            } else {
                scene.owner.post_empty(&format!("{path}/invalidate")).await.expect(200);
            }
            assert_eq!(Family::of(&scene.owner).await.good(), [""; 0], "{end}");
            assert!(!scene.works(&scene.new).await, "{end}");
            scene.server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_recovered_from_by_rotating_again() {
    for database in DATABASES {
        for (grace, by_itself) in [(0, false), (600, false), (600, true)] {
            let scene = Scene::on(database, grace, by_itself).await;
            // The answer with the successor never came.
            let caller = if by_itself { scene.with(&scene.old) } else { scene.owner.clone() };
            let second = scene.rotate_again(&caller).await.expect(201);
            assert_eq!(second["rotatedFrom"], scene.new["patId"], "the lost one is replaced");
            let again = scene.rotate_again(&caller).await.expect(201);
            let family = Family::of(&scene.owner).await;
            assert!(family.good().contains(&id_of(&again)));
            assert_eq!(family.good().len(), 1 + usize::from(grace > 0));
            assert_eq!(family.reason(&second), "rotated");
            assert!(scene.works(&again).await);
            assert_eq!(scene.burned().await, 0, "nobody is locked out");
            scene.server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_token_in_its_grace_does_not_take_what_a_person_made_of_it() {
    for database in DATABASES {
        let scene = Scene::on(database, 600, false).await;
        // Whoever has the old one does not get the successor that the owner may have and has not used yet.
        let itself = scene.with(&scene.old);
        scene.rotate_again(&itself).await.expect_problem(409, "already-rotated");
        assert!(scene.works(&scene.new).await);
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn a_chain_whose_middle_was_used_is_no_lost_answer() {
    for database in DATABASES {
        let scene = Scene::on(database, 600, false).await;
        assert!(scene.works(&scene.new).await);
        let third = scene.owner.post(&rotate_path(&scene.new), &json!({"graceSeconds": 600})).await;
        third.expect(201);
        scene.rotate_again(&scene.owner).await.expect_problem(409, "already-rotated");
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn who_revokes_a_token_in_its_grace_keeps_the_successor() {
    for database in DATABASES {
        let scene = Scene::on(database, 600, false).await;
        let path = format!("{TOKENS}/{}/invalidate", id_of(&scene.old));
        scene.owner.post_empty(&path).await.expect(200);
        assert!(!scene.works(&scene.old).await && scene.works(&scene.new).await);
        assert_eq!(scene.burned().await, 0);
        scene.server.stop().await;
    }
}

#[tokio::test]
async fn a_token_whose_successor_is_in_use_is_not_rotated_again() {
    for database in DATABASES {
        for by_itself in [false, true] {
            let scene = Scene::on(database, 600, by_itself).await;
            assert!(scene.works(&scene.new).await);
            let refused = scene.rotate_again(&scene.owner).await;
            let refused = refused.expect_problem(409, "already-rotated");
            assert!(refused["detail"].as_str().unwrap().contains(id_of(&scene.new)), "{refused}");
            let itself = scene.with(&scene.old);
            scene.rotate_again(&itself).await.expect_problem(409, "already-rotated");
            assert_eq!(scene.burned().await, 0);

            scene.server.clock.advance(Duration::from_secs(601));
            let code = if by_itself { "family-burned" } else { "already-rotated" };
            scene.rotate_again(&scene.owner).await.expect_problem(409, code);
            assert_eq!(scene.works(&scene.new).await, !by_itself);
            scene.rotate_again(&scene.owner).await.expect_problem(409, "already-rotated");
            assert_eq!(scene.burned().await, usize::from(by_itself));
            assert_eq!(scene.acts("rotated_token_used").await, 0, "nobody used it");
            scene.server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_late_use_of_what_a_person_rotated_is_told_once_and_ends_nothing() {
    for database in DATABASES {
        for grace in [0, 600] {
            let scene = Scene::on(database, grace, false).await;
            assert!(scene.works(&scene.new).await);
            let third = scene.owner.post(&rotate_path(&scene.new), &json!({})).await.expect(201);
            scene.server.clock.advance(Duration::from_secs(601));
            // Several processes share PostgreSQL only.
            let mut servers = vec![&scene.server];
            let replica = scene.replica().await;
            servers.extend(&replica);
            let mut uses = tokio::task::JoinSet::new();
            for number in 0..10 {
                let server = servers[number % servers.len()];
                let api = server.with_token(scene.old["token"].as_str().unwrap());
                uses.spawn(async move { api.get(SELF).await.status.as_u16() });
            }
            assert!(uses.join_all().await.iter().all(|status| *status == 401));
            // Not once more by a process that remembers nothing, either.
            let late = scene.replica().await;
            if let Some(server) = &late {
                let old = server.with_token(scene.old["token"].as_str().unwrap());
                old.get(SELF).await.expect_problem(401, "unauthenticated");
            }
            assert_eq!((scene.acts("rotated_token_used").await, scene.burned().await), (1, 0));
            assert_eq!(scene.told_of(&scene.old).await.last().unwrap(), "rotated_token_used");
            assert!(scene.works(&third).await);
            // The one between was a person's, too.
            assert!(!scene.works(&scene.new).await);
            assert_eq!((scene.acts("rotated_token_used").await, scene.burned().await), (2, 0));
            assert_eq!(Family::of(&scene.owner).await.good(), [id_of(&third)]);
            for server in [replica, late].into_iter().flatten() {
                server.stop().await;
            }
            scene.server.stop().await;
        }
    }
}

#[tokio::test]
async fn in_a_family_each_token_does_as_it_was_rotated() {
    for database in DATABASES {
        // A person rotated the first one, and then the second rotated itself.
        let scene = Scene::on(database, 0, false).await;
        let second = scene.with(&scene.new);
        let third = second.post(&rotate_path(&scene.new), &json!({})).await.expect(201);
        assert!(scene.works(&third).await);
        assert!(!scene.works(&scene.old).await && scene.works(&third).await);
        assert!(!scene.works(&scene.new).await && !scene.works(&third).await);
        assert_eq!((scene.acts("rotated_token_used").await, scene.burned().await), (1, 1));
        scene.server.stop().await;
    }
}
