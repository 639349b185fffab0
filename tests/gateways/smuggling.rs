//! Nothing that a client says of itself reaches the service, with or without a good token.
//!
//! Whatever is smuggled has the same mark in it, which must not be in what the service gets.

use super::service::Seen;
use super::{HEADERS, Setting, bearer, get, jwt, said_by_hallpass, send, written};

const MARK: &str = "evil";

/// Header lines that would make somebody else of the caller, or hide who it is.
fn smuggled() -> Vec<String> {
    let mut all = Vec::new();
    let ours = HEADERS.map(str::to_owned);
    let others = ["x-auth", "x-auth-", "x-auth-foo", "x-auth-groups", "x-authenticated-user"];
    for name in ours.into_iter().chain(others.map(str::to_owned)) {
        let underscored = name.replace('-', "_");
        let half = name.replacen('-', "_", 1);
        let other_half = name.char_indices().rev().find(|(_, c)| *c == '-').map(|(at, _)| {
            let mut other = name.clone();
            other.replace_range(at..=at, "_");
            other
        });
        for spelling in [
            name.clone(),
            name.to_uppercase(),
            underscored.to_uppercase(),
            underscored,
            half,
            other_half.unwrap_or_default(),
            name.replace('-', "."),
        ] {
            all.push(format!("{spelling}: {MARK}\r\n"));
        }
        all.push(format!("{name}: {MARK}\r\n{name}: {MARK}2\r\n"));
        all.push(format!("{name}:\r\n{name}: {MARK}\r\n"));
        all.push(format!("{name}: a, {MARK}\r\n"));
        // Not header lines, but somebody may read them as such.
        all.push(format!("{name} : {MARK}\r\n"));
        all.push(format!("X-Foo: a\n{name}: {MARK}\r\n"));
        all.push(format!("X-Foo: a\r{name}: {MARK}\r\n"));
        all.push(format!("{name}\0: {MARK}\r\n"));
        // A header that `Connection` names is dropped on the way: first what Hallpass said.
        all.push(format!("Connection: close, {name}\r\n{name}: {MARK}\r\n"));
        all.push(format!("Connection: {name}\r\nConnection: close\r\n"));
        all.push(format!("Keep-Alive: {name}\r\nTE: {name}\r\n"));
    }
    for name in ["for", "host", "proto", "port", "prefix", "user", "groups", "email", "foo"] {
        all.push(format!("X-Forwarded-{name}: {MARK}\r\n"));
        all.push(format!("X_Forwarded_{name}: {MARK}\r\n"));
        all.push(format!("X-FORWARDED-{name}: {MARK}\r\nx-forwarded-{name}: {MARK}\r\n"));
    }
    all.push(format!("Forwarded: for={MARK};host={MARK}\r\n"));
    all.push(format!("X-Real-IP: {MARK}\r\n"));
    all
}

/// Whether the mark came through. In the value of a header of the client's own it does no harm, if it is one for everybody.
fn is_marked(seen: &Seen) -> bool {
    let mut others = seen.headers();
    others.retain(|(name, _)| name != "x-foo");
    let one_line_each = seen.head.replace("\r\n", "");
    one_line_each.contains(['\r', '\n', '\0'])
        || format!("{others:?}{}", seen.trailers).contains(MARK)
}

#[tokio::test]
async fn no_header_of_a_client_passes_for_hallpass() {
    let setting = Setting::start().await;
    let minted = setting.user().await.mint("smuggle").await;
    let identity = said_by_hallpass(&setting.server, jwt(&minted)).await;
    for gateway in &setting.gateways {
        for lines in smuggled() {
            let token = bearer(jwt(&minted));
            for (path, who, lines) in [
                ("/x", Some(&identity), format!("{lines}{token}")),
                ("/public/x", None, format!("{token}{lines}")),
            ] {
                let reply = get(gateway, path, &lines).await;
                let all = gateway.service.take();
                let expected = usize::from(reply.status == 200);
                assert_eq!(all.len(), expected, "{gateway}, {lines}: {reply:?} {all:?}");
                for seen in &all {
                    assert!(!is_marked(seen), "{gateway}, {lines}: {seen:?}");
                    gateway.has_identity(seen, who, &lines);
                }
            }
            let reply = get(gateway, "/x", &lines).await;
            gateway.nothing_passed(&lines);
            assert!([400, 401].contains(&reply.status), "{gateway}, {lines}: {reply:?}");
        }
    }
    setting.stop().await;
}

/// A request within a request: what it is hidden in, the lines for that, and what follows the head.
type Hidden = (&'static str, String, String);

fn inner() -> String {
    format!(
        "GET /reports/{MARK} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Auth-Username: {MARK}\r\n\r\n"
    )
}

fn in_bodies() -> Vec<Hidden> {
    let inner = inner();
    let length = inner.len();
    let chunks = format!("{length:x}\r\n{inner}\r\n0\r\n");
    let after_the_last = format!("0\r\n\r\n{inner}");
    let whole = after_the_last.len();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let trailer = format!("X-Auth-Username: {MARK}\r\nX-Auth-Foo: {MARK}\r\n\r\n");
    vec![
        ("a body", format!("Content-Length: {length}\r\n"), inner.clone()),
        ("chunks", chunked.to_owned(), format!("{chunks}\r\n")),
        ("trailers", format!("Trailer: X-Auth-Username\r\n{chunked}"), chunks.clone() + &trailer),
        ("trailers unannounced", chunked.to_owned(), chunks + &trailer),
        ("two lengths", format!("Content-Length: 0\r\nContent-Length: {length}\r\n"), inner),
        ("length and chunks", format!("Content-Length: 3\r\n{chunked}"), after_the_last.clone()),
        (
            "chunks and length",
            format!("{chunked}Content-Length: {whole}\r\n"),
            after_the_last.clone(),
        ),
        (
            "chunks that are none",
            format!("Transfer-Encoding: xchunked\r\nContent-Length: {whole}\r\n"),
            after_the_last,
        ),
    ]
}

fn behind_upgrades() -> Vec<Hidden> {
    let socket = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let http2 = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    vec![
        ("the next request", "Connection: keep-alive\r\n".to_owned(), inner()),
        ("behind an upgrade", format!("Connection: Upgrade\r\n{socket}"), inner()),
        (
            "an upgrade that hides",
            format!("Connection: Upgrade, X-Auth-Username\r\n{socket}"),
            String::new(),
        ),
        ("behind HTTP/2 in the clear", http2.to_owned(), inner()),
    ]
}

#[tokio::test]
async fn what_is_hidden_in_bodies_trailers_and_upgrades_stays_there() {
    let setting = Setting::start().await;
    let minted = setting.user().await.mint("hidden").await;
    let identity = said_by_hallpass(&setting.server, jwt(&minted)).await;
    let token = bearer(jwt(&minted));
    for gateway in &setting.gateways {
        for (of, lines, rest) in in_bodies().into_iter().chain(behind_upgrades()) {
            // Where the rest is a request of its own, its answer is waited for, too.
            let requests = if rest.starts_with("GET") { 2 } else { 1 };
            let ask = async |lines: &str| {
                let bytes = written(gateway, "POST", "/x", lines, &rest);
                send(gateway.address(), &bytes, requests).await
            };
            let reply = ask(&format!("{token}{lines}")).await;
            for seen in gateway.service.take() {
                assert!(!is_marked(&seen), "{gateway}, {of}: {reply:?} {seen:?}");
                assert_eq!(seen.target(), "/x", "{gateway}, {of}: {reply:?} {seen:?}");
                gateway.has_identity(&seen, Some(&identity), of);
            }
            ask(&lines).await;
            gateway.nothing_passed(of);
        }
    }
    setting.stop().await;
}
