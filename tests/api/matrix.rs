//! The authorization matrix: every operation of the OpenAPI document, called by everybody.
//!
//! A row says what each [`Caller`] gets, in the order of [`Caller::ALL`]. `{patId}` in a path is a fresh token of the
//! caller's own where the caller could have one, else one of somebody else's.

mod cast;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Answer;
use cast::Cast;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Anonymous,
    /// The owner of what is in the path.
    User,
    /// Somebody else, with the same roles.
    OtherUser,
    /// An owner without any role: the token in the path was made when there still was one.
    WithoutRoles,
    /// All of Hallpass's roles, and not the owner.
    Administrator,
    /// An administrator of Keycloak in the owner's name.
    Impersonated,
    /// A PAT of the owner, for another PAT of the owner.
    Pat,
    /// A PAT, for itself.
    PatForItself,
    /// A narrowed PAT of the owner, for itself.
    NarrowedPat,
    /// A good access token of another realm.
    AnotherRealm,
}

impl Caller {
    const ALL: [Self; 10] = [
        Self::Anonymous,
        Self::User,
        Self::OtherUser,
        Self::WithoutRoles,
        Self::Administrator,
        Self::Impersonated,
        Self::Pat,
        Self::PatForItself,
        Self::NarrowedPat,
        Self::AnotherRealm,
    ];
}

const WHO: &str = "401 unauthenticated";
const ROLE: &str = "403 missing-role";
const READS: &str = "403 impersonated";
const PAT: &str = "403 pat-not-allowed";
const NONE: &str = "404 not-found";
/// As OAuth says it.
const CLIENT: &str = "401 invalid_client";
const NO_SERVICE: &str = "403 unauthorized_client";

struct Row {
    method: &'static str,
    path: &'static str,
    /// `null`: no body.
    body: Value,
    expected: [&'static str; Caller::ALL.len()],
}

const fn row(
    method: &'static str,
    path: &'static str,
    body: Value,
    expected: [&'static str; Caller::ALL.len()],
) -> Row {
    Row { method, path, body, expected }
}

/// An operation that asks for no credential.
const fn open(method: &'static str, path: &'static str) -> Row {
    row(method, path, Value::Null, ["200"; Caller::ALL.len()])
}

fn rows() -> Vec<Row> {
    [own_tokens(), everybodys_tokens(), api_clients(), all_else()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn own_tokens() -> Vec<Row> {
    let nothing = || Value::Null;
    vec![
        //                                            anonymous user  other  no role admin  impers. pat   itself narrowed another realm
        row("POST", "/api/pat/v1/tokens", json!({"name": "matrix"}),
                                                     [WHO,     "201", "201", ROLE,   "201", READS,  PAT,   PAT,   PAT,   WHO]),
        row("GET", "/api/pat/v1/tokens", nothing(),  [WHO,     "200", "200", "200",  "200", "200",  "200", "200", PAT,   WHO]),
        row("GET", "/api/pat/v1/tokens/self", nothing(),
                                                     [WHO,     NONE,  NONE,  NONE,   NONE,  NONE,   "200", "200", "200", WHO]),
        row("POST", "/api/pat/v1/tokens/self/invalidate", nothing(),
                                                     [WHO,     NONE,  NONE,  NONE,   NONE,  NONE,   "200", "200", "200", WHO]),
        row("POST", "/api/pat/v1/tokens/self/rotate", json!({}),
                                                     [WHO,     NONE,  NONE,  NONE,   NONE,  NONE,   "201", "201", "201", WHO]),
        row("GET", "/api/pat/v1/tokens/offer", nothing(),
                                                     [WHO,     "200", "200", ROLE,   "200", "200",  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/tokens/preview", json!({"name": "matrix"}),
                                                     [WHO,     "200", "200", ROLE,   "200", "200",  PAT,   PAT,   PAT,   WHO]),
        row("GET", "/api/pat/v1/tokens/{patId}", nothing(),
                                                     [WHO,     "200", NONE,  "200",  NONE,  "200",  "200", "200", PAT,   WHO]),
        row("PATCH", "/api/pat/v1/tokens/{patId}", json!({"description": "matrix"}),
                                                     [WHO,     "200", NONE,  "200",  NONE,  READS,  PAT,   PAT,   PAT,   WHO]),
        row("DELETE", "/api/pat/v1/tokens/{patId}", nothing(),
                                                     [WHO,     "204", NONE,  "204",  NONE,  READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/tokens/{patId}/invalidate", nothing(),
                                                     [WHO,     "200", NONE,  "200",  NONE,  READS,  PAT,   "200", "200", WHO]),
        row("DELETE", "/api/pat/v1/tokens", nothing(),
                                                     [WHO,     "200", "200", "200",  "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/tokens/invalidate", nothing(),
                                                     [WHO,     "200", "200", "200",  "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/tokens/invalidate/bulk", json!({"patIds": ["{patId}"]}),
                                                     [WHO,     "200", "200", "200",  "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/tokens/delete/bulk", json!({"patIds": ["{patId}"]}),
                                                     [WHO,     "200", "200", "200",  "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/tokens/identify", json!({"token": "{token}"}),
                                                     [WHO,     "200", NONE,  "200",  NONE,  "200",  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/tokens/{patId}/rotate", json!({}),
                                                     [WHO,     "201", NONE,  ROLE,   NONE,  READS,  PAT,   "201", "201", WHO]),
    ]
}

#[rustfmt::skip]
fn everybodys_tokens() -> Vec<Row> {
    let nothing = || Value::Null;
    vec![
        //                                            anonymous user  other  no role admin  impers. pat   itself narrowed another realm
        row("GET", "/api/pat/v1/users/tokens", nothing(),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "200", ROLE,   ROLE,  ROLE,  PAT,   WHO]),
        row("GET", "/api/pat/v1/users/{userId}/tokens", nothing(),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "200", ROLE,   ROLE,  ROLE,  PAT,   WHO]),
        row("DELETE", "/api/pat/v1/users/{userId}/tokens", nothing(),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/users/{userId}/tokens/invalidate", nothing(),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("DELETE", "/api/pat/v1/users/{userId}/tokens/{patId}", nothing(),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "204", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/users/{userId}/tokens/{patId}/invalidate", nothing(),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/users/tokens/invalidate/bulk", json!({"patIds": ["{patId}"]}),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/users/tokens/delete/bulk", json!({"patIds": ["{patId}"]}),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/pat/v1/users/tokens/identify", json!({"token": "{token}"}),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "200", ROLE,   PAT,   PAT,   PAT,   WHO]),
    ]
}

#[rustfmt::skip]
fn api_clients() -> Vec<Row> {
    let nothing = || Value::Null;
    vec![
        //                                            anonymous user  other  no role admin  impers. pat   itself narrowed another realm
        row("GET", "/api/clients/v1/clients", nothing(),
                                                     [WHO,     "200", "200", ROLE,   "200", "200",  "200", "200", PAT,   WHO]),
        row("POST", "/api/clients/v1/clients", json!({"clientId": "{newClientId}", "capabilities": ["script"]}),
                                                     [WHO,     "201", "201", ROLE,   "201", READS,  PAT,   PAT,   PAT,   WHO]),
        row("GET", "/api/clients/v1/clients/{clientId}", nothing(),
                                                     [WHO,     "200", NONE,  ROLE,   "200", "200",  "200", "200", PAT,   WHO]),
        row("PATCH", "/api/clients/v1/clients/{clientId}", json!({"description": "matrix"}),
                                                     [WHO,     "200", NONE,  ROLE,   "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("DELETE", "/api/clients/v1/clients/{clientId}", nothing(),
                                                     [WHO,     "204", NONE,  ROLE,   "204", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/clients/v1/clients/delete/bulk", json!({"clientIds": ["matrix"]}),
                                                     [WHO,     "200", "200", ROLE,   "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("GET", "/api/clients/v1/clients/{clientId}/secret", nothing(),
                                                     [WHO,     "200", NONE,  ROLE,   "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/clients/v1/clients/{clientId}/secret", nothing(),
                                                     [WHO,     "201", NONE,  ROLE,   "201", READS,  PAT,   PAT,   PAT,   WHO]),
        row("POST", "/api/clients/v1/clients/{clientId}/transfer", json!({"ownerId": "{colleague}"}),
                                                     [WHO,     "200", NONE,  ROLE,   "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("GET", "/api/clients/v1/scopes", nothing(),
                                                     [WHO,     "200", "200", ROLE,   "200", "200",  "200", "200", PAT,   WHO]),
        row("GET", "/api/clients/v1/quota", nothing(),
                                                     [WHO,     "200", "200", ROLE,   "200", "200",  "200", "200", PAT,   WHO]),
        row("GET", "/api/clients/v1/accounts/{accountId}/quota", nothing(),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "200", ROLE,   ROLE,  ROLE,  PAT,   WHO]),
        row("PUT", "/api/clients/v1/accounts/{accountId}/quota", json!({"limit": 700}),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "200", READS,  PAT,   PAT,   PAT,   WHO]),
        row("DELETE", "/api/clients/v1/accounts/{accountId}/quota", nothing(),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "204", READS,  PAT,   PAT,   PAT,   WHO]),
    ]
}

#[rustfmt::skip]
fn all_else() -> Vec<Row> {
    let nothing = || Value::Null;
    vec![
        //                                            anonymous user  other  no role admin  impers. pat   itself narrowed another realm
        row("GET", "/api/audit/v1/events", nothing(),
                                                     [WHO,     ROLE,  ROLE,  ROLE,   "200", ROLE,   PAT,   PAT,   PAT,   WHO]),
        row("POST", "/oauth2/introspect", json!({"token": "{token}"}),
                                                     [CLIENT,  NO_SERVICE, NO_SERVICE, NO_SERVICE,
                                                                              NO_SERVICE, NO_SERVICE, NO_SERVICE, NO_SERVICE, NO_SERVICE, CLIENT]),
        row("POST", "/oauth2/revoke", json!({"token": "{token}"}), ["200"; Caller::ALL.len()]),
        open("GET", "/.well-known/oauth-authorization-server"),
        row("GET", "/forward-auth", nothing(),       [WHO,     WHO,   WHO,   WHO,    WHO,   WHO,    "200", "200", "200", WHO]),
        row("GET", "/forward-auth/policy/{name}", nothing(),
                                                     [WHO,     WHO,   WHO,   WHO,    WHO,   WHO,    "200", "200", "200", WHO]),
        open("GET", "/public-keys"),
        open("GET", "/livez"),
        open("GET", "/readyz"),
        open("GET", "/metrics"),
    ]
}

#[test]
fn every_operation_of_the_document_has_one_row_and_every_row_an_operation() {
    let document = serde_json::to_value(hallpass::http::document()).unwrap();
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            operations.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let listed: Vec<_> = rows().iter().map(|row| format!("{} {}", row.method, row.path)).collect();
    let unique: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(unique.len(), listed.len(), "an operation has two rows");
    assert_eq!(unique, operations);
}

#[tokio::test]
async fn everybody_may_do_what_the_matrix_says_and_nothing_else() {
    let cast = Box::pin(Cast::gather()).await;
    let mut wrong = Vec::new();
    for row in rows() {
        // How often somebody may do it is not asked here.
        cast.server.clock.advance(Duration::from_mins(1));
        for (caller, expected) in Caller::ALL.into_iter().zip(row.expected) {
            let found = outcome(&cast.call(&row, caller).await);
            if found != expected {
                let operation = format!("{} {}", row.method, row.path);
                wrong.push(format!("{operation} by {caller:?}: {found}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    cast.server.stop().await;
}

/// The status, and the code of a problem.
fn outcome(answer: &Answer) -> String {
    let status = answer.status.as_u16();
    if status < 400 {
        return status.to_string();
    }
    let problem = answer.json();
    let code = problem["code"].as_str().or(problem["error"].as_str());
    format!("{status} {}", code.unwrap_or("without a code"))
}
