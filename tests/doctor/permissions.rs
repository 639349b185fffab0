//! Too few permissions, and too many.

use reqwest::Method;
use serde_json::{Value, json};

use super::Case;

/// The service account's id, and Keycloak's id of the client with the administration roles.
async fn account(case: &Case) -> (String, String) {
    let service = case.client("hallpass").await;
    let user = case.admin().await.get(&format!("{service}/service-account-user")).await;
    let management = case.admin().await.client_uuid(&case.realm.name, "realm-management").await;
    (user["id"].as_str().unwrap().to_owned(), management)
}

async fn roles(case: &Case, management: &str, names: &[&str]) -> Value {
    let mut roles = Vec::new();
    for name in names {
        let path = case.path(&format!("/clients/{management}/roles/{name}"));
        roles.push(case.admin().await.get(&path).await);
    }
    roles.into()
}

#[tokio::test]
async fn each_missing_permission_is_found() {
    let case = Case::new().await;
    let (user, management) = account(&case).await;
    let mappings = case.path(&format!("/users/{user}/role-mappings/clients/{management}"));
    for (role, detail) in [
        ("view-users", "users cannot be read"),
        ("view-events", "events cannot be read"),
        ("manage-clients", "clients cannot be read"),
    ] {
        let role_list = roles(&case, &management, &[role]).await;
        case.admin().await.call(Method::DELETE, &mappings, Some(&role_list)).await;
        case.mended_by_bootstrap(role, detail).await;
    }
    // Seeing clients is not enough. The role must be in the client's scope as well.
    let scope = format!("{}/scope-mappings/clients/{management}", case.client("hallpass").await);
    let view = roles(&case, &management, &["view-clients"]).await;
    let manage = roles(&case, &management, &["manage-clients"]).await;
    case.admin().await.post(&mappings, &view).await;
    case.admin().await.post(&scope, &view).await;
    case.admin().await.call(Method::DELETE, &scope, Some(&manage)).await;
    case.mended_by_bootstrap("manage-clients", "not changed").await;
    case.examine().await.expect_good();
}

#[tokio::test]
async fn each_permission_too_many_is_found() {
    const CHECK: &str = "no-more-permissions";
    let case = Case::new().await;
    let (user, management) = account(&case).await;
    let mappings = case.path(&format!("/users/{user}/role-mappings"));

    let users = roles(&case, &management, &["manage-users"]).await;
    case.admin().await.post(&format!("{mappings}/clients/{management}"), &users).await;
    case.mended_by_bootstrap(CHECK, "realm-management:manage-users").await;

    let scope = format!("{}/scope-mappings/clients/{management}", case.client("hallpass").await);
    case.admin().await.post(&scope, &users).await;
    case.mended_by_bootstrap(CHECK, "realm-management:manage-users in the client's scope").await;

    // Every new user has these, and bootstrap takes them away.
    let name = format!("default-roles-{}", case.realm.name);
    let default = case.admin().await.get(&case.path(&format!("/roles/{name}"))).await;
    case.admin().await.post(&format!("{mappings}/realm"), &json!([default])).await;
    case.mended_by_bootstrap(CHECK, "hallpass:create-tokens").await;

    // Through a group, which bootstrap does not look at: the realm's administrator.
    case.admin().await.post(&case.path("/groups"), &json!({"name": "operators"})).await;
    let groups = case.admin().await.get(&case.path("/groups")).await;
    let group = groups[0]["id"].as_str().unwrap();
    let all = roles(&case, &management, &["realm-admin"]).await;
    let path = case.path(&format!("/groups/{group}/role-mappings/clients/{management}"));
    case.admin().await.post(&path, &all).await;
    case.admin()
        .await
        .call(Method::PUT, &case.path(&format!("/users/{user}/groups/{group}")), None)
        .await;
    let report = case.examine().await;
    for role in ["realm-admin", "manage-realm", "manage-users", "impersonation"] {
        report.expect_one_failure(CHECK, &format!("realm-management:{role}"));
    }
    case.admin().await.delete(&case.path(&format!("/groups/{group}"))).await;
    case.examine().await.expect_good();
}
