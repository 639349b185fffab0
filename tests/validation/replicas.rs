//! Several replicas on one PostgreSQL: how a revocation gets around, and what a deaf replica does.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::Connection as _;

use super::TOKENS;
use crate::support::{Api, Database, ServiceClient, TestRealm, TestServer, passes};

async fn on_postgres() -> (TestServer, ServiceClient) {
    let realm = TestRealm::shared().await;
    let service = realm.introspector().await;
    (TestServer::start_with(realm, Database::postgres, &[]).await, service)
}

fn jwt(minted: &Value) -> &str {
    minted["token"].as_str().unwrap()
}

fn id(minted: &Value) -> &str {
    minted["patId"].as_str().unwrap()
}

/// Asks until the token does not pass any more; answers how long that took.
async fn until_refused(api: &Api, token: &str, patience: Duration) -> Duration {
    let began = Instant::now();
    while passes(api, token).await {
        assert!(began.elapsed() < patience, "still passes after {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}

#[tokio::test]
async fn a_revocation_is_seen_at_once_here_and_within_a_second_elsewhere() {
    let (server, service) = on_postgres().await;
    let replica = server.replica().await;
    let (here, there) = (server.anonymous(), replica.anonymous());
    let user = server.user(&server.realm.person().await).await;
    for (n, way) in ["invalidate", "delete", "revoke", "all"].iter().enumerate() {
        let minted = user.mint(&format!("token-{n}")).await;
        for api in [&here, &there] {
            assert!(passes(api, jwt(&minted)).await && service.finds(api, jwt(&minted)).await);
        }
        let path = format!("{TOKENS}/{}", id(&minted));
        match *way {
            "invalidate" => drop(user.post_empty(&format!("{path}/invalidate")).await.expect(200)),
            "delete" => drop(user.delete(&path).await.expect(204)),
            "all" => drop(user.post_empty(&format!("{TOKENS}/invalidate")).await.expect(200)),
            _ => {
                let request = here.request(reqwest::Method::POST, "/oauth2/revoke");
                let answer = here.send(request.form(&[("token", jwt(&minted))])).await;
                assert_eq!(answer.status, 200);
            }
        }
        assert!(!passes(&here, jwt(&minted)).await, "{way}");
        assert!(!service.finds(&here, jwt(&minted)).await, "{way}");
        until_refused(&there, jwt(&minted), Duration::from_secs(1)).await;
        assert!(!service.finds(&there, jwt(&minted)).await, "{way}");
    }
    replica.stop().await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_remembered_is_not_read_again_and_a_deaf_replica_reads_each_time() {
    let (server, _) = on_postgres().await;
    let (user, anyone) = (server.user(&server.realm.person().await).await, server.anonymous());
    let minted = user.mint("remembered").await;
    assert!(passes(&anyone, jwt(&minted)).await);
    // Behind everybody's back, so that no change tells of it.
    let revoke = format!(
        "UPDATE tokens SET revoked_at = 1, revoked_reason = 'test' WHERE pat_id = '{}'",
        id(&minted)
    );
    assert_eq!(server.execute(revoke).await, 1);
    assert!(passes(&anyone, jwt(&minted)).await, "the store was read");

    // Nobody can read the changes now; everything else can be read.
    let mut connection = sqlx::PgConnection::connect(&server.database.url_text()).await.unwrap();
    let mut lock = connection.begin().await.unwrap();
    sqlx::query("LOCK TABLE changes IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    until_refused(&anyone, jwt(&minted), Duration::from_secs(5)).await;
    // And each time anew.
    let revive = format!("UPDATE tokens SET revoked_at = NULL WHERE pat_id = '{}'", id(&minted));
    server.execute(revive).await;
    assert!(passes(&anyone, jwt(&minted)).await);
    let again = format!("UPDATE tokens SET revoked_at = 1 WHERE pat_id = '{}'", id(&minted));
    server.execute(again).await;
    assert!(!passes(&anyone, jwt(&minted)).await);
    lock.rollback().await.unwrap();
    connection.close().await.unwrap();
    server.stop().await;
}
