//! What is asked of a token beyond being good: in the query, or by a policy of the settings.

use reqwest::Method;
use serde_json::json;

use super::{PATH, TOKENS, ask, identity, jwt, refused};
use crate::support::{Admin, Database, LOGIN_CLIENT, TestRealm, TestServer};

#[tokio::test]
async fn what_is_missing_is_named() {
    let server = TestServer::start().await;
    let user = server.user(&server.realm.person().await).await;
    let whole = user.mint("whole").await;
    let narrow = json!({"name": "narrow", "roles": ["hallpass:create-tokens"]});
    let narrow = user.post(TOKENS, &narrow).await.expect(201);
    let anyone = server.anonymous();
    let lacks = async |token: &str, query: &str, what: &str| {
        let answer = ask(&anyone, &format!("{PATH}?{query}"), token).await;
        refused(&answer, 403);
        let problem = answer.expect_problem(403, "requirement-missing");
        assert_eq!(problem["detail"], format!("The token lacks {what}."));
    };
    let both = "role=hallpass:create-tokens&scope=profile&scope=email&aud=hallpass-pat";
    for query in ["", "role=hallpass:create-tokens", "scope=email", "aud=hallpass-pat", both] {
        identity(&ask(&anyone, &format!("{PATH}?{query}"), jwt(&whole)).await);
    }
    lacks(jwt(&whole), "role=admin", "the role `admin`").await;
    lacks(jwt(&whole), "role=create-tokens", "the role `create-tokens`").await;
    lacks(jwt(&whole), "role=hallpass%3Acreate-tokens&role=x", "the role `x`").await;
    let all = "aud=a&scope=b&role=c&role=d";
    let named = "the role `c`, the role `d`, the scope `b`, the audience `a`";
    lacks(jwt(&whole), all, named).await;
    identity(&ask(&anyone, &format!("{PATH}?role=hallpass:create-tokens"), jwt(&narrow)).await);
    lacks(jwt(&narrow), "scope=email", "the scope `email`").await;
    // Who is nobody is not told what is missing.
    refused(&ask(&anyone, &format!("{PATH}?role=admin"), "x").await, 401);
    // A misspelled requirement lets nobody pass.
    for query in [
        "roles=x",
        "role=",
        "ROLE=hallpass:create-tokens",
        "x=y",
        "role=a&next=b",
        "challenge=digest",
        "role=svc:eu:admin",
    ] {
        refused(&ask(&anyone, &format!("{PATH}?{query}"), jwt(&whole)).await, 400);
    }
    server.stop().await;
}

#[tokio::test]
async fn with_an_audience_access_tokens_pass_too() {
    let server = TestServer::start().await;
    let person = server.realm.person().await;
    let access_token = server.realm.access_token(&person).await;
    let anyone = server.anonymous();
    refused(&ask(&anyone, PATH, &access_token).await, 401);
    refused(
        &ask(&anyone, &format!("{PATH}?role=hallpass:create-tokens"), &access_token).await,
        401,
    );
    let [user_id, username, ..] =
        identity(&ask(&anyone, &format!("{PATH}?aud=hallpass"), &access_token).await);
    assert_eq!((user_id, username), (person.id.clone(), person.username.clone()));
    let with_role = format!("{PATH}?aud=hallpass&role=hallpass:create-tokens");
    identity(&ask(&anyone, &with_role, &access_token).await);
    refused(&ask(&anyone, &format!("{PATH}?aud=datahub"), &access_token).await, 403);
    refused(&ask(&anyone, &format!("{PATH}?aud=hallpass&aud=datahub"), &access_token).await, 403);
    // No other token of the login, and none of another realm.
    let login = server.realm.log_in(&person, LOGIN_CLIENT).await;
    for name in ["id_token", "refresh_token"] {
        let token = login[name].as_str().unwrap();
        refused(&ask(&anyone, &format!("{PATH}?aud=hallpass"), token).await, 401);
    }
    let foreign = Admin::log_in().await.token();
    refused(&ask(&anyone, &format!("{PATH}?aud=hallpass"), &foreign).await, 401);
    server.stop().await;
}

#[tokio::test]
async fn a_policy_asks_the_same_whatever_a_proxy_appends() {
    let realm = TestRealm::shared().await;
    let policies = r#"{"any": {}, "makers": {"roles": ["hallpass:create-tokens"], "scopes": ["email"]},
        "admins": {"roles": ["admin"]}, "both": {"aud": ["hallpass"]}}"#;
    let settings = [("HALLPASS_FORWARD_AUTH__POLICIES", policies)];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    let person = realm.person().await;
    let minted = server.user(&person).await.mint("policy").await;
    let (anyone, token) = (server.anonymous(), jwt(&minted));
    let by =
        async |path: &str, token: &str| ask(&anyone, &format!("{PATH}/policy/{path}"), token).await;
    for behind in
        ["", "/", "/api/x", "/a//b/", "/%ff%2F..?role=nobody&roles=x", "?role=nobody", "/x?a=b?c"]
    {
        identity(&by(&format!("any{behind}"), token).await);
        identity(&by(&format!("makers{behind}"), token).await);
        let answer = by(&format!("admins{behind}"), token).await;
        refused(&answer, 403);
        assert!(answer.text.contains("the role `admin`"), "{answer:?}");
        refused(&by(&format!("none{behind}"), token).await, 404);
        refused(&by(&format!("any{behind}"), "x").await, 401);
    }
    for path in ["any%2F", "%61ny", "ANY"] {
        refused(&by(path, token).await, 404);
    }
    let access_token = realm.access_token(&person).await;
    identity(&by("both/x", &access_token).await);
    refused(&by("any/x", &access_token).await, 401);
    refused(&by("both/x", token).await, 403);
    for method in ["POST", "DELETE", "OPTIONS", "PROPFIND"] {
        for path in ["any", "any/", "any/x/y?z"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let path = format!("{PATH}/policy/{path}");
            let request = anyone.request(method, &path).bearer_auth(token);
            identity(&anyone.send(request).await);
        }
    }
    server.stop().await;
}
