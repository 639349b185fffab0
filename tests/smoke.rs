//! The main way, once: mint, use, revoke.

use crate::support::TestServer;

#[tokio::test]
async fn a_person_mints_a_token_uses_it_and_revokes_it() {
    let server = TestServer::start().await;
    let person = server.realm.person().await;
    let user = server.user(&person).await;

    let minted = user.mint("first").await;
    let pat = server.with_token(minted["token"].as_str().unwrap());
    let own = pat.get("/api/pat/v1/tokens/self").await.expect(200);
    assert_eq!(own["patId"], minted["patId"]);
    assert_eq!(own["status"], "active");

    let path = format!("/api/pat/v1/tokens/{}/invalidate", minted["patId"].as_str().unwrap());
    let revoked = user.post_empty(&path).await.expect(200);
    assert_eq!(revoked["status"], "revoked");
    pat.get("/api/pat/v1/tokens/self").await.expect_problem(401, "unauthenticated");
    server.stop().await;
}
