//! How each operation is driven to a success.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Whose call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A person with every role and an account.
    Person,
    /// A personal access token of theirs.
    Pat,
    /// A client that asks about tokens.
    Service,
}

/// An operation of the document, and a call of it that is good. In path and body stand: `{patId}`, a fresh token of the
/// caller's, or under `/users/` of `{userId}`; `{token}`, a fresh one's JWT; `{clientId}`, a fresh API client;
/// `{newClientId}` and `{newName}`, which nothing has yet; `{name}`, a policy; `{colleague}`, another member of the account.
#[derive(Clone, Debug)]
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub by: By,
    /// `null`: no body.
    pub body: Value,
}

impl Operation {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

const fn with(method: &'static str, path: &'static str, body: Value) -> Operation {
    Operation { method, path, by: By::Person, body }
}

const fn bare(method: &'static str, path: &'static str) -> Operation {
    with(method, path, Value::Null)
}

fn tokens() -> Vec<Operation> {
    let pats = || json!({"patIds": ["{patId}"]});
    let reason = || json!({"reason": "for the canary"});
    vec![
        with(
            "POST",
            "/api/pat/v1/tokens",
            json!({"name": "{newName}", "description": "for the canary"}),
        ),
        bare("GET", "/api/pat/v1/tokens"),
        Operation { by: By::Pat, ..bare("GET", "/api/pat/v1/tokens/self") },
        Operation {
            by: By::Pat,
            ..with("POST", "/api/pat/v1/tokens/self/rotate", json!({"graceSeconds": 60}))
        },
        Operation { by: By::Pat, ..with("POST", "/api/pat/v1/tokens/self/invalidate", reason()) },
        bare("GET", "/api/pat/v1/tokens/offer"),
        with("POST", "/api/pat/v1/tokens/preview", json!({"name": "{newName}"})),
        bare("GET", "/api/pat/v1/tokens/{patId}"),
        with("PATCH", "/api/pat/v1/tokens/{patId}", json!({"description": "changed"})),
        with("POST", "/api/pat/v1/tokens/{patId}/invalidate", reason()),
        with("POST", "/api/pat/v1/tokens/invalidate", reason()),
        with("POST", "/api/pat/v1/tokens/invalidate/bulk", pats()),
        with("POST", "/api/pat/v1/tokens/delete/bulk", pats()),
        bare("DELETE", "/api/pat/v1/tokens/{patId}"),
        bare("DELETE", "/api/pat/v1/tokens"),
        with("POST", "/api/pat/v1/tokens/identify", json!({"token": "{token}"})),
        with("POST", "/api/pat/v1/tokens/{patId}/rotate", json!({"graceSeconds": 60})),
        bare("GET", "/api/pat/v1/users/tokens"),
        bare("GET", "/api/pat/v1/users/{userId}/tokens"),
        with("POST", "/api/pat/v1/users/{userId}/tokens/{patId}/invalidate", reason()),
        with("POST", "/api/pat/v1/users/{userId}/tokens/invalidate", reason()),
        with("POST", "/api/pat/v1/users/tokens/invalidate/bulk", pats()),
        with("POST", "/api/pat/v1/users/tokens/delete/bulk", pats()),
        bare("DELETE", "/api/pat/v1/users/{userId}/tokens/{patId}"),
        bare("DELETE", "/api/pat/v1/users/{userId}/tokens"),
        with("POST", "/api/pat/v1/users/tokens/identify", json!({"token": "{token}"})),
    ]
}

fn all_else() -> Vec<Operation> {
    vec![
        bare("GET", "/api/clients/v1/clients"),
        with(
            "POST",
            "/api/clients/v1/clients",
            json!({"clientId": "{newClientId}", "capabilities": ["script"]}),
        ),
        bare("GET", "/api/clients/v1/clients/{clientId}"),
        with("PATCH", "/api/clients/v1/clients/{clientId}", json!({"description": "changed"})),
        bare("DELETE", "/api/clients/v1/clients/{clientId}"),
        with("POST", "/api/clients/v1/clients/delete/bulk", json!({"clientIds": ["{clientId}"]})),
        bare("GET", "/api/clients/v1/clients/{clientId}/secret"),
        bare("POST", "/api/clients/v1/clients/{clientId}/secret"),
        with(
            "POST",
            "/api/clients/v1/clients/{clientId}/transfer",
            json!({"ownerId": "{colleague}"}),
        ),
        bare("GET", "/api/clients/v1/scopes"),
        bare("GET", "/api/clients/v1/quota"),
        bare("GET", "/api/clients/v1/accounts/{accountId}/quota"),
        with("PUT", "/api/clients/v1/accounts/{accountId}/quota", json!({"limit": 1000})),
        bare("DELETE", "/api/clients/v1/accounts/{accountId}/quota"),
        bare("GET", "/api/audit/v1/events"),
        bare("GET", "/public-keys"),
        bare("GET", "/livez"),
        bare("GET", "/readyz"),
        bare("GET", "/metrics"),
    ]
}

fn validation() -> Vec<Operation> {
    let form = |path, by| Operation { method: "POST", path, by, body: json!({"token": "{token}"}) };
    let get = |path, by| Operation { method: "GET", path, by, body: Value::Null };
    vec![
        form("/oauth2/introspect", By::Service),
        form("/oauth2/revoke", By::Person),
        get("/.well-known/oauth-authorization-server", By::Person),
        get("/forward-auth", By::Pat),
        get("/forward-auth/policy/{name}", By::Pat),
    ]
}

/// All operations of the document, in its order.
pub fn all() -> Vec<Operation> {
    let mut known: BTreeMap<_, _> = [tokens(), all_else(), validation()]
        .into_iter()
        .flatten()
        .map(|operation| (operation.name(), operation))
        .collect();
    let document = serde_json::to_value(hallpass::http::document()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let name = format!("{} {path}", method.to_uppercase());
            let operation = known.remove(&name).unwrap_or_else(|| {
                panic!(
                    "{name} has no row in tests/canary/operations.rs: say there how it is driven, so that it is \
                     shown to let no secret out"
                )
            });
            operations.push(operation);
        }
    }
    assert!(known.is_empty(), "no longer in the document: {:?}", known.keys());
    operations
}

#[test]
fn every_operation_of_the_document_is_driven() {
    assert!(all().len() > 20);
}
