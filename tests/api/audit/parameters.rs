//! Filters, order and pages over HTTP, and what is refused.

use std::time::Duration;

use hallpass::audit::{Act, Actor, Event};
use hallpass::id::UserId;
use reqwest::Method;
use serde_json::{Value, json};

use super::{EVENTS, actions, events, reader};
use crate::support::{Api, DATABASES, TestRealm, TestServer, unique};

/// The names of what a search finds.
async fn search(reader: &Api, text: &str) -> Vec<String> {
    let request = reader.request(Method::GET, EVENTS).query(&[("search", text)]);
    let page = reader.send(request).await.expect(200);
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["credentialName"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn filters_pages_and_order_are_what_the_query_says() {
    let realm = TestRealm::shared().await;
    let person = realm.person().await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &[]).await;
        let (reader, user) = (reader(&server).await, server.user(&person).await);
        let first = user.mint("first").await;
        server.clock.advance(Duration::from_secs(100));
        let between = server.clock.now();
        server.clock.advance(Duration::from_secs(100));
        let second = user.mint("second").await;
        let path = format!("/api/pat/v1/tokens/{}", first["patId"].as_str().unwrap());
        user.delete(&path).await.expect(204);

        let id = |token: &Value| token["patId"].as_str().unwrap().to_owned();
        for (query, expected) in [
            (String::new(), vec!["token_deleted", "token_created", "token_created"]),
            ("direction=asc".to_owned(), vec!["token_created", "token_created", "token_deleted"]),
            ("action=token_deleted".to_owned(), vec!["token_deleted"]),
            (format!("credentialId={}", id(&second)), vec!["token_created"]),
            (format!("ownerId={}&action=token_created", person.id), vec!["token_created"; 2]),
            (format!("actorId={}&limit=1", person.id), vec!["token_deleted"]),
            ("ownerId=nobody".to_owned(), vec![]),
            (format!("from={between}"), vec!["token_deleted", "token_created"]),
            (format!("to={between}"), vec!["token_created"]),
            ("search=SECON".to_owned(), vec!["token_created"]),
            (format!("search={}&offset=2", person.username.to_uppercase()), vec!["token_created"]),
        ] {
            assert_eq!(actions(&events(&reader, &query).await), expected, "{query}");
        }
        let page = reader.get(&format!("{EVENTS}?offset=1&limit=1")).await.expect(200);
        assert_eq!(page["pagination"], json!({"offset": 1, "limit": 1, "total": 3}));
        assert_eq!(page["events"][0]["credentialId"], id(&second));
        // From is inclusive, to is not: to the millisecond.
        let moment = page["events"][0]["occurredAt"].as_str().unwrap();
        let from = events(&reader, &format!("credentialId={}&from={moment}", id(&second))).await;
        assert_eq!(from.len(), 1, "{moment}");
        let to = events(&reader, &format!("credentialId={}&to={moment}", id(&second))).await;
        assert_eq!(to.len(), 0, "{moment}");
        server.stop().await;
    }
}

#[tokio::test]
async fn names_of_every_script_are_searched_literally() {
    let server = TestServer::start().await;
    let (reader, store) = (reader(&server).await, server.store().await);
    let names = [
        "100 % Sure",
        "snake_case",
        "snakeXcase 1000",
        "👩‍👩‍👧‍👦 🦀",
        "שלום \u{202e}right to left\u{202c}",
        "ÜBER",
    ];
    for name in names {
        let subject = (unique("id"), name.to_owned());
        let owner = UserId::new("owner");
        let event =
            Event::new(Act::ClientCreated, subject, &owner, &Actor::hallpass(), server.clock.now());
        store.append_event(&event).await.unwrap();
        server.clock.advance(Duration::from_secs(1));
    }
    for (text, expected) in [
        ("%", &names[0..1]),
        ("e_C", &names[1..2]),
        ("🦀", &names[3..4]),
        ("שלום \u{202e}", &names[4..5]),
        ("über", &names[5..6]),
        ("' OR 1=1 --", &[]),
        ("*", &[]),
    ] {
        assert_eq!(search(&reader, text).await, expected, "{text}");
    }
    assert_eq!(search(&reader, "HALLPASS").await.len(), names.len(), "the actor's name");
    store.close().await;
    server.stop().await;
}

#[tokio::test]
async fn every_wrong_parameter_is_named_and_actions_are_offered() {
    let server = TestServer::start().await;
    let reader = reader(&server).await;
    let long = "x".repeat(256);
    let wrong = [
        ("action", "token_lost"),
        ("actorId", "\0"),
        ("credentialId", &long),
        ("direction", "up"),
        ("from", "yesterday"),
        ("limit", "101"),
        ("offset", "-1"),
        ("ownerId", "a\0b"),
        ("search", "\0"),
        ("sort", "action"),
        ("status", "active"),
        ("to", "2026-13-01T00:00:00Z"),
    ];
    let request = reader.request(Method::GET, EVENTS).query(&wrong);
    let problem = reader.send(request).await.expect_problem(400, "invalid");
    let errors = problem["errors"].as_array().unwrap();
    let mut named: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, wrong.map(|(name, _)| name));
    let offered = errors.iter().find(|error| error["field"] == "action").unwrap();
    for action in Act::ALL {
        let name = format!("`{}`", action.name());
        assert!(offered["message"].as_str().unwrap().contains(&name), "{offered}");
        reader.get(&format!("{EVENTS}?action={}", action.name())).await.expect(200);
    }
    for query in [
        "action=",
        "action=TOKEN_CREATED",
        "from=",
        "from=1",
        "to=2026-01-01",
        "limit=0",
        "ownerId=a&ownerId=b",
    ] {
        let problem = reader.get(&format!("{EVENTS}?{query}")).await.expect_problem(400, "invalid");
        assert_eq!(problem["errors"][0]["field"], query.split('=').next().unwrap(), "{query}");
    }
    server.stop().await;
}
