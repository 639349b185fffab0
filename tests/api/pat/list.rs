//! `GET /api/pat/v1/tokens`, `…/{patId}` and `…/self`.

use serde_json::{Value, json};

use crate::support::{DATABASES, TestRealm, TestServer};

const TOKENS: &str = "/api/pat/v1/tokens";

fn names(list: &Value) -> Vec<&str> {
    let tokens = list["tokens"].as_array().unwrap();
    tokens.iter().map(|token| token["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_are_newest_first_and_cover_the_list_once_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let user = server.user(&realm.person().await).await;
        let someone = server.user(&realm.person().await).await;
        someone.mint("not-mine").await;
        let empty = user.get(TOKENS).await.expect(200);
        assert_eq!(
            empty,
            json!({"tokens": [], "pagination": {"offset": 0, "limit": 10, "total": 0}})
        );
        for number in 0..12 {
            user.mint(&format!("t-{number}")).await;
            // One second each: the times in a record are whole seconds.
            server.clock.advance(std::time::Duration::from_secs(1));
        }
        let newest_first: Vec<_> = (0..12).rev().map(|number| format!("t-{number}")).collect();

        let first = user.get(TOKENS).await.expect(200);
        assert_eq!(names(&first), newest_first[..10]);
        assert_eq!(first["pagination"], json!({"offset": 0, "limit": 10, "total": 12}));
        assert!(
            first["tokens"].as_array().unwrap().iter().all(|token| token.get("token").is_none())
        );
        let mut walked = Vec::new();
        for offset in [0, 5, 10, 15] {
            let path = format!("{TOKENS}?offset={offset}&limit=5");
            let page = user.get(&path).await.expect(200);
            assert_eq!(page["pagination"], json!({"offset": offset, "limit": 5, "total": 12}));
            walked.extend(names(&page).into_iter().map(str::to_owned));
        }
        assert_eq!(walked, newest_first);
        let all = user.get(&format!("{TOKENS}?limit=100")).await.expect(200);
        assert_eq!(names(&all), newest_first);
        let far = user.get(&format!("{TOKENS}?offset=4294967295")).await.expect(200);
        assert_eq!(names(&far), [""; 0]);
        server.stop().await;
    }
}

#[tokio::test]
async fn tokens_of_one_second_have_one_order() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    for number in 0..4 {
        user.mint(&format!("t-{number}")).await;
    }
    let sql = "UPDATE tokens SET created_at = 1000".to_owned();
    assert_eq!(server.execute(sql).await, 4);
    let all = user.get(TOKENS).await.expect(200);
    let all = names(&all);
    assert_eq!(all, ["t-3", "t-2", "t-1", "t-0"], "ids are ordered by time");
    for (offset, name) in all.into_iter().enumerate() {
        let page = user.get(&format!("{TOKENS}?limit=1&offset={offset}")).await.expect(200);
        assert_eq!(names(&page), [name]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_page_is_refused_with_every_parameter_that_is_wrong() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    for (query, fields) in [
        ("limit=0", &["limit"][..]),
        ("limit=101", &["limit"]),
        ("limit=", &["limit"]),
        ("limit=1.5", &["limit"]),
        ("offset=-1", &["offset"]),
        ("offset=4294967296", &["offset"]),
        ("limit=1&limit=2", &["limit"]),
        ("Limit=1", &["Limit"]),
        ("page=2", &["page"]),
        ("limit=x&offset=x&per_page=3&%00=1", &["offset", "limit", "per_page", "\0"]),
    ] {
        let problem = user.get(&format!("{TOKENS}?{query}")).await.expect_problem(400, "invalid");
        let errors = problem["errors"].as_array().unwrap();
        let found: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!(found, fields, "{query}");
    }
    user.get(&format!("{TOKENS}?")).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn somebody_elses_token_is_not_found_and_nothing_happens_to_it() {
    let server = TestServer::start().await;
    let realm = &server.realm;
    let owner = server.user(&realm.person().await).await;
    let someone = server.user(&realm.person().await).await;
    let minted = owner.mint("mine").await;
    let pat_id = minted["patId"].as_str().unwrap();
    let unknown = "01890000-0000-7000-8000-000000000000";
    let shouted = pat_id.to_uppercase();
    for id in [pat_id, unknown, &shouted, "x", "..%2ftokens", "%00", "%ff", "self%2f"] {
        let path = format!("{TOKENS}/{id}");
        let got = someone.get(&path).await.expect_problem(404, "not-found");
        let revoked = someone.post_empty(&format!("{path}/invalidate")).await;
        let revoked = revoked.expect_problem(404, "not-found");
        let deleted = someone.delete(&path).await.expect_problem(404, "not-found");
        // Nothing tells what exists from what does not.
        assert_eq!([&got, &revoked], [&deleted; 2]);
        assert_eq!(got["detail"], "There is no such token.", "{id}");
    }
    let own = owner.get(&format!("{TOKENS}/{pat_id}")).await.expect(200);
    assert_eq!(own["status"], "active");
    let pat = server.with_token(minted["token"].as_str().unwrap());
    pat.get(&format!("{TOKENS}/self")).await.expect(200);
    server.stop().await;
}
