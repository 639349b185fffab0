//! What a browser is told about each answer, and the first page that a new user opens.

use reqwest::Method;

use crate::support::{Answer, Api, Database, TestRealm, TestServer};

const NOTHING: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.headers.get(name).unwrap_or_else(|| panic!("no {name}: {answer:?}"));
    value.to_str().unwrap()
}

/// One answer of each kind that somebody can see by opening an address.
async fn shown(anyone: &Api) -> Vec<Answer> {
    let mut shown = Vec::new();
    for path in [
        "/",
        "/docs",
        "/docs/",
        "/docs/swagger-ui.css",
        "/docs/nothing",
        "/openapi.json",
        "/problems/invalid",
        "/nowhere",
        "/livez",
        "/readyz",
        "/metrics",
        "/public-keys",
        "/.well-known/oauth-authorization-server",
        "/api/pat/v1/tokens",
        "/oauth2/introspect",
        "/forward-auth",
        "/forward-auth/policy/none",
    ] {
        shown.push(anyone.get(path).await);
    }
    shown.push(anyone.send(anyone.request(Method::POST, "/oauth2/introspect")).await);
    shown
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let realm = TestRealm::shared().await;
    let https = [("HALLPASS_SERVER__PUBLIC_URL", "https://hallpass.example")];
    for (settings, is_https) in [(&https[..], true), (&[], false)] {
        let server = TestServer::start_with(realm.clone(), Database::sqlite, settings).await;
        for answer in shown(&server.anonymous()).await {
            assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{answer:?}");
            assert_eq!(header(&answer, "referrer-policy"), "no-referrer", "{answer:?}");
            let policy = header(&answer, "content-security-policy");
            assert!(policy.contains("default-src 'none'"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            let is_docs = answer.text.contains("Hallpass API</title>")
                || answer.headers.get("content-type").is_some_and(|kind| kind == "text/css");
            assert_eq!(policy == NOTHING, !is_docs, "{answer:?}");
            assert_eq!(answer.headers.contains_key("strict-transport-security"), is_https);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn the_first_page_says_what_this_is_and_leads_on() {
    let server = TestServer::start().await;
    let anyone = server.anonymous();
    let page = anyone.get("/").await;
    assert_eq!(page.status, 200);
    assert!(header(&page, "content-type").starts_with("text/html"));
    assert!(page.text.contains("<title>Hallpass</title>"), "{}", page.text);
    let links: Vec<_> = page.text.split("href=\"").skip(1).collect();
    let links = links.iter().map(|rest| rest.split('"').next().unwrap());
    let links: Vec<_> = links.collect();
    for wanted in ["docs/", "openapi.json", "livez", "readyz"] {
        assert!(links.contains(&wanted), "{links:?}");
    }
    for link in links {
        let answer = anyone.get(&format!("/{link}")).await;
        assert_eq!(answer.status, 200, "{link}");
    }
    let docs = anyone.get("/docs/").await;
    assert!(docs.text.contains("<title>Hallpass API</title>"), "{}", docs.text);
    server.stop().await;
}
