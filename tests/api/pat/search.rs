//! The query of `GET /api/pat/v1/tokens` and of the users' lists: search, status, sort, direction.

use std::time::Duration;

use serde_json::{Value, json};

use super::{TOKENS, USERS, administrator, audited, auditor, id_of, names, path_of, user};
use crate::support::{Api, DATABASES, Database, TestRealm, TestServer, unique};

async fn search(user: &Api, path: &str, text: &str) -> Value {
    let request = user.request(reqwest::Method::GET, path);
    user.send(request.query(&[("search", text), ("sort", "name"), ("direction", "asc")]))
        .await
        .expect(200)
}

/// A day each, so that no two ends are alike.
async fn mint_for_days(user: &Api, name: &str, days: u32) -> Value {
    let body = json!({"name": name, "expiresIn": days * 24 * 3600});
    user.post(TOKENS, &body).await.expect(201)
}

#[tokio::test]
async fn a_status_lists_what_shows_it_on_both_databases() {
    for database in DATABASES {
        // A look at the owner would release what is suspended.
        let server = TestServer::that_follows_nothing_with(database, &[]).await;
        let person = server.realm.person().await;
        let owner = server.user(&person).await;
        let (_, administrator) = administrator(&server).await;
        user(&server).await.mint("not-mine").await;
        mint_for_days(&owner, "active", 30).await;
        mint_for_days(&owner, "expiring-soon", 3).await;
        let expired = json!({"name": "expired", "expiresIn": 60});
        owner.post(TOKENS, &expired).await.expect(201);
        let both =
            owner.post(TOKENS, &json!({"name": "revoked", "expiresIn": 60})).await.expect(201);
        owner.post_empty(&format!("{}/invalidate", path_of(&both))).await.expect(200);
        let suspended = owner.mint("suspended").await;
        let suspend =
            format!("UPDATE tokens SET suspended_at = 1 WHERE pat_id = '{}'", id_of(&suspended));
        assert_eq!(server.execute(suspend).await, 1);
        server.clock.advance(Duration::from_mins(1));

        let of_user = format!("{USERS}/{}/tokens", person.id);
        let everybodys = format!("{USERS}/tokens");
        let statuses = ["active", "expired", "expiring_soon", "revoked", "suspended"];
        for (caller, path) in
            [(&owner, TOKENS), (&administrator, &of_user), (&administrator, &everybodys)]
        {
            for status in statuses {
                let list =
                    caller.get(&format!("{path}?status={status}&search={}", &status[..5])).await;
                let list = list.expect(200);
                assert_eq!(names(&list), [status.replace('_', "-")], "{path}");
                let valid = matches!(status, "active" | "expiring_soon");
                assert_eq!(list["tokens"][0]["status"], status);
                assert_eq!(list["tokens"][0]["isValid"], valid, "{status}");
                assert_eq!(list["pagination"]["total"], 1);
            }
        }
        for (direction, expected) in [("asc", statuses), ("desc", reversed(statuses))] {
            let path = format!("{of_user}?sort=status&direction={direction}");
            let list = administrator.get(&path).await.expect(200);
            let shown: Vec<_> =
                list["tokens"].as_array().unwrap().iter().map(|token| &token["status"]).collect();
            assert_eq!(shown, expected);
        }
        server.stop().await;
    }
}

fn reversed<const N: usize>(mut list: [&str; N]) -> [&str; N] {
    list.reverse();
    list
}

#[tokio::test]
async fn each_order_goes_both_ways_and_its_pages_cover_it_once_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (one, two) = (realm.person().await, realm.person().await);
        let (first, second) = (server.user(&one).await, server.user(&two).await);
        let (_, administrator) = administrator(&server).await;
        for (owner, name, days) in
            [(&second, "c", 20), (&first, "a", 40), (&first, "d", 3), (&second, "b", 10)]
        {
            mint_for_days(owner, name, days).await;
            server.clock.advance(Duration::from_secs(1));
        }
        for (name, used) in [("b", 2_000), ("d", 1_000)] {
            let sql = format!("UPDATE tokens SET last_used_at = {used} WHERE name = '{name}'");
            assert_eq!(server.execute(sql).await, 1);
        }
        // Ties go by id, which goes by time.
        let by_username = if one.username < two.username { "adcb" } else { "cbad" };
        for (sort, order) in [
            ("name", "abcd"),
            ("username", by_username),
            ("createdAt", "cadb"),
            ("expiresAt", "dbca"),
            ("lastUsedAt", "cadb"),
            ("status", "cabd"),
        ] {
            let backwards: String = order.chars().rev().collect();
            for (direction, order) in [("asc", order), ("desc", &backwards)] {
                let path = format!("{USERS}/tokens?sort={sort}&direction={direction}");
                let all = administrator.get(&path).await.expect(200);
                assert_eq!(names(&all).concat(), order, "{path}");
                let mut walked = String::new();
                for offset in 0..5 {
                    let page = administrator.get(&format!("{path}&limit=1&offset={offset}")).await;
                    let page = page.expect(200);
                    let expected = json!({"offset": offset, "limit": 1, "total": 4});
                    assert_eq!(page["pagination"], expected);
                    walked.push_str(&names(&page).concat());
                }
                assert_eq!(walked, order, "{path}");
                let own = format!("{TOKENS}?sort={sort}&direction={direction}");
                let own = first.get(&own).await.expect(200);
                let expected: String = order.chars().filter(|name| "ad".contains(*name)).collect();
                assert_eq!(names(&own).concat(), expected);
                assert_eq!(own["pagination"]["total"], 2);
            }
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_search_is_literal_part_of_a_name_in_any_case_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let username = unique("o_müller");
        let email = json!({"email": format!("{}@example.org", unique("mueller"))});
        let person = realm.person_with(&username, email).await;
        let owner = server.user(&person).await;
        let (_, administrator) = administrator(&server).await;
        for name in ["ci-deploy", "ci.deploy", "nightly"] {
            owner.mint(name).await;
        }
        user(&server).await.mint("ci-theirs").await;
        let everybodys = format!("{USERS}/tokens");
        let of_user = format!("{USERS}/{}/tokens", person.id);
        for (text, own) in [
            ("CI-", &["ci-deploy"][..]),
            ("deploy", &["ci-deploy", "ci.deploy"]),
            ("I.D", &["ci.deploy"]),
            ("ci_deploy", &[]),
            ("%", &[]),
            ("c%y", &[]),
            ("\\", &[]),
            ("'", &[]),
            ("\"", &[]),
            ("' OR '1'='1", &[]),
            ("'; DROP TABLE tokens; --", &[]),
            ("nightly\u{202e}", &[]),
            ("مرحبا", &[]),
            ("👩‍👩‍👧‍👦", &[]),
            ("\u{1}\t\n", &[]),
            (" nightly", &[]),
        ] {
            let found = search(&owner, TOKENS, text).await;
            assert_eq!(names(&found), own, "{text:?}");
            assert_eq!(found["pagination"]["total"], own.len());
            assert_eq!(names(&search(&administrator, &of_user, text).await), own, "{text:?}");
            let mut all = own.to_vec();
            if text == "CI-" {
                all.push("ci-theirs");
            }
            assert_eq!(names(&search(&administrator, &everybodys, text).await), all, "{text:?}");
        }
        // Administrators look for people, too; among one's own tokens that would find all or none.
        let theirs = ["ci-deploy", "ci.deploy", "nightly"];
        for text in [username.to_uppercase().as_str(), "O_MÜ", "_m", "müll"] {
            assert_eq!(names(&search(&administrator, &everybodys, text).await), theirs, "{text}");
            assert_eq!(names(&search(&administrator, &of_user, text).await), theirs, "{text}");
            assert_eq!(names(&search(&owner, TOKENS, text).await), [""; 0], "{text}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn what_a_list_cannot_be_asked_is_refused_by_name() {
    let realm = TestRealm::shared().await;
    let server = TestServer::start_with(realm, Database::postgres, &[]).await;
    let (person, administrator) = administrator(&server).await;
    administrator.mint("kept").await;
    let of_user = format!("{USERS}/{}/tokens", person.id);
    let long = format!("search={}", "x".repeat(10_000));
    let longer_than_255 = format!("search={}", "%F0%9F%98%80".repeat(256));
    let longest = format!("search={}", "%F0%9F%98%80".repeat(255));
    for path in [TOKENS, &of_user, &format!("{USERS}/tokens")] {
        for (query, fields) in [
            ("search=a%00", &["search"][..]),
            (&long, &["search"]),
            (&longer_than_255, &["search"]),
            ("search=a&search=b", &["search"]),
            ("status=", &["status"]),
            ("status=Active", &["status"]),
            ("status=active,revoked", &["status"]),
            ("status=active&status=revoked", &["status"]),
            ("sort=", &["sort"]),
            ("sort=created_at", &["sort"]),
            ("sort=name;--", &["sort"]),
            ("sort=-name", &["sort"]),
            ("direction=ASC", &["direction"]),
            ("direction=", &["direction"]),
            ("q=x", &["q"]),
            ("userId=x", &["userId"]),
            (
                "limit=101&direction=up&sort=x&status=y&search=%00&who=z",
                &["sort", "direction", "search", "status", "limit", "who"],
            ),
        ] {
            let problem = administrator.get(&format!("{path}?{query}")).await;
            let problem = problem.expect_problem(400, "invalid");
            let errors = problem["errors"].as_array().unwrap();
            let found: Vec<_> =
                errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
            assert_eq!(found, fields, "{path}?{query}");
        }
        let none = administrator.get(&format!("{path}?{longest}")).await.expect(200);
        assert_eq!(none["pagination"]["total"], 0);
        // Not UTF-8: it is in no name.
        let none = administrator.get(&format!("{path}?search=%ff")).await.expect(200);
        assert_eq!(none["pagination"]["total"], 0);
        let all = administrator.get(&format!("{path}?search=")).await.expect(200);
        assert_eq!(names(&all), ["kept"]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_description_is_kept_to_the_letter_on_both_databases() {
    let realm = TestRealm::shared().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let owner = user(&server).await;
        let texts = [
            "100 % of it_all",
            "'quoted' \"twice\" `thrice`",
            r"C:\new\table \u0000 \\",
            "$1 ? :name {0} %s",
            "<script>alert(1)</script>",
            "مرحبا \u{202e}abc",
            "👩‍👩‍👧‍👦 é e\u{301} \u{feff}",
            "'); DROP TABLE tokens; --",
        ];
        for (number, text) in texts.into_iter().enumerate() {
            let body = json!({"name": format!("t-{number}"), "description": text});
            let created = owner.post(TOKENS, &body).await.expect(201);
            assert_eq!(created["description"], text);
            assert_eq!(owner.get(&path_of(&created)).await.expect(200)["description"], text);
        }
        let list = owner.get(&format!("{TOKENS}?sort=name&direction=asc")).await.expect(200);
        let shown: Vec<_> =
            list["tokens"].as_array().unwrap().iter().map(|token| &token["description"]).collect();
        assert_eq!(shown, texts);
        let long = json!({"name": "x".repeat(10_000), "description": "x".repeat(10_000)});
        let problem = owner.post(TOKENS, &long).await.expect_problem(400, "invalid");
        let fields: Vec<_> =
            problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
        assert_eq!(fields, ["name", "description"]);
        assert!(problem.to_string().len() < 1_000, "it is not sent back");
        assert_eq!(
            audited(&auditor(&server).await, "action=token_created").await,
            texts.len() as u64
        );
        server.stop().await;
    }
}
