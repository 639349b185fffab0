//! Which credentials forward-auth takes, and in which form.

use reqwest::Method;
use reqwest::header::AUTHORIZATION;

use super::{PATH, ask, identity, jwt, refused};
use crate::support::{TestServer, passes_with};

#[tokio::test]
async fn a_token_is_the_bearer_or_the_password_of_anybody() {
    let server = TestServer::start().await;
    let minted = server.user(&server.realm.person().await).await.mint("password").await;
    let anyone = server.anonymous();
    let expected = identity(&ask(&anyone, PATH, jwt(&minted)).await);
    for user in ["", "x-token", "admin", "Zoë", "__token__"] {
        let request = anyone.request(Method::GET, PATH).basic_auth(user, Some(jwt(&minted)));
        assert_eq!(identity(&anyone.send(request).await), expected, "{user}");
    }
    for (user, password) in [(jwt(&minted), ""), (jwt(&minted), "x-oauth-basic"), ("", "")] {
        let request = anyone.request(Method::GET, PATH).basic_auth(user, Some(password));
        refused(&anyone.send(request).await, 401);
    }
    server.stop().await;
}

#[tokio::test]
async fn one_header_and_nothing_else_is_looked_at() {
    let server = TestServer::start().await;
    let minted = server.user(&server.realm.person().await).await.mint("one").await;
    let (anyone, token) = (server.anonymous(), jwt(&minted));
    let bearer = format!("Bearer {token}");
    for twice in
        [[&bearer, &bearer], [&bearer, &String::new()], [&"Basic Ojo=".to_owned(), &bearer]]
    {
        let mut request = anyone.request(Method::GET, PATH);
        for value in twice {
            request = request.header(AUTHORIZATION, value);
        }
        refused(&anyone.send(request).await, 401);
    }
    let query = format!("{PATH}?access_token={token}");
    refused(&anyone.get(&query).await, 400);
    for (name, value) in [
        ("cookie", format!("token={token}")),
        ("cookie", format!("Authorization=Bearer {token}")),
        ("proxy-authorization", bearer.clone()),
        ("x-authorization", bearer.clone()),
        ("x-api-key", token.to_owned()),
        ("x-forwarded-authorization", bearer.clone()),
    ] {
        let request = anyone.request(Method::GET, PATH).header(name, value);
        refused(&anyone.send(request).await, 401);
    }
    for (value, good) in [
        (bearer.clone(), true),
        (format!("bearer {token}"), true),
        (format!("BEARER  {token} "), true),
        (format!("Bearer {token}, Bearer {token}"), false),
        (format!("Bearer {token},"), false),
        (format!("Bearer \"{token}\""), false),
        (format!("Bearer{token}"), false),
        (format!("Token {token}"), false),
        (token.to_owned(), false),
        ("Bearer".to_owned(), false),
        ("Basic".to_owned(), false),
        ("Basic !!!".to_owned(), false),
    ] {
        assert_eq!(passes_with(&anyone, &value).await, good, "{value}");
    }
    server.stop().await;
}
