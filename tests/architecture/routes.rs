//! Every operation is in the one list of `src/http/mod.rs`, which gives it its place in the OpenAPI document, and so its row in
//! the authorization matrix.

use super::Source;
use super::rust_tokens::tokens;

/// What is for people, or what a gateway asks by any method: the list has each of these once, in one form.
const OUTSIDE: [&str; 3] = ["src/http/forward_auth.rs", "src/http/pages.rs", "src/http/problem.rs"];
const ADDING: [&str; 5] = ["route", "route_service", "nest", "nest_service", "fallback_service"];

/// Routes that are added outside of the list.
pub fn check(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/http/") || OUTSIDE.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let tokens = tokens(&source.text);
    let calls = tokens.windows(3).filter(|window| {
        window[0].text == "." && ADDING.contains(&window[1].text.as_str()) && window[2].text == "("
    });
    calls
        .map(|call| {
            let (path, line) = (&source.path, call[1].line);
            format!("{path}:{line}: a route outside of the list of operations in src/http/mod.rs")
        })
        .collect()
}

#[test]
fn a_handler_outside_of_the_list_is_found() {
    let complaints = |path: &str, text: &str| check(&Source::new(path, text)).len();
    for text in [
        "Router::new().route(\"/secret\", get(secret))",
        "router\n    .nest(\"/x\", inner())",
        "router.route_service(\"/x\", service)",
    ] {
        assert_eq!(complaints("src/http/api/pat/new.rs", text), 1, "{text}");
    }
    assert_eq!(complaints("src/http/mod.rs", "OpenApiRouter::new().routes(routes!(new))"), 0);
    assert_eq!(complaints("src/http/pages.rs", "Router::new().route(\"/\", get(home))"), 0);
    assert_eq!(complaints("src/telemetry/requests.rs", "self.route(pattern)"), 0);
}
