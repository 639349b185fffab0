//! `/openapi.json`, `/docs` and `/problems/{code}`.

use std::collections::BTreeSet;

use hallpass::error::Code;
use serde_json::Value;

use crate::support::TestServer;

/// All members named `$ref`, wherever they are.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_served_as_it_is_committed() {
    let server = TestServer::start().await;
    let answer = server.anonymous().get("/openapi.json").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let live = answer.expect(200);
    let committed: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    assert_eq!(live, committed);
    server.stop().await;
}

#[test]
fn the_document_is_openapi_3_1_and_complete() {
    let document = serde_json::to_value(hallpass::http::document()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    for member in ["title", "version"] {
        assert!(!document["info"][member].as_str().unwrap().is_empty());
    }
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} is there twice");
            check_operation(&format!("{method} {path}"), path, operation);
        }
    }
}

fn check_operation(name: &str, path: &str, operation: &Value) {
    assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{name}: summary");
    assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{name}: tags");
    let responses = operation["responses"].as_object().unwrap();
    let good = responses.iter().find(|(status, _)| status.starts_with('2'));
    let (status, good) = good.unwrap_or_else(|| panic!("{name}: no success"));
    let bodiless = status == "204" || path.starts_with("/forward-auth") || path == "/oauth2/revoke";
    assert_eq!(good.get("content").is_none(), bodiless, "{name}: content");
    for (status, response) in responses {
        assert!(response["description"].is_string(), "{name} {status}: description");
    }
    if path.starts_with("/api/") {
        let problem = &responses["default"]["content"]["application/problem+json"]["schema"];
        assert_eq!(problem["$ref"], "#/components/schemas/ProblemDocument", "{name}: default");
    }
    // Each placeholder is a required parameter, and no other path parameter is there.
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let in_path = parameters.filter(|parameter| parameter["in"] == "path");
    let named: BTreeSet<_> = in_path
        .inspect(|parameter| assert_eq!(parameter["required"], true, "{name}"))
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    let placeholders: BTreeSet<_> =
        path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
    assert_eq!(named, placeholders, "{name}: path parameters");
}

#[test]
fn every_reference_of_the_document_leads_somewhere_and_every_schema_is_used() {
    let document = serde_json::to_value(hallpass::http::document()).unwrap();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for schema in document["components"]["schemas"].as_object().unwrap().keys() {
        let reference = format!("#/components/schemas/{schema}");
        assert!(found.contains(reference.as_str()), "{schema} is used nowhere");
    }
    let security = &document["security"][0]["bearer"];
    assert!(security.is_array() && document["components"]["securitySchemes"]["bearer"].is_object());
}

#[test]
fn the_document_says_what_lists_take() {
    let document = serde_json::to_value(hallpass::http::document()).unwrap();
    let mut lists = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let parameters = item["get"]["parameters"].as_array().into_iter().flatten();
        for parameter in parameters {
            let schema = &parameter["schema"];
            match parameter["name"].as_str().unwrap() {
                "limit" => {
                    assert_eq!((&schema["minimum"], &schema["maximum"]), (&1.into(), &100.into()));
                    assert_eq!(schema["default"], 10, "{path}");
                    lists += 1;
                }
                "offset" => assert_eq!(schema["minimum"], 0, "{path}"),
                "direction" => assert_eq!(schema["enum"], serde_json::json!(["asc", "desc"])),
                "sort" => assert!(schema.to_string().contains("\"createdAt\""), "{path}: {schema}"),
                _ => {}
            }
        }
    }
    assert!(lists >= 5, "{lists}");
    let name = &document["components"]["schemas"]["CreateToken"]["properties"]["name"];
    assert_eq!(name["pattern"], r"^\s*[A-Za-z0-9.-]{1,64}\s*$");
}

#[tokio::test]
async fn the_docs_are_served_from_within_and_ask_nobody_else() {
    let server = TestServer::start().await;
    let anyone = server.anonymous();
    let moved = anyone.get("/docs").await;
    assert_eq!(moved.headers["location"], "/docs/");
    let page = anyone.get("/docs/").await;
    assert_eq!(page.status, 200);
    let attributes = page.text.split(['"', '\'']);
    let links: Vec<_> =
        attributes.filter(|text| text.starts_with("./") && text.contains('.')).collect();
    assert!(links.len() >= 4, "{}", page.text);
    assert!(!page.text.contains("//"), "{}", page.text);
    for link in links {
        let asset = anyone.get(&format!("/docs/{}", &link[2..])).await;
        assert_eq!(asset.status, 200, "{link}");
        assert!(!asset.text.is_empty(), "{link}");
    }
    let start = anyone.get("/docs/swagger-initializer.js").await;
    assert!(start.text.contains("\"url\": \"/openapi.json\""), "{}", start.text);
    // Swagger UI's default is a check by validator.swagger.io.
    assert!(start.text.contains("\"validatorUrl\": \"none\""), "{}", start.text);
    assert!(!start.text.contains("://"), "{}", start.text);
    server.stop().await;
}

#[tokio::test]
async fn every_code_has_a_page_that_explains_it() {
    let server = TestServer::start().await;
    let anyone = server.anonymous();
    for code in Code::ALL {
        let page = anyone.get(&format!("/problems/{}", code.name())).await;
        assert_eq!(page.status, 200, "{}", code.name());
        assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
        assert!(page.text.contains(&format!("<h1>{}</h1>", code.title())), "{}", page.text);
        assert!(page.text.contains(code.explanation().trim()), "{}", page.text);
    }
    for unknown in ["unheard-of", "INVALID", "%3Cscript%3E"] {
        let problem = anyone.get(&format!("/problems/{unknown}")).await;
        problem.expect_problem(404, "not-found");
    }
    server.stop().await;
}
