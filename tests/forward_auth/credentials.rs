//! Which credentials forward-auth takes, and in which form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::AUTHORIZATION;

use super::{PATH, ask, identity, jwt, refused};
use crate::support::{CHALLENGES, TestServer, passes_with};

#[tokio::test]
async fn a_token_is_the_bearer_or_the_password_of_anybody_or_a_name_without_one() {
    let server = TestServer::start().await;
    let minted = server.user(&server.realm.person().await).await.mint("password").await;
    let anyone = server.anonymous();
    let expected = identity(&ask(&anyone, PATH, jwt(&minted)).await);
    for user in ["", "x-token", "admin", "Zoë", "__token__"] {
        let request = anyone.request(Method::GET, PATH).basic_auth(user, Some(jwt(&minted)));
        assert_eq!(identity(&anyone.send(request).await), expected, "{user}");
    }
    let basic = async |user: &[u8], password: &[u8]| {
        let pair = STANDARD.encode([user, b":", password].concat());
        let request = anyone.request(Method::GET, PATH);
        anyone.send(request.header(AUTHORIZATION, format!("Basic {pair}"))).await
    };
    let token = jwt(&minted).as_bytes();
    // The name may be in any encoding.
    for user in [&b"Zo\xeb"[..], b"\xff\xfe", b"\0", b"a.b.c"] {
        assert_eq!(identity(&basic(user, token).await), expected, "{user:?}");
    }
    for password in [&b""[..], b"x-oauth-basic"] {
        assert_eq!(identity(&basic(token, password).await), expected, "{password:?}");
        refused(&basic(b"anybody", password).await, 401);
    }
    for (user, password) in
        [(token, &b"x"[..]), (b"", b""), (b"\xff", b""), (b"x", b"\xff"), (token, b"a.b.c")]
    {
        refused(&basic(user, password).await, 401);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_refusal_says_how_to_authenticate_and_for_basic_too_where_it_is_asked_for() {
    let server = TestServer::start().await;
    let minted = server.user(&server.realm.person().await).await.mint("challenge").await;
    let anyone = server.anonymous();
    let basic = "Basic realm=\"hallpass\", charset=\"UTF-8\"";
    for (credential, bearer) in [
        (None, CHALLENGES[0]),
        (Some("Digest x"), CHALLENGES[0]),
        (Some("Bearer x"), CHALLENGES[1]),
        (Some("Basic eDp5"), CHALLENGES[1]),
        (Some("Basic !"), CHALLENGES[1]),
    ] {
        for (query, expected) in
            [("", &[bearer][..]), ("?challenge=basic", &[basic, bearer]), ("?role=x", &[bearer])]
        {
            let mut request = anyone.request(Method::GET, &format!("{PATH}{query}"));
            if let Some(credential) = credential {
                request = request.header(AUTHORIZATION, credential);
            }
            let answer = anyone.send(request).await;
            refused(&answer, 401);
            let found: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
            assert_eq!(found, expected, "{credential:?} {query}");
        }
    }
    // Whoever is somebody is asked for nothing.
    let asked = format!("{PATH}?challenge=basic");
    identity(&ask(&anyone, &asked, jwt(&minted)).await);
    refused(&ask(&anyone, &format!("{asked}&role=x"), jwt(&minted)).await, 403);
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
